"""The picture of a month in the ledger: its parts as steps that add up to the baseline, one bar each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from html import escape
from typing import Final

from api import formats
from api.texts import Catalogue

WIDTH: Final = 560.0
LEFT, RIGHT, TOP, ROW, THICK = 150.0, 100.0, 12.0, 36.0, 20.0
PARTS: Final = (
    ("baseline_kwh", "band"),
    ("measured_kwh", "bar"),
    ("dimming_kwh", "saved"),
    ("led_kwh", "saved"),
    ("outage_kwh", "lost"),
)
"""Each part with its class; from the second on each begins where the one before ended."""
STYLE: Final = (
    "<style>svg{background:#fff;font:15px system-ui,sans-serif}text{fill:#56606b}.grid{stroke:#d5dae0;fill:none}"
    ".band{fill:#0b57a4;opacity:.18}.bar{fill:#0b57a4}.saved{fill:#1b7540}.lost{fill:#8a5700}"
    "@media(prefers-color-scheme:dark){svg{background:#14181d}text{fill:#a9b4c0}.grid{stroke:#323a44}"
    ".band,.bar{fill:#7db8f5}.saved{fill:#62cf92}.lost{fill:#e8b95a}}</style>"
)


@dataclass(frozen=True, slots=True)
class Part:
    """A part of the month: its ``name``, kWh, and its share of the baseline in per cent (None without one)."""

    name: str
    kwh: float
    share_pct: float | None


def parts(totals: Mapping[str, float]) -> list[Part]:
    """What the picture shows, as a table. Measured here is what was taken while light was due."""
    found = dict(totals)
    found["measured_kwh"] -= totals["outside_kwh"]
    whole = found["baseline_kwh"]
    return [Part(name, found[name], 100 * found[name] / whole if whole > 0 else None) for name, _ in PARTS]


def svg(shown: Sequence[Part], say: Catalogue, month: date, *, alone: bool = False) -> str:
    """A bar a part, beside its name and figure; ``alone`` with styles of its own."""
    labels = {part.name: say(f"ledger.{part.name}") for part in shown}
    figures = [f"{formats.number(part.kwh, say.language)} kWh" for part in shown]
    title = say("ledger.picture", month=f"{month.month}/{month.year}")
    description = ", ".join(f"{labels[part.name]} {figure}" for part, figure in zip(shown, figures, strict=True))
    height = TOP * 2 + ROW * len(shown)
    ends = [shown[0].kwh]
    for part in shown[1:]:
        ends.append((0.0 if len(ends) == 1 else ends[-1]) + part.kwh)
    most = max(*ends, *(part.kwh for part in shown), 1e-9)

    def x(kwh: float) -> float:
        return round(LEFT + max(kwh, 0.0) / most * (WIDTH - LEFT - RIGHT), 1)

    drawn: list[str] = []
    for n, (part, figure) in enumerate(zip(shown, figures, strict=True)):
        y = TOP + n * ROW
        first, last = sorted((x(ends[n] - part.kwh), x(ends[n])))
        style = dict(PARTS)[part.name]
        width = max(round(last - first, 1), 1.0)
        drawn.append(
            f'<text x="{LEFT - 10}" y="{y + 17}" text-anchor="end">{escape(labels[part.name])}</text>'
            f'<rect class="{style}" x="{first}" y="{y + 3}" width="{width}" height="{THICK}"/>'
            f'<text x="{max(last, first + 1) + 8}" y="{y + 17}">{escape(figure)}</text>'
        )
        if n + 1 < len(shown) and n > 0:
            drawn.append(f'<path class="grid" d="M{x(ends[n])} {y + 3 + THICK}V{y + 3 + ROW}"/>')
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="chart steps-up" viewBox="0 0 {WIDTH:g} {height:g}" role="img"'
        f' aria-labelledby="ledger-title ledger-text"><title id="ledger-title">{escape(title)}</title>'
        f'<desc id="ledger-text">{escape(description)}</desc>{STYLE if alone else ""}{"".join(drawn)}</svg>'
    )
