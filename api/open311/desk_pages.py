"""Citizens' reports for the people of their town: the list, and a report with what one says of it."""

from datetime import datetime, time, timedelta

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from pydantic import ValidationError

from api import acting
from api.open311 import desk_bodies as bodies
from api.open311.desk_routes import RequestNumber, changed, seen
from api.parameters import TEXT_CHARS_MAX
from api.problems import Problem
from api.rulebook import forms
from api.site import Site, with_parameters
from kraj.service_requests import BY_HAND, NOTES_CHARS_MAX, SERVICES, THINGS
from kraj.store import queries
from kraj.store import request_desk as store

PAGE = "/requests"
ROWS_MAX = 50
FOUND_MAX = 20
NUMBER_MAX = 2**63 - 1
FILTERS = ("municipality", "status", "source", "q", "before")


def routes(site: Site) -> APIRouter:
    """The pages."""
    router = APIRouter(default_response_class=HTMLResponse)
    _add_list(router, site)
    _add_one(router, site)
    return router


def _add_list(router: APIRouter, site: Site) -> None:
    @router.get(PAGE)
    async def listed(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        asked = {name: request.query_params.get(name, "").replace("\0", "")[:TEXT_CHARS_MAX] for name in FILTERS}
        # Those without a place are open ones that somebody has to look at.
        which = store.Which(
            status={"closed": "closed", "all": None}.get(asked["status"], "open"),  # pyright: ignore[reportArgumentType]
            placed=False if asked["status"] == "unplaced" else None,
            municipality=asked["municipality"] or None,
            text=asked["q"] or None,
            source=asked["source"] or None,
            first_only=True,
        )
        before = asked["before"]
        number = int(before) if before.isascii() and before.isdigit() else NUMBER_MAX
        async with site.service.database.connection() as connection:
            rows = await store.reports(connection, which, before=min(number, NUMBER_MAX), limit=ROWS_MAX + 1)
            beside = await store.merged(connection, [row.request_number for row in rows[:ROWS_MAX]])
            towns = await queries.municipalities(connection)
        shown = rows[:ROWS_MAX]
        return site.page(
            request,
            "requests.html",
            rows=[(row, [one for one in beside if one.merged_into == row.request_number]) for row in shown],
            older=with_parameters(request, before=str(shown[-1].request_number)) if len(rows) > ROWS_MAX else None,
            which=asked,
            chosen=any(asked[name] for name in FILTERS),
            towns=[row for row in towns if row.assets],
            services=SERVICES,
            text_max=TEXT_CHARS_MAX,
        )


def _add_one(router: APIRouter, site: Site) -> None:
    @router.get(PAGE + "/{request_number}")
    async def one(request: Request, request_number: RequestNumber) -> Response:  # pyright: ignore[reportUnusedFunction]
        return await _page(site, request, request_number)

    @router.post(PAGE + "/{request_number}")
    async def tell(request: Request, request_number: RequestNumber) -> Response:  # pyright: ignore[reportUnusedFunction]
        given = {name: value.replace("\0", "") for name, value in (await forms.read(request)).items()}
        try:
            version = _version(given)
            async with site.service.database.connection(write=True) as connection:
                row = await seen(connection, request_number)
                body = _body(site, given, row)
                if row.version != version or not await changed(connection, row, version, body, site.service.clock()):
                    raise Problem("report_changed", 409)
        except Problem as problem:
            if problem.status in (401, 403, 404):
                raise
            return await _page(site, request, request_number, given, problem)
        said = "placed" if body.asset_id is not None else "saved"
        return RedirectResponse(f"{PAGE}/{request_number}?said={said}#said", 303)


def _version(given: dict[str, str]) -> int:
    version = given.get("version", "")
    if not (version.isascii() and version.isdigit() and len(version) < 10):
        raise Problem("body", 400, name="version", value=version)
    return int(version)


def _body(site: Site, given: dict[str, str], row: store.Report) -> bodies.ServiceRequestChange:
    """What the form says; what stands in it as before is not said again."""
    fields: dict[str, object] = {}
    if "asset_id" in given:
        fields["asset_id"] = given["asset_id"]
    outcome = given.get("outcome", "")
    if outcome and outcome != (row.closed_how or "open"):
        fields |= {"status": "open"} if outcome == "open" else {"status": "closed", "closed_how": outcome}
    if "status_notes" in given:
        fields["status_notes"] = given["status_notes"].strip() or None
    if "expected" in given and given["expected"] != _day(site, row.expected_at):
        fields["expected_at"] = _evening(site, given["expected"]) if given["expected"] else None
    try:
        return bodies.ServiceRequestChange.model_validate(fields)
    except ValidationError as error:
        raise acting.wrong(error) from error


def _evening(site: Site, day: str) -> datetime:
    """The end of a day here: so long one may still expect it."""
    start = forms.moment(f"{day}T00:00", "expected", site.zone)
    return datetime.combine(start.date(), time(23, 59), site.zone)


def _day(site: Site, moment: datetime | None) -> str:
    return "" if moment is None else moment.astimezone(site.zone).date().isoformat()


async def _page(
    site: Site,
    request: Request,
    request_number: int,
    given: dict[str, str] | None = None,
    wrong: Problem | None = None,
) -> Response:
    asked = request.query_params.get("q", "").replace("\0", "").strip()[:TEXT_CHARS_MAX]
    async with site.service.database.connection() as connection:
        row = await seen(connection, request_number)
        kinds = SERVICES[row.service_code].kinds or THINGS
        found = await store.things(connection, asked, row.municipality, kinds, FOUND_MAX) if asked else None
        beside = await store.merged(connection, [row.request_number])
        may_act = await store.may_act(connection, row.request_number)
    today = site.service.clock().astimezone(site.zone).date()
    kept = given or {}
    return site.page(
        request,
        "request.html",
        wrong.status if wrong else 200,
        wrong=forms.told(site.service, request, wrong) if wrong else None,
        row=row,
        beside=beside,
        asked=asked,
        found=found,
        may_act=may_act,
        service=SERVICES[row.service_code],
        outcomes=[*BY_HAND] if row.closed_how != "verified" else ["verified", *BY_HAND],
        outcome=kept.get("outcome") or row.closed_how or "open",
        notes=kept.get("status_notes", row.status_notes or ""),
        expected=kept.get("expected", _day(site, row.expected_at)),
        first_day=today.isoformat(),
        last_day=(today + bodies.EXPECTED_MAX - timedelta(days=1)).isoformat(),
        notes_max=NOTES_CHARS_MAX,
        text_max=TEXT_CHARS_MAX,
        said=request.query_params.get("said", ""),
    )
