"""The command ``python -m simulators``: a fleet of simulated devices against any MQTT 5 broker."""

import asyncio
import json
import resource
import signal
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from kraj.errors import ConfigurationError, KrajError
from kraj.settings import Settings, load
from simulators.fault_file import FaultFile
from simulators.faults import chosen
from simulators.firmware.crew import FirmwareCrew
from simulators.firmware.device import Address
from simulators.fleet import Counts, run, wall_clock_ms
from simulators.pace import Pace
from simulators.physics.frame import Fault
from simulators.region import Region, region

FILES_BESIDES = 64
"""Open files besides the connections: event loop, standard streams, libraries."""
SCENARIO_DAYS = 30
"""A live scenario is drawn for so many days from its beginning; then nothing new befalls the region."""


def simulate(  # noqa: PLR0917 - options of the command line, never positional
    devices: Annotated[int, typer.Option(help="How many devices to simulate, each with its own connection.")] = 120,
    seed: Annotated[int, typer.Option(help="The same seed and number of devices give the same region.")] = 1,
    faults: Annotated[
        str, typer.Option(help="none, scenario (what befalls such a region in a month), or CAUSE@LABEL.")
    ] = "none",
    fault_file: Annotated[
        Path | None,
        typer.Option(
            help="JSON list of faults to act out besides, as `kraj demo` writes it; read again whenever it is written."
        ),
    ] = None,
    rate: Annotated[float, typer.Option(min=0, help="Of a scenario: so many times as many faults as usual.")] = 1.0,
    start: Annotated[
        datetime | None, typer.Option(help="A moment in the past, in UTC, from which the devices tell.")
    ] = None,
    speed: Annotated[
        float,
        typer.Option(
            help="How many times faster than real time, from --start until now is reached; from then on as fast as "
            "time itself, as readings of times to come would be refused."
        ),
    ] = 1.0,
    clock_offset_s: Annotated[
        float, typer.Option(help="Seconds added to the wall clock, everywhere in this process.")
    ] = 0.0,
    interval: Annotated[
        float | None,
        typer.Option(
            min=0.1,
            help="Every device reports so often, in seconds, day and night, whatever befalls it: a load, no region. "
            "Without it devices keep their own habits: every 5 min lit or producing, hourly else, at once on events.",
        ),
    ] = None,
    host: Annotated[str | None, typer.Option(help="The broker; else KRAJ_MQTT_HOST.")] = None,
    port: Annotated[int | None, typer.Option(help="Its port; else KRAJ_MQTT_PORT.")] = None,
    credentials: Annotated[
        Path | None, typer.Option(help='JSON file {"device": "password"}; without it devices connect anonymously.')
    ] = None,
    identities: Annotated[
        Path | None,
        typer.Option(help="Folder with roots.pem and DEVICE.pem (key and certificates): devices come by mutual TLS."),
    ] = None,
    firmware: Annotated[
        int,
        typer.Option(
            min=0,
            help="So many of the devices, of each kind in turn, run on the real firmware under MicroPython: a process "
            "each. It needs --identities, and node with the packages of a checkout (`make setup`).",
        ),
    ] = 0,
    flashed: Annotated[
        Path | None,
        typer.Option(help="Folder with the signed release that new ones start with, as `kraj demo` makes it."),
    ] = None,
    flash: Annotated[
        Path | None,
        typer.Option(help="Folder that keeps the flash of devices on the real firmware; else within KRAJ_STATE_DIR."),
    ] = None,
) -> None:
    """Simulate street lamps, cabinets, smart stops and rooftop PV of an invented Czech region over MQTT 5.

    Devices keep each reading until the platform acknowledges it, and send it again when no answer comes; so
    "pending" grows while nothing that acknowledges listens at the broker. Who loses power or network falls silent, and
    after 90 s the broker publishes its will. Every 10 s one line says how it goes.
    Ctrl+C or SIGTERM stops: what waits is still sent for up to 2 s.

    Example: python -m simulators --devices 120 --seed 1 --faults scenario --host 127.0.0.1 --port 1883
    """
    try:
        settings = load(mqtt_host=host, mqtt_port=port)
        passwords = _passwords(credentials) if credentials else None
        _allow_sockets(devices)
        made = region(seed, devices)
        offset_ms = round(clock_offset_s * 1000)
        pace = Pace.of(lambda: wall_clock_ms() + offset_ms, _ms(start), speed)
        begin_ms = pace.now_ms() + CALM_MS
        befalling = chosen(faults, made, seed=seed, start_ms=begin_ms, days=SCENARIO_DAYS, rate=rate)
        file = None if fault_file is None else FaultFile(fault_file, befalling)
        if file is not None:
            befalling = file.read()
        crew = None
        if firmware:
            if identities is None or interval is not None or pace.past:
                raise ConfigurationError(
                    "--firmware needs --identities, and runs in real time by its own habits: no --interval, no --start"
                )
            crew = FirmwareCrew.of(
                made,
                firmware,
                folder=flash or settings.state_dir / "firmware",
                identities=identities,
                broker=Address(settings.mqtt_host, settings.mqtt_port),
                offset_ms=offset_ms,
                flashed=flashed,
            )
        asyncio.run(_simulate(settings, made, befalling, file, pace, interval, passwords, identities, crew))
    except KrajError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(2) from error


async def _simulate(  # noqa: PLR0917 - as the command has them
    settings: Settings,
    simulated: Region,
    faults: tuple[Fault, ...],
    file: FaultFile | None,
    pace: Pace,
    interval: float | None,
    passwords: dict[str, str] | None,
    identities: Path | None,
    crew: FirmwareCrew | None,
) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    towns = ", ".join(town.title for town in simulated.municipalities)
    typer.echo(f"{len(simulated.devices)} devices in {towns} → {settings.mqtt_host}:{settings.mqtt_port}")
    if crew is not None:
        typer.echo(f"on the real firmware: {', '.join(crew.devices)}")
    for fault in sorted(faults, key=lambda fault: fault.start_ms)[:FAULTS_SHOWN]:
        typer.echo(f"  {_moment(fault.start_ms)} – {_moment(fault.end_ms)}  {fault.cause} on {fault.name}")
    if len(faults) > FAULTS_SHOWN:
        typer.echo(f"  and {len(faults) - FAULTS_SHOWN} more faults")
    await run(
        settings,
        simulated,
        stop,
        credentials=passwords,
        identities=identities,
        interval_s=interval,
        faults=faults,
        pace=pace,
        befalling=None if file is None else file.changed,
        report=lambda counts: _say(counts, pace),
        firmware=crew,
    )


FAULTS_SHOWN = 20
CALM_MS = 120_000
"""Nothing befalls anybody before: devices connect first, so that their wills can tell of it."""


def _ms(start: datetime | None) -> int | None:
    """The option's moment is UTC, whatever the machine's time zone."""
    return None if start is None else int(start.replace(tzinfo=UTC).timestamp() * 1000)


def _moment(ts_ms: int) -> str:
    return f"{datetime.fromtimestamp(ts_ms / 1000, UTC):%F %H:%M}"


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


def _say(counts: Counts, pace: Pace) -> None:
    lag = f"  at {_moment(pace.now_ms())} UTC" if pace.past else ""
    typer.echo(f"{datetime.now().astimezone():%H:%M:%S}  {counts}{lag}")


if __name__ == "__main__":
    typer.run(simulate)
