"""Every place where a person does something, declared once: the desk and the header's menu are derived from it."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

DESK: Final = "/desk"


@dataclass(frozen=True, slots=True)
class Place:
    """A page for people; its title is the text ``title``, its sentence the text ``desk.place.<key>``.

    ``rights`` are those of which a person needs one anywhere (none: everybody who is signed in).
    """

    key: str
    href: str
    title: str
    rights: tuple[str, ...] = ()
    in_menu: bool = False

    @property
    def sentence(self) -> str:
        """The key of the sentence that says what it is for."""
        return f"desk.place.{self.key}"

    def open_to(self, rights: Collection[str]) -> bool:
        """Whether somebody with these rights can do something there."""
        return not self.rights or any(right in rights for right in self.rights)


@dataclass(frozen=True, slots=True)
class Group:
    """Places that belong together; its heading is the text ``desk.group.<key>``."""

    key: str
    places: tuple[Place, ...]


GROUPS: Final = (
    Group("register", (
        Place("new", "/registry/new", "registry.new", ("register",)),
        Place("registry", "/registry", "registry.nav"),
        Place("unregistered", "/unregistered", "registry.unregistered", ("register",)),
        Place("imports", "/imports", "import.nav", ("register",), in_menu=True),
        Place("labels", "/labels", "desk.labels.title", ("register",)),
        Place("groups", "/groups", "registry.groups", in_menu=True),
        Place("wiring", "/wiring", "wiring.heading", ("register",)),
        Place("foreign", "/foreign", "foreign.nav", in_menu=True),
        Place("firmware", "/firmware", "firmware.nav", in_menu=True),
        Place("quarantine", "/quarantine", "page.quarantine", in_menu=True),
    )),
    Group("people", (
        Place("people", "/people", "people.title", ("people",), in_menu=True),
        Place("teams", "/teams", "teams.title", ("people",), in_menu=True),
        Place("grants", "/grants", "grants.title", ("people",), in_menu=True),
        Place("audit", "/audit", "desk.audit.title", ("people",)),
        Place("towns", "/towns", "desk.towns.title"),
        Place("account", "/account", "account.title"),
    )),
    Group("light", (
        Place("alerts", "/alerts", "page.alerts"),
        Place("lighting", "/lighting", "lighting.nav"),
        Place("program", "/lighting/programs/new", "lighting.program_new", ("control",)),
        Place("orders", "/lighting/orders", "lighting.orders"),
        Place("emergency", "/lighting/emergency", "lighting.emergency", ("control",)),
    )),
    Group("energy", (
        Place("energy", "/energy", "energy.nav"),
        Place("reports", "/reports", "report.nav", in_menu=True),
        Place("metering", "/metering", "metering.nav", in_menu=True),
        Place("tariffs", "/tariffs", "metering.tariffs"),
        Place("pictures", "/pictures", "page.pictures", in_menu=True),
    )),
    Group("rules", (
        Place("rules", "/rules", "rulebook.nav", in_menu=True),
        Place("own_rule", "/rules/own/new", "rulebook.own_new", ("rules",)),
        Place("window", "/rules/windows/new", "rulebook.window_new", ("rules",)),
        Place("notifications", "/notifications", "contacts.heading", in_menu=True),
    )),
    Group("public", (
        Place("requests", "/requests", "requests.title"),
        Place("phone", "/reports/phone", "phone.title", ("act",)),
        Place("publishing", "/publishing", "publishing.title", ("people",)),
        Place("public", "/public", "desk.public"),
    )),
)  # fmt: skip
"""In the order of the desk."""


def desk(rights: Collection[str]) -> list[Group]:
    """The groups with what is open to these rights; groups of which nothing is left are left out."""
    groups = [Group(group.key, tuple(place for place in group.places if place.open_to(rights))) for group in GROUPS]
    return [group for group in groups if group.places]


def menu(rights: Collection[str]) -> list[tuple[str, str]]:
    """Addresses and titles (keys of texts) of the header's menu, the desk first."""
    chosen = [place for group in desk(rights) for place in group.places if place.in_menu]
    return [(DESK, "desk.title"), *((place.href, place.title) for place in chosen)]
