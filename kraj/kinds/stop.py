"""The smart stop: its own sun and battery, and what it offers to passengers; energy by Victron VE.Direct and INA226."""

from kraj.kinds.health import HEALTH
from kraj.metrics import Kind, Metric, Title, Type, counter, flag, state
from kraj.units import Unit

USB_PORTS = (1, 2, 3, 4)

PV = (
    Metric(
        "pv_voltage_v",
        Unit.VOLT,
        Title(cs="Napětí panelu", en="PV voltage"),
        possible=(0, 250),
        plausible=(0, 150),
        deadband=1,
        deadband_pct=5,
        source="VE.Direct VPV; IEC 61724-1 V_A",
        public=True,
    ),
    Metric(
        "pv_current_a",
        Unit.AMPERE,
        Title(cs="Proud panelu", en="PV current"),
        possible=(-1, 100),
        plausible=(0, 30),
        deadband=0.1,
        deadband_pct=5,
        source="INA226 Current; IEC 61724-1 I_A",
        public=True,
    ),
    Metric(
        "pv_power_w",
        Unit.WATT,
        Title(cs="Výkon panelu", en="PV power"),
        possible=(0, 2000),
        plausible=(0, 600),
        deadband=5,
        deadband_pct=5,
        source="VE.Direct PPV; IEC 61724-1 P_A",
        extremes=True,
        public=True,
    ),
    counter(
        "pv_energy_wh",
        Unit.WATT_HOUR,
        Title(cs="Vyrobená energie", en="PV energy"),
        source="VE.Direct H19",
        public=True,
    ),
)

BATTERY = (
    Metric(
        "battery_voltage_v",
        Unit.VOLT,
        Title(cs="Napětí baterie", en="Battery voltage"),
        possible=(0, 65),
        plausible=(10, 60),
        deadband=0.1,
        source="VE.Direct V",
        extremes=True,
    ),
    Metric(
        "battery_current_a",
        Unit.AMPERE,
        Title(cs="Proud baterie", en="Battery current"),
        possible=(-200, 200),
        plausible=(-50, 50),
        deadband=0.2,
        deadband_pct=10,
        source="VE.Direct I (charging is positive)",
    ),
    Metric(
        "battery_temp_degc",
        Unit.CELSIUS,
        Title(cs="Teplota baterie", en="Battery temperature"),
        possible=(-40, 100),
        plausible=(-20, 55),
        deadband=1,
        source="VE.Direct T; TALQ BatteryManagementSystem",
        extremes=True,
        public=True,
    ),
    Metric(
        "battery_soc_pct",
        Unit.PERCENT,
        Title(cs="Nabití baterie", en="Battery state of charge"),
        possible=(0, 100),
        plausible=(15, 100),
        deadband=1,
        source="VE.Direct SOC; TALQ BatteryManagementSystem",
        extremes=True,
        public=True,
    ),
    Metric(
        "battery_soh_pct",
        Unit.PERCENT,
        Title(cs="Zdraví baterie", en="Battery state of health"),
        possible=(0, 110),  # a new battery may hold more than its label says
        plausible=(70, 110),
        deadband=1,
        source="TALQ BatteryManagementSystem",
    ),
    state(
        "charger_state",
        Title(cs="Stav nabíječe", en="Charger state"),
        ("off", "low_power", "fault", "bulk", "absorption", "float", "storage", "equalize", "starting", "external"),
        source="VE.Direct CS; TALQ SolarBatteryCharger",
        public=True,
    ),
    Metric(
        "charger_error",
        Unit.NONE,
        Title(cs="Chyba nabíječe (kód)", en="Charger error (code)"),
        possible=(0, 255),
        plausible=(0, 1),
        deadband=0,
        type=Type.INTEGER,
        source="VE.Direct ERR (0: none)",
    ),
)


def _load(name: str, title: Title) -> Metric:
    return Metric(
        name,
        Unit.WATT,
        title,
        possible=(0, 1000),
        plausible=(0, 300),
        deadband=1,
        deadband_pct=10,
        source="INA226 Power",
    )


