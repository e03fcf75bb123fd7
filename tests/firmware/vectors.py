"""Vectors that hold the lamp's program and the server's twin together; python -m tests.firmware.vectors writes them."""

import json
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np

from kraj import dimming
from rules.dimming import Document, Programs, desired

FILE = Path(__file__).with_name("vectors.json")
PRAGUE, TROMSO = (50.087, 14.421), (69.649, 18.956)
TODAY = date(2026, 5, 1)

WEEK: dict[str, Any] = {
    "plans": [
        {"title": "New Year's Eve", "dates": ["2026-12-31", "2027-12-31"], "steps": []},
        {"title": "Holidays", "holidays": True, "steps": [{"at": "23:30", "level_pct": 70, "ramp_s": 60}]},
        {
            "title": "Winter weekends",
            "days": ["fri", "sat"],
            "from": "11-01",
            "to": "03-31",
            "on_min": -10,
            "off_min": 15,
            "steps": [
                {"at": "sunset+120", "level_pct": 80, "ramp_s": 600},
                {"at": "00:30", "level_pct": 50, "ramp_s": 90},
                {"at": "sunrise-45", "level_pct": 100, "ramp_s": 300},
            ],
        },
        {
            "title": "Nights",
            "steps": [
                {"at": "22:00", "level_pct": 60, "ramp_s": 60},
                {"at": "02:30", "level_pct": 40, "ramp_s": 0},
                {"at": "05:00", "level_pct": 100, "ramp_s": 30},
            ],
        },
    ],
    "sensor": {"level_pct": 90, "up_s": 2, "hold_s": 45, "down_s": 20},
}


def moment(text: str) -> int:
    """Unix seconds of a time in UTC, as ``2026-03-29 01:00``."""
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


def _levels(title: str, program: Document, moments: list[int]) -> dict[str, Any]:
    at = np.array(sorted(set(moments)), np.int64)
    levels = Programs.of([program]).levels_pct(np.zeros(len(at), np.int64), at)
    return {"title": title, "program": program, "cases": np.stack([at, levels], axis=1).tolist()}


def _around(*texts: str, hours: int = 14, step_s: int = 600) -> list[int]:
    return [moment(text) + s for text in texts for s in range(-hours * 3600, hours * 3600, step_s)]


def build() -> dict[str, Any]:
    """The vectors: levels by the server's twin, decisions written by hand."""
    week = desired(dimming.read(WEEK), 45, *PRAGUE, TODAY)  # above one of its steps
    plain = desired(dimming.read({}), 100, *PRAGUE, TODAY)
    polar = desired(dimming.read({"plans": WEEK["plans"][3:]}), 0, *TROMSO, TODAY)
    ramps = [moment("2026-06-10 20:00") + s for s in range(-5, 70)]
    nights = ["2026-03-29 01:00", "2026-10-25 01:00", "2028-02-29 23:00", "2026-12-31 23:00", "2026-11-06 23:00"]
    year = [moment("2026-01-01 00:07") + 37_337 * n for n in range(400)]
    weekday, holding = moment("2026-06-10 23:00"), {"emergency": None, "manual": None, "local": False, "motion_s": None}
    dim, noon = 60, moment("2026-06-10 10:00")

    def case(
        title: str, level: int, reason: str, *, at: int | None = weekday, dark: bool | None = None, **orders: Any
    ) -> Any:
        given = {"program": 0, "utc_s": at, "uptime_s": 1000, "orders": holding | orders, "dark": dark}
        return {"title": title, **given, "expected": [level, reason]}

    return {
        "levels": [
            _levels("a week in Prague", week, ramps + _around(*nights) + year),
            _levels("no plan", plain, _around("2026-06-21 22:00")),
            _levels("beyond the polar circle", polar, _around("2026-06-21 00:00", "2026-12-21 12:00", hours=26) + year),
        ],
        "decisions": [
            case("the program", dim, "program"),
            case("by day", 0, "program", at=noon),
            case("light now", 100, "manual", at=noon, manual=[100, 1001]),
            case("light now is over", 0, "program", at=noon, manual=[100, 1000]),
            case("a manual level is kept as given", 10, "manual", manual=[10, 2000]),
            case("the cabinet's switch goes before a person far away", 100, "cabinet", local=True, manual=[10, 2000]),
            case(
                "an emergency goes before all", 100, "emergency", local=True, manual=[10, 2000], emergency=[100, 2000]
            ),
            case("an emergency ends", 10, "manual", manual=[10, 2000], emergency=[100, 1000]),
            case("motion begins", 60, "program", motion_s=0),
            case("motion, on the way up", 75, "sensor", motion_s=1),
            case("motion", 90, "sensor", motion_s=2),
            case("motion, held", 90, "sensor", motion_s=46),
            case("motion, on the way down", 75, "sensor", motion_s=57),
            case("motion is over", 60, "program", motion_s=67),
            case("motion by day", 0, "program", at=noon, motion_s=5),
            case("no clock, no photocell", 100, "fallback", at=None),
            case("no clock, the photocell says dark", 100, "fallback", at=None, dark=True),
            case("no clock, the photocell says light", 0, "fallback", at=None, dark=False),
            case("no clock, light now", 100, "manual", at=None, dark=False, manual=[100, 2000]),
            case("no program", 100, "fallback") | {"program": None},
        ],
    }


if __name__ == "__main__":
    FILE.write_text(json.dumps(build(), separators=(",", ":")) + "\n")
