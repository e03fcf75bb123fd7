"""The pictures of docs/lighting.md: a night as the preview draws it, of twenty lamps of 40 W; a month's savings."""

from datetime import date
from pathlib import Path
from typing import Any, Final

from api.lighting import drawing, ledger_drawing, preview, shown
from api.lighting.ledger_routes import EXAMPLE
from api.texts import catalogues
from kraj import dimming
from kraj.store.queries.lighting import LampRow

PATH: Final = Path("docs/images/night.svg")
SAVINGS: Final = Path("docs/images/savings.svg")
EVENING: Final = date(2026, 11, 21)
DOCUMENT: Final[dict[str, Any]] = {
    "plans": [
        {
            "steps": [
                {"at": "22:00", "level_pct": 70, "ramp_s": 900},
                {"at": "23:30", "level_pct": 50, "ramp_s": 900},
                {"at": "5:00", "level_pct": 100, "ramp_s": 900},
            ]
        }
    ]
}
LAMPS: Final = 20


def picture() -> str:
    """The SVG, in Czech."""
    floor = dimming.floor_pct("P3", "P5")
    lamps = [LampRow(asset_id=n, latitude=49.5, longitude=15.6, metadata={"power_rated_w": 40}) for n in range(LAMPS)]
    program = preview.compiled(dimming.read(DOCUMENT, floor), floor, preview.place(lamps, None), EVENING)
    night = preview.made(program, EVENING, lamps)
    words = shown.words(night, EVENING, catalogues()["cs"])
    return drawing.svg(night.night, floor, shown.ZONE, words, alone=True) + "\n"


def savings() -> str:
    """The SVG of the month that the API's document shows, in Czech."""
    month = date.fromisoformat(f"{EXAMPLE['month']}-01")
    return ledger_drawing.svg(ledger_drawing.parts(EXAMPLE), catalogues()["cs"], month, alone=True) + "\n"


def main() -> None:
    """Write them."""
    PATH.parent.mkdir(parents=True, exist_ok=True)
    PATH.write_text(picture(), encoding="utf-8")
    SAVINGS.write_text(savings(), encoding="utf-8")


if __name__ == "__main__":
    main()
