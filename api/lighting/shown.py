"""Rows of the store as the API answers them, and the words of a picture."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

from pydantic import BaseModel

from api import formats
from api.lighting import bodies, preview
from api.lighting.preview import Preview
from api.texts import Catalogue
from kraj.commands import Command, Desired, Lock, Order
from kraj.dimming import floor_pct
from kraj.store.queries.lighting import ProgramRow, RolloutRow, SegmentRow

ZONE = formats.local_zone()


def program(row: ProgramRow) -> bodies.DimmingProgram:
    """A program."""
    return bodies.DimmingProgram.model_validate(
        _fields(row, bodies.DimmingProgram) | {"program_id": row.dimming_program_id}
    )


def segment(row: SegmentRow) -> bodies.LightingSegment:
    """A segment."""
    more = {
        "program_id": row.dimming_program_id,
        "floor_pct": floor_pct(row.designed_class, row.permitted_class),
    }
    return bodies.LightingSegment.model_validate(_fields(row, bodies.LightingSegment) | more)


def rollout(row: RolloutRow) -> bodies.DimmingRollout:
    """A rollout."""
    return bodies.DimmingRollout.model_validate(row, from_attributes=True)


def order(row: Order) -> bodies.LightingOrder:
    """An order."""
    return bodies.LightingOrder.model_validate(row, from_attributes=True)


def command(row: Command) -> bodies.LightingCommand:
    """A command."""
    return bodies.LightingCommand.model_validate(row, from_attributes=True)


def desired(row: Desired) -> bodies.DesiredState:
    """What a device is to keep."""
    return bodies.DesiredState.model_validate(row, from_attributes=True)


def lock(row: Lock) -> bodies.SafetyLock:
    """A lock."""
    return bodies.SafetyLock.model_validate(row, from_attributes=True)


def night(found: Preview, evening: date) -> bodies.NightPreview:
    """A night minute by minute."""
    return bodies.NightPreview(
        evening=evening,
        floor_pct=found.floor_pct,
        begins_at=preview.moment(found.night.begin_s),
        ends_at=preview.moment(found.night.end_s),
        starts_at=datetime.fromtimestamp(int(found.night.ts_s[0]), UTC),
        levels_pct=found.night.level_pct.tolist(),
        lamps=found.lamps,
        unrated=found.unrated,
        measured=found.measured,
        kwh=round(found.kwh, 3),
        kwh_undimmed=round(found.kwh_undimmed, 3),
    )


def words(found: Preview, evening: date, say: Catalogue) -> dict[str, str]:
    """What the picture of a night says."""
    after = evening + timedelta(days=1)
    title = say(
        "lighting.night_title",
        evening=f"{evening.day}. {evening.month}. {evening.year}",
        morning=f"{after.day}. {after.month}. {after.year}",
    )
    return {
        "title": title,
        "description": described(found, say),
        "floor": say("lighting.night_floor", floor=found.floor_pct),
    }


def described(found: Preview, say: Catalogue) -> str:
    """A night in a sentence."""
    begin, end = preview.moment(found.night.begin_s), preview.moment(found.night.end_s)
    if begin is None or end is None:
        return say("lighting.night_light")
    lit = found.night.level_pct[found.night.level_pct > 0]
    counted = found.lamps - found.unrated
    source = "measured" if found.measured == counted else "partly" if found.measured else "rated"
    text = say(
        "lighting.night_text",
        begin=begin.astimezone(ZONE).strftime("%H:%M"),
        end=end.astimezone(ZONE).strftime("%H:%M"),
        low=int(lit.min()) if len(lit) else 0,
        kwh=formats.number(round(found.kwh, 1), say.language),
        undimmed=formats.number(round(found.kwh_undimmed, 1), say.language),
        lamps=counted,
    )
    return f"{text} {say(f'lighting.night_{source}', measured=found.measured, lamps=counted)}" if counted else text


def hours(found: Preview, say: Catalogue) -> str:
    """A night of a program alone in a sentence: how long it is, and what it saves of light."""
    lit = found.night.level_pct[found.night.level_pct > 0]
    begin, end = preview.moment(found.night.begin_s), preview.moment(found.night.end_s)
    if begin is None or end is None or not len(lit):
        return say("lighting.night_light")
    return say(
        "lighting.night_hours",
        begin=begin.astimezone(ZONE).strftime("%H:%M"),
        end=end.astimezone(ZONE).strftime("%H:%M"),
        low=int(lit.min()),
        mean=formats.number(round(float(lit.mean())), say.language),
    )


def _fields(row: Any, model: type[BaseModel]) -> dict[str, Any]:
    return {name: getattr(row, name) for name in model.model_fields if hasattr(row, name)}
