"""What is done with an upload: preview, apply, undo; each in one transaction in the name of who asks."""

import asyncio
import hashlib
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from types import TracebackType
from typing import Any, Self

import psycopg

from api import principal
from api.database import Connection
from api.importing.receiving import Received
from api.principal import Principal
from api.problems import Problem
from api.service import Service
from kraj.errors import KrajError
from kraj.importing import Defaults, Judged, Level, Parsed, Registry, Unreadable, judge, parse
from kraj.importing.findings import OF_ROWS, Finding, finding_of_json
from kraj.importing.table import folded
from kraj.kinds import KINDS
from kraj.store import audit, imports, jobs
from kraj.store.imports import ImportRecord

JOBS_MAX = 20
"""Files that wait or are read; each is up to 20 MiB of memory."""
MADE_ANEW = frozenset(OF_ROWS) | {"municipality", "municipality_ambiguous"}
"""Findings about the registry, which may have changed since the preview."""

Tell = Callable[[int], Awaitable[None]]
"""Takes how far a job is, in per cent."""
Doing = Callable[[Tell], Awaitable[str]]
"""What a job does; the address of what came of it. May raise ``Unreadable``."""

logger = logging.getLogger("kraj.api.importing")


class Importer:
    """Reads one file at a time, as that takes a whole core; ``async with`` ends what still runs."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self._one = asyncio.Semaphore(1)
        self._running: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    async def preview(self, file: Received, defaults: Defaults) -> int:
        """Read and keep a file now; the import's number. Raises ``Unreadable``."""
        parsed = await self.parsed(file, defaults)
        async with self.service.database.connection(write=True) as connection:
            return await self.keep(connection, file, parsed)

    async def parsed(self, file: Received, defaults: Defaults) -> Parsed:
        """Read a file. Raises ``Unreadable``."""
        async with self._one:
            return await asyncio.to_thread(parse, file.data, defaults)

    async def keep(self, connection: Connection, file: Received, parsed: Parsed) -> int:
        """Judge what was read by the registry and keep both; the import's number."""
        await imports.take_time(connection)
        there = await imports.registry(connection, parsed.rows)
        judged = await asyncio.to_thread(judge, parsed.rows, there)
        upload = imports.Upload(
            person_id=registering_person().person_id,
            file_name=file.name,
            file_digest=hashlib.sha256(file.data).digest(),
            at=self.service.clock(),
        )
        import_id = await imports.keep(connection, upload, parsed, judged, absent(judged, there))
        await audit.note(connection, "import.uploaded", f"import {import_id}", municipality_id=only_town(judged))
        return import_id

    async def begin(self, connection: Connection, kind: str = "import") -> int:
        """A job that will read and keep a file once it is committed; its number."""
        who = principal.current.get()
        if who is None:
            raise Problem("sign_in", 401)
        if len(self._running) >= JOBS_MAX:
            raise Problem("import_busy", 503)
        return await jobs.start(connection, who.person_id, kind, self.service.clock())

    def run(self, job_id: int, doing: Doing) -> None:
        """Do what a job is for that is committed."""
        task = asyncio.create_task(self._job(job_id, doing))  # it asks in the same name
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    def reading(self, file: Received, defaults: Defaults) -> Doing:
        """Read and keep a file of the registry."""

        async def doing(tell: Tell) -> str:
            async with self._one:
                await tell(5)
                parsed = await asyncio.to_thread(parse, file.data, defaults)
                await tell(60)
                async with self.service.database.connection(write=True) as connection:
                    return f"/v1/imports/{await self.keep(connection, file, parsed)}"

        return doing

    async def _job(self, job_id: int, doing: Doing) -> None:
        result: str | None = None
        problem: dict[str, Any] | None = None

        async def tell(progress_pct: int) -> None:
            async with self.service.database.connection(write=True) as connection:
                await jobs.tell(connection, job_id, progress_pct, self.service.clock())

        try:
            result = await doing(tell)
        except Unreadable as error:
            problem = error.finding.as_json()
        except asyncio.CancelledError:
            problem = {"code": "interrupted"}
            raise
        except (Problem, KrajError, psycopg.Error) as error:
            logger.warning("import job %s failed: %s", job_id, error)
            problem = {"code": "failed"}
        finally:
            async with self.service.database.connection(write=True) as connection:
                await jobs.end(connection, job_id, self.service.clock(), result=result, problem=problem)


def registering_person() -> Principal:
    """Who asks, who must be allowed to register somewhere."""
    found = principal.current.get()
    if found is None:
        raise Problem("sign_in", 401)
    if "register" not in found.rights:
        raise Problem("import_right", 403)
    return found


