"""The page of labels: devices that were never heard, codes for the chosen ones, and a sheet of QR codes to print."""

from dataclasses import dataclass
from datetime import datetime

from fastapi import APIRouter, Request
from fastapi.responses import Response
from markupsafe import Markup

from api import cursors, rights
from api.desk.labels import enrolment_uri, picture
from api.problems import Problem
from api.registry import work
from api.rulebook import forms
from api.site import Site, with_parameters
from kraj.store import desk as store
from kraj.store.desk import QuietDevice

LABELS = "/labels"
SHEET_MAX = 60
"""Codes that are given out at once: three sheets of paper, and an answer of a fifth of a megabyte."""


@dataclass(frozen=True, slots=True)
class Label:
    """What is printed for a device."""

    device: QuietDevice
    code: str
    picture: Markup
    expires_at: datetime


def add(router: APIRouter, site: Site, public_url: str | None) -> None:
    """The page and its form."""

    @router.get(LABELS)
    async def choose(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        rights.require("register")
        given = request.query_params.get("import", "")
        number = int(given) if given.isascii() and given.isdecimal() and len(given) < 10 else None
        after = cursors.text(request.query_params.get("cursor"), LABELS)
        async with site.service.database.connection() as connection:
            rows = await store.quiet_devices(connection, after=after, limit=SHEET_MAX + 1, import_id=number)
        beyond = cursors.encode(LABELS, rows[SHEET_MAX - 1].name) if len(rows) > SHEET_MAX else None
        return site.page(
            request,
            "desk_labels.html",
            rows=rows[:SHEET_MAX],
            import_id=number,
            following=beyond and with_parameters(request, cursor=beyond),
        )

    @router.post(LABELS)
    async def give_out(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        """The codes stand on the answer itself: they are shown once and in no address."""
        rights.require("register")
        given = await forms.read(request)
        names = sorted(
            name.removeprefix("device.") for name in given if name.startswith("device.") and "\0" not in name
        )
        if not names or len(names) > SHEET_MAX:
            raise Problem("labels", 422, count=len(names), most=SHEET_MAX)
        at, made = address(request, public_url), list[Label]()
        async with site.service.database.connection(write=True) as connection:
            codes = {name: await work.provision(connection, name, site.service.clock()) for name in names}
            for row in await store.named(connection, names):
                code, expires_at = codes[row.name]
                made.append(Label(row, code, picture(enrolment_uri(at, row.name, code)), expires_at))
        return site.page(request, "desk_sheet.html", labels=made)


def address(request: Request, public_url: str | None) -> str:
    """Where a device brings its code: the address of the pages."""
    return public_url or str(request.base_url)
