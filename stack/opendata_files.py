"""Files of a data set: CSV, GeoJSON and Parquet written side by side from one stream of rows, and packed copies."""

import gzip
import hashlib
import importlib
import json
import shutil
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, Final

from kraj.opendata import Dataset
from kraj.opendata.cells import Value, feature, lines, rounded, text
from kraj.opendata.csvw import metadata
from kraj.opendata.published import LICENCE, PREVIEW_ROWS, File, Made, file_name

PACKED: Final = (".csv", ".geojson", ".json", ".jsonld")
"""Endings of files that lie packed beside themselves, so that nobody packs them anew with each answer."""
GZIP: Final = ".gz"
GZIP_LEVEL: Final = 6
CHUNK_BYTES: Final = 1 << 20


def write(folder: Path, of: Dataset, pieces: Iterable[Sequence[Sequence[Any]]], at: datetime) -> Made:
    """Write a data set into the folder; raise ``OSError`` where that fails. ``pieces`` are rows as the database gives
    them, in the order of the columns."""
    count = 0
    first = last = None
    preview: list[list[str]] = []
    with _Csv(folder, of) as table, _GeoJson(folder, of) as places, _Parquet(folder, of) as arrow:
        for piece in pieces:
            rows = [rounded(of, row) for row in piece]
            written = [[text(value) for value in row] for row in rows]
            table.write(written)
            places.write(rows)
            arrow.write(rows)
            preview += written[: PREVIEW_ROWS - len(preview)]
            first, last = (written[0][0] if count == 0 else first), written[-1][0]
            count += len(rows)
    made = Made(at.isoformat(), of.digest, count, first, last, {}, preview)
    put(folder / file_name(of, "csv-metadata.json"), metadata(of, made))
    endings = (*of.forms, "csv-metadata.json")
    files = {ending: finish(folder / file_name(of, ending)) for ending in endings}
    return Made(at.isoformat(), of.digest, count, first, last, files, preview)


def put(file: Path, document: Mapping[str, Any]) -> None:
    """Write a JSON document."""
    file.write_text(json.dumps(document, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def finish(file: Path) -> File:
    """Pack what is worth it; size and checksum of the file itself."""
    if file.suffix in PACKED:
        # Without a name and a time equal content is an equal file.
        with (
            file.open("rb") as source,
            file.with_name(file.name + GZIP).open("wb") as target,
            gzip.GzipFile(filename="", fileobj=target, mode="wb", mtime=0, compresslevel=GZIP_LEVEL) as packed,
        ):
            shutil.copyfileobj(source, packed, CHUNK_BYTES)
    with file.open("rb") as source:
        digest = hashlib.file_digest(source, "sha256").hexdigest()
    return File(file.stat().st_size, digest)


class _Csv:
    def __init__(self, folder: Path, of: Dataset) -> None:
        self._file = (folder / file_name(of, "csv")).open("w", encoding="utf-8", newline="")
        self._file.write(lines([[column.name for column in of.columns]]))

    def __enter__(self) -> "_Csv":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def write(self, rows: Iterable[Sequence[str]]) -> None:
        self._file.write(lines(rows))


class _GeoJson:
    """Nothing where rows have no place."""

    def __init__(self, folder: Path, of: Dataset) -> None:
        self._of = of
        self._file = (folder / file_name(of, "geojson")).open("w", encoding="utf-8") if of.placed else None
        self._comma = ""

    def __enter__(self) -> "_GeoJson":
        if self._file:
            self._file.write('{"type":"FeatureCollection","features":[')
        return self

    def __exit__(self, *_: object) -> None:
        if self._file:
            self._file.write("\n]}\n")
            self._file.close()

    def write(self, rows: Iterable[Sequence[Value]]) -> None:
        if self._file is None:
            return
        for row in rows:
            made = json.dumps(feature(self._of, row), ensure_ascii=False, separators=(",", ":"), allow_nan=False)
            self._file.write(f"{self._comma}\n{made}")
            self._comma = ","


class _Parquet:
    def __init__(self, folder: Path, of: Dataset) -> None:
        self._schema = schema(of)
        file = folder / file_name(of, "parquet")
        self._writer = _parquet().ParquetWriter(file, self._schema, compression="zstd")

    def __enter__(self) -> "_Parquet":
        return self

    def __exit__(self, *_: object) -> None:
        self._writer.close()

    def write(self, rows: Sequence[Sequence[Value]]) -> None:
        columns = list(zip(*rows, strict=True))
        arrays = [_arrow().array(column, f.type) for column, f in zip(columns, self._schema, strict=True)]
        self._writer.write_table(_arrow().Table.from_arrays(arrays, schema=self._schema))


def schema(of: Dataset) -> Any:
    """Of a Parquet file; units and meanings are metadata of its fields."""
    arrow = _arrow()
    types = {"timestamp[us, tz=UTC]": arrow.timestamp("us", tz="UTC"), "bool": arrow.bool_(), "date32": arrow.date32()}
    types |= {"string": arrow.string(), "int64": arrow.int64(), "double": arrow.float64()}
    fields = [
        arrow.field(
            column.name,
            types[column.type.value[1]],
            nullable=not column.required,
            metadata={"title": column.title.cs, "title_en": column.title.en, "unit": column.unit},
        )
        for column in of.columns
    ]
    return arrow.schema(fields, metadata={"title": of.title.cs, "title_en": of.title.en, "license": LICENCE})


# pyarrow has no type stubs, and takes a while to load.
@cache
def _arrow() -> Any:
    return importlib.import_module("pyarrow")


@cache
def _parquet() -> Any:
    return importlib.import_module("pyarrow.parquet")
