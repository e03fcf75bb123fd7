"""The ledger's folder: CSV of lamps and days, programs, a page to print, a manifest of checksums and its signature."""

import csv
import hashlib
import io
import json
import shutil
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any, Final, cast

from kraj import signed
from kraj.certificates import Authority, Certificate
from kraj.errors import PayloadError, UnavailableError
from rules.lighting import statement
from rules.lighting.accounts import Account
from rules.lighting.statement import Row
from stack import ledger_page
from stack.leaving_export import MANIFEST, check_folder

SIGNATURE: Final = "signature.json"
PAGE: Final = "ledger.html"
PURPOSE: Final = "lighting ledger"
FILE_BYTES_MAX: Final = 1 << 30
"""A town of 20,000 lamps has 80 MB of daily rows."""


def write(folder: Path, found: Sequence[Account], by: Authority, at: datetime) -> dict[str, Any]:
    """Write a month of a municipality (all accounts are its) into a new folder, which appears only whole; the manifest.

    Raises ``ConfigurationError`` where the folder is not empty, ``UnavailableError`` where it cannot be written.
    """
    check_folder(folder)
    texts: dict[str, str] = {}
    segments: list[dict[str, Any]] = []
    for account in found:
        lamps = statement.lamp_rows(account)
        name = f"segment-{account.segment.group_id}"
        texts[f"{name}-lamps.csv"] = _csv(statement.LAMP_HEAD, lamps)
        texts[f"{name}-days.csv"] = _csv(statement.DAY_HEAD, statement.day_rows(account))
        texts[f"{name}-programs.json"] = _json(statement.programs(account))
        segments.append(_segment(account, lamps))
    segment = found[0].segment
    manifest = {
        "purpose": PURPOSE,
        "format": 1,
        "municipality": {"name": segment.municipality, "title": segment.municipality_title},
        "month": f"{found[0].month:%Y-%m}",
        "until": datetime.fromtimestamp(found[0].until_s, at.tzinfo).isoformat(),
        "at": at.isoformat(),
        "segments": segments,
        "files": {name: _file(text.encode()) for name, text in texts.items()},
    }
    texts[MANIFEST] = _json(manifest)
    digest = _sha256(texts[MANIFEST].encode())
    texts[PAGE] = ledger_page.html(manifest, digest)
    document = {
        "purpose": PURPOSE,
        "municipality": segment.municipality,
        "month": manifest["month"],
        "signed_at": at.isoformat(),
        "sha256": {MANIFEST: digest, PAGE: _sha256(texts[PAGE].encode())},
    }
    texts[SIGNATURE] = _json(signed.sign(by, document).as_json())
    _place(folder, texts)
    return manifest


def verify(folder: Path, roots: Iterable[Certificate]) -> tuple[dict[str, Any], str, int]:
    """The manifest, its SHA-256 and how many figures were made again from the folder's files alone.

    Raises ``PayloadError``: the signature is not good, a file was changed, or a figure does not follow from the rows.
    """
    try:
        document = signed.check(signed.read(json.loads(_bytes(folder, SIGNATURE))), roots)
        if document.get("purpose") != PURPOSE:
            raise PayloadError("ledger", f"{SIGNATURE} is signed, but for something else")
        for name in (MANIFEST, PAGE):
            _check(folder, name, document["sha256"][name])
        manifest: dict[str, Any] = json.loads(_bytes(folder, MANIFEST))
        for name, file in manifest["files"].items():
            _check(folder, name, file["sha256"])
        month = date.fromisoformat(f"{manifest['month']}-01")
        compared = sum(_recomputed(folder, one, month) for one in manifest["segments"])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise PayloadError("ledger", f"it is not whole: {error!r}") from error
    return manifest, _sha256(_bytes(folder, MANIFEST)), compared


def _recomputed(folder: Path, segment: Mapping[str, Any], month: date) -> int:
    name = f"segment-{segment['group_id']}"
    lamps = _rows(_bytes(folder, f"{name}-lamps.csv"), statement.LAMP_HEAD)
    days = _rows(_bytes(folder, f"{name}-days.csv"), statement.DAY_HEAD)
    programs = cast("dict[str, Any]", json.loads(_bytes(folder, f"{name}-programs.json")))
    declared = {str(one["version"]): one for one in segment["baselines"]}
    for row in days:
        version = row["baseline_version"]
        if (version or row["baseline_w"]) and float(row["baseline_w"]) != declared[version]["power_w"]:
            raise PayloadError("ledger", f"baseline_w of {row['asset_id']} {row['date']} is not version {version}")
    compared = statement.recompute(days, lamps, programs, month)
    sums = statement.totals(lamps)
    if sums != segment["totals"]:
        raise PayloadError("ledger", f"the totals of {segment['name']} are not those of its rows")
    return compared + len(sums)


def _segment(account: Account, lamps: Sequence[Row]) -> dict[str, Any]:
    segment = account.segment
    return {
        "group_id": segment.group_id,
        "name": segment.name,
        "lamps": len(segment.lamps),
        "totals": statement.totals(lamps),
        "baselines": [
            {
                "version": one.version,
                "valid_from": one.valid_from.isoformat(),
                "power_w": one.power_w,
                "source": one.source,
                "who": one.who,
                "at": one.at.isoformat(),
            }
            for one in segment.baselines
        ],
        "programs": [one.lamp_program_id for one in segment.programs],
    }


def _csv(head: Sequence[str], rows: Sequence[Row]) -> str:
    file = io.StringIO()
    table = csv.DictWriter(file, head, lineterminator="\r\n")
    table.writeheader()
    table.writerows(statement.harmless(row) for row in rows)
    return file.getvalue()


def _rows(content: bytes, head: Sequence[str]) -> list[Row]:
    table = csv.DictReader(io.StringIO(content.decode("utf-8"), newline=""))
    rows = list(table)
    if tuple(table.fieldnames or ()) != tuple(head) or any(None in row.values() for row in rows):
        raise PayloadError("ledger", "a table has other columns")
    return rows


def _place(folder: Path, texts: Mapping[str, str]) -> None:
    new = folder.absolute().with_name(folder.name + ".new")
    shutil.rmtree(new, ignore_errors=True)  # left by a run that was cut off
    try:
        new.mkdir(mode=0o700)
        for name, text in texts.items():
            file = new / name
            file.write_bytes(text.encode())
            file.chmod(0o600)
        new.replace(folder)
    except OSError as error:
        shutil.rmtree(new, ignore_errors=True)
        raise UnavailableError(f"cannot write {folder}: {error.strerror}; nothing of it is left") from error


def _check(folder: Path, name: str, wanted: str) -> None:
    if _sha256(_bytes(folder, name)) != wanted:
        raise PayloadError("ledger", f"{name} was changed after it was signed")


def _bytes(folder: Path, name: str) -> bytes:
    path = folder / name
    if "/" in name or "\\" in name or path.is_symlink():
        raise PayloadError("ledger", f"the manifest names a file outside: {name}")
    if path.stat().st_size > FILE_BYTES_MAX:
        raise PayloadError("ledger", f"{name} is larger than a ledger's files are")
    return path.read_bytes()


def _json(document: Mapping[str, Any]) -> str:
    return json.dumps(document, ensure_ascii=False, indent=1) + "\n"


def _file(content: bytes) -> dict[str, Any]:
    return {"bytes": len(content), "sha256": _sha256(content)}


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
