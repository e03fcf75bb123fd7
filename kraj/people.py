"""Roles of people and the rights that each gives; ``role_right`` in the database is the same, held by a test."""

from collections.abc import Mapping
from typing import Final

RIGHTS: Final = ("read", "act", "register", "control", "rules", "export", "people")
"""``act``: work on alerts. ``register``: assets, devices, import. ``control``: programs and commands. ``rules``:
overrides, maintenance windows, whom to tell. ``people``: users and grants."""

GRANTABLE: Final = RIGHTS[:-1]
"""Whom a municipality lets at its assets does not let others in."""

ROLES: Final[Mapping[str, tuple[str, ...]]] = {
    "region_admin": RIGHTS,
    "municipality_admin": RIGHTS,
    "energy_manager": ("read", "control", "rules", "export"),
    "crew": ("read", "act"),
    "viewer": ("read",),
}

REGIONAL: Final = ("region_admin", "energy_manager", "crew", "viewer")
"""Roles that may be held for the region, which is all municipalities."""

SECOND_FACTOR: Final = ("region_admin", "municipality_admin")
"""Who holds one of these signs in with a second factor; so do people of others' teams (contractors)."""
