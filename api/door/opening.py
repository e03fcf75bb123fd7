"""The door of an application: made from the settings, with all its routes, and where the API may listen at all."""

import ipaddress
from collections.abc import Callable
from datetime import datetime
from urllib.parse import urlsplit

from fastapi import FastAPI

from api.door import (
    account,
    entry,
    factor_pages,
    mail,
    oidc,
    oidc_pages,
    people_pages,
    privacy,
    rest,
    team_pages,
    team_routes,
)
from api.door.door import Door
from api.door.keeper import Memory
from api.door.passwords import Passwords
from api.mounting import mount
from api.service import Service
from api.site import Site
from kraj.errors import ConfigurationError
from kraj.settings import Settings


def door(settings: Settings, service: Service, site: Site, memory: Memory, wall: Callable[[], datetime]) -> Door:
    """Make it; raise ``ConfigurationError`` for settings that contradict each other."""
    page = page_url(settings)
    return Door(
        service=service,
        site=site,
        memory=memory,
        wall=wall,
        passwords=Passwords(),
        page=page,
        issuer=_issuer(settings, page),
        mail=mail.from_file(settings.mail_url_file) if settings.mail_url_file else None,
    )


def install(app: FastAPI, made: Door) -> None:
    """All its routes."""
    mount(app, rest.routes(made), privacy.routes(made), team_routes.routes(made))
    mount(
        app,
        entry.routes(made),
        factor_pages.routes(made),
        account.routes(made),
        people_pages.routes(made),
        team_pages.routes(made),
        privacy.pages(made),
        documented=False,
    )
    if made.issuer is not None:
        mount(app, oidc_pages.routes(made, made.issuer), documented=False)


def page_url(settings: Settings) -> str:
    """Where people reach the pages, without a slash at the end."""
    return (settings.public_url or f"http://{settings.api_host}:{settings.api_port}").rstrip("/")


def _issuer(settings: Settings, page: str) -> oidc.Issuer | None:
    if settings.oidc_issuer is None:
        return None
    if not settings.oidc_client_id:
        raise ConfigurationError("KRAJ_OIDC_ISSUER is set, KRAJ_OIDC_CLIENT_ID is not; the issuer gives you one")
    parts = urlsplit(settings.oidc_issuer)
    if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(parts.hostname or "")):
        raise ConfigurationError(f"KRAJ_OIDC_ISSUER is {settings.oidc_issuer!r}: an issuer is reached by https")
    secret = ""
    if settings.oidc_client_secret_file is not None:
        try:
            secret = settings.oidc_client_secret_file.read_text("utf-8").strip()
        except OSError as error:
            file = settings.oidc_client_secret_file
            raise ConfigurationError(
                f"KRAJ_OIDC_CLIENT_SECRET_FILE: {file} cannot be read: {error.strerror}"
            ) from error
    return oidc.Issuer(settings.oidc_issuer, settings.oidc_client_id, secret, f"{page}{oidc_pages.CALLBACK}")


def is_loopback(host: str) -> bool:
    """Whether a host is this machine alone."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def check_listening(settings: Settings) -> None:
    """Raise ``ConfigurationError`` for an address that others could reach, unless https is said to be in front."""
    if is_loopback(settings.api_host):
        return
    scheme = urlsplit(settings.public_url or "").scheme
    if scheme != "https":
        raise ConfigurationError(
            f"KRAJ_API_HOST is {settings.api_host!r}, which others could reach, and KRAJ_PUBLIC_URL is "
            f"{settings.public_url or 'not set'}: passwords would cross the network for everybody to read. "
            "Put a proxy with TLS in front, let it send X-Forwarded-Proto and X-Forwarded-For, name its address in "
            "KRAJ_API_PROXIES, and set KRAJ_PUBLIC_URL=https://…; or listen on 127.0.0.1 and reach it through an SSH "
            "tunnel (ssh -L 8080:127.0.0.1:8080 this-machine)"
        )
