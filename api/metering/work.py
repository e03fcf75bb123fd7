"""What is done with prices and meters, by API or form: checked, written in one transaction, refused in words."""

import asyncio
import hashlib
from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

import psycopg

from api.database import Connection
from api.importing.receiving import Received
from api.metering.bodies import AllocationBody, FactorBody, InvoiceBody, LinkBody, PointBody, TariffBody
from api.problems import Problem
from api.registry.exchange import who
from api.service import Service
from kraj.importing import invoices as invoice_files
from kraj.importing import quarters as quarter_files
from kraj.importing.quarters import Found, Given, Quarter, Quarters
from kraj.meters import QUARTER_S, Comparison, Invoice, Point
from kraj.store import audit, imports, meters, reconciling, tariffs
from kraj.store.meters import MeterImport, NewImport
from kraj.tariffs import DAY, Direction

REFUSED: Final = {
    "tariff_overlap": ("tariff_overlap", 409),
    "metering_point_asset_overlap": ("link_overlap", 409),
    "metering_point_pkey": ("ean_taken", 409),
    "invoice_once": ("invoice_taken", 409),
    "allocation_key_ean_valid_from_ean_to_key": ("allocation_taken", 409),
    "allocation_key_sum": ("allocation_sum", 400),
}
"""Constraints that people meet, with what they are told."""
INVOICES_MAX: Final = 1000
"""Of one point: eighty years of months."""
_reading = asyncio.Semaphore(1)  # a file takes a whole core


@contextmanager
def refusals() -> Generator[None]:
    """The database's refusals as problems."""
    try:
        yield
    except psycopg.errors.InsufficientPrivilege as error:
        raise Problem("metering_right", 403) from error
    except psycopg.errors.IntegrityError as error:
        name = error.diag.constraint_name or ""
        if name in REFUSED:
            code, status = REFUSED[name]
            raise Problem(code, status) from error
        if isinstance(error, psycopg.errors.ForeignKeyViolation):
            raise Problem("metering_scope", 400) from error
        raise Problem("metering_value", 400, detail=name) from error


async def town(connection: Connection, name: str) -> int:
    """A municipality whose prices and meters the principal may write."""
    who()
    found = await tariffs.town(connection, name)
    if found is None:
        raise Problem("municipality", 404, name=name)
    if not found[2]:
        raise Problem("metering_right", 403)
    return found[0]


async def declare(connection: Connection, body: TariffBody, at: datetime) -> int:
    """A new version of a price; its number."""
    municipality_id = await town(connection, body.municipality)
    fields = body.model_dump(exclude={"municipality", "czk_per_kwh"})
    with refusals():
        return await tariffs.declare(
            connection,
            municipality_id,
            **fields,
            czk_per_kwh=Decimal(str(round(body.czk_per_kwh, 5))),
            who=who().title,
            at=at,
        )


async def withdraw(connection: Connection, number: int, why: str, at: datetime) -> None:
    """A version that never held."""
    if await tariffs.tariff(connection, number) is None:
        raise Problem("tariff", 404, name=number)
    if not await tariffs.withdraw(connection, number, why, at):
        raise Problem("withdrawn", 409)


async def declare_factor(connection: Connection, body: FactorBody, at: datetime) -> int:
    """A new factor, of a municipality or of the region."""
    who()
    town_id = None if body.municipality is None else await town(connection, body.municipality)
    if town_id is None and not (await tariffs.may_anywhere(connection))[1]:
        raise Problem("metering_right", 403)
    with refusals():
        return await tariffs.declare_factor(
            connection,
            town_id,
            g_per_kwh=Decimal(str(round(body.g_per_kwh, 2))),
            valid_from=body.valid_from,
            source=body.source,
            who=who().title,
            at=at,
        )


async def point(connection: Connection, ean: str, *, writing: bool = False) -> Point:
    """A point that the principal may see, or write about."""
    found = await meters.point(connection, ean)
    if found is None:
        raise Problem("ean", 404, name=ean)
    if writing:
        await town(connection, found.municipality)
    return found


async def add_point(connection: Connection, body: PointBody, at: datetime) -> None:
    """A new metering point."""
    municipality_id = await town(connection, body.municipality)
    with refusals():
        await meters.add_point(connection, municipality_id, body.model_dump(exclude={"municipality"}), at)


