"""The composition root: one FastAPI application from settings, a database and a clock."""

import ipaddress
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import uvicorn
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from starlette.middleware.gzip import GZipMiddleware

from api import alert_pages, alerts, health, pages, pictures, problems, rest
from api.database import Database
from api.service import Clock, Service
from api.site import Site, static
from api.texts import catalogues
from api.watch import Watch
from kraj import clock as clocks
from kraj.errors import ConfigurationError
from kraj.settings import Settings

DESCRIPTION = """\
Telemetry of street lights, cabinets, smart stops and rooftop PV, and the alerts that rules raise from it.

Metric names carry their unit and are the same here, in MQTT, SQL and Grafana. Times are ISO 8601 in UTC. A metric that
is missing is unknown. Lists are paged: pass `next_cursor` back as `cursor`. Errors are problem details (RFC 9457) with
a `hint` in Czech or English by `Accept-Language` or `?lang=`.
"""


def create(settings: Settings, database_url: str, *, clock: Clock = clocks.real) -> FastAPI:
    """Build the application on a database, reached as the role ``kraj_api``; nothing is opened before it starts.

    Raises ``ConfigurationError`` when ``settings.api_host`` is not an address of this machine alone.
    """
    check_loopback(settings.api_host)
    service = Service(Database(database_url), clock, catalogues())

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncGenerator[None]:
        async with service.database:
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
    problems.install(app, service, site.problem)
    app.include_router(health.routes(service))
    app.include_router(rest.routes(service))
    desk = alerts.Desk(service)
    app.include_router(alerts.routes(desk))
    for made in (pages.routes(site, desk), alert_pages.routes(site, desk), pictures.routes(site, desk)):
        app.include_router(made, include_in_schema=False)
    app.mount("/static", static())
    app.add_middleware(GZipMiddleware, minimum_size=2000, compresslevel=5)
    app.add_middleware(Watch, requests=service.requests)
    app.openapi = lambda: openapi(app)
    return app


def openapi(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI 3.1 document, made once: with our problem details in place of FastAPI's 422, which we never send."""
    if app.openapi_schema is None:
        schema = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
        for path in schema["paths"].values():
            for operation in path.values():
                operation["responses"].pop("422", None)
        components = schema["components"]["schemas"]
        for name in ("HTTPValidationError", "ValidationError"):
            components.pop(name, None)
        components["ProblemDetails"] = problems.ProblemDetails.model_json_schema()
        app.openapi_schema = schema
    return app.openapi_schema


def run(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT.

    Raises ``ConfigurationError`` without a database, or for an address that others could reach.
    """
    if settings.database_url is None:
        raise ConfigurationError(
            "the API has no database: set KRAJ_DATABASE_URL to one as the role kraj_api, or start it with `kraj up`"
        )
    app = create(settings, settings.database_url.get_secret_value(), clock=clocks.shifted(settings.clock_offset_s))
    uvicorn.run(
        app,
        host=settings.api_host,
        port=settings.api_port,
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_keep_alive=30,
        timeout_graceful_shutdown=5,
    )


def check_loopback(host: str) -> None:
    """Raise ``ConfigurationError`` for an address that others could reach: nobody signs in yet."""
    try:
        safe = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        safe = False
    if not safe:
        raise ConfigurationError(
            f"KRAJ_API_HOST is {host!r}, which others could reach, and the API has no sign-in yet: everybody would "
            "read everything. Listen on 127.0.0.1 and reach it from elsewhere through an SSH tunnel "
            "(ssh -L 8080:127.0.0.1:8080 this-machine)"
        )
