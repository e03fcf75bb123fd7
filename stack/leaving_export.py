"""What is a municipality's, written as Parquet and CSV with a manifest of row counts and checksums; and its check."""

import hashlib
import importlib
import json
import os
import re
import shutil
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg

from kraj.errors import ConfigurationError, UnavailableError
from kraj.kinds import KINDS
from kraj.store import leaving
from kraj.store.leaving import Table, Town

MANIFEST, README = "manifest.json", "README.txt"
BATCH_ROWS = 20_000
ROW_BYTES = 400
"""A reading takes less, in Parquet and CSV together."""
SECRET = re.compile(r"secret|password|credential|headers|sealed|token|private")
"""Columns that open something; they are nobody's to carry elsewhere."""
NOT_GIVEN = ("latest_", "enrolment_code", "idempotency_key")
"""Copies of readings, codes that open something, and answers kept for a day."""
NATIVE = {
    "smallint": "int16",
    "integer": "int32",
    "bigint": "int64",
    "real": "float32",
    "double precision": "float64",
    "boolean": "bool_",
    "text": "string",
    "date": "date32",
}
PEOPLE = """
    SELECT p.name, p.title, p.language, m.role, m.valid_from, m.valid_to
    FROM membership m JOIN person p USING (person_id)
    WHERE m.municipality_id = %s ORDER BY p.name, m.membership_id
"""
Say = Callable[[str], None]


