"""What is done to programs and segments, by API or form: each function is one piece of work inside a transaction."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import psycopg

from api.database import Connection
from api.lighting import preview
from api.lighting.bodies import IntervalBody, PreviewBody, ProgramBody, ProgramChange, RolloutStep, SegmentChange
from api.lighting.preview import Preview
from api.problems import Problem
from api.registry.exchange import changed, who
from kraj import dimming as programs
from kraj.dimming import Program, ProgramError, floor_pct
from kraj.store import dimming
from kraj.store.queries import lighting, registry
from kraj.store.queries.lighting import ProgramRow, RolloutRow, SegmentRow

ROLLOUT_STEPS: Mapping[str, tuple[tuple[str, ...], str]] = {
    "pause": (("running",), "paused"),
    "resume": (("paused",), "running"),
    "go_on": (("running", "paused"), "running"),
    "stop": (("running", "paused"), "stopped"),
}
"""Step to the states in which it may be taken, and the state that follows."""


async def town(connection: Connection, name: str) -> tuple[int, str]:
    """A municipality in which the principal controls light: its number and title."""
    found = await lighting.town_of(connection, municipality=name, group_id=None, asset_id=None)
    if found is None:
        raise Problem("municipality", 404, name=name)
    if not await lighting.may(connection, "control", municipality_id=found[0], group_id=None, asset_id=None):
        raise Problem("control_right", 403, name=found[1])
    return found[0], found[1]


async def program(connection: Connection, number: int, *, writing: bool = False) -> ProgramRow:
    """A program that the principal may see, or change."""
    found = await lighting.program(connection, number)
    if found is None:
        raise Problem("program", 404, name=number)
    if writing and not found.writable:
        raise Problem("control_right", 403, name=found.municipality_title)
    return found


async def segment(connection: Connection, number: int, *, writing: bool = False) -> SegmentRow:
    """A segment that the principal may see, or change, with all of its lamps."""
    found = await lighting.segment(connection, number)
    if found is None:
        raise Problem("segment", 404, name=number)
    if writing and not found.writable:
        raise Problem("control_right", 403, name=found.municipality_title)
    if writing and await lighting.spans(connection, number, "control"):
        raise Problem("group_spans", 403, name=found.name)
    return found


def readable(document: Any, floor: int = 0) -> Program:
    """A program in writing; 400 says what is wrong, where."""
    try:
        return programs.read(document, floor)
    except ProgramError as error:
        raise Problem("program_wrong", 400, detail=str(error)) from error


def floor_of(row: SegmentRow) -> int:
    """A segment's floor by the classes that are kept, which were checked."""
    return floor_pct(row.designed_class, row.permitted_class)


async def add_program(connection: Connection, body: ProgramBody, at: datetime) -> int:
    """A new program."""
    municipality_id, _ = await town(connection, body.municipality)
    readable(body.document)
    try:
        return await dimming.add_program(connection, municipality_id, body.name, body.document, who=who().title, at=at)
    except psycopg.errors.UniqueViolation as error:
        raise Problem("program_name", 409, name=body.name) from error


async def change_program(
    connection: Connection, row: ProgramRow, body: ProgramChange, version: int, at: datetime
) -> None:
    """Another name or document; segments that follow it get the new one, those first that people told to be first."""
    document = row.document if body.document is None else body.document
    written = readable(document)
    following = await lighting.segments(connection, program=row.dimming_program_id, after=0, limit=lighting.LISTED_MAX)
    for one in following:
        _above(document, one.name, floor_of(one))
    try:
        done = await dimming.change_program(
            connection,
            row.dimming_program_id,
            version,
            name=body.name or row.name,
            document=document,
            who=who().title,
            at=at,
        )
    except psycopg.errors.UniqueViolation as error:
        raise Problem("program_name", 409, name=body.name) from error
    if not done:
        raise changed()
    if document != row.document:
        for one in following:
            wish = SegmentChange.model_validate({"reason": row.name})
            await _light(connection, _Told.of(one), written, wish, at)


async def drop_program(connection: Connection, row: ProgramRow, version: int) -> None:
    """Remove a program that no segment follows."""
    try:
        if not await dimming.drop_program(connection, row.dimming_program_id, version):
            raise changed()
    except psycopg.errors.ForeignKeyViolation as error:
        raise Problem("program_used", 409, name=row.name, count=row.segments) from error


