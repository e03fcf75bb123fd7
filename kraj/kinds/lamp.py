"""The lamp: one luminaire on its pole, after TALQ 2.7.1 and DALI-2 D4i (IEC 62386 parts 251 to 253)."""

from kraj.kinds.health import HEALTH
from kraj.metrics import Kind, Metric, Title, counter, flags, state
from kraj.units import Unit

# D4i counters of failures stop at 253, and MASK and TMASK mean "unavailable": devices leave such values out.
FAILURES = (
    "gear_failure",
    "supply_undervoltage",
    "supply_overvoltage",
    "output_power_limited",
    "gear_thermal_derating",
    "gear_thermal_shutdown",
    "light_source_failure",
    "light_source_short_circuit",
    "light_source_open_circuit",
    "light_source_thermal_derating",
    "light_source_thermal_shutdown",
)
"""In the order of DiiA part 253: control gear (bank 205), then light source (bank 206)."""


def _level(name: str, title: Title, source: str) -> Metric:
    return Metric(name, Unit.PERCENT, title, possible=(0, 100), deadband=0, source=source)


LAMP = Kind(
    name="lamp",
    title=Title(cs="Svítidlo", en="Lamp"),
    heartbeat_s=300,
    heartbeat_idle_s=3600,
    headline="power_w",
    metrics=(
        _level(
            "level_commanded_pct",
            Title(cs="Zadaná úroveň", en="Commanded level"),
            "TALQ LampActuator targetLightCommand",
        ),
        _level(
            "level_effective_pct",
            Title(cs="Účinná úroveň", en="Effective level"),
            "TALQ LampActuator feedbackLightCommand",
        ),
        _level(
            "level_measured_pct",
            Title(cs="Měřená úroveň", en="Measured level"),
            "TALQ LampActuator actualLightState; IEC 62386-102 actualLevel",
        ),
        state(
            "level_reason",
            Title(cs="Důvod úrovně", en="Reason of level"),
            ("emergency", "cabinet", "manual", "sensor", "program", "fallback"),
            source="TALQ latestCommandReason",
        ),
        Metric(
            "power_w",
            Unit.WATT,
            Title(cs="Příkon", en="Power"),
            possible=(0, 2000),
            plausible=(0, 600),
            deadband=2,
            deadband_pct=3,
            source="TALQ activePower; DiiA part 252",
            extremes=True,
        ),
        counter("energy_wh", Unit.WATT_HOUR, Title(cs="Energie", en="Energy"), source="DiiA part 252 activeEnergy"),
        Metric(
            "voltage_v",
            Unit.VOLT,
            Title(cs="Napětí", en="Voltage"),
            possible=(0, 300),
            plausible=(207, 253),
            deadband=2,
            source="TALQ supplyVoltage; EN 50160",
            extremes=True,
            public=True,
        ),
        Metric(
            "current_a",
            Unit.AMPERE,
            Title(cs="Proud", en="Current"),
            possible=(0, 10),
            plausible=(0, 3),
            deadband=0.02,
            deadband_pct=5,
            source="TALQ supplyCurrent",
        ),
        Metric(
            "power_factor",
            Unit.RATIO,
            Title(cs="Účiník", en="Power factor"),
            possible=(0, 1),
            deadband=0.03,
            source="TALQ powerFactor; DiiA part 253",
        ),
        Metric(
            "gear_temp_degc",
            Unit.CELSIUS,
            Title(cs="Teplota předřadníku", en="Gear temperature"),
            possible=(-40, 120),
            plausible=(-30, 85),
            deadband=2,
            source="DiiA part 253 ControlGearTemperature",
            extremes=True,
        ),
        counter(
            "lamp_on_time_s",
            Unit.SECOND,
            Title(cs="Doba svícení", en="Lamp on time"),
            source="DiiA part 253 LightSourceOnTime; TALQ operatingHours",
        ),
        counter(
            "gear_on_time_s",
            Unit.SECOND,
            Title(cs="Doba provozu předřadníku", en="Gear on time"),
            source="DiiA part 253 ControlGearOperatingTime",
        ),
        counter(
            "lamp_starts",
            Unit.COUNT,
            Title(cs="Počet rozsvícení", en="Lamp starts"),
            deadband=0,
            source="DiiA part 253 LightSourceStartCounter; TALQ switchOnCounter",
        ),
        counter(
            "gear_starts",
            Unit.COUNT,
            Title(cs="Počet startů předřadníku", en="Gear starts"),
            deadband=0,
            source="DiiA part 253 ControlGearStartCounter",
        ),
        counter(
            "supply_losses",
            Unit.COUNT,
            Title(cs="Počet výpadků napájení", en="Supply losses"),
            deadband=0,
            source="TALQ supplyLoss",
        ),
        flags("failure_flags", Title(cs="Příznaky poruch", en="Failure flags"), FAILURES, source="DiiA part 253"),
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
            "tilt_deg",
            Unit.DEGREE,
            Title(cs="Náklon", en="Tilt"),
            possible=(0, 180),
            plausible=(0, 5),
            deadband=2,
            source="TALQ OrientationFunction",
        ),
        Metric(
            "shock_g",
            Unit.STANDARD_GRAVITY,
            Title(cs="Největší otřes", en="Highest shock"),
            possible=(0, 32),
            plausible=(0, 2),
            deadband=0.5,
            source="TALQ AccelerometerFunction",
        ),
        *HEALTH,
    ),
)
