"""Archiving: weeks of readings past their term go into verified files and only then out of the database; and back."""

import shutil
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import psycopg

from kraj.errors import ConfigurationError, KrajError, UnavailableError
from kraj.kinds import KINDS
from kraj.rollups import STEPS
from kraj.store import archive as store
from kraj.store.archive import ASIDE, Owned, Week
from stack import archive_files as files
from stack.archive_files import Entry, Manifest

HELD: Final = timedelta(days=30)
"""What was brought back stays so long, then it goes again."""
SHARE_OF_TABLE: Final = 4
"""A file takes less than this part of the table that it is made of."""
Say = Callable[[str], None]


@dataclass(slots=True)
class Done:
    """What a run has done."""

    weeks: int = 0
    left: int = 0
    """Weeks past their term that had to stay for now."""
    readings: int = 0
    bytes: int = 0
    rollups: int = 0


@dataclass(frozen=True, slots=True)
class Chosen:
    """Which files: of one municipality or all, of a kind or all, with weeks that lie in a span of days."""

    municipality: str | None = None
    kind: str | None = None
    since: date | None = None
    until: date | None = None
    """The day after the last."""

    def takes(self, entry: Entry) -> bool:
        return (
            self.municipality in {None, entry.municipality}
            and self.kind in {None, entry.kind}
            and (self.since is None or entry.ends > str(self.since))
            and (self.until is None or entry.begins < str(self.until))
        )


def run(url: str, folder: Path, at: datetime, say: Say) -> Done:
    """Archive what is past its term as of ``at``, and delete rollups past theirs. ``url`` is the owner's.

    Cut off anywhere, the next run goes on. Raises ``ConfigurationError`` for a damaged file to which late readings
    must be added, ``UnavailableError`` where disk or database fail; one such week does not
    hold up the others. A week is dropped only when its files are good.
    """
    done = Done()
    wrong: KrajError | None = None
    with _locked(url) as connection:
        manifest = Manifest.load(folder)
        manifest.make()
        days = store.raw_days(connection)
        for kind in KINDS.values():
            if store.put_back(connection, kind):
                say(f"{kind.name}: a run was cut off; what it had set aside is in its place again")
            past = [
                week
                for week in store.weeks(connection, kind)
                if days is not None and _midnight(week.ends) + timedelta(days=days) <= at
            ]
            for number, week in enumerate(past, 1):
                say(f"{kind.name} {week.begins}: week {number} of {len(past)} past the term of {days} days")
                try:
                    _archive(connection, manifest, week, at, done, say)
                except KrajError as error:  # one damaged file holds up its week, and no other
                    say(f"{kind.name} {week.begins}: {error}")
                    wrong = wrong or error
            for step in STEPS:
                done.rollups += store.delete_rollups(connection, kind, step, at)
        done.rollups += store.delete_days(connection, at)
    if wrong is not None:
        raise wrong
    return done


def _archive(  # noqa: PLR0917 - what of, where to, when, and what is told of it
    connection: store.Connection, manifest: Manifest, week: Week, at: datetime, done: Done, say: Say
) -> None:
    """Archive a week and drop it, or say why it stays."""
    name = f"{week.kind.name} {week.begins}"
    done.left += 1
    back = [entry for entry in manifest.of(week) if entry.restored is not None]
    until = max((datetime.fromisoformat(e.restored) + HELD for e in back if e.restored), default=at)
    if until > at:
        say(f"{name}: was brought back and stays until {until:%Y-%m-%d}")
        return
    if store.waits(connection, week):
        say(f"{name}: stays until all of it is rolled up (`kraj rollup --catch-up`)")
        return
    if shutil.disk_usage(manifest.folder).free < store.room(connection, week) / SHARE_OF_TABLE:
        raise UnavailableError(f"{manifest.folder} has no room for {name}; make room or set KRAJ_ARCHIVE_DIR elsewhere")
    there = {whose.name for whose in store.owned(connection, week)}
    for entry in manifest.of(week):
        if entry.municipality in there:  # late readings join those that are archived
            store.put(connection, week, files.read(manifest.check(entry)))
    with connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        written = store.fingerprint(connection, week.table)
        if store.waits(connection, week):
            return
        entries = [_write(connection, manifest, week, whose, at, say) for whose in store.owned(connection, week)]
    _publish(manifest, entries)
    say(f"{name}: written and read back; now it leaves the database")
    if not store.set_aside(connection, week):
        say(f"{name}: somebody reads it just now; the next run goes on")
        return
    say(f"{name}: set aside")
    if store.fingerprint(connection, week.table + ASIDE) != written:
        store.put_back(connection, week.kind)
        say(f"{name}: late readings came in; the next run takes them along")
        return
    store.drop_aside(connection, week)
    done.left -= 1
    done.weeks += 1
    done.readings += written[0]
    done.bytes += sum(entry.bytes for entry in entries)


