"""The ledger's rows as they are written down, and the same figures made again of them: units in the heads."""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from datetime import date, datetime, timedelta
from typing import Any, Final

import numpy as np

from kraj.errors import PayloadError
from kraj.ledger import Held
from kraj.readings import Floats
from rules.lighting import accounts, ledger
from rules.lighting.accounts import Account
from rules.lighting.ledger import DIGITS, FULL_FROM, Days, Split

Row = dict[str, str]
DAY_INPUTS: Final = tuple(f.name for f in fields(Days))
PARTS: Final = tuple(f.name for f in fields(Split))
DAY_HEAD: Final = ("asset_id", "date", "baseline_version", "baseline_w", *DAY_INPUTS)
LAMP_HEAD: Final = (
    *("asset_id", "label", "month", "rated_w", "full_light_w", "full_light_from", "baseline_versions", "programs"),
    *PARTS,
    "completeness_pct",
)
NEAR: Final = 2e-6
"""Of two figures with six digits: another order of adding up may round the last one differently."""


def day_rows(found: Account) -> list[Row]:
    """A row a lamp and day: what readings said, and the baseline that held."""
    columns = [getattr(found.days, name) for name in DAY_INPUTS]
    rows: list[Row] = []
    for n, lamp in enumerate(found.segment.lamps):
        for d, day in enumerate(found.dates):
            rows.append(
                {
                    "asset_id": str(lamp.asset_id),
                    "date": day.isoformat(),
                    "baseline_version": _version(int(found.baseline_version[d])),
                    "baseline_w": _number(float(found.baseline_w[d])),
                    **{name: _number(float(column[n, d])) for name, column in zip(DAY_INPUTS, columns, strict=True)},
                }
            )
    return rows


def lamp_rows(found: Account) -> list[Row]:
    """A row a lamp: all that went in, and the month's parts."""
    months = {name: getattr(found.split, name).sum(axis=1) for name in PARTS}
    complete = ledger.completeness(months["due_h"], months["covered_h"])
    rated = accounts.luminaires(found.segment.lamps).rated_w
    versions = " ".join(str(v) for v in sorted(set(found.baseline_version.tolist()) - {0}))
    programs = " ".join(str(held.lamp_program_id) for held in found.segment.programs)
    return [
        {
            "asset_id": str(lamp.asset_id),
            "label": lamp.label,
            "month": f"{found.month:%Y-%m}",
            "rated_w": _number(float(rated[n])),
            "full_light_w": _number(float(found.full.power_w[n])),
            "full_light_from": FULL_FROM[int(found.full.source[n])],
            "baseline_versions": versions,
            "programs": programs,
            **{name: _number(float(months[name][n])) for name in PARTS},
            "completeness_pct": _number(float(complete[n]) * 100),
        }
        for n, lamp in enumerate(found.segment.lamps)
    ]


def harmless(row: Row) -> Row:
    """The row as a spreadsheet may open it: it must not take a label for a formula."""
    label = row.get("label", "")
    return row | {"label": f"'{label}"} if label.startswith(("=", "+", "-", "@", "\t", "\r")) else row


def totals(rows: Sequence[Mapping[str, str]]) -> dict[str, float]:
    """The sums of lamps' rows, and the completeness of all."""
    found = {name: round(sum(float(row[name]) for row in rows), DIGITS) for name in PARTS}
    complete = ledger.completeness(np.array(found["due_h"]), np.array(found["covered_h"]))
    return found | {"completeness_pct": round(float(complete) * 100, DIGITS)}


def programs(found: Account) -> dict[str, Any]:
    """What light was due by: where the lamps are, and the documents they kept."""
    return {
        "place": list(accounts.place(found.segment.lamps)),
        "until_s": found.until_s,
        "held": [
            {
                "since": None if held.since is None else held.since.isoformat(),
                "lamp_program_id": held.lamp_program_id,
                "document": held.document,
            }
            for held in found.segment.programs
        ],
    }


def recompute(
    days: Sequence[Mapping[str, str]], lamps: Sequence[Mapping[str, str]], given: Mapping[str, Any], month: date
) -> int:
    """Make every figure of a segment's lamps again of its daily rows and programs; how many were compared.

    Raises ``PayloadError('ledger')`` with the first that differs.
    """
    end = datetime.fromtimestamp(int(given["until_s"]), accounts.ZONE)
    bounds_s = accounts.bounds(month, end)
    shape = (len(lamps), len(bounds_s) - 1)
    dates = [(month + timedelta(days=n)).isoformat() for n in range(shape[1])]
    wanted = [(lamp["asset_id"], day) for lamp in lamps for day in dates]
    if [(row["asset_id"], row["date"]) for row in days] != wanted:
        raise PayloadError("ledger", "the daily rows are not those of each lamp and day, in order")

    def table(name: str) -> Floats:
        return np.array([float(row[name] or "nan") for row in days]).reshape(shape)

    observed = Days(*(table(name) for name in DAY_INPUTS))
    full = np.array([float(lamp["full_light_w"] or "nan") for lamp in lamps])
    split = ledger.split(observed, full[:, None], table("baseline_w"))
    held = [
        Held(one["since"] and datetime.fromisoformat(one["since"]), one["lamp_program_id"], one["document"])
        for one in given["held"]
    ]
    due = accounts.due_of(held, (given["place"][0], given["place"][1]), bounds_s)
    lines = np.zeros(len(bounds_s), np.int64)
    due_h = np.round(np.diff(due.until(lines, bounds_s)) / 3600, DIGITS)
    _same("due_h", np.tile(due_h, shape[0]), observed.due_h.ravel(), [f"{a} {b}" for a, b in wanted])
    if (observed.lit_h + observed.outage_h > observed.due_h + NEAR).any():
        raise PayloadError("ledger", "more hours are covered than were due")
    months = {name: getattr(split, name).sum(axis=1) for name in PARTS}
    months["completeness_pct"] = ledger.completeness(months["due_h"], months["covered_h"]) * 100
    for name, made in months.items():
        _same(name, made, np.array([float(lamp[name]) for lamp in lamps]), [lamp["asset_id"] for lamp in lamps])
    return len(months) * shape[0] + shape[0] * shape[1]


def _same(name: str, made: Floats, written: Floats, of: Sequence[str]) -> None:
    off = np.flatnonzero(~(np.abs(made - written) <= NEAR))
    if len(off):
        n = int(off[0])
        raise PayloadError("ledger", f"{name} of {of[n]}: written {written[n]:.6f}, by the rows it is {made[n]:.6f}")


def _number(value: float) -> str:
    # Without a minus before zero.
    return "" if np.isnan(value) else f"{round(value, DIGITS) + 0.0:.{DIGITS}f}"


def _version(number: int) -> str:
    return str(number) if number else ""
