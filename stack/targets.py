"""Where notifications go, as ``kraj notify`` keeps them: adding, listing, trying out, and who is on call when."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, time, timedelta
from typing import Any, TypeVar

import psycopg

from api.formats import local_zone
from api.notifications.sending import Sender, valid
from api.notifications.webhooks import known, new_secret
from api.notifications.wordings import LANGUAGES
from kraj.alerts import Severity
from kraj.errors import ConfigurationError, UnavailableError
from kraj.settings import Settings
from kraj.store import outbox
from kraj.store.connection import Connection, translated
from stack.services import running_database

Result = TypeVar("Result")

OPERATOR = "(region)"
_CLOCK = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)")


def add(
    settings: Settings,
    *,
    name: str,
    url: str,
    municipality: str | None,
    severity_min: str,
    quiet: str | None,
    digest: str | None,
    language: str,
) -> str | None:
    """Add a target, or change the one of this name; the secret of a signed webhook, which is shown this once.

    Raises ``ConfigurationError`` that names what is wrong.
    """
    if not valid(url):
        raise ConfigurationError("--url: no service is reached that way; see docs/notifications.md for examples")
    if severity_min not in list(Severity):
        raise ConfigurationError(f"--severity-min: {severity_min!r}; one of {', '.join(Severity)}")
    if language not in LANGUAGES:
        raise ConfigurationError(f"--language: {language!r}; cs or en")
    hours = _span(quiet) if quiet else None
    digest_at = _time(digest, "--digest") if digest else None
    secret = new_secret() if known(url) else None

    async def work(connection: Connection) -> int | None:
        return await outbox.add_target(
            connection,
            name=name,
            url=url,
            municipality=municipality,
            severity_min=Severity(severity_min),
            quiet=hours,
            digest_at=digest_at,
            language=language,
            webhook_secret=secret,
        )

    if _on(settings, work) is None:
        raise ConfigurationError(f"--municipality: there is none of the name {municipality!r}")
    return secret


def listed(settings: Settings) -> list[str]:
    """The targets, one a line, without their addresses."""

    async def work(connection: Connection) -> list[str]:
        towns = await outbox.municipalities(connection)
        return [_line(row, towns) for row in await outbox.targets(connection)]

    return _on(settings, work)


def try_out(settings: Settings, name: str) -> None:
    """Send a test message to every target of this name; raises ``UnavailableError`` with what the service said."""

    async def work(connection: Connection) -> None:
        for address in await _addresses(connection, name):
            error = await Sender().test(address, datetime.now(UTC))
            if error is not None:
                raise UnavailableError(f"{name}: {error}")

    _on(settings, work)


def on_call(settings: Settings, name: str, *, place: int, begin: datetime, end: datetime, after_min: int) -> None:
    """Put a target on call; times without a zone are local."""
    zone = local_zone()
    begin, end = (at.replace(tzinfo=zone) if at.tzinfo is None else at for at in (begin, end))
    if end <= begin:
        raise ConfigurationError("--to must be after --from")
    if end - begin > timedelta(days=366):
        raise ConfigurationError("--to: a turn lasts a year at most")

    async def work(connection: Connection) -> int:
        return await outbox.add_on_call(
            connection, name, place=place, valid_from=begin, valid_to=end, escalate_after_min=after_min
        )

    if _on(settings, work) != 1:
        raise ConfigurationError(f"there is not exactly one target {name!r}; see `kraj notify list`")


def _on(settings: Settings, work: Callable[[Connection], Awaitable[Result]]) -> Result:
    async def run(url: str) -> Result:
        connection = await psycopg.AsyncConnection[Any].connect(url, autocommit=True)
        async with connection:
            with translated(connection):
                return await work(connection)

    with running_database(settings) as url:
        return asyncio.run(run(url))


async def _addresses(connection: Connection, name: str) -> list[outbox.Address]:
    found = [await outbox.address(connection, t.target_id) for t in await outbox.targets(connection) if t.name == name]
    known = [address for address in found if address is not None]
    if not known:
        raise ConfigurationError(f"there is no target {name!r} that is switched on; see `kraj notify list`")
    return known


def _line(row: outbox.TargetRow, towns: dict[int, str]) -> str:
    town = OPERATOR if row.municipality_id is None else towns.get(row.municipality_id, "?")
    quiet = f"quiet {row.quiet_from:%H:%M}-{row.quiet_to:%H:%M}" if row.quiet_from and row.quiet_to else ""
    digest = f"digest {row.digest_at:%H:%M}" if row.digest_at else ""
    off = "" if row.enabled else "switched off"
    parts = (row.name, town, f"from {row.severity_min}", quiet, digest, row.language, off)
    return "  ".join(part for part in parts if part)


def _span(text: str) -> tuple[time, time]:
    begin, dash, end = text.partition("-")
    if not dash:
        raise ConfigurationError(f"--quiet: {text!r}; write it like 22:00-06:00")
    return _time(begin, "--quiet"), _time(end, "--quiet")


def _time(text: str, option: str) -> time:
    found = _CLOCK.fullmatch(text.strip())
    if found is None:
        raise ConfigurationError(f"{option}: {text!r} is no time of day; write it like 07:00")
    return time(int(found[1]), int(found[2]))