LOADS = (
    Metric(
        "load_power_w",
        Unit.WATT,
        Title(cs="Celkový odběr", en="Total load"),
        possible=(0, 2000),
        plausible=(0, 600),
        deadband=1,
        deadband_pct=10,
        source="VE.Direct IL times V",
        extremes=True,
    ),
    _load("load_usb_power_w", Title(cs="Odběr větve USB", en="Load of the USB rail")),
    _load("load_network_power_w", Title(cs="Odběr větve sítě", en="Load of the network rail")),
    _load("load_display_power_w", Title(cs="Odběr větve displeje", en="Load of the display rail")),
    _load("load_light_power_w", Title(cs="Odběr větve osvětlení", en="Load of the light rail")),
    _load("load_sos_power_w", Title(cs="Odběr větve SOS a modemu", en="Load of the SOS and modem rail")),
    state(
        "shedding",
        Title(cs="Omezení odběru", en="Load shedding"),
        ("none", "usb_off", "wifi_off", "display_hourly", "sos_only"),
        source="Kraj: steps below 60, 45, 30 and 15 % of charge",
        public=True,
    ),
)


def _usb_port(number: int) -> tuple[Metric, Metric, Metric]:
    """One charging port; three over-currents in an hour latch it off until a person looks."""
    return (
        Metric(
            f"usb{number}_current_a",
            Unit.AMPERE,
            Title(cs=f"Proud USB {number}", en=f"Current of USB {number}"),
            possible=(0, 6),
            plausible=(0, 3),
            deadband=0.2,
            source="INA226 Current",
        ),
        state(
            f"usb{number}_state",
            Title(cs=f"Stav USB {number}", en=f"State of USB {number}"),
            ("off", "idle", "charging", "overcurrent", "latched_off"),
            source="USB-IF Battery Charging 1.2",
        ),
        counter(
            f"usb{number}_faults",
            Unit.COUNT,
            Title(cs=f"Počet poruch USB {number}", en=f"Faults of USB {number}"),
            deadband=0,
            source="USB 2.0 port over-current",
        ),
    )


PASSENGERS = (
    Metric(
        "display_content_age_s",
        Unit.SECOND,
        Title(cs="Stáří obsahu displeje", en="Age of the display's content"),
        possible=(0, 2**31 - 1),
        plausible=(0, 3600),
        type=Type.INTEGER,
        source="TALQ TextDisplayActuator",
        public=True,
    ),
    flag(
        "display_refresh_ok",
        Title(cs="Poslední překreslení v pořádku", en="Last refresh succeeded"),
        source="TALQ TextDisplayActuator",
        public=True,
    ),
    Metric(
        "display_temp_degc",
        Unit.CELSIUS,
        Title(cs="Teplota displeje", en="Display panel temperature"),
        possible=(-40, 100),
        plausible=(-15, 60),
        deadband=2,
        source="TALQ TemperatureSensorFunction",
        public=True,
    ),
    # A count and nothing else, and only with the heartbeat: single arrivals must not show.
    Metric(
        "wifi_clients",
        Unit.COUNT,
        Title(cs="Počet zařízení na WiFi", en="WiFi clients"),
        possible=(0, 1000),
        plausible=(0, 200),
        type=Type.INTEGER,
        source="IEEE 802.11 station count",
    ),
    flag("wifi_up", Title(cs="WiFi v provozu", en="WiFi is up"), source="IEEE 802.11 access point", public=True),
    Metric(
        "uplink_rtt_ms",
        Unit.MILLISECOND,
        Title(cs="Odezva připojení", en="Uplink round-trip time"),
        possible=(0, 60_000),
        plausible=(0, 2_000),
        deadband=50,
        deadband_pct=50,
        source="RFC 2681",
    ),
    Metric(
        "uplink_loss_pct",
        Unit.PERCENT,
        Title(cs="Ztrátovost připojení", en="Uplink packet loss"),
        possible=(0, 100),
        plausible=(0, 50),
        deadband=5,
        source="RFC 6673",
    ),
)

