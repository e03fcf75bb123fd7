"""The pages for people: the fleet with its map, an asset, the quarantine, and errors."""

import re
import uuid
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlencode

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response
from markupsafe import Markup, escape

from api import alert_schemas, chart, formats, maps, parameters, principal, rest, schemas, told
from api.alert_pages import Line, counted, lit
from api.alerts import Desk
from api.coverage import Coverage, Standing
from api.database import Connection
from api.freshness import HEARTBEATS_MISSED_MAX, Condition, condition
from api.language import choose
from api.maps import QUIET, Drawing, Place
from api.problems import Problem
from api.registry import unregistered
from api.registry.shown import Unregistered
from api.site import Site, with_parameters
from api.texts import Catalogue
from kraj.attributes import ATTRIBUTES
from kraj.commands import Command
from kraj.kinds import KINDS
from kraj.metrics import Kind, Metric, Title, Type
from kraj.store import commands, queries, rulebook
from kraj.store.queries import AssetFilter, HeadlineRow, folded, lighting

ROWS_MAX = 200
QUARANTINE_ROWS = 50
POLL_MS = 2000
POLL_MS_LARGE = 10_000
TOWN_MAX = 20_000
"""Assets of one municipality on its map, in the list's pages, and kept fresh."""
LARGE = 2000
"""Above this many shown assets an answer is worth a second of a phone's line, so it is asked for more rarely."""
ALERTS_MAX = 100
"""Of one asset; more than a few at once would be a fault of the rules."""
SAID = {
    "light": "crew.said.light",
    "unmuted": "asset.unmuted",
    **{one: f"registry.said.{one}" for one in ("added", "changed", "retired")},
}
"""What the page of an asset says of what was just done to it."""
DIGITS = re.compile(r"(\d{1,18})")
NUMERIC = frozenset({Type.REAL, Type.INTEGER, Type.COUNTER})


