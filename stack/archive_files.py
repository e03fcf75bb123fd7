"""Weeks of readings as Parquet in a folder, partitioned as Hive does, with a manifest; checked by reading back."""

import hashlib
import importlib
import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any, Final, Self

import numpy as np

from kraj.errors import ConfigurationError, UnavailableError
from kraj.kinds import KINDS
from kraj.metrics import Kind
from kraj.store.archive import Column, Columns, Week
from kraj.store.schema import columns
from stack.secrets import write_private

MANIFEST: Final = "manifest.json"
FORMAT: Final = 1
TYPES: Final = {
    "bigint": "int64",
    "integer": "int32",
    "smallint": "int16",
    "real": "float32",
    "boolean": "bool_",
}
ENCODED: Final = {
    "bigint": "DELTA_BINARY_PACKED",
    "timestamptz": "DELTA_BINARY_PACKED",
    "integer": "DELTA_BINARY_PACKED",
    "real": "BYTE_STREAM_SPLIT",
}
"""Besides a dictionary: what a reading adds to the one before, and the bytes of noise by their weight."""
TRIED_ROWS: Final = 50_000
"""Of these either way is tried; the smaller one is taken."""
ZSTD_LEVEL: Final = 9


@dataclass(frozen=True, slots=True)
class Entry:
    """A file of the archive: readings of one kind, one municipality and one week."""

    kind: str
    municipality: str
    municipality_id: int
    begins: str
    ends: str
    rows: int
    first: str
    last: str
    bytes: int
    sha256: str
    content_sha256: str
    """Of all values and NULLs, whatever the file's own encoding."""
    schema: int
    kraj: str
    written: str
    restored: str | None = None
    """When it was last brought back into the database."""
    replaced_by: str | None = None
    """Checksum of the file that is just taking this one's place: either is good."""

    @property
    def path(self) -> str:
        return f"{self.kind}/municipality={self.municipality}/{self.begins}_{self.ends}.parquet"

    @property
    def week(self) -> Week:
        return Week(KINDS[self.kind], date.fromisoformat(self.begins))


class Manifest:
    """What the archive holds; replaced in one step whenever that changes."""

    def __init__(self, folder: Path, entries: Iterable[Entry]) -> None:
        self.folder = folder
        self.entries = {entry.path: entry for entry in entries}

    @classmethod
    def load(cls, folder: Path) -> Self:
        """That of the folder, empty where there is none. Raises ``ConfigurationError`` for a damaged one."""
        file = folder / MANIFEST
        try:
            if not file.exists():
                return cls(folder, [])
            found = json.loads(file.read_text("utf-8"))
            if found["format"] != FORMAT:
                raise ConfigurationError(f"{file} is of format {found['format']}: upgrade Kraj")
            return cls(folder, [Entry(**{k: v for k, v in one.items() if k != "path"}) for one in found["files"]])
        except OSError as error:
            raise ConfigurationError(f"{file}: {error.strerror}; run it as the user that archives") from error
        except (ValueError, KeyError, TypeError) as error:
            raise ConfigurationError(f"{file} is damaged ({error}); put it back from a copy of the folder") from error

    def make(self) -> None:
        """Make the folder where it is missing; nobody else reads it."""
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.folder.chmod(0o700)
        except OSError as error:
            raise ConfigurationError(f"{self.folder}: {error.strerror}; set KRAJ_ARCHIVE_DIR elsewhere") from error

    def save(self, *changed: Entry) -> None:
        """Put entries in the place of those of the same path, and write it."""
        self.entries |= {entry.path: entry for entry in changed}
        listed = [{"path": path, **asdict(entry)} for path, entry in sorted(self.entries.items())]
        document = {"format": FORMAT, "columns": _columns(), "files": listed}
        write_private(self.folder / MANIFEST, json.dumps(document, ensure_ascii=False, indent=1) + "\n")
        sync(self.folder)

    def of(self, week: Week) -> list[Entry]:
        """The files of a week."""
        return [e for e in self.entries.values() if (e.kind, e.begins) == (week.kind.name, str(week.begins))]

    def check(self, entry: Entry) -> Path:
        """The entry's file, once it has its checksum; else ``ConfigurationError`` that names it and the remedy."""
        file = self.folder / entry.path
        remedy = "put this file back from a copy of the folder, then run the same again; nothing was changed"
        try:
            found = sha256(file)
        except OSError as error:
            raise ConfigurationError(f"{file}: {error.strerror}; {remedy}") from error
        if found not in {entry.sha256, entry.replaced_by}:
            raise ConfigurationError(f"{file} is damaged: its checksum is not the manifest's; {remedy}")
        return file


class Content:
    """The checksum of readings, value by value and NULL by NULL, in whatever pieces they come."""

    def __init__(self) -> None:
        self.rows = 0
        self._digests: dict[str, tuple[Any, Any]] = {}
        self._times: list[int] = []

    def add(self, piece: Columns) -> None:
        """The next readings."""
        times = piece["ts"].values
        if not len(times):
            return
        self.rows += len(times)
        self._times += [int(times.min()), int(times.max())]
        for name, column in piece.items():
            values, nulls = self._digests.setdefault(name, (hashlib.sha256(), hashlib.sha256()))
            values.update(np.where(column.null, column.values.dtype.type(0), column.values).tobytes())
            nulls.update(column.null.tobytes())

    @property
    def sha256(self) -> str:
        whole = hashlib.sha256()
        for name, (values, nulls) in sorted(self._digests.items()):
            whole.update(f"{name} {values.hexdigest()} {nulls.hexdigest()}\n".encode())
        return whole.hexdigest()

    @property
    def span(self) -> tuple[str, str]:
        """The first and the last reading's time."""
        bounds = (min(self._times), max(self._times))
        first, last = (datetime.fromtimestamp(us / 1e6, UTC).isoformat() for us in bounds)
        return first, last


