"""The health of the device behind an asset, the same for every kind."""

from kraj.metrics import Metric, Rollup, Title, Type, state
from kraj.units import Unit

HEALTH = (
    Metric(
        "clock_offset_s",
        Unit.SECOND,
        Title(cs="Odchylka hodin", en="Clock offset"),
        possible=(-(2**31), 2**31),  # a clock that starts in 1970 is 1.8 billion seconds off
        plausible=(-60, 60),
        source="RFC 5905 offset; TALQ TimeFunction",
    ),
    Metric(
        "rssi_dbm",
        Unit.DECIBEL_MILLIWATT,
        Title(cs="Síla signálu", en="Signal strength"),
        possible=(-150, 20),
        plausible=(-125, 0),
        type=Type.INTEGER,
        source="OMA LwM2M object 4 Radio Signal Strength",
    ),
    Metric(
        "uptime_s",
        Unit.SECOND,
        Title(cs="Doba od startu", en="Time since start"),
        possible=(0, 2**31 - 1),
        type=Type.INTEGER,
        source="SNMP sysUpTime (RFC 3418)",
        rollup=Rollup.LAST,
    ),
    state(
        "reset_cause",
        Title(cs="Příčina restartu", en="Cause of reset"),
        ("power_on", "hardware", "watchdog", "software", "brownout", "deep_sleep", "unknown"),
        source="MicroPython machine.reset_cause",
    ),
)
"""Closed: kinds may have metrics behind these, whose place must not move. More health goes into a second tuple."""
