"""The composition root: one FastAPI application from settings, a database and a clock."""

import gc
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import uvicorn
from fastapi import FastAPI

from api import (
    accessibility,
    alert_pages,
    alerts,
    auditing,
    document,
    enrolment,
    health,
    pages,
    pictures,
    problems,
    registry,
    rest,
    stream,
)
from api.bounds import Bounds
from api.database import Database
from api.desk import pages as desk_pages
from api.door import opening
from api.door.keeper import Keeper, Memory
from api.energy import pages as energy_pages
from api.energy import routes as energy_routes
from api.firmware import pages as firmware_pages
from api.firmware import routes as firmware_routes
from api.foreign import pages as foreign_pages
from api.foreign import routes as foreign_routes
from api.foreign import upkeep_pages as foreign_upkeep
from api.importing import pages as import_pages
from api.importing import routes as import_routes
from api.importing.work import Importer
from api.lighting import ledger_pages as light_ledger_pages
from api.lighting import ledger_routes as light_ledger
from api.lighting import order_pages as light_order_pages
from api.lighting import order_routes as light_orders
from api.lighting import pages as light_pages
from api.lighting import program_pages as light_program_pages
from api.lighting import routes as light_routes
from api.metering import import_routes as meter_imports
from api.metering import pages as meter_pages
from api.metering import point_routes
from api.metering import routes as tariff_routes
from api.mounting import mount
from api.notifications import contact_pages, contact_routes
from api.offline import pages as offline_pages
from api.open311 import desk_pages as request_pages
from api.open311 import desk_routes as request_routes
from api.open311 import reported
from api.open311 import routes as open311_routes
from api.opendata import pages as opendata_pages
from api.opendata.serving import Unpacked
from api.orders import following, listing
from api.orders import routes as order_routes
from api.public import opening as public_opening
from api.public.shelf import Front
from api.registry import mapping_pages
from api.registry import pages as registry_pages
from api.renewing import Renewer
from api.reports import routes as report_routes
from api.rulebook import pages as rulebook_pages
from api.rulebook import routes as rulebook_routes
from api.rulebook import rule_pages
from api.rulebook.trials import Trials
from api.sensorthings import routes as sensorthings_routes
from api.service import Clock, Service
from api.site import Site, Static
from api.texts import catalogues
from api.throttle import Throttle
from api.watch import Watch
from kraj import clock as clocks
from kraj.errors import ConfigurationError
from kraj.sealing import Sealer
from kraj.settings import Settings

DESCRIPTION = """\
Telemetry of street lights, cabinets, smart stops and rooftop PV, and the alerts that rules raise from it.

Metric names carry their unit and are the same here, in MQTT, SQL and Grafana. Times are ISO 8601 in UTC. A metric that
is missing is unknown. Lists are paged: pass `next_cursor` back as `cursor`. Errors are problem details (RFC 9457) with
a `hint` in Czech or English by `Accept-Language` or `?lang=`.
"""