def write(file: Path, kind: Kind, pieces: Iterable[Columns]) -> Content:
    """Write readings, and read them back; what both were. Raises ``UnavailableError`` where they are not the same."""
    content = Content()
    writer: Any = None
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        file.parent.parent.chmod(0o700)
        file.unlink(missing_ok=True)
        os.close(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        for piece in pieces:
            content.add(piece)
            table = _table(kind, piece)
            writer = writer or _writer(file, kind, _encodings(kind, table))
            writer.write_table(table)
        if writer is not None:
            writer.close()
        sync(file)
    except OSError as error:
        file.unlink(missing_ok=True)
        raise UnavailableError(f"cannot write {file}: {error}; nothing was dropped") from error
    back = Content()
    for piece in read(file):
        back.add(piece)
    if (back.rows, back.sha256) != (content.rows, content.sha256):
        file.unlink()
        raise UnavailableError(f"{file} does not read back as it was written: is the disk sound? Nothing was dropped")
    return content


def read(file: Path) -> Iterator[Columns]:
    """The readings of a file, a row group at a time; ``ConfigurationError`` where it is no such file."""
    arrow = _arrow()
    try:
        with _parquet().ParquetFile(file) as source:
            for number in range(source.num_row_groups):
                table = source.read_row_group(number)
                yield {name: _column(arrow, table.column(name)) for name in table.column_names}
    except (arrow.ArrowException, OSError) as error:
        raise ConfigurationError(f"{file} cannot be read as Parquet ({error}); put it back from a copy") from error


def schema(kind: Kind) -> Any:
    """Of a file: the columns of the readings' table."""
    arrow = _arrow()
    return arrow.schema(
        [
            arrow.field(
                c.name,
                arrow.timestamp("us", tz="UTC") if c.sql == "timestamptz" else getattr(arrow, TYPES[c.sql])(),
                nullable=c.nullable,
            )
            for c in columns(kind)
        ]
    )


def sha256(file: Path) -> str:
    """Of a file's bytes."""
    with file.open("rb") as source:
        return hashlib.file_digest(source, "sha256").hexdigest()


def sync(path: Path) -> None:
    """Onto the disk: readings are dropped on the strength of it. Of a folder: what names it holds."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _writer(target: Any, kind: Kind, encodings: dict[str, str]) -> Any:
    parquet = _parquet()
    return parquet.ParquetWriter(
        target,
        schema(kind),
        compression="zstd",
        compression_level=ZSTD_LEVEL,
        use_dictionary=[c.name for c in columns(kind) if c.name not in encodings and c.sql != "boolean"],
        column_encoding=encodings,
        sorting_columns=[parquet.SortingColumn(_place(kind, name)) for name in ("asset_id", "ts")],
    )


def _encodings(kind: Kind, table: Any) -> dict[str, str]:
    """Which columns are smaller so than as a dictionary: sensors that round are, noise to the last digit is not."""
    encoded = {c.name: ENCODED[c.sql] for c in columns(kind) if c.sql in ENCODED}
    sizes: list[list[int]] = []
    for encodings in ({}, encoded):
        with BytesIO() as trial:
            with _writer(trial, kind, encodings) as writer:
                writer.write_table(table.slice(0, TRIED_ROWS))
            group = _parquet().ParquetFile(trial).metadata.row_group(0)
            sizes.append([group.column(n).total_compressed_size for n in range(group.num_columns)])
    return {name: encoded[name] for name in encoded if sizes[1][_place(kind, name)] < sizes[0][_place(kind, name)]}


def _table(kind: Kind, piece: Columns) -> Any:
    arrow = _arrow()
    of = schema(kind)
    made = [arrow.array(piece[f.name].values, mask=piece[f.name].null).cast(f.type) for f in of]
    return arrow.Table.from_arrays(made, schema=of)


def _column(arrow: Any, found: Any) -> Column:
    null = found.is_null().to_numpy()
    if arrow.types.is_timestamp(found.type):
        found = found.cast(arrow.int64())
    nothing = False if arrow.types.is_boolean(found.type) else 0
    values: Any = found.fill_null(arrow.scalar(nothing, found.type)).to_numpy()
    return Column(values, null)


def _place(kind: Kind, name: str) -> int:
    return [column.name for column in columns(kind)].index(name)


def _columns() -> dict[str, list[dict[str, Any]]]:
    """What the metrics mean: unit and, for states, the word of each code."""
    return {
        kind.name: [
            {"name": m.name, "title": m.title.en, "unit": m.unit.symbol, "states": list(m.states)} for m in kind.metrics
        ]
        for kind in KINDS.values()
    }


# pyarrow has no type stubs, and takes a while to load.
@cache
def _arrow() -> Any:
    return importlib.import_module("pyarrow")


@cache
def _parquet() -> Any:
    return importlib.import_module("pyarrow.parquet")
