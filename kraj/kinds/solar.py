"""The roof with its inverter: IEC 61724-1 quantities by SunSpec models 101 to 103, 122, 160, 203, 302, 303 and 701."""

from kraj.kinds.health import HEALTH
from kraj.metrics import Kind, Metric, Title, counter, flags, state
from kraj.units import Unit

PHASES = ("A", "B", "C")
STRINGS = range(1, 9)

# Models and editions of SunSpec number the same states and bits differently (THROTTLED is 5 in model 103 and 4 in
# 701): loggers translate by the standard's word, and these words, in this order, are what is sent and stored.
STATES = ("off", "sleeping", "starting", "mppt", "throttled", "shutting_down", "fault", "standby")
EVENTS = (
    "ground_fault",
    "dc_over_volt",
    "ac_disconnect",
    "dc_disconnect",
    "grid_disconnect",
    "cabinet_open",
    "manual_shutdown",
    "over_temp",
    "over_frequency",
    "under_frequency",
    "ac_over_volt",
    "ac_under_volt",
    "blown_string_fuse",
    "under_temp",
    "memory_loss",
    "hw_test_failure",
    "manufacturer_alarm",
)
THROTTLES = (
    "max_w",
    "fixed_w",
    "fixed_var",
    "fixed_pf",
    "volt_var",
    "freq_watt",
    "dyn_react_curr",
    "lvrt",
    "hvrt",
    "watt_var",
    "volt_watt",
    "scheduled",
    "lfrt",
    "hfrt",
    "derated",
)


def _phase_voltage(number: int, letter: str) -> Metric:
    return Metric(
        f"l{number}_voltage_v",
        Unit.VOLT,
        Title(cs=f"Napětí L{number}", en=f"Voltage L{number}"),
        possible=(0, 300),
        plausible=(207, 253),
        deadband=2,
        source=f"SunSpec 103 PhVph{letter}; 701 VL{number}; EN 50160",
        extremes=True,
        public=True,
    )


def _string(number: int) -> tuple[Metric, Metric]:
    """One input of the inverter; the string map of the roof says which modules hang on it."""
    return (
        Metric(
            f"string{number}_current_a",
            Unit.AMPERE,
            Title(cs=f"Proud stringu {number}", en=f"Current of string {number}"),
            possible=(-2, 60),
            plausible=(-0.2, 30),
            deadband=0.2,
            deadband_pct=5,
            source=f"SunSpec 160 module {number} DCA; IEC 61724-1 I_A",
        ),
        Metric(
            f"string{number}_voltage_v",
            Unit.VOLT,
            Title(cs=f"Napětí stringu {number}", en=f"Voltage of string {number}"),
            possible=(0, 1100),
            plausible=(0, 1000),
            deadband=10,
            deadband_pct=3,
            source=f"SunSpec 160 module {number} DCV; IEC 61724-1 V_A",
        ),
    )


SOLAR = Kind(
    name="solar",
    title=Title(cs="Fotovoltaika", en="Rooftop PV"),
    heartbeat_s=300,
    heartbeat_idle_s=300,
    headline="power_w",
    metrics=(
        # Spans of power are those of any roof; the bounds of −2 % to 120 % of the rating need the registry.
        Metric(
            "power_w",
            Unit.WATT,
            Title(cs="Střídavý výkon", en="AC power"),
            possible=(-20_000, 1_200_000),
            plausible=(-2_000, 1_200_000),
            deadband=50,
            deadband_pct=3,
            source="SunSpec 103 W; 701 W; IEC 61724-1 P_out",
            extremes=True,
            public=True,
        ),
        counter(
            "energy_wh",
            Unit.WATT_HOUR,
            Title(cs="Vyrobená energie", en="Lifetime energy"),
            source="SunSpec 103 WH; 701 TotWhInj; IEC 61724-1 E_out",
            public=True,
        ),
        *(_phase_voltage(number, letter) for number, letter in enumerate(PHASES, 1)),
        Metric(
            "frequency_hz",
            Unit.HERTZ,
            Title(cs="Frekvence", en="Frequency"),
            possible=(0, 70),
            plausible=(49.5, 50.5),
            deadband=0.1,
            source="SunSpec 103 Hz; 701 Hz; EN 50160",
            public=True,
        ),
        Metric(
            "dc_power_w",
            Unit.WATT,
            Title(cs="Stejnosměrný výkon", en="DC power"),
            possible=(-20_000, 1_500_000),
            plausible=(-500, 1_500_000),
            deadband=50,
            deadband_pct=3,
            source="SunSpec 103 DCW; IEC 61724-1 P_A",
            public=True,
        ),
        *(metric for number in STRINGS for metric in _string(number)),
        Metric(
            "irradiance_w_per_m2",
            Unit.WATT_PER_SQUARE_METRE,
            Title(cs="Ozáření v rovině panelů", en="Plane-of-array irradiance"),
            possible=(-10, 1500),
            plausible=(-5, 1300),
            deadband=20,
            deadband_pct=5,
            source="SunSpec 302 POAI; IEC 61724-1 G_i",
            public=True,
        ),
        Metric(
            "module_temp_degc",
            Unit.CELSIUS,
            Title(cs="Teplota panelu", en="Module temperature"),
            possible=(-40, 95),
            plausible=(-30, 85),
            deadband=2,
            source="SunSpec 303 TmpBOM; IEC 61724-1 T_mod",
            extremes=True,
            public=True,
        ),
        Metric(
            "inverter_temp_degc",
            Unit.CELSIUS,
            Title(cs="Teplota střídače", en="Inverter temperature"),
            possible=(-40, 120),
            plausible=(-30, 85),
            deadband=2,
            source="SunSpec 103 TmpCab; 701 TmpCab",
            extremes=True,
            public=True,
        ),
        Metric(
            "isolation_ohm",
            Unit.OHM,
            Title(cs="Izolační odpor", en="Isolation resistance"),
            possible=(0, 1e8),
            plausible=(1e6, 1e8),
            deadband=50_000,
            deadband_pct=10,
            source="SunSpec 122 Ris",
        ),
        state(
            "state",
            Title(cs="Stav střídače", en="Inverter state"),
            STATES,
            source="SunSpec 103 St; 701 InvSt",
            public=True,
        ),
        flags(
            "event_flags", Title(cs="Příznaky událostí", en="Event flags"), EVENTS, source="SunSpec 103 Evt1; 701 Alrm"
        ),
        Metric(
            "throttle_pct",
            Unit.PERCENT,
            Title(cs="Omezení výkonu", en="Throttling"),
            possible=(0, 100),
            deadband=1,
            source="SunSpec 701 ThrotPct",
            public=True,
        ),
        flags(
            "throttle_flags",
            Title(cs="Důvody omezení", en="Throttle sources"),
            THROTTLES,
            source="SunSpec 701 ThrotSrc",
        ),
        counter(
            "import_energy_wh",
            Unit.WATT_HOUR,
            Title(cs="Odběr ze sítě", en="Energy imported"),
            source="SunSpec 203 TotWhImp",
        ),
        counter(
            "export_energy_wh",
            Unit.WATT_HOUR,
            Title(cs="Dodávka do sítě", en="Energy exported"),
            source="SunSpec 203 TotWhExp",
        ),
        *HEALTH,
    ),
)