def defaults(given: dict[str, str]) -> Defaults:
    """What the form says for rows that do not; empty fields say nothing."""
    kind = given.get("kind", "").strip() or None
    if kind is not None and kind not in KINDS:
        raise Problem("kind", 400, kind=kind, kinds=", ".join(KINDS))
    return Defaults(kind, given.get("municipality", "").strip()[:100] or None)


def absent(judged: Sequence[Judged], registry: Registry) -> int:
    """How many assets of the file's municipalities and kinds the registry has and the file does not."""
    whole = {(one.municipality_id, one.row.kind) for one in judged}
    named = {(one.municipality_id, one.row.kind, folded(one.row.label or "")) for one in judged}
    return sum(
        (asset.municipality_id, asset.kind) in whole
        and (asset.municipality_id, asset.kind, folded(asset.label)) not in named
        for asset in registry.assets
    )


def only_town(judged: Sequence[Judged]) -> int | None:
    """The municipality of all rows, if there is one."""
    towns = {one.municipality_id for one in judged}
    return towns.pop() if len(towns) == 1 else None


async def found(connection: Connection, import_id: int, *, hold: bool = False) -> ImportRecord:
    """The import, or 404."""
    record = await imports.get(connection, import_id, hold=hold) if 0 < import_id < 2**63 else None
    if record is None:
        raise Problem("import", 404, name=import_id)
    return record


def file_errors(record: ImportRecord) -> list[Finding]:
    """What is wrong with the file as a whole."""
    every = [finding_of_json(one) for one in record.findings]
    return [finding for finding in every if finding.level is Level.ERROR]


class StaleError(Exception):
    """The registry has changed so that rows of the preview are wrong by now."""


class StandingError(Exception):
    """Rows cannot be taken back: by number, with the reason. Nothing was done."""

    def __init__(self, rows: dict[int, str]) -> None:
        super().__init__(f"{len(rows)} rows")
        self.rows = rows


@asynccontextmanager
async def applying(service: Service, import_id: int) -> AsyncGenerator[None]:
    """Around the transaction of ``apply``: where the registry has changed, the preview shows it, and 409 says so."""
    try:
        yield
    except StaleError as error:
        async with service.database.connection(write=True) as connection:
            if (await _held(connection, import_id)).state == "preview":
                await imports.renew(connection, import_id, await _judged(connection, import_id))
        raise Problem("import_changed", 409) from error


async def _held(connection: Connection, import_id: int) -> ImportRecord:
    await imports.take_time(connection)
    await imports.lock(connection)
    return await found(connection, import_id, hold=True)


async def _judged(connection: Connection, import_id: int) -> Sequence[Judged]:
    """The rows by the registry as it is now."""
    kept = await imports.rows(connection, import_id, after=0, limit=None)
    before = [imports.as_row(row, MADE_ANEW) for row in kept]
    return await asyncio.to_thread(judge, before, await imports.registry(connection, before))


async def apply(connection: Connection, import_id: int, at: datetime) -> int:
    """Register what the preview showed, all or nothing; how many rows were new. Raises ``StaleError``."""
    who = registering_person()
    record = await _held(connection, import_id)
    if record.state != "preview":
        raise Problem("import_state", 409, state=record.state)
    if record.rows_wrong or file_errors(record):
        raise Problem("import_wrong", 409, count=record.rows_wrong + len(file_errors(record)))
    judged = await _judged(connection, import_id)
    if any(one.row.wrong for one in judged):
        raise StaleError
    reason = f"import {import_id}"
    try:
        done = await imports.apply(connection, import_id, judged, who=who.name, reason=reason, at=at)
    except (psycopg.IntegrityError, psycopg.errors.InsufficientPrivilege) as error:
        raise Problem("import_changed", 409) from error
    await audit.note(connection, "import.applied", reason, {"rows": done}, municipality_id=only_town(judged))
    return done


async def undo(connection: Connection, import_id: int, at: datetime, *, leave: bool) -> int:
    """Take an import back; how many rows went. Raises ``StandingError`` for rows that stand in the way."""
    registering_person()
    await imports.take_time(connection)
    record = await found(connection, import_id)
    if record.state != "applied":
        raise Problem("import_state", 409, state=record.state)
    try:
        removed, left = await imports.undo(connection, import_id, leave=leave, at=at)
    except psycopg.errors.NoDataFound as error:
        raise Problem("import_right", 403) from error
    if left and not leave:
        raise StandingError(await imports.standing(connection, import_id))
    await audit.note(connection, "import.undone", f"import {import_id}", {"rows": removed, "left": left})
    return removed


__all__ = [
    "Importer",
    "Parsed",
    "StandingError",
    "apply",
    "applying",
    "defaults",
    "file_errors",
    "found",
    "registering_person",
    "undo",
]
