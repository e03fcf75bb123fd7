"""What a segment's ledger of savings is made of, as the store gives it and the rules take it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class Lamp:
    """A lamp of a segment; ``metadata`` are its attributes (``power_rated_w`` …)."""

    asset_id: int
    label: str
    latitude: float | None
    longitude: float | None
    metadata: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Baseline:
    """What one old lamp took, ballast included, from a day on; later versions take the place of earlier ones."""

    version: int
    valid_from: date
    power_w: float
    source: str
    who: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Held:
    """The compiled program that a segment's lamps were to keep from a moment on; ``since`` None: always."""

    since: datetime | None
    lamp_program_id: int
    document: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Segment:
    """A segment with its lamps by number, its programs by time and its baselines by version."""

    group_id: int
    name: str
    municipality: str
    municipality_title: str
    lamps: Sequence[Lamp]
    programs: Sequence[Held]
    baselines: Sequence[Baseline]