async def link(connection: Connection, ean: str, body: LinkBody, at: datetime) -> int:
    """Something that hangs on a point."""
    await point(connection, ean, writing=True)
    with refusals():
        return await meters.link(connection, ean, body.model_dump(), who().title, at)


async def end_link(connection: Connection, ean: str, number: int, last: date) -> None:
    """Something that hangs there no more."""
    await point(connection, ean, writing=True)
    with refusals():
        if not await meters.unlink(connection, ean, number, last):
            raise Problem("meter_link", 404, name=number)


async def add_invoice(connection: Connection, body: InvoiceBody, at: datetime) -> int:
    """An invoice; its number of ours."""
    await point(connection, body.ean, writing=True)
    fields = body.model_dump(exclude={"ean"}) | {"kwh": round(body.kwh, 3), "czk": round(body.czk, 2)}
    with refusals():
        return await meters.add_invoice(connection, body.ean, fields, who().title, at)


async def withdraw_invoice(connection: Connection, number: int, why: str, at: datetime) -> None:
    """An invoice that does not count."""
    if await meters.invoice(connection, number) is None:
        raise Problem("invoice", 404, name=number)
    if not await meters.withdraw_invoice(connection, number, why, at):
        raise Problem("withdrawn", 409)


async def allocate(connection: Connection, body: AllocationBody, at: datetime) -> int:
    """A version of who gets what; the first of its numbers."""
    await point(connection, body.ean, writing=True)
    shares = {one.ean: Decimal(str(round(one.share_pct, 3))) for one in body.shares}
    with refusals():
        told = (body.source, who().title, at)
        return await meters.allocate(connection, body.ean, shares, body.valid_from, told)


