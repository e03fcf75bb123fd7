"""Routers put into the application route by route, as FastAPI would build each route of an included one twice."""

from fastapi import APIRouter, FastAPI
from starlette.routing import Route


def mount(app: FastAPI, *routers: APIRouter, documented: bool = True) -> None:
    """Add the routes of routers in their order; ``documented`` is whether the OpenAPI document tells of them."""
    for router in routers:
        plain = [route for route in router.routes if isinstance(route, Route)]
        if len(plain) < len(router.routes):  # it includes others
            app.include_router(router, include_in_schema=documented)
            continue
        for route in plain:
            route.include_in_schema = route.include_in_schema and documented
            app.router.routes.append(route)
