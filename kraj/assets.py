"""Assets as the registry knows them, and what bends the rules that judge them: records that store and rules share."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kraj.alerts import Scope


@dataclass(frozen=True, slots=True, kw_only=True)
class AssetRow:
    """An asset as the registry holds it; ``device_id`` is None where none is installed."""

    asset_id: int
    municipality_id: int
    kind: str
    label: str
    latitude: float | None
    longitude: float | None
    metadata: Mapping[str, Any]
    device_id: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """A time in which rules are silent: maintenance (every rule, a scope) or a mute (one rule, one asset)."""

    scope: Scope
    rule: str | None
    from_ms: int
    to_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Override:
    """Thresholds of one rule, for the listed assets or (None) the whole municipality; ``enabled`` False switches the
    rule off there."""

    rule: str
    asset_ids: frozenset[int] | None
    municipality_id: int
    enabled: bool
    thresholds: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceStatus:
    """A device's word, or its will, that it is online or not; ``ts_ms`` is when it came."""

    device_id: int
    online: bool
    ts_ms: int
    boot: int | None = None
    reset: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomRule:
    """A municipality's own rule, as text."""

    custom_rule_id: int
    municipality_id: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """Everything of the registry that rules depend on, under one version of it."""

    version: int
    assets: tuple[AssetRow, ...]
    windows: tuple[Window, ...]
    overrides: tuple[Override, ...]
    custom_rules: tuple[CustomRule, ...]
    failed: frozenset[str] = frozenset()
    """What is off by failure, until somebody lets it be tried again."""
