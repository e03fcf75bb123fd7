"""What people read: an alert as a subject and a few lines that suffice at the pole, and several as one digest."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from math import isfinite
from typing import Any
from zoneinfo import ZoneInfo

from kraj.alerts import Severity, Step
from kraj.metrics import Title
from rules.wording import filled

SUBJECT_CHARS_MAX = 150
BODY_CHARS_MAX = 2000
"""Ten parts of an SMS; what is longer was cut off by somebody's gateway anyway."""
DIGEST_CHARS_MAX = 20_000
SHORT_CHARS_MAX = 300
"""For services of text messages: five parts with Czech letters, and every part is paid for."""
SHORT_PLACE_MAX, SHORT_LINE_MAX = 80, 60

_SEVERITIES = {
    Severity.CRITICAL: Title(cs="kritické", en="critical"),
    Severity.MAJOR: Title(cs="závažné", en="major"),
    Severity.MINOR: Title(cs="drobné", en="minor"),
    Severity.PLAN: Title(cs="k naplánování", en="to be planned"),
    Severity.INFO: Title(cs="pro informaci", en="for information"),
}
_STEPS = {
    Step.ESCALATED: Title(cs="Nikdo nepotvrdil", en="Nobody has answered"),
    Step.RAISED_AGAIN: Title(cs="Znovu", en="Again"),
    Step.REOPENED: Title(cs="Oprava nepomohla", en="Still not repaired"),
    Step.CHANGED: Title(cs="Zhoršilo se", en="Worse"),
}
_OVER = Title(cs="už v pořádku", en="over by now")
_CABINET = Title(cs="Rozvaděč", en="Cabinet")
_BREAKER = Title(cs="jistič vývodu", en="breaker of feeder")
_BRING = Title(cs="S sebou", en="Bring")
_SINCE = Title(cs="od", en="since")
_BELOW = Title(cs="Další příznaky téže příčiny", en="More symptoms of the same cause")
_DIGEST = Title(cs="Souhrn hlášení", en="Digest of alerts")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wording:
    """The texts of a rule or a cause."""

    title: Title
    symptom: Title
    bring: Title | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """An alert as a message tells it. ``label``, ``kind`` and ``metadata`` are of the asset to go to, if there is one;
    ``link`` is the page of the alert."""

    alert_id: int
    step: Step
    severity: Severity
    scope_type: str
    scope_name: str
    since: datetime
    active: bool
    municipality: str | None = None
    label: str | None = None
    kind: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict[str, Any])
    evidence: Mapping[str, Any] = field(default_factory=dict[str, Any])
    children: int = 0
    """How many others it explains; nobody is told of those."""
    link: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A subject of one line and the text; ``short`` is all of it in ``SHORT_CHARS_MAX`` characters."""

    subject: str
    body: str
    short: str
    severity: Severity


def message(facts: Facts, wording: Wording, language: str, zone: ZoneInfo) -> Message:
    """One alert: number, place and symptom in the subject; cabinet, breaker and what to bring below."""
    lines = [*_detail(facts, wording, language), _when(facts, language, zone), facts.link]
    return Message(
        subject=_subject(facts, wording, language)[:SUBJECT_CHARS_MAX],
        body="\n".join(line for line in lines if line)[:BODY_CHARS_MAX],
        short=_short(facts, wording, language, zone),
        severity=facts.severity,
    )


def digest(alerts: Sequence[tuple[Facts, Wording]], language: str, zone: ZoneInfo) -> Message:
    """Several alerts, the worst first; one alone is an ordinary message."""
    if len(alerts) == 1:
        return message(*alerts[0], language, zone)
    ordered = sorted(alerts, key=lambda known: (-known[0].severity.rank, known[0].alert_id))
    numbers = ", ".join(str(facts.alert_id) for facts, _ in ordered[:10]) + (" …" if len(ordered) > 10 else "")
    entries = [
        "\n".join(
            line
            for line in (_subject(facts, wording, language), *_detail(facts, wording, language), facts.link)
            if line
        )
        for facts, wording in ordered
    ]
    return Message(
        subject=f"{_in(_DIGEST, language)}: {len(ordered)} [{numbers}]"[:SUBJECT_CHARS_MAX],
        body="\n\n".join(entries)[:DIGEST_CHARS_MAX],
        short=_short_digest(ordered, language),
        severity=ordered[0][0].severity,
    )


def _subject(facts: Facts, wording: Wording, language: str) -> str:
    before = f"{_in(_STEPS[facts.step], language)}: " if facts.step in _STEPS else ""
    after = "" if facts.active else f" ({_in(_OVER, language)})"
    place = ", ".join(dict.fromkeys(part for part in (facts.municipality, _place(facts)) if part))
    return " ".join(f"[{facts.alert_id}] {before}{_in(wording.title, language)}{after} – {place}".split())


def _place(facts: Facts) -> str:
    """Of an asset its label and street, of a group its name."""
    if facts.scope_type != "asset" or facts.label is None:
        return facts.scope_name
    street = facts.metadata.get("street")
    return f"{facts.label}, {street}" if street and str(street) not in facts.label else facts.label


def _detail(facts: Facts, wording: Wording, language: str) -> list[str]:
    known = {"name": facts.scope_name, "label": facts.label, **facts.metadata, **facts.evidence}
    values = {name: _number(value, language) if isinstance(value, float) else value for name, value in known.items()}
    lines = [filled(_in(wording.symptom, language), values)]
    cabinet = facts.metadata.get("cabinet") or (facts.label if facts.kind == "cabinet" else None)
    feeder = facts.scope_name if facts.scope_type == "feeder" else facts.metadata.get("feeder")
    where = [f"{_in(_CABINET, language)} {cabinet}"] if cabinet else []
    where += [f"{_in(_BREAKER, language)} {feeder}"] if feeder else []
    lines.append(", ".join(where)[:1].upper() + ", ".join(where)[1:])
    if wording.bring is not None:
        lines.append(f"{_in(_BRING, language)}: {filled(_in(wording.bring, language), values)}")
    if facts.children:
        lines.append(f"{_in(_BELOW, language)}: {facts.children}")
    return lines


def _short(facts: Facts, wording: Wording, language: str, zone: ZoneInfo) -> str:
    """What must not be missing first: what, where, which cabinet and breaker, since when, the link. The rest of the
    room is shared by the symptom and what to bring."""
    symptom, where, *more = _detail(facts, wording, language)
    head = _cut(_subject(facts, wording, language), SHORT_PLACE_MAX + SHORT_LINE_MAX)
    tail = [_cut(where, SHORT_LINE_MAX), _when(facts, language, zone), facts.link]
    bring = more[0] if wording.bring is not None else ""
    room = SHORT_CHARS_MAX - len("\n".join([head, *filter(None, tail)])) - 2
    symptom = _cut(symptom, max(room // 2, room - len(bring)))
    return "\n".join(filter(None, [head, symptom, _cut(bring, room - len(symptom)), *tail]))[:SHORT_CHARS_MAX]


def _short_digest(ordered: Sequence[tuple[Facts, Wording]], language: str) -> str:
    """How many there are, and as many of the worst as fit; the page of the worst has the others beside it."""
    facts, _ = ordered[0]
    lines = [f"{_in(_DIGEST, language)}: {len(ordered)}"]
    for known in ordered:
        line = _cut(_subject(*known, language), SHORT_PLACE_MAX)
        if len("\n".join([*lines, line, "…", facts.link])) > SHORT_CHARS_MAX:
            lines.append("…")
            break
        lines.append(line)
    return "\n".join(filter(None, [*lines, facts.link]))


def _cut(text: str, room: int) -> str:
    """As many whole words as there is room for; nothing where that is next to nothing."""
    if len(text) <= room:
        return text
    kept = text[: max(0, room - 1)].rsplit(" ", 1)[0].rstrip(" ,;:.–")
    return f"{kept}…" if len(kept) > 8 else ""


def _number(value: float, language: str) -> str | float:
    """A Czech reads a decimal comma; what is unknown stays so."""
    if not isfinite(value):
        return value
    text = f"{value:.0f}" if abs(value) >= 1000 else f"{value:.4g}"
    return text.replace(".", ",") if language == "cs" else text


def _when(facts: Facts, language: str, zone: ZoneInfo) -> str:
    since = facts.since.astimezone(zone)
    day = f"{since.day}. {since.month}. {since:%H:%M}" if language == "cs" else f"{since.day} {since:%b %H:%M}"
    return f"{_in(_SEVERITIES[facts.severity], language).capitalize()}, {_in(_SINCE, language)} {day}"


def _in(title: Title, language: str) -> str:
    return title.en if language == "en" else title.cs