async def change_segment(
    connection: Connection, row: SegmentRow, body: SegmentChange, version: int, at: datetime
) -> None:
    """Other classes or another program: checked against the floor, compiled, and handed out in steps."""
    if version != row.version:
        raise changed()
    given = body.model_fields_set
    designed = body.designed_class if "designed_class" in given else row.designed_class
    permitted = body.permitted_class if "permitted_class" in given else row.permitted_class
    try:
        floor = floor_pct(designed, permitted)
    except ProgramError as error:
        raise Problem("class_wrong", 400, detail=str(error)) from error
    number = body.program_id if "program_id" in given else row.dimming_program_id
    written = Program()
    if number is not None:
        found = await program(connection, number)
        if found.municipality_id != row.municipality_id:
            raise Problem("program", 404, name=number)
        written = _above(found.document, row.name, floor)
    await _light(connection, _Told(row, designed, permitted, number, floor), written, body, at)


def _above(document: Any, name: str, floor: int) -> Program:
    try:
        return programs.read(document, floor)
    except ProgramError as error:
        raise Problem("below_class", 400, name=name, floor=floor, detail=str(error)) from error


@dataclass(frozen=True, slots=True)
class _Told:
    """A segment with what is to be kept of it."""

    row: SegmentRow
    designed: str | None
    permitted: str | None
    program: int | None
    floor: int

    @classmethod
    def of(cls, row: SegmentRow) -> "_Told":
        return cls(row, row.designed_class, row.permitted_class, row.dimming_program_id, floor_of(row))


async def _light(connection: Connection, told: _Told, written: Program, body: SegmentChange, at: datetime) -> None:
    row = told.row
    lamps = await lighting.lamps(connection, row.group_id)
    where = preview.place(lamps, await lighting.middle(connection, row.municipality_id))
    document = preview.compiled(written, told.floor, where, at.date())
    compiled = await dimming.compiled(connection, row.municipality_id, document)
    done = await dimming.put_segment(
        connection,
        row.group_id,
        row.version,
        municipality_id=row.municipality_id,
        designed_class=told.designed,
        permitted_class=told.permitted,
        program=told.program,
        lamp_program_id=compiled,
        who=who().title,
        reason=body.reason,
        at=at,
    )
    if not done:
        raise changed()
    if compiled != row.lamp_program_id:
        await dimming.begin_rollout(
            connection,
            municipality_id=row.municipality_id,
            group_id=row.group_id,
            lamp_program_id=compiled,
            share_pct=body.share_pct,
            failures_max_pct=body.failures_max_pct,
            who=who().title,
            at=at,
        )


async def night(connection: Connection, body: PreviewBody, today: date) -> Preview:
    """The night that was asked for."""
    row = None if body.group_id is None else await segment(connection, body.group_id)
    if body.document is not None and body.program_id is not None:
        raise Problem("preview_what", 400)
    document: Any = body.document
    number = body.program_id
    if document is None and number is None and row is not None:
        number = row.dimming_program_id
    if number is not None:
        document = (await program(connection, number)).document
    floor = 0 if row is None else floor_of(row)
    written = readable({} if document is None else document, floor)
    otherwise: tuple[float, float] | None = None
    if row is not None:
        otherwise = await lighting.middle(connection, row.municipality_id)
    elif body.municipality is not None:
        found = await lighting.town_of(connection, municipality=body.municipality, group_id=None, asset_id=None)
        if found is None:
            raise Problem("municipality", 404, name=body.municipality)
        otherwise = await lighting.middle(connection, found[0])
    lamps = [] if row is None else await lighting.lamps(connection, row.group_id)
    compiled = preview.compiled(written, floor, preview.place(lamps, otherwise), today)
    return preview.made(compiled, body.evening, lamps)


async def take_rollout_step(connection: Connection, number: int, body: RolloutStep, at: datetime) -> None:
    """Pause, resume, stop, or go on to all lamps."""
    row = await rollout(connection, number)
    if not await lighting.may(connection, "control", municipality_id=row.municipality_id, group_id=None, asset_id=None):
        raise Problem("control_right", 403, name=row.municipality)
    states, after = ROLLOUT_STEPS[body.step]
    if row.state not in states:
        raise Problem("rollout_step", 409, step=body.step, state=row.state)
    if body.step == "go_on":
        await dimming.go_on(connection, row, at)
    else:
        await dimming.set_rollout(connection, number, after, error=None, at=at)


async def rollout(connection: Connection, number: int) -> RolloutRow:
    """One that the principal may see."""
    found = await lighting.rollout(connection, number)
    if found is None:
        raise Problem("rollout", 404, name=number)
    return found


async def set_interval(connection: Connection, name: str, version: int, body: IntervalBody, at: datetime) -> None:
    """Have a device report that often."""
    found = await registry.device(connection, name)
    if found is None:
        raise Problem("device", 404, name=name)
    await town(connection, found.municipality)
    title = who().title
    if not await dimming.set_interval(connection, name, version, body.interval_s, who=title, reason=body.reason, at=at):
        raise changed()