def check_folder(folder: Path) -> None:
    """Raise ``ConfigurationError`` unless the folder is empty, or can be made."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigurationError(f"--to: {folder} is not empty; name a new folder")
    if not folder.absolute().parent.is_dir():
        raise ConfigurationError(f"--to: there is no folder {folder.absolute().parent}; make it, or name another one")


def write(connection: psycopg.Connection[Any], whose: Town, folder: Path, at: datetime, say: Say) -> dict[str, Any]:
    """Write the export, all of one moment; the manifest. The folder appears under its name only when it is whole.

    Raises ``ConfigurationError`` where the folder is not empty or there is no room.
    """
    check_folder(folder)
    new = folder.absolute().with_name(folder.name + ".new")
    with connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        given = [t for t in leaving.tables(connection) if not t.name.startswith(NOT_GIVEN)]
        counts = {table.name: leaving.count(connection, table, whose) for table in given}
        _check_room(connection, new.parent, whose, sum(counts.values()))
        shutil.rmtree(new, ignore_errors=True)  # left by a run that was cut off
        try:
            new.mkdir(mode=0o700)
            files: dict[str, dict[str, Any]] = {}
            for table in given:
                say(f"{table.name}: {counts[table.name]} rows")
                files |= _table(connection, table, whose, new)
            files |= _people(connection, whose, new)
            files |= _photos(connection, whose, new)
            (new / README).write_text(_readme(whose, at), "utf-8")
            files[README] = _file(new / README)
            manifest = {
                "format": 1,
                "municipality": {"municipality_id": whose.municipality_id, "name": whose.name, "title": whose.title},
                "at": at.isoformat(),
                "rows": counts,
                "files": files,
                "readings": _readings(),
            }
            (new / MANIFEST).write_text(json.dumps(manifest, ensure_ascii=False, indent=1) + "\n", "utf-8")
            for path in new.rglob("*"):
                path.chmod(0o700 if path.is_dir() else 0o600)
            new.replace(folder)
        except OSError as error:
            shutil.rmtree(new, ignore_errors=True)
            raise UnavailableError(f"cannot write {folder}: {error.strerror}; nothing of it is left") from error
        except BaseException:
            shutil.rmtree(new, ignore_errors=True)
            raise
    return manifest


def read(folder: Path, say: Say) -> tuple[dict[str, Any], str]:
    """The manifest and its SHA-256, once every file of it has the checksum that was written down."""
    try:
        raw = (folder / MANIFEST).read_bytes()
        manifest: dict[str, Any] = json.loads(raw)
        for name, wanted in manifest["files"].items():
            say(f"checking {name}")
            path = folder / name
            if not path.resolve().is_relative_to(folder.resolve()):
                raise ConfigurationError(f"{folder / MANIFEST} names a file outside: {name}")
            if _sha256(path) != wanted["sha256"]:
                raise ConfigurationError(f"{path} is not what was exported; export again into a new folder")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigurationError(f"{folder} is no whole export ({error}); export again into a new folder") from error
    return manifest, hashlib.sha256(raw).hexdigest()


def grown(connection: psycopg.Connection[Any], whose: Town, manifest: dict[str, Any]) -> dict[str, tuple[int, int]]:
    """Tables with more rows than were exported: name → (exported, now). The audit log grows with each command."""
    found: dict[str, tuple[int, int]] = {}
    for table in leaving.tables(connection):
        if table.name in leaving.KEPT or table.name.startswith(NOT_GIVEN):
            continue
        now, exported = leaving.count(connection, table, whose), int(manifest["rows"].get(table.name, 0))
        if now > exported:
            found[table.name] = exported, now
    return found


def _check_room(connection: psycopg.Connection[Any], place: Path, whose: Town, rows: int) -> None:
    row = connection.execute(
        "SELECT coalesce(sum(length(content)), 0)::bigint FROM alert_photo JOIN alert USING (alert_id)"
        " WHERE municipality_id = %s",
        [whose.municipality_id],
    ).fetchone()
    needed = rows * ROW_BYTES + (row[0] if row else 0) + (1 << 20)
    free = shutil.disk_usage(place).free
    if free < needed:
        raise ConfigurationError(
            f"--to: {place} has {free / 1024**2:.0f} MiB left, about {needed / 1024**2:.0f} MiB are needed; make room"
        )


def _table(connection: psycopg.Connection[Any], table: Table, whose: Town, new: Path) -> dict[str, dict[str, Any]]:
    columns = [
        (n, t) for n, t in table.columns if not SECRET.search(n) and (table.name, n) != ("alert_photo", "content")
    ]
    expressions: list[str] = []
    types: list[str] = []
    for name, type_ in columns:
        quoted = '"' + name + '"'
        if type_ == "bytea":
            expressions.append(f"encode(t.{quoted}, 'base64')")
        elif type_ in NATIVE or type_ == "timestamp with time zone":
            expressions.append(f"t.{quoted}")
        else:
            expressions.append(f"t.{quoted}::text")
        types.append(type_)
    batches = leaving.rows(connection, table, whose, expressions, BATCH_ROWS)
    return _both(new, table.name, [name for name, _ in columns], types, batches)


def _people(connection: psycopg.Connection[Any], whose: Town, new: Path) -> dict[str, dict[str, Any]]:
    rows = connection.execute(PEOPLE.encode(), [whose.municipality_id]).fetchall()
    names = ["name", "title", "language", "role", "valid_from", "valid_to"]
    return _both(new, "people", names, ["text"] * 4 + ["timestamp with time zone"] * 2, [rows])


def _both(new: Path, name: str, names: list[str], types: list[str], batches: Any) -> dict[str, dict[str, Any]]:
    """One table as Parquet and as CSV."""
    # pyarrow has no type stubs.
    pa: Any = importlib.import_module("pyarrow")
    parquet: Any = importlib.import_module("pyarrow.parquet")
    csv: Any = importlib.import_module("pyarrow.csv")
    of = [
        pa.timestamp("us", tz="UTC") if t == "timestamp with time zone" else getattr(pa, NATIVE.get(t, "string"))()
        for t in types
    ]
    schema = pa.schema(list(zip(names, of, strict=True)))
    rows = 0
    files = new / f"{name}.parquet", new / f"{name}.csv"
    with parquet.ParquetWriter(files[0], schema, compression="zstd") as one, csv.CSVWriter(files[1], schema) as other:
        for batch in batches:
            made = [pa.array([row[n] for row in batch], type_) for n, type_ in enumerate(of)]
            records = pa.RecordBatch.from_arrays(made, schema=schema)
            one.write_batch(records)
            other.write_batch(records)
            rows += len(batch)
    return {file.name: _file(file) | {"rows": rows} for file in files}


def _photos(connection: psycopg.Connection[Any], whose: Town, new: Path) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    (new / "photos").mkdir()
    with connection.cursor("photos") as cursor:
        cursor.itersize = 10
        cursor.execute(
            "SELECT f.alert_photo_id, f.media_type, f.content FROM alert_photo f JOIN alert USING (alert_id)"
            " WHERE municipality_id = %s ORDER BY 1",
            [whose.municipality_id],
        )
        for number, media_type, content in cursor:
            file = new / "photos" / f"{number}.{media_type.removeprefix('image/')}"
            file.write_bytes(content)
            found[f"photos/{file.name}"] = _file(file)
    return found


def _file(file: Path) -> dict[str, Any]:
    descriptor = os.open(file, os.O_RDONLY)
    try:
        os.fsync(descriptor)  # the originals may be erased on the strength of this file
    finally:
        os.close(descriptor)
    return {"bytes": file.stat().st_size, "sha256": _sha256(file)}


def _sha256(file: Path) -> str:
    with file.open("rb") as source:
        return hashlib.file_digest(source, "sha256").hexdigest()


def _readings() -> dict[str, list[dict[str, Any]]]:
    """What the columns of readings mean: unit and, for states, the word of each code."""
    return {
        kind.reading_table: [
            {"name": m.name, "title": m.title.en, "unit": m.unit.symbol, "states": list(m.states)} for m in kind.metrics
        ]
        for kind in KINDS.values()
    }


def _readme(whose: Town, at: datetime) -> str:
    moment = f"{at:%Y-%m-%d %H:%M} UTC"
    return f"""Data obce {whose.title} ({whose.name}) ze systému Kraj, stav k {moment}.

