"""The writing side of the registry: municipalities, assets, devices, groups, and devices that nobody has registered."""

from fastapi import APIRouter

from api.registry import assets, devices, groups, mapping, municipalities, unregistered
from api.service import Service


def routes(service: Service) -> APIRouter:
    """Every route under /v1 that writes the registry, and what only it answers."""
    router = APIRouter(prefix="/v1")
    for part in (municipalities, assets, devices, groups, unregistered, mapping):
        router.include_router(part.routes(service))
    return router
