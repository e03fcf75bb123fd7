"""Building open data: which data sets are due, their files in a generation of their own, and the step to it."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import psycopg

from kraj.errors import ConfigurationError, UnavailableError
from kraj.opendata import DATASETS, Dataset
from kraj.opendata.catalogue import Publisher, catalogue, dataset
from kraj.opendata.published import CATALOGUE, CURRENT, MANIFEST, Manifest, file_name
from kraj.settings import Settings
from kraj.store import open_views as store
from stack import opendata_files as files

LOCK: Final = ".lock"
PREFIX: Final = "generation-"


@dataclass(frozen=True, slots=True)
class Done:
    """What a build has made: names of data sets, and rows in them."""

    made: tuple[str, ...]
    rows: int


def publisher(settings: Settings) -> Publisher:
    """Who publishes, and where, as settings say."""
    base = settings.public_url or f"http://{settings.api_host}:{settings.api_port}"
    return Publisher(
        base=base.rstrip("/"),
        name=settings.opendata_publisher,
        iri=settings.opendata_publisher_iri,
        email=settings.opendata_contact,
        ruian=settings.opendata_ruian,
    )


def build(url: str, folder: Path, of: Publisher, at: datetime, *, everything: bool = True) -> Done:
    """Make what is due as of a region's time ``at``, or everything; readers see the old files until all are there.

    ``url`` may be that of ``kraj_api``. Nothing changes where it fails: ``UnavailableError`` when database or disk do,
    ``ConfigurationError`` when the folder cannot be written to.
    """
    try:
        with _alone(folder), psycopg.connect(url) as connection:
            connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            connection.read_only = True
            return _build(connection, folder, of, at, everything=everything)
    except psycopg.Error as error:
        first = str(error).strip().splitlines()[0]
        raise UnavailableError(f"open data: database: {first}; the files from before stay") from error
    except OSError as error:
        raise UnavailableError(f"open data: {folder}: {error}; the files from before stay") from error


def due(manifest: Manifest | None, whole: Manifest, at: datetime) -> list[Dataset]:
    """What is to be made anew: all, when a municipality came or went, a day is worked out or another publisher is set
    (``whole`` is what would be made); else what is old by its frequency."""
    if manifest is None or replace(manifest, sets={}) != whole:
        return list(DATASETS.values())
    return [
        one
        for one in DATASETS.values()
        if (made := manifest.sets.get(one.name)) is None
        or made.digest != one.digest
        or one.frequency.turn(made.moment) != one.frequency.turn(at)
    ]


def read(folder: Path) -> Manifest | None:
    """Of the generation that is valid; None where there is none, or one that cannot be read."""
    try:
        return Manifest.of((folder / CURRENT / MANIFEST).read_text("utf-8"))
    except (OSError, ValueError):
        return None


def _build(connection: psycopg.Connection[Any], folder: Path, of: Publisher, at: datetime, *, everything: bool) -> Done:
    whole = Manifest(tuple(store.towns(connection)), store.days(connection), repr(of), {})
    before = read(folder)
    wanted = list(DATASETS.values()) if everything else due(before, whole, at)
    if not wanted:
        return Done((), 0)
    old = folder / CURRENT
    fresh = Path(tempfile.mkdtemp(prefix=PREFIX, dir=folder))
    try:
        fresh.chmod(0o755)
        sets = {} if before is None else {name: made for name, made in before.sets.items() if name in DATASETS}
        for one in DATASETS.values():
            if one in wanted:
                sets[one.name] = files.write(fresh, one, store.rows(connection, one, at), at)
            else:
                for file in old.glob(f"{one.name}.*"):
                    os.link(file, fresh / file.name)
        _catalogue(fresh, of, sets)
        (fresh / MANIFEST).write_text(replace(whole, sets=sets).text, encoding="utf-8")
    except BaseException:
        shutil.rmtree(fresh, ignore_errors=True)
        raise
    _step(folder, fresh, keep=before is not None and set(before.towns) <= set(whole.towns))
    return Done(tuple(one.name for one in wanted), sum(sets[one.name].rows for one in wanted))


def _catalogue(fresh: Path, of: Publisher, sets: dict[str, Any]) -> None:
    documents = {CATALOGUE: catalogue(of, DATASETS.values())}
    documents |= {file_name(one, "jsonld"): dataset(of, one, sets[one.name]) for one in DATASETS.values()}
    for name, document in documents.items():
        file = fresh / name
        # It may be a second name of the old generation's file, which stays as it is.
        for left in (file, file.with_name(file.name + files.GZIP)):
            left.unlink(missing_ok=True)
        files.put(file, document)
        files.finish(file)


def _step(folder: Path, fresh: Path, *, keep: bool) -> None:
    """Make a generation valid, in one step. The one before stays for whoever is just opening its files, unless it holds
    what a municipality has withdrawn."""
    current = folder / CURRENT
    before = current.resolve() if current.is_symlink() else None
    link = folder / f"{fresh.name}.link"
    link.symlink_to(fresh.name)
    os.replace(link, current)
    kept = {fresh, before} if keep else {fresh}
    for other in folder.glob(f"{PREFIX}*"):
        if other.resolve() not in {one.resolve() for one in kept if one is not None}:
            shutil.rmtree(other, ignore_errors=True)


@contextmanager
def _alone(folder: Path) -> Generator[None]:
    """Only one builds at a time; another waits for it."""
    try:
        folder.mkdir(mode=0o755, parents=True, exist_ok=True)
        lock = (folder / LOCK).open("w")
    except OSError as error:
        raise ConfigurationError(
            f"cannot write to {folder} ({error.strerror}); set KRAJ_OPENDATA_DIR to a folder that you may write to"
        ) from error
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
