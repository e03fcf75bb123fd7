"""The processes ``kraj inbox`` and ``kraj pull``: settings in, workers wired together, SIGTERM stops them."""

import asyncio
import signal
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from ingest.foreign import acknowledged, inbox, pulling
from ingest.foreign.fetching import fetch
from ingest.foreign.inbox import Feeding
from ingest.service import configure_logs
from kraj.clock import shifted
from kraj.errors import ConfigurationError
from kraj.sealing import Sealer
from kraj.settings import Settings


def run_inbox(settings: Settings, folder: Path) -> None:
    """Watch a folder until SIGTERM or Ctrl-C."""
    url = _begin(settings)
    if not folder.is_dir():
        raise ConfigurationError(f"{folder} is no folder; make it, and in it {{municipality}}/{{device}}/")
    asyncio.run(_until_told(inbox.watch(folder, url, _feeding(settings), shifted(settings.clock_offset_s))))


def run_pull(settings: Settings) -> None:
    """Fetch what is due until SIGTERM or Ctrl-C."""
    url = _begin(settings)
    sealer = Sealer(settings.state_dir / "secrets")
    now = shifted(settings.clock_offset_s)
    asyncio.run(_until_told(pulling.keep_pulling(url, _feeding(settings), now, sealer, fetch)))


def _begin(settings: Settings) -> str:
    configure_logs(settings.log_format)
    if settings.database_url is None:
        raise ConfigurationError("no database: set KRAJ_DATABASE_URL to one as the role kraj_ingest")
    return settings.database_url.get_secret_value()


def _feeding(settings: Settings) -> Feeding:
    password: str | None = None
    if settings.mqtt_password_file is not None:
        try:
            password = settings.mqtt_password_file.read_text().strip()
        except OSError as error:
            raise ConfigurationError(
                f"KRAJ_MQTT_PASSWORD_FILE: {settings.mqtt_password_file}: {error.strerror}"
            ) from error
    return lambda: acknowledged.feed(settings.mqtt_host, settings.mqtt_port, settings.mqtt_username, password)


async def _until_told(work: Coroutine[Any, Any, None]) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    tasks: list[asyncio.Task[Any]] = [asyncio.create_task(work), asyncio.create_task(stop.wait())]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