async def reconciled(
    connection: Connection, found: Point, direction: Direction, year: int
) -> tuple[list[Comparison], list[Comparison]]:
    """A point's year by month, and by each of its invoices that ends in it."""
    months = [(date(year, n, 1), date(year + n // 12, n % 12 + 1, 1) - DAY) for n in range(1, 13)]
    every: list[Invoice] = await meters.invoices(connection, ean=found.ean, limit=INVOICES_MAX)
    spans = [
        (one.period_from, one.period_until)
        for one in every
        if one.period_until.year == year and one.direction == direction and one.withdrawn_at is None
    ]
    spans = sorted(set(spans))
    compared = await reconciling.compared(connection, found, direction, [*months, *spans], every)
    return compared[:12], compared[12:]


async def read_file(content: str, file: Received, given: Given, now: datetime) -> Quarters | invoice_files.Invoices:
    """A file as understood. Raises ``Unreadable``."""
    async with _reading:
        if content == "invoices":
            return await asyncio.to_thread(invoice_files.parse, file.data)
        return await asyncio.to_thread(quarter_files.parse, file.data, given, now)


async def may_upload(service: Service) -> None:
    """Refuse, before anything is read, who has no meters to write about."""
    who()
    async with service.database.connection() as connection:
        if not (await tariffs.may_anywhere(connection))[0]:
            raise Problem("metering_right", 403)


async def keep(connection: Connection, file: Received, read: Quarters | invoice_files.Invoices, at: datetime) -> int:
    """Keep a preview; its number."""
    await imports.take_time(connection)
    towns, _ = await tariffs.may_anywhere(connection)
    if not towns:
        raise Problem("metering_right", 403)
    digest = hashlib.sha256(file.data).digest()
    same = await meters.same_file(connection, digest)
    found = [] if same is None else [Found("same_file", None, {"import": same})]
    by_ean: dict[str, dict[int, Quarter]] = {}
    rows: list[dict[str, Any]] = []
    if isinstance(read, Quarters):
        known = await meters.writable(connection, list(read.by_ean))
        found += [Found("unknown_ean", None, {"ean": ean}) for ean in sorted(read.by_ean.keys() - known.keys())]
        by_ean = {ean: held for ean, held in read.by_ean.items() if ean in known}
    else:
        known = await meters.writable(connection, [row["ean"] for row in read.rows])
        found += [Found("invoice_ean", row["row"], {"ean": row["ean"]}) for row in read.rows if row["ean"] not in known]
        rows = [row for row in read.rows if row["ean"] in known]
        found += await _billed_before(connection, rows)
    wrong = read.wrong + sum(one.wrong for one in found)
    found += read.found
    summary: list[dict[str, Any]] = []
    if isinstance(read, Quarters):
        for ean, held in sorted(by_ean.items()):
            before = await meters.held(connection, ean, list(held))
            summary.append(await asyncio.to_thread(_summary, ean, held, known[ean][1], read, before))
    new = NewImport(
        person_id=who().person_id,
        content="quarters" if isinstance(read, Quarters) else "invoices",
        file_name=file.name,
        file_digest=digest,
        format=read.format,
        encoding=read.encoding,
        findings=[one.as_json() for one in found[: quarter_files.FOUND_MAX]],
        summary=summary,
        invoices=rows,
        rows_all=read.rows if isinstance(read, Quarters) else read.count,
        rows_wrong=wrong,
        at=at,
    )
    with refusals():
        number = await meters.keep(connection, new, {} if wrong else by_ean, known)
    await audit.note(connection, "metering.uploaded", f"meter import {number}")
    return number


async def _billed_before(connection: Connection, rows: list[dict[str, Any]]) -> list[Found]:
    found: list[Found] = []
    for ean in {row["ean"] for row in rows}:
        there = await meters.invoices(connection, ean=ean, limit=INVOICES_MAX)
        keys = {(one.number, one.direction) for one in there if one.withdrawn_at is None}
        found += [
            Found("invoice_there", row["row"], {"value": row["number"]})
            for row in rows
            if row["ean"] == ean and (row["number"], row["direction"]) in keys
        ]
    return found


def _summary(
    ean: str, held: dict[int, Quarter], title: str, read: Quarters, before: dict[int, Quarter]
) -> dict[str, Any]:
    first, last = min(held), max(held)
    changed = sum(
        1
        for at, one in held.items()
        if (old := before.get(at)) is not None
        and any(
            getattr(one, name) is not None and getattr(one, name) != getattr(old, name)
            for name in ("import_wh", "export_wh", "shared_wh", "status")
        )
    )

    def total(name: str) -> float | None:
        there = [value for one in held.values() if (value := getattr(one, name)) is not None]
        return sum(there) / 1000 if there else None

    return {
        "ean": ean,
        "title": title,
        "first": datetime.fromtimestamp(first, UTC).isoformat(),
        "until": (datetime.fromtimestamp(last, UTC) + timedelta(seconds=QUARTER_S)).isoformat(),
        "quarters": len(held),
        "missing": (last - first) // QUARTER_S + 1 - len(held),
        "doubled": read.doubled.get(ean, 0),
        "substitute": sum(one.status == "substitute" for one in held.values()),
        "import_kwh": total("import_wh"),
        "export_kwh": total("export_wh"),
        "shared_kwh": total("shared_wh"),
        "new": sum(at not in before for at in held),
        "changed": changed,
    }


def applicable(found: MeterImport) -> bool:
    """Whether a preview can be applied as it stands."""
    return found.state == "preview" and not found.rows_wrong and bool(found.summary or found.invoices)


async def an_import(connection: Connection, number: int) -> MeterImport:
    """An import, or 404."""
    found = await meters.an_import(connection, number)
    if found is None:
        raise Problem("meter_import", 404, name=number)
    return found


async def step(connection: Connection, number: int, at: datetime, *, undone: bool) -> int:
    """Apply a preview or take back what is applied; how many quarter-hours or invoices it was about."""
    person = who()
    await imports.take_time(connection)
    found = await an_import(connection, number)
    if found.state != ("applied" if undone else "preview"):
        raise Problem("import_state", 409, state=found.state)
    if not undone and not applicable(found):
        raise Problem("import_wrong", 409, count=found.rows_wrong)
    with refusals():
        done = await meters.step(connection, number, undone=undone, who=person.title, at=at)
    if done is None:
        raise Problem("metering_right", 403)
    word = "metering.undone" if undone else "metering.applied"
    await audit.note(connection, word, f"meter import {number}", {"rows": done})
    return done
