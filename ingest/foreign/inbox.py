"""The inbox: CSV files in ``{municipality}/{device}/`` become readings; files move to done or refused with a report."""

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import psycopg
import structlog

from ingest.foreign import history, known
from ingest.foreign.acknowledged import Feed
from ingest.foreign.history import Judgement
from kraj.clock import Clock
from kraj.errors import PayloadError, UnavailableError
from kraj.store import foreign
from kraj.store.connection import Connection, Watched, translated
from kraj.store.foreign import ForeignMessage
from kraj.topics import NAME

SCAN_S = 5.0
SETTLED_S = 2.0
"""A file that was changed later than this is still being copied."""
DONE, REFUSED = "done", "refused"
FILES_PER_SCAN_MAX = 100

log: Any = structlog.get_logger(__name__)
Feeding = Callable[[], AbstractAsyncContextManager[Feed]]


async def watch(folder: Path, database_url: str, feeding: Feeding, now: Clock) -> None:
    """Look into the folder until cancelled; what cannot be delivered now stays and is tried again."""
    while True:
        files = waiting(folder, time.time())
        if files:
            try:
                async with connection_of(database_url) as connection, feeding() as feed:
                    for file in files:
                        await take(file, connection, feed, now)
            except UnavailableError as error:
                log.warning("files wait", files=len(files), error=str(error))
        await asyncio.sleep(SCAN_S)


@asynccontextmanager
async def connection_of(url: str) -> AsyncGenerator[Connection]:
    """A connection as ``kraj_ingest``; raises ``UnavailableError``."""
    try:
        connection = await Watched.connect(url, autocommit=True, connect_timeout=5)
    except psycopg.OperationalError as error:
        raise UnavailableError(f"database: {error}") from error
    async with connection:
        with translated(connection):
            yield connection


def waiting(folder: Path, now_s: float) -> list[Path]:
    """Files that are there whole, the oldest first; links are not followed."""
    found: list[tuple[float, Path]] = []
    for file in folder.glob("*/*/*.[cC][sS][vV]"):
        with contextlib.suppress(OSError):
            status = file.lstat()
            if file.is_file() and not file.is_symlink() and now_s - status.st_mtime >= SETTLED_S:
                found.append((status.st_mtime, file))
    return [file for _, file in sorted(found)[:FILES_PER_SCAN_MAX]]


async def take(file: Path, connection: Connection, feed: Feed, now: Clock) -> str:
    """Read one file, deliver it, move it; gives where to. Raises ``UnavailableError`` and leaves the file alone."""
    town, device = file.parent.parent.name, file.parent.name
    moment = now()
    found: known.Known | None = None
    judged = Judgement()
    refusal: PayloadError | None = None
    try:
        if not (NAME.fullmatch(town) and NAME.fullmatch(device)):
            raise PayloadError("topic", f"the folders must be named municipality/device, not {town[:60]}/{device[:60]}")
        found = await known.find(connection, device, int(moment.timestamp() * 1000))
        if found.municipality != town:
            device_id, found = found.device, None
            raise PayloadError("municipality", f"{device_id} was enrolled elsewhere, not in {town}")
        content = await asyncio.to_thread(_read, file)
        judged = await asyncio.to_thread(history.of_csv, content, found.document, found.context)
        await feed.deliver(town, device, judged.accepted)
    except PayloadError as error:
        refusal = error
    where = DONE if refusal is None and judged.accepted else REFUSED
    report = as_text(file.name, judged, refusal)
    moved = await asyncio.to_thread(_move, file, where, report, f"{moment:%Y%m%dT%H%M%S}")
    if found is not None:
        await foreign.keep(connection, [_message(file, found, judged, refusal)], moment)
    log.info("file taken", file=str(moved), stored=len(judged.accepted), refused=judged.counts.total())
    return where


def as_text(name: str, judged: Judgement, refusal: PayloadError | None) -> str:
    """The report that lies beside the file; Czech first, as for people."""
    lines = [f"{name}", f"uloženo měření · readings stored: {len(judged.accepted) if refusal is None else 0}"]
    if judged.repeated:
        lines.append(f"opakované řádky · repeated lines: {judged.repeated}")
    if refusal is not None:
        lines.append(f"odmítnuto · refused: {refusal.reason}: {refusal}")
    lines.append(f"odmítnuto hodnot a řádků · values and lines refused: {judged.counts.total()}")
    lines += [f"  {reason}: {count}" for reason, count in sorted(judged.counts.items())]
    lines += judged.refused
    if len(judged.refused) < judged.counts.total():
        lines.append(f"… a další · and more: {judged.counts.total() - len(judged.refused)}")
    return "\n".join(lines) + "\n"


def _message(file: Path, found: known.Known, judged: Judgement, refusal: PayloadError | None) -> ForeignMessage:
    reasons: list[dict[str, Any]] = [{"detail": line} for line in judged.refused[:20]]
    if refusal is not None:
        reasons.insert(0, {"reason": refusal.reason, "detail": str(refusal)})
    stored = refusal is None and bool(judged.accepted)
    verdict = "refused" if not stored else "partly" if judged.counts else "stored"
    topic = f"inbox/{found.municipality}/{found.device}/{file.name}"
    detail = as_text(file.name, judged, refusal).encode()
    return ForeignMessage(found.device_id, found.municipality_id, topic, detail, judged.accepted[:5], verdict, reasons)


def _read(file: Path) -> bytes:
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW)
        with os.fdopen(descriptor, "rb") as opened:
            return opened.read(history.FILE_BYTES_MAX + 1)
    except OSError as error:
        raise PayloadError("foreign_message", f"the file cannot be read: {error.strerror}") from error


def _move(file: Path, where: str, report: str, stamp: str) -> Path:
    """The report first: a file that has moved has one."""
    target = file.parent / where
    try:
        target.mkdir(exist_ok=True)
        name = f"{stamp}-{file.name}"
        number = 1
        while (target / name).exists():
            number += 1
            name = f"{stamp}-{number}-{file.name}"
        (target / f"{name}.txt").write_text(report, "utf-8")
        return file.rename(target / name)
    except OSError as error:
        raise UnavailableError(f"{file} cannot be moved to {target}: {error.strerror}") from error