AIR = (
    Metric(
        "pm2_5_ug_per_m3",
        Unit.MICROGRAM_PER_CUBIC_METRE,
        Title(cs="Prach PM2,5", en="Particulate matter PM2.5"),
        possible=(0, 1000),
        plausible=(0, 300),
        deadband=3,
        deadband_pct=10,
        source="TALQ ParticulateMatterSensor; EN 12341",
        public=True,
    ),
    Metric(
        "pm10_ug_per_m3",
        Unit.MICROGRAM_PER_CUBIC_METRE,
        Title(cs="Prach PM10", en="Particulate matter PM10"),
        possible=(0, 1000),
        plausible=(0, 500),
        deadband=3,
        deadband_pct=10,
        source="TALQ ParticulateMatterSensor; EN 12341",
        public=True,
    ),
    Metric(
        "air_temp_degc",
        Unit.CELSIUS,
        Title(cs="Teplota vzduchu", en="Air temperature"),
        possible=(-40, 85),
        plausible=(-30, 45),
        deadband=0.5,
        source="SHT3x; TALQ TemperatureSensorFunction",
        public=True,
    ),
    Metric(
        "air_humidity_pct",
        Unit.PERCENT,
        Title(cs="Vlhkost vzduchu", en="Air humidity"),
        possible=(0, 100),
        plausible=(5, 100),
        deadband=3,
        source="SHT3x; TALQ HumiditySensorFunction",
        public=True,
    ),
)

SAFETY = (
    # Buckets of at least 15 minutes; what is under five people is not told apart.
    state(
        "presence_bucket",
        Title(cs="Počet osob (skupina)", en="People present (bucket)"),
        ("under_5", "5_to_9", "10_to_19", "20_to_49", "50_or_more"),
        source="TALQ PresenceSensorFunction",
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
    flag("door_open", Title(cs="Dveře otevřeny", en="Door open"), source="TALQ CabinetMonitor cabinetDoorOpen"),
    flag(
        "water_present", Title(cs="Voda ve skříni", en="Water in the enclosure"), source="OMA LwM2M 3342 (float switch)"
    ),
    flag(
        "voice_selftest_ok",
        Title(cs="Hlasový výstup: poslední zkouška v pořádku", en="Voice output: last self-test passed"),
        source="Kraj: loudspeaker heard by the stop's own microphone",
        public=True,
    ),
    Metric(
        "voice_selftest_age_s",
        Unit.SECOND,
        Title(cs="Hlasový výstup: stáří poslední zkoušky", en="Voice output: age of the last self-test"),
        possible=(0, 2**31 - 1),
        plausible=(0, 8 * 86_400),
        type=Type.INTEGER,
        source="Kraj: voice output for the blind",
        public=True,
    ),
    flag(
        "voice_receiver_ok",
        Title(cs="Přijímač povelů nevidomých v provozu", en="Receiver of the handheld transmitter is alive"),
        source="Kraj: voice output for the blind",
        public=True,
    ),
    flag("sos_pressed", Title(cs="Tlačítko SOS stisknuto", en="SOS button pressed"), source="OMA LwM2M 3347"),
    flag(
        "sos_selftest_ok",
        Title(cs="SOS: poslední zkouška v pořádku", en="SOS: last self-test passed"),
        source="Kraj: weekly call without a person",
    ),
    Metric(
        "sos_selftest_age_s",
        Unit.SECOND,
        Title(cs="SOS: stáří poslední zkoušky", en="SOS: age of the last self-test"),
        possible=(0, 2**31 - 1),
        plausible=(0, 8 * 86_400),
        type=Type.INTEGER,
        source="Kraj: weekly call without a person",
    ),
    Metric(
        "sos_answer_s",
        Unit.SECOND,
        Title(cs="SOS: doba do přijetí hovoru", en="SOS: time to answer"),
        possible=(0, 86_400),
        plausible=(0, 60),
        deadband=0,
        source="Kraj: from the press to the operator's voice",
    ),
    Metric(
        "light_level_pct",
        Unit.PERCENT,
        Title(cs="Úroveň osvětlení", en="Light level"),
        possible=(0, 100),
        deadband=0,
        source="TALQ LampActuator actualLightState",
    ),
)

STOP = Kind(
    name="stop",
    title=Title(cs="Zastávka", en="Stop"),
    heartbeat_s=300,
    heartbeat_idle_s=900,  # the SOS button must not be out of sight for hours
    headline="battery_soc_pct",
    metrics=(
        *PV,
        *BATTERY,
        *LOADS,
        *(metric for number in USB_PORTS for metric in _usb_port(number)),
        *PASSENGERS,
        *AIR,
        *SAFETY,
        *HEALTH,
    ),
)
