"""The cabinet: the switch and meter of one or more lighting feeders, after TALQ's meter and cabinet functions."""

from kraj.kinds.health import HEALTH
from kraj.metrics import Kind, Metric, Title, counter, flag, state
from kraj.units import Unit

PHASES = (1, 2, 3)


def _phase(number: int) -> tuple[Metric, ...]:
    """What the meter says of one phase; a single-phase cabinet has only the first."""
    name, line = f"l{number}", f"L{number}"
    source = f"TALQ ElectricalMeter phase{number}"
    return (
        Metric(
            f"{name}_voltage_v",
            Unit.VOLT,
            Title(cs=f"Napětí {line}", en=f"Voltage {line}"),
            possible=(0, 300),
            plausible=(207, 253),
            deadband=2,
            source=f"{source}Voltage; EN 50160",
            extremes=True,
            public=True,
        ),
        Metric(
            f"{name}_current_a",
            Unit.AMPERE,
            Title(cs=f"Proud {line}", en=f"Current {line}"),
            possible=(0, 200),
            plausible=(0, 80),
            deadband=0.2,
            deadband_pct=5,
            source=f"{source}Current",
        ),
        Metric(
            f"{name}_power_w",
            Unit.WATT,
            Title(cs=f"Příkon {line}", en=f"Power {line}"),
            possible=(0, 60_000),
            plausible=(0, 20_000),
            deadband=20,
            deadband_pct=3,
            source=f"{source}Power",
        ),
        Metric(
            f"{name}_power_factor",
            Unit.RATIO,
            Title(cs=f"Účiník {line}", en=f"Power factor {line}"),
            possible=(0, 1),
            deadband=0.03,
            source=f"{source}PowerFactor",
        ),
    )


CABINET = Kind(
    name="cabinet",
    title=Title(cs="Rozvaděč", en="Cabinet"),
    heartbeat_s=300,
    heartbeat_idle_s=3600,
    headline="power_w",
    metrics=(
        Metric(
            "power_w",
            Unit.WATT,
            Title(cs="Celkový příkon", en="Total power"),
            possible=(0, 180_000),
            plausible=(0, 60_000),
            deadband=20,
            deadband_pct=3,
            source="TALQ ElectricalMeter totalPower",
            extremes=True,
            public=True,
        ),
        counter(
            "energy_wh",
            Unit.WATT_HOUR,
            Title(cs="Energie", en="Energy"),
            source="TALQ ElectricalMeter totalActiveEnergy",
            public=True,
        ),
        *(metric for number in PHASES for metric in _phase(number)),
        flag(
            "contactor_closed",
            Title(cs="Stykač sepnut", en="Contactor closed"),
            source="TALQ SegmentMonitor",
            public=True,
        ),
        flag("breaker_closed", Title(cs="Jistič zapnut", en="Breaker closed"), source="TALQ CabinetMonitor"),
        flag("door_open", Title(cs="Dveře otevřeny", en="Door open"), source="TALQ CabinetMonitor cabinetDoorOpen"),
        Metric(
            "leakage_ma",
            Unit.MILLIAMPERE,
            Title(cs="Unikající proud", en="Leakage current"),
            possible=(0, 30_000),
            plausible=(0, 300),
            deadband=5,
            deadband_pct=10,
            source="TALQ CabinetMonitor leakageDetected",
            extremes=True,
        ),
        Metric(
            "illuminance_lx",
            Unit.LUX,
            Title(cs="Osvětlenost", en="Illuminance"),
            possible=(0, 150_000),
            plausible=(0, 120_000),
            deadband=1,
            deadband_pct=10,
            source="TALQ LightSensorFunction; OMA LwM2M 3301",
            public=True,
        ),
        Metric(
            "cabinet_temp_degc",
            Unit.CELSIUS,
            Title(cs="Teplota v rozvaděči", en="Cabinet temperature"),
            possible=(-40, 120),
            plausible=(-30, 70),
            deadband=2,
            source="TALQ TemperatureSensorFunction",
            extremes=True,
        ),
        state(
            "local_switch",
            Title(cs="Místní přepínač", en="Local switch"),
            ("automatic", "on", "off"),
            source="TALQ latestCommandReason (cabinet override)",
        ),
        *HEALTH,
    ),
)
