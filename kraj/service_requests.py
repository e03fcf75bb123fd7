"""What citizens report: the services (Open311's word), their words, what they are of and which alerts say the same."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from kraj.metrics import Title

DESCRIPTION_CHARS_MAX: Final = 4000
"""As the standard has it."""
ADDRESS_CHARS_MAX: Final = 300
EMAIL_CHARS_MAX: Final = 254
REPORT_RULE: Final = "citizen_report"
"""The rule of the alert that a report raises where no other alert says the same."""
EMAIL: Final = re.compile(
    r"[A-Za-z0-9](?:[A-Za-z0-9_+%-]|\.(?!\.)){0,62}(?<!\.)@"
    r"(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z][A-Za-z0-9-]{0,61}[A-Za-z0-9]"
)
"""One address without quotes, commas or spaces: what is sent goes to it alone."""

_LAMPS = ("feeder_outage", "cabinet_outage", "phase_lost", "grid_outage")


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """One thing that can be reported.

    ``kinds`` are those of the assets that it may be of (none: anything or nothing of ours), ``rules`` the rules and
    causes whose alert says the same, and whose proof is this one's.
    """

    code: str
    group: str
    title: Title
    description: Title
    keywords: Title
    kinds: tuple[str, ...] = ()
    rules: tuple[str, ...] = ()


_SERVICES: Final = (
    Service(
        code="dark_lamp",
        group="lighting",
        title=Title(cs="Nesvítí svítidlo", en="A street lamp is dark"),
        description=Title(
            cs="Svítidlo v noci nesvítí nebo bliká. Číslo sloupu pomůže, ale není nutné.",
            en="A street lamp is dark or flickers at night. The number on the pole helps, but is not needed.",
        ),
        keywords=Title(cs="svítidlo, lampa, tma, osvětlení", en="lamp, light, dark, street"),
        kinds=("lamp",),
        rules=("lamp_out", "gear_shutdown", "cycling", "knock_down", "dim_not_followed", "circuit_unlit", *_LAMPS),
    ),
    Service(
        code="day_burner",
        group="lighting",
        title=Title(cs="Svítí ve dne", en="A street lamp burns by day"),
        description=Title(cs="Svítidlo svítí za denního světla.", en="A street lamp burns in daylight."),
        keywords=Title(cs="svítidlo, lampa, den", en="lamp, light, day"),
        kinds=("lamp",),
        rules=("day_burner", "contactor_stuck", "circuit_day_burning"),
    ),
    Service(
        code="stop_dark",
        group="stops",
        title=Title(cs="Zastávka je tmavá", en="A stop is dark"),
        description=Title(cs="Zastávka v noci nesvítí.", en="A stop is not lit at night."),
        keywords=Title(cs="zastávka, tma, osvětlení", en="stop, dark, light"),
        kinds=("stop",),
        rules=("autonomy_low", "autonomy_critical", "pv_dead", "site_outage"),
    ),
    Service(
        code="stop_display",
        group="stops",
        title=Title(cs="Displej zastávky nejde nebo neříká pravdu", en="A stop's display is off or wrong"),
        description=Title(
            cs="Displej je tmavý, zamrzlý nebo ukazuje špatné odjezdy.",
            en="The display is dark, frozen or shows wrong departures.",
        ),
        keywords=Title(cs="zastávka, displej, odjezdy", en="stop, display, departures"),
        kinds=("stop",),
        rules=("display_stale", "uplink_down", "autonomy_critical", "site_outage"),
    ),
    Service(
        code="stop_wifi",
        group="stops",
        title=Title(cs="Wi-Fi zastávky nejde", en="A stop's Wi-Fi is down"),
        description=Title(cs="K Wi-Fi se nelze připojit.", en="One cannot connect to the Wi-Fi."),
        keywords=Title(cs="zastávka, wifi, internet", en="stop, wifi, internet"),
        kinds=("stop",),
        rules=("wifi_down", "uplink_down", "autonomy_critical", "site_outage"),
    ),
    Service(
        code="stop_charging",
        group="stops",
        title=Title(cs="Zastávka nenabíjí telefony", en="A stop does not charge telephones"),
        description=Title(cs="Zásuvka USB nenabíjí.", en="The USB socket does not charge."),
        keywords=Title(cs="zastávka, usb, nabíjení", en="stop, usb, charging"),
        kinds=("stop",),
        rules=("usb_overcurrent", "autonomy_low", "autonomy_critical", "site_outage"),
    ),
    Service(
        code="damage",
        group="safety",
        title=Title(cs="Poškození", en="Damage"),
        description=Title(
            cs="Sražený nebo nakloněný sloup, otevřená dvířka, odkrytý kabel, rozbité sklo. Při ohrožení volejte 112.",
            en="A pole knocked down or leaning, an open door, a bare cable, broken glass. In danger call 112.",
        ),
        keywords=Title(cs="sloup, kabel, dvířka, sklo", en="pole, cable, door, glass"),
        rules=("knock_down", "door_open", "stop_door_open", "water"),
    ),
    Service(
        code="other",
        group="other",
        title=Title(cs="Něco jiného", en="Something else"),
        description=Title(
            cs="Cokoli jiného o osvětlení nebo chytrých zastávkách.", en="Anything else about lighting or smart stops."
        ),
        keywords=Title(cs="jiné", en="other"),
    ),
)
SERVICES: Final[Mapping[str, Service]] = {service.code: service for service in _SERVICES}

NOTICE: Final = Title(
    cs="Hlášení je přijato. Kdo nechal e-mail, dostane odpověď, až bude oprava ověřena.",
    en="The report is taken. Whoever left an e-mail is answered once the repair is verified.",
)
HOW: Final[Mapping[str, Title]] = {
    "verified": Title(
        cs="Opraveno: ověřeno měřením, že závada zmizela.", en="Repaired: measurements show that the fault is gone."
    ),
    "repaired": Title(cs="Opraveno podle technika.", en="Repaired, as the crew says."),
    "no_fault": Title(cs="Technik závadu nenašel.", en="The crew found no fault."),
    "not_ours": Title(
        cs="Zařízení není naše; komu patří, víme-li to, stojí v poznámce.",
        en="The thing is not ours; whose it is, where we know, stands in the note.",
    ),
    "unclear": Title(
        cs="Z hlášení nepoznáme, kde závada je. Nahlaste ji prosím znovu s přesnějším místem.",
        en="The report does not tell where the fault is. Please report it again with its place.",
    ),
}
"""How a report ended."""
BY_HAND: Final = ("repaired", "no_fault", "not_ours", "unclear")
"""What people may say of it; only measurements verify."""
THINGS: Final = ("lamp", "stop", "cabinet")
"""Kinds of what can be reported."""
NOTES_CHARS_MAX: Final = 500
WAITING: Final = Title(cs="Čeká na opravu.", en="Waits for repair.")
