"""Groups of assets: what people may call them, and the attributes by which assets hang together of themselves.

Topology stays in the metadata (``kraj.attributes``), where rules read it; a group is what somebody is let at, or what
an override is for, and may be filled from the topology.
"""

from typing import Final, Literal, TypeAlias, get_args

from kraj.attributes import ATTRIBUTES, TOPOLOGY

GroupKind: TypeAlias = Literal[
    "list", "segment", "street", "cabinet", "feeder", "supply_area", "gateway", "site", "phase"
]
"""``list``: whatever somebody has put together. The others but ``segment`` are named as the attribute they follow."""
GROUP_KINDS: Final[tuple[GroupKind, ...]] = get_args(GroupKind)

CONNECTING: Final = (*(attribute.name for attribute in TOPOLOGY), "phase")
"""Attributes whose equal values tell of one feeder, one cabinet and so on; strings and planes are within one roof."""


def connects(name: str) -> bool:
    """Whether assets can be looked for by this attribute."""
    return any(name == attribute.name for known in ATTRIBUTES.values() for attribute in known)