Každá tabulka je tu dvakrát: .parquet (pro výpočty; typy sloupců jsou v souboru) a .csv (UTF-8, pro tabulkový editor).
  reading_*            měření podle druhu; co které číslo znamená, je v manifest.json (readings)
  asset, device, installed, asset_label, asset_group, …   evidence: prvky, zařízení, štítky, instalace, skupiny
  alert, alert_event, alert_photo, photos/                poruchy, práce na nich, fotografie
  rule_override, custom_rule, maintenance_window, …       pravidla, výjimky, odstávky
  notification_target                                     kam se posílá (i adresy: zacházejte s nimi jako s tajemstvím)
  people                                                  lidé a jejich role
  audit_entry, import, import_row                         audit obce (jen pseudonymy) a importy
Časy jsou v UTC. Hesla, klíče a kódy tu nejsou. manifest.json má počty řádků a SHA-256 každého souboru.
Složka obsahuje osobní údaje: uložte ji tak, jak to obec s osobními údaji dělá.

Data of the municipality {whose.title} ({whose.name}) out of Kraj, as of {moment}.

Each table is here twice: .parquet (for computing; it knows its types) and .csv (UTF-8, for a spreadsheet).
  reading_*            readings by kind; manifest.json (readings) says what each number means
  asset, device, installed, asset_label, asset_group, …   the registry
  alert, alert_event, alert_photo, photos/                alerts, the work on them, photos
  rule_override, custom_rule, maintenance_window, …       rules, exceptions, maintenance
  notification_target                                     whom to tell (with addresses: treat them as secrets)
  people                                                  people and their roles
  audit_entry, import, import_row                         the municipality's audit entries (pseudonyms only), imports
Times are UTC. Passwords, keys and codes are not here. manifest.json has row counts and the SHA-256 of each file.
The folder holds personal data: keep it as such.
"""
