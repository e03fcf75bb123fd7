"""The command ``python -m simulators``: a fleet of simulated devices against any MQTT 5 broker."""

import asyncio
import json
import resource
import signal
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from kraj.errors import ConfigurationError, KrajError
from kraj.settings import Settings, load
from simulators.fleet import Counts, run
from simulators.region import Region, region

FILES_BESIDES = 64
"""Open files besides the connections: event loop, standard streams, libraries."""


def simulate(  # noqa: PLR0917 - options of the command line, never positional
    devices: Annotated[int, typer.Option(help="How many devices to simulate, each with its own connection.")] = 120,
    seed: Annotated[int, typer.Option(help="The same seed and number of devices give the same region.")] = 1,
    interval: Annotated[float, typer.Option(help="Seconds between two readings of a device.", min=0.1)] = 10.0,
    host: Annotated[str | None, typer.Option(help="The broker; else KRAJ_MQTT_HOST.")] = None,
    port: Annotated[int | None, typer.Option(help="Its port; else KRAJ_MQTT_PORT.")] = None,
    credentials: Annotated[
        Path | None, typer.Option(help='JSON file {"device": "password"}; without it devices connect anonymously.')
    ] = None,
) -> None:
    """Simulate street lamps, cabinets, smart stops and rooftop PV of an invented Czech region over MQTT 5.

    Devices keep each reading until the platform acknowledges it, and send it again when no answer comes; so
    "pending" grows while nothing that acknowledges listens at the broker. Every 10 s one line says how it goes.
    Ctrl+C or SIGTERM stops: what waits is still sent for up to 2 s.

    Example: python -m simulators --devices 120 --seed 1 --interval 10 --host 127.0.0.1 --port 1883
    """
    try:
        settings = load(mqtt_host=host, mqtt_port=port)
        passwords = _passwords(credentials) if credentials else None
        _allow_sockets(devices)
        asyncio.run(_simulate(settings, region(seed, devices), interval, passwords))
    except KrajError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(2) from error


async def _simulate(settings: Settings, simulated: Region, interval: float, passwords: dict[str, str] | None) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    towns = ", ".join(town.title for town in simulated.municipalities)
    typer.echo(f"{len(simulated.devices)} devices in {towns} → {settings.mqtt_host}:{settings.mqtt_port}")
    await run(settings, simulated, stop, credentials=passwords, interval_s=interval, report=_say)


def _allow_sockets(devices: int) -> None:
    """Raise this process's limit of open files to what the connections need; ``ConfigurationError`` if it cannot."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = devices + FILES_BESIDES
    if hard != resource.RLIM_INFINITY and needed > hard:
        raise ConfigurationError(
            f"{devices} devices need {needed} open files and the limit is {hard}: raise it (ulimit -Hn) "
            "or share the devices among several processes"
        )
    if soft != resource.RLIM_INFINITY and needed > soft:
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))


def _passwords(file: Path) -> dict[str, str]:
    """Raises ``ConfigurationError`` when the file is missing or of another shape."""
    try:
        found: object = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"--credentials {file}: {error}") from error
    if not isinstance(found, dict):
        raise ConfigurationError(f'--credentials {file} must hold one object {{"device": "password"}}')
    return {str(k): str(v) for k, v in found.items()}  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]


def _say(counts: Counts) -> None:
    typer.echo(f"{datetime.now().astimezone():%H:%M:%S}  {counts}")


if __name__ == "__main__":
    typer.run(simulate)