def routes(site: Site, desk: Desk) -> APIRouter:
    """Every page about what there is."""
    router = APIRouter(default_response_class=HTMLResponse, dependencies=[counted(site)])

    @router.get("/")
    async def fleet(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        return await _fleet(site, request)

    @router.get("/assets/{asset_id}")
    async def asset(request: Request, asset_id: rest.AssetId) -> Response:  # pyright: ignore[reportUnusedFunction]
        return await _asset(site, desk, request, asset_id)

    @router.get("/quarantine")
    async def quarantine(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        asked = parameters.Page.model_validate({"limit": QUARANTINE_ROWS, "cursor": request.query_params.get("cursor")})
        page = await rest.quarantined(site.service, asked, choose(request))
        older = page.next_cursor and with_parameters(request, cursor=page.next_cursor)
        return site.page(
            request,
            "quarantine.html",
            page=page,
            older=older,
            first=asked.cursor is None,
            claims=await _claims(site, {item.source for item in page.items if item.reason == "unknown_device"}),
            key=str(uuid.uuid4()),
        )

    @router.get("/problems/{code}")
    async def problem(request: Request, code: str) -> Response:  # pyright: ignore[reportUnusedFunction]
        say = site.service.texts[choose(request)]
        if f"problem.{code}.title" not in say.texts:
            raise Problem("not_found", 404, path=request.url.path)
        return site.page(request, "explained.html", title=say.texts[f"problem.{code}.title"], code=code)

    return router


async def _claims(site: Site, sources: set[str]) -> dict[str, Unregistered]:
    """What the devices behind these messages would become, for who may register them."""
    who = principal.current.get()
    if not sources or who is None or "register" not in who.rights:
        return {}
    asked = unregistered.UnregisteredParameters.model_validate({"limit": parameters.PAGE_MAX})
    waiting = await unregistered.waiting(site.service, asked)
    return {item.name: item for item in waiting.items if item.name in sources and item.municipality_title}


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the list."""

    asset: HeadlineRow
    condition: Condition


async def _fleet(site: Site, request: Request) -> Response:
    which = _filter(request)
    async with site.service.database.connection() as connection:
        municipalities = await queries.municipalities(connection)
        most = TOWN_MAX if which.municipality else parameters.GLANCES_MAX
        found = await queries.headlines(connection, which, after=0, limit=most)
    totals = await rest.all_totals(site.service)
    at = site.service.clock()
    rows = [Row(row, stands) for row in found if (stands := rest.standing(row, at)) is not None]
    titles = {row.title: folded(row.title) for row in municipalities}
    rows.sort(key=lambda row: (titles.get(row.asset.municipality_title, ""), _natural(row.asset.label)))
    pages = max(1, -(-len(rows) // ROWS_MAX))
    page = min(pages, _page_number(request))
    asked = {"municipality": which.municipality, "kind": which.kind, "q": which.text}
    return site.page(
        request,
        "fleet.html",
        which=which,
        municipalities=sorted(municipalities, key=lambda row: folded(row.title)),
        registered=sum(row.assets for row in municipalities),
        rows=[(row.asset, rest.glance(row.asset, at)) for row in rows[(page - 1) * ROWS_MAX : page * ROWS_MAX]],
        count=len(rows),
        capped=len(found) == most,
        summary=summary(rows),
        totals=totals,
        totals_sentence=_totals_sentence(site, request, totals),
        map=_drawing(rows),
        page_number=page,
        pages=pages,
        previous_page=with_parameters(request, page=str(page - 1)) if page > 1 else None,
        next_page=with_parameters(request, page=str(page + 1)) if page < pages else None,
        latest_url="/v1/latest?" + urlencode({name: value for name, value in asked.items() if value}),
        poll_ms=POLL_MS_LARGE if len(rows) > LARGE else POLL_MS,
        live_texts=_live_texts(site, request, ()),
        cluster_url=lambda name: with_parameters(request, municipality=str(name)),  # pyright: ignore[reportUnknownLambdaType, reportUnknownArgumentType]
    )


def summary(rows: Sequence[Row]) -> dict[str, int]:
    """How many are in which condition; ``quiet`` are silent or offline."""
    counts = Counter(row.condition for row in rows)
    return {
        "reporting": counts[Condition.REPORTING],
        "unusual": counts[Condition.UNUSUAL],
        "quiet": sum(counts[condition] for condition in QUIET),
        "never": counts[Condition.NEVER],
    }


def _drawing(rows: Sequence[Row]) -> Drawing:
    return maps.draw(
        [
            Place(
                asset_id=row.asset.asset_id,
                kind=row.asset.kind,
                label=row.asset.label,
                municipality=row.asset.municipality,
                title=row.asset.municipality_title,
                latitude=row.asset.latitude,
                longitude=row.asset.longitude,
                condition=row.condition,
            )
            for row in rows
        ]
    )


def _filter(request: Request) -> AssetFilter:
    """Empty fields of the form are no wish."""
    given = {name: value.replace("\0", "").strip() for name, value in request.query_params.items()}
    kind = given.get("kind") or None
    if kind is not None and kind not in KINDS:
        raise Problem("kind", 400, kind=kind, kinds=", ".join(KINDS))
    text = given.get("q", "")[: parameters.TEXT_CHARS_MAX] or None
    return AssetFilter(municipality=given.get("municipality") or None, kind=kind, text=text)


def _page_number(request: Request) -> int:
    page = request.query_params.get("page", "1")
    return int(page) if re.fullmatch(r"[1-9][0-9]{0,5}", page) else 1


def _natural(text: str) -> list[tuple[int, str]]:
    """VO-9 stands before VO-10."""
    return [(int(part), "") if part.isdecimal() else (0, part) for part in DIGITS.split(folded(text))]


def _totals_sentence(site: Site, request: Request, totals: schemas.Totals) -> Markup:
    language = choose(request)
    strong = Markup('<strong data-total="{}">{}</strong>')
    figures = {
        name: strong.format(name, formats.number(getattr(totals, name), language))
        for name in ("received", "committed", "duplicate", "quarantined", "in_flight")
    }
    sentence = escape(site.service.texts[language].texts["totals.sentence"])
    return sentence.format(**figures)


def _live_texts(site: Site, request: Request, kinds: Iterable[Kind]) -> dict[str, str]:
    """What the script that keeps the page fresh must be able to say."""
    say = site.service.texts[choose(request)]
    names = [name for name in say.texts if name.split(".")[0] in ("ago", "live", "condition", "yes_no")]
    words = {word for kind in kinds for metric in kind.metrics for word in (*metric.states, *metric.bits)}
    texts = {name: say.texts[name] for name in (*names, "map.cluster")}
    return texts | {f"word.{word}": say.word(word) for word in sorted(words)}


@dataclass(frozen=True, slots=True)
class MetricRow:
    """A metric of an asset with its value."""

    metric: Metric
    value: queries.Value
    plausible: bool


async def _asset(site: Site, desk: Desk, request: Request, asset_id: int) -> Response:
    at = site.service.clock()
    start = at - timedelta(hours=chart.HOURS)
    async with site.service.database.connection() as connection:
        asset = await queries.asset(connection, asset_id)
        if asset is None or asset.kind not in KINDS:
            raise Problem("asset", 404, name=asset_id)
        kind = KINDS[asset.kind]
        reading = await queries.latest(connection, kind, asset_id)
        headline = kind.by_name[kind.headline]
        spans: list[queries.Span] = []
        if headline.type in NUMERIC:
            stretch = queries.Stretch(asset_id=asset_id, from_ts=start, to_ts=at)
            origin = datetime.fromtimestamp(0, at.tzinfo)
            spans = await queries.series(connection, kind, headline, stretch, step_s=chart.STEP_S, origin=origin)
        which = queries.AlertFilter(asset_id=asset_id, causes=False)
        alerts = await queries.alerts(connection, which, before=None, limit=ALERTS_MAX)
        lightable = asset.device is not None and lighting.switches(asset.kind, asset.metadata)
        lit = await _lit(connection, asset_id, at) if lightable else None
        lightable = lightable and asset.retired_at is None and await _may(connection, asset_id, "act", "control")
        unmutable = await _may(connection, asset_id, "act")
        failures = await rulebook.failures(connection)
    say = site.service.texts[choose(request)]
    teller = await desk.telling()
    said = request.query_params.get("said", "")
    values = reading.values if reading else {}
    flagged = reading.implausible if reading else []
    return site.page(
        request,
        "asset.html",
        asset=asset,
        kind=kind,
        reading=reading,
        condition=condition(kind, online=asset.online, last=reading and reading.ts, implausible=bool(flagged), at=at),
        known=[MetricRow(m, values[m.name], m.name not in flagged) for m in kind.metrics if m.name in values],
        missing=[metric for metric in kind.metrics if metric.name not in values],
        headline=headline,
        chart=chart.chart(spans, start, site.zone, HEARTBEATS_MISSED_MAX * kind.heartbeat_s),
        live_texts=_live_texts(site, request, [kind]),
        poll_ms=POLL_MS,
        zone=site.zone,
        alerts=[Line(row, teller.tell(row, say)) for row in alerts],
        coverage=_by_standing(await desk.coverage(asset, reading)),
        names=told.titles(asset.kind),
        title_of=alert_schemas.title,
        lightable=lightable,
        lit=lit,
        retriable={row.rule for row in failures if row.writable},
        unmutable=unmutable,
        said=SAID.get(said),
        registered=_registered(asset, say),
    )


def _registered(asset: queries.AssetRow, say: Catalogue) -> Sequence[tuple[str | Title, str, str]]:
    """What is written of the asset: by its title, or by the key that somebody has made up."""
    known = {one.name: one for one in ATTRIBUTES[asset.kind]}
    own = [(key, str(value), "") for key, value in asset.metadata.items() if key not in known]
    declared = [(one, asset.metadata[one.name]) for one in known.values() if one.name in asset.metadata]
    return [(one.title, *told.registered(one, value, say)) for one, value in declared] + own


async def _may(connection: Connection, asset_id: int, *wanted: str) -> bool:
    """Whether who asks has one of these rights there; who works on alerts, or controls light, may have it lit."""
    found = await lighting.town_of(connection, municipality=None, group_id=None, asset_id=asset_id)
    town = None if found is None else found[0]
    rights = [
        await lighting.may(connection, right, municipality_id=town, group_id=None, asset_id=asset_id)
        for right in wanted
    ]
    return any(rights)


async def _lit(connection: Connection, asset_id: int, at: datetime) -> Command | None:
    """The order of full light that holds now."""
    return lit(await commands.commands(connection, asset_id=asset_id, limit=5), at)


def _by_standing(found: Sequence[Coverage]) -> dict[str, list[Coverage]]:
    """Those that run last, as what does not is what somebody looks for."""
    order = (Standing.FAILED, Standing.MUTED, Standing.OFF, Standing.LACKS, Standing.RUNS)
    return {str(one): [rule for rule in found if rule.standing is one] for one in order}
