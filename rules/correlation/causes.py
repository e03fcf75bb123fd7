"""Causes above single assets: what is counted where, and when many symptoms are one alert."""

import math
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from kraj.alerts import Severity
from kraj.errors import ConfigurationError
from kraj.kinds import KINDS
from kraj.metrics import Title
from rules.correlation.records import EXPLAIN_MS, MINUTE_MS
from rules.estate import GROUPS

_DURATION = re.compile(r"(\d{1,4}) (min|h)")
_NEEDED = frozenset({"group", "kinds", "symptoms", "count", "severity", "title", "symptom"})
_OPTIONAL = frozenset(
    {
        "share",
        "window",
        "wait",
        "back",
        "explained_by",
        "network",
        "silence",
        "seconded_by",
        "proofs",
        "follows",
        "by_phase",
        "proven_after",
        "bring",
        "source",
    }
)
_ROUNDING = 1e-9
"""0.2 · 15 must not need four."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """One correlated cause.

    It holds where, within ``window_ms``, at least ``count`` members of a group and at least the ``share`` of them began
    to have one of ``symptoms``, and is over when the share ``back`` of those who suffered at most suffers no more. A
    symptom that it counts or that names it waits ``wait_ms`` before anybody is told.

    ``silence`` are symptoms that alone prove nothing, unless the device has said that its supply is gone; then half of
    the group's lamps must have the symptom ``seconded_by``. ``network`` marks a cause of communication; ``proofs`` are
    symptoms of a cabinet that prove that what hangs on it lost power. ``follows`` are causes above it that bring it
    with them; one ``by_phase`` only where the evidence says which phases are dead.
    Called fixed, it is proven ``proven_ms`` after its end, once the share ``back`` of the group has reported since (0:
    by time alone).
    """

    name: str
    group: str
    kinds: tuple[str, ...]
    symptoms: frozenset[str]
    count: int
    severity: Severity
    title: Title
    symptom: Title
    share: float = 0.0
    window_ms: int = EXPLAIN_MS
    wait_ms: int = EXPLAIN_MS
    back: float = 0.8
    bring: Title | None = None
    explained_by: tuple[str, ...] = ()
    network: bool = False
    silence: frozenset[str] = frozenset()
    seconded_by: str | None = None
    proofs: frozenset[str] = frozenset()
    follows: tuple[str, ...] = ()
    by_phase: bool = False
    proven_ms: int = 0
    source: str = ""

    def needs(self, members: int) -> int:
        """How many members must be lost at once."""
        return max(self.count, math.ceil(self.share * members - _ROUNDING))

    def over(self, lost: int, peak: int) -> bool:
        """Whether enough of those who suffered are back."""
        return lost <= (1 - self.back) * peak + _ROUNDING


@cache
def load() -> tuple[Cause, ...]:
    """The causes that come with the project, those that explain others first; read once."""
    return parse(files("rules.correlation").joinpath("causes.toml").read_text("utf-8"), "causes.toml")


def parse(text: str, where: str) -> tuple[Cause, ...]:
    """Read causes from TOML; ``ConfigurationError`` names file, cause and key."""
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{where}: {error}") from error
    known = {name: _cause(name, table, where) for name, table in tables.items()}
    for cause in known.values():
        for key, named in (("explained_by", cause.explained_by), ("follows", cause.follows)):
            unknown = set(named) - known.keys()
            if unknown:
                raise ConfigurationError(f"{where}: {cause.name}.{key}: unknown cause {min(unknown)!r}")
    depths: dict[str, int] = {}
    for name in known:
        _deepen(name, known, depths, (), where)
    return tuple(sorted(known.values(), key=lambda cause: depths[cause.name]))


def _deepen(name: str, known: Mapping[str, Cause], depths: dict[str, int], path: tuple[str, ...], where: str) -> int:
    """How many causes stand above it, one above the other."""
    if name in path:
        raise ConfigurationError(f"{where}: {' ← '.join((*path, name))}: causes explain each other in a circle")
    if name not in depths:
        above = (_deepen(other, known, depths, (*path, name), where) for other in known[name].explained_by)
        depths[name] = 1 + max(above, default=0)
    return depths[name]


def _cause(name: str, table: Any, where: str) -> Cause:
    place = f"{where}: {name}"
    if not isinstance(table, dict):
        raise ConfigurationError(f"{place}: a cause is a table, [{name}] and keys below")
    keys: dict[str, Any] = dict(table)  # pyright: ignore[reportUnknownArgumentType] - keys of TOML are text
    strange, missing = keys.keys() - _NEEDED - _OPTIONAL, _NEEDED - keys.keys()
    if strange:
        known = ", ".join(sorted(_NEEDED | _OPTIONAL))
        raise ConfigurationError(f"{place}: unknown key {min(strange)!r}; known: {known}")
    if missing:
        raise ConfigurationError(f"{place}: {min(missing)!r} is missing")
    try:
        cause = Cause(
            name=name,
            group=str(keys["group"]),
            kinds=tuple(keys["kinds"]),
            symptoms=frozenset(keys["symptoms"]),
            count=int(keys["count"]),
            severity=Severity(keys["severity"]),
            title=Title(**keys["title"]),
            symptom=Title(**keys["symptom"]),
            share=float(keys.get("share", 0.0)),
            window_ms=_duration(keys.get("window", "10 min"), f"{place}.window"),
            wait_ms=_duration(keys.get("wait", "10 min"), f"{place}.wait"),
            back=float(keys.get("back", 0.8)),
            bring=Title(**keys["bring"]) if "bring" in keys else None,
            explained_by=tuple(keys.get("explained_by", ())),
            network=bool(keys.get("network", False)),
            silence=frozenset(keys.get("silence", ())),
            seconded_by=keys.get("seconded_by"),
            proofs=frozenset(keys.get("proofs", ())),
            follows=tuple(keys.get("follows", ())),
            by_phase=bool(keys.get("by_phase", False)),
            proven_ms=_duration(keys["proven_after"], f"{place}.proven_after") if "proven_after" in keys else 0,
            source=str(keys.get("source", "")),
        )
    except (TypeError, ValueError) as error:
        raise ConfigurationError(f"{place}: {error}") from error
    _check(cause, place)
    return cause


def _duration(text: Any, place: str) -> int:
    found = _DURATION.fullmatch(str(text))
    if found is None:
        raise ConfigurationError(f'{place}: {text!r}; write it like "10 min" or "2 h"')
    return int(found[1]) * (MINUTE_MS if found[2] == "min" else 60 * MINUTE_MS)


def _check(cause: Cause, place: str) -> None:
    if cause.group not in {*GROUPS, "region"}:
        raise ConfigurationError(f"{place}.group: {cause.group!r}; one of {', '.join(GROUPS)}, region")
    strange = set(cause.kinds) - KINDS.keys()
    if strange or not cause.kinds:
        raise ConfigurationError(f"{place}.kinds: {min(strange, default='none')!r}; of {', '.join(KINDS)}")
    if cause.count < 1 or not 0 <= cause.share <= 1 or not 0 <= cause.back <= 1:
        raise ConfigurationError(f"{place}: count is at least 1, share and back are between 0 and 1")
    if not cause.silence <= cause.symptoms:
        raise ConfigurationError(f"{place}.silence: {min(cause.silence - cause.symptoms)!r} is none of its symptoms")
    if not set(cause.follows) <= set(cause.explained_by):
        raise ConfigurationError(f"{place}.follows: only causes that explain it can bring it with them")