def create(settings: Settings, database_url: str, *, clock: Clock = clocks.real, wall: Clock = clocks.real) -> FastAPI:
    """Build the application on a database, reached as the role ``kraj_api``; nothing is opened before it starts.

    ``clock`` is the region's, which a demo shifts; ``wall`` is real time, by which sessions and codes end. Raises
    ``ConfigurationError`` when others could reach ``settings.api_host`` without TLS.
    """
    opening.check_listening(settings)
    service = Service(Database(database_url), clock, catalogues(), mails=settings.mail_url_file is not None)
    trials = Trials(service, database_url)
    importer = Importer(service)
    renewer = Renewer(service, settings.authority_folder, wall)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncGenerator[None]:
        async with service.database, trials, importer, renewer:
            yield

    app = FastAPI(
        title="Kraj",
        version="1",
        description=DESCRIPTION,
        lifespan=lifespan,
        docs_url=None,  # it would load scripts from elsewhere
        redoc_url=None,
    )
    site = Site(service)
    answer = problems.install(app, service, site.problem)
    memory = Memory()
    door = opening.door(settings, service, site, memory, wall)
    opening.install(app, door)
    desk = alerts.Desk(service)
    sealer = Sealer(settings.state_dir / "secrets")
    mount(
        app,
        health.routes(service),
        rest.routes(service),
        registry.routes(service),
        stream.routes(service),
        import_routes.routes(importer),
        auditing.routes(service),
        alerts.routes(desk),
        rulebook_routes.routes(service, trials),
        contact_routes.routes(service),
        order_routes.routes(service),
        request_routes.routes(service),
        firmware_routes.routes(service),
        foreign_routes.routes(service, sealer),
        energy_routes.routes(service),
        light_routes.routes(service),
        light_ledger.routes(service),
        light_orders.routes(service),
        tariff_routes.routes(service),
        point_routes.routes(service),
        meter_imports.routes(importer),
        enrolment.routes(service, settings.authority_folder, wall),
    )
    report_routes.add(app, site)
    mount(  # pages, and what has a standard's description of its own; paths of words before those of numbers
        app,
        open311_routes.routes(service, page=settings.public_url),
        sensorthings_routes.routes(service),
        import_pages.routes(site, importer),
        order_routes.pages(site, desk),
        listing.routes(site, desk),
        following.routes(site, desk),
        firmware_pages.routes(site),
        foreign_pages.routes(site),
        foreign_upkeep.routes(site, sealer),
        rulebook_pages.routes(site),
        rule_pages.routes(site, trials),
        contact_pages.routes(site, settings.push_public_key),
        energy_pages.routes(site, desk),
        light_program_pages.routes(site),
        light_order_pages.routes(site),
        light_ledger_pages.routes(site),
        light_pages.routes(site),
        meter_pages.routes(site, importer),
        request_pages.routes(site),
        registry_pages.routes(site, settings.public_url),
        desk_pages.routes(site, settings.public_url),
        mapping_pages.routes(site),
        pages.routes(site, desk),
        alert_pages.routes(site, desk),
        pictures.routes(site, desk),
        reported.routes(site),
        documented=False,
    )
    offline_pages.install(app, site)
    opendata_pages.install(app, site, settings.opendata_folder)
    operator, contact = settings.opendata_publisher, settings.accessibility_contact
    mount(app, accessibility.routes(site, operator=operator, contact=contact), documented=False)
    shelf = public_opening.install(app, site)
    app.mount("/static", Static())
    per_s, burst = settings.api_share_per_s, settings.api_share_burst
    share = Throttle(per_s, burst) if per_s else None
    app.add_middleware(Keeper, service=service, answer=answer, wall=wall, memory=memory, share=share)
    app.add_middleware(Unpacked, minimum_size=2000, compresslevel=5)
    app.add_middleware(Bounds)
    app.add_middleware(Front, shelf=shelf)
    app.add_middleware(Watch, requests=service.requests, public_url=settings.public_url)
    app.openapi = lambda: document.openapi(app)
    return app


def run(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT.

    Raises ``ConfigurationError`` without a database, or for an address that others could reach.
    """
    if settings.database_url is None:
        raise ConfigurationError(
            "the API has no database: set KRAJ_DATABASE_URL to one as the role kraj_api, or start it with `kraj up`"
        )
    app = create(settings, settings.database_url.get_secret_value(), clock=clocks.shifted(settings.clock_offset_s))
    # What is here now stays for good: looking through all of it held every request up for a tenth of a second.
    gc.collect()
    gc.freeze()
    uvicorn.run(
        app,
        host=settings.api_host,
        port=settings.api_port,
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=settings.public_url is not None,
        forwarded_allow_ips=settings.api_proxies,
        timeout_keep_alive=30,
        timeout_graceful_shutdown=5,
    )