def _write(  # noqa: PLR0917 - as above
    connection: store.Connection, manifest: Manifest, week: Week, whose: Owned, at: datetime, say: Say
) -> Entry:
    """Write a municipality's file beside its place; its entry."""
    entry = Entry(
        kind=week.kind.name,
        municipality=whose.name,
        municipality_id=whose.municipality_id,
        begins=str(week.begins),
        ends=str(week.ends),
        rows=whose.rows,
        first="",
        last="",
        bytes=0,
        sha256="",
        content_sha256="",
        schema=store.schema_version(connection),
        kraj=version("kraj"),
        written=at.isoformat(),
    )
    new = _beside(manifest, entry)
    content = files.write(new, week.kind, store.rows(connection, week, whose))
    if content.rows != whose.rows:
        raise UnavailableError(f"{week.table}: {content.rows} readings were read, {whose.rows} counted; run it again")
    first, last = content.span
    size = new.stat().st_size
    say(f"{entry.path}: {whose.rows:,} readings, {size / 1024:,.0f} KiB")
    return replace(entry, first=first, last=last, bytes=size, sha256=files.sha256(new), content_sha256=content.sha256)


def _publish(manifest: Manifest, entries: list[Entry]) -> None:
    """Put new files in their places. Cut off, either file is known by the manifest, or neither is needed."""
    before = manifest.entries
    manifest.save(*(replace(before[e.path], replaced_by=e.sha256) for e in entries if e.path in before))
    for entry in entries:
        place = manifest.folder / entry.path
        _beside(manifest, entry).replace(place)
        files.sync(place.parent)
    manifest.save(*entries)


def _beside(manifest: Manifest, entry: Entry) -> Path:
    """Readers of partitioned folders pass over names that begin so."""
    place = manifest.folder / entry.path
    return place.with_name(f"_{place.name}.new")


def restore(url: str, folder: Path, chosen: Chosen, at: datetime, say: Say) -> int:
    """Bring archived readings back; how many were not in the database. They stay for thirty days. Safe to do again.

    Raises ``ConfigurationError`` before anything is changed where nothing is archived of them, or a file is missing,
    damaged or another database's.
    """
    new = 0
    with _locked(url) as connection:
        manifest = Manifest.load(folder)
        wanted = sorted((e for e in manifest.entries.values() if chosen.takes(e)), key=lambda e: (e.begins, e.path))
        if not wanted:
            raise ConfigurationError(f"nothing of that is in {folder}; see `kraj archive list`")
        towns = store.towns(connection)
        for number, entry in enumerate(wanted, 1):
            file = manifest.check(entry)
            if towns.get(entry.municipality) != entry.municipality_id:
                raise ConfigurationError(f"{file} is of a municipality that this database does not have; it stays")
            say(f"checked {number} of {len(wanted)}")
        manifest.save(*(replace(entry, restored=at.isoformat()) for entry in wanted))
        for number, entry in enumerate(wanted, 1):
            count = store.put(connection, entry.week, files.read(folder / entry.path))
            say(f"{number} of {len(wanted)} {entry.path}: {count:,} readings of {entry.rows:,}, the rest was there")
            new += count
    return new


def forget(url: str, folder: Path, municipality: str, say: Say) -> int:
    """Delete a municipality's files for good, once it has left; how many."""
    with _locked(url) as connection:
        if municipality in store.towns(connection):
            raise ConfigurationError(f"{municipality} is still here; its files go when it has left (`kraj leave`)")
        entries = Manifest.load(folder).entries.values()
        numbers = {entry.municipality_id for entry in entries if entry.municipality == municipality}
        return sum(erase(folder, number, say) for number in sorted(numbers))


def not_exported(folder: Path, municipality_id: int) -> list[Entry]:
    """A municipality's files whose readings are not in the database, where exports are made of."""
    theirs = (e for e in Manifest.load(folder).entries.values() if e.municipality_id == municipality_id)
    return [entry for entry in theirs if entry.restored is None]


def erase(folder: Path, municipality_id: int, say: Say) -> int:
    """Delete all files of a municipality that is erased from the database; how many."""
    manifest = Manifest.load(folder)
    theirs = [entry for entry in manifest.entries.values() if entry.municipality_id == municipality_id]
    for entry in theirs:
        place = folder / entry.path
        place.unlink(missing_ok=True)
        _beside(manifest, entry).unlink(missing_ok=True)
        if place.parent.is_dir() and not any(place.parent.iterdir()):
            place.parent.rmdir()
        del manifest.entries[entry.path]
        say(f"{entry.path}: deleted")
    if theirs:
        manifest.save()
    return len(theirs)


def state(manifest: Manifest, entry: Entry, *, verify: bool) -> str:
    """What a file is now: ``ok``, ``missing`` or ``damaged``; without ``verify`` only its size is looked at."""
    file = manifest.folder / entry.path
    if not file.is_file():
        return "missing"
    if verify:
        good = files.sha256(file) in {entry.sha256, entry.replaced_by}
    else:
        good = file.stat().st_size == entry.bytes or entry.replaced_by is not None
    return "ok" if good else "damaged"


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


@contextmanager
def _locked(url: str) -> Generator[psycopg.Connection[Any]]:
    try:
        with psycopg.connect(url, autocommit=True) as connection:
            store.lock(connection)
            yield connection
    except psycopg.OperationalError as error:
        raise UnavailableError(f"database: {error}") from error
    except psycopg.errors.InsufficientPrivilege as error:
        raise ConfigurationError(
            f"database: {error.diag.message_primary}; archive as the owner of the schema"
        ) from error
