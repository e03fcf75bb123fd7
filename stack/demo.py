"""``kraj demo``: a whole region on this machine, with its own database, broker and simulated devices."""

import resource
import shutil
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import psycopg
import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from kraj import sun
from kraj.clock import real
from kraj.errors import ConfigurationError
from kraj.settings import Settings
from kraj.store.migrate import migrate
from kraj.store.registry import NewAsset, NewDevice, register
from simulators.firmware.crew import chosen
from simulators.firmware.host import node
from simulators.physics.frame import DAY_MS
from simulators.region import Asset, Device, Region, region
from stack import billing, history, mending, streets
from stack.database import EmbeddedPostgres
from stack.firmware import simulated
from stack.firmware.building import check_compiler
from stack.history import moment
from stack.people import demo_hint
from stack.process import port_free
from stack.provision import provision
from stack.services import TLS_PORT, Prepared, free_port_from, guarded_broker, prepare_folder, programs, supervise
from stack.story import Story
from stack.supervisor import Program, Server

GOES_ON = " (as its data began; --fresh begins anew)"
UNFINISHED = "past-unfinished"
"""There while days before are being written: half a past cannot be gone on with, as its models' state is lost."""


def run(
    settings: Settings,
    *,
    devices: int,
    seed: int,
    interval_s: float | None,
    fresh: bool,
    start: str,
    history_days: int,
    firmware: int = 0,
) -> None:
    """Run everything until told to stop; ``firmware`` of the devices run on the real firmware, where its tools are.

    The demo keeps to a folder of its own, so that invented devices never mix with an installation's own. ``start`` is
    the local time at which a new demo begins (``HH:MM``, or ``now``); its clock goes on with its data.
    """
    folder = settings.state_dir / "demo"
    _, files_max = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(
        resource.RLIMIT_NOFILE, (files_max, files_max)
    )  # a connection per device, here and at the broker
    prepare_folder(settings.state_dir)
    database = EmbeddedPostgres(folder / "database")
    unfinished = folder / UNFINISHED
    if unfinished.exists():
        typer.secho("the last start ended while its past was being simulated: all begins anew", fg="yellow", err=True)
    if fresh or unfinished.exists():
        shutil.rmtree(folder, ignore_errors=True)
    prepare_folder(folder)
    invented = region(seed, devices)
    story = Story.of(folder, invented, start, history_days)
    authorities, identities = folder / "authority", folder / "identities"
    # What is meant for an installation's own is not for invented devices.
    own = settings.model_copy(
        update={"authority_dir": authorities, "broker_host": "127.0.0.1", "broker_names": "", "foreign_port": 0}
    )
    port = settings.mqtt_port if "mqtt_port" in settings.model_fields_set else TLS_PORT
    guarded, ingest_env = guarded_broker(own, folder, port if port and port_free(port) else 0, database.url)
    api_port = free_port_from(settings.api_port)
    env = {"KRAJ_CLOCK_OFFSET_S": str(story.offset_s)}
    logs = folder / "logs"
    fleet = [sys.executable, "-m", "simulators", "--devices", str(devices), "--seed", str(seed)]
    fleet += ["--identities", str(identities), "--host", "127.0.0.1", "--port", str(guarded.broker.port)]
    fleet += [] if interval_s is None else ["--interval", str(interval_s)]
    fleet += ["--clock-offset-s", str(story.offset_s), "--fault-file", str(story.fault_file)]
    real_ones = _on_firmware(invented, firmware if interval_s is None else 0)
    if real_ones:
        flashed = simulated.lay_out(folder, real())
        fleet += ["--firmware", str(len(real_ones)), "--flash", str(folder / "firmware"), "--flashed", str(flashed)]

    def prepare(url: str) -> None:
        _prepare(url, database.url("kraj_ingest"), invented, story, unfinished)
        if real_ones:
            simulated.trust(url, folder)
        provision(url, (device.name for device in invented.devices), authorities, identities, real)

    units: list[tuple[str, Server]] = [
        ("database", Prepared(database, prepare)),
        ("broker", guarded),
        *programs(
            database.url,
            logs=logs,
            api_host=settings.api_host,
            api_port=api_port,
            metrics_port=settings.ingest_metrics_port,
            env=env,
            ingest_env=ingest_env,
            authority_dir=authorities,
            secrets_dir=folder / "secrets",
            opendata_dir=folder / "opendata",
            rollup_port=settings.rollup_metrics_port,
        ),
        (
            "repairs",
            Program(
                [sys.executable, "-m", "stack.mending", str(story.fault_file)],
                log=logs / "repairs.log",
                env={"KRAJ_DATABASE_URL": database.url("kraj_notify")},
            ),
        ),
        ("fleet", Program(fleet, log=logs / "fleet.log", env=env)),
    ]
    page = f"http://{settings.api_host}:{api_port}/"

    def ready() -> None:
        _tell(invented, story, page, guarded.broker.port, str(logs), real_ones, str(folder / "keys"))
        typer.echo(demo_hint(database.url(), page))

    supervise(units, on_ready=ready)


def _on_firmware(invented: Region, wanted: int) -> list[str]:
    """Names of the devices that run on the real firmware: none, and it is said why, where its tools are missing."""
    if not wanted:
        return []
    try:
        node()
        check_compiler()
        return [device.name for device in chosen(invented, wanted)]
    except ConfigurationError as error:
        typer.secho(f"all devices are simulated: {error}", fg="yellow", err=True)
        return []


def _prepare(url: str, ingest_url: str, invented: Region, story: Story, unfinished: Path) -> None:
    migrate(url)
    towns = {town.name: town.title for town in invented.municipalities}
    with psycopg.connect(url, autocommit=True) as connection:
        begins = moment(story.history_start_ms)
        register(connection, towns, [new_device(device) for device in invented.devices], begins)
    kept = streets.light(url, invented, begins, story.restless())
    if story.history_start_ms < story.start_ms and history.is_empty(url):
        unfinished.touch()
        _load_history(ingest_url, invented, story, kept)
        unfinished.unlink()
    billing.bill(url, begins, moment(story.start_ms))
    with psycopg.connect(url, autocommit=True) as connection:
        mending.catch_up(connection, story.fault_file)


def _load_history(ingest_url: str, invented: Region, story: Story, kept: Mapping[str, streets.Document]) -> None:
    days = round((story.start_ms - story.history_start_ms) / DAY_MS)
    began = time.monotonic()
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[readings]:,} readings"))
    with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True)) as progress:
        task = progress.add_task(f"simulating {days} days before", total=1.0, readings=0)
        count = history.load(
            ingest_url,
            "slot_0",
            invented,
            story.faults,
            start_ms=story.history_start_ms,
            until_ms=story.start_ms,
            keeping=kept,
            report=lambda share, readings: progress.update(task, completed=share, readings=readings),
        )
    typer.echo(f"{count:,} readings of {days} days in {time.monotonic() - began:.0f} s", err=True)


def new_device(device: Device) -> NewDevice:
    """A simulated device as it is registered."""
    assets = {installed.channel: _asset(installed.asset) for installed in device.installed}
    return NewDevice(name=device.name, municipality=device.municipality, assets=assets)


def _asset(asset: Asset) -> NewAsset:
    return NewAsset(
        kind=asset.kind,
        label=asset.label,
        latitude=asset.latitude,
        longitude=asset.longitude,
        metadata=dict(asset.metadata),
    )


def _tell(  # noqa: PLR0917 - all that is told
    invented: Region, story: Story, page: str, mqtt_port: int, logs: str, real_ones: list[str], keys: str
) -> None:
    on_firmware = f"  firmware {', '.join(real_ones)} run the devices' own firmware, signed by a key in {keys}\n"
    towns = ", ".join(town.title for town in invented.municipalities)
    typer.secho(f"\nKraj runs: {len(invented.devices)} simulated devices in {towns}.\n", fg="green", bold=True)
    typer.echo(
        f"  page     {page}\n"
        f"           the map and the newest reading of each asset; readings arrive while you watch\n"
        f"  faults   {page}alerts\n"
        f"           what the rules found{_judged(story)}, and what befalls the region from now on:\n"
        f"{story.announce()}"
        f"  repairs  mark one as fixed, with light at once: the simulated fault ends within seconds, and readings\n"
        f"           verify it before your eyes\n"
        f"  light    {page}lighting\n"
        f"           every street but one is dimmed by the program {streets.NIGHT}; give a street {streets.QUIET},\n"
        f"           {_watched(invented, story)}\n"
        f"  clock    {story.offset_s / 3600:+.1f} h: in the region it is {story.now():%H:%M} now"
        f"{GOES_ON * story.resumed}\n"
        f"  API      {page}openapi.json\n"
        f"  broker   127.0.0.1:{mqtt_port} (MQTT 5, mutual TLS, a certificate per device)\n"
        f"{on_firmware if real_ones else ''}"
        f"  logs     {logs}\n\n"
        f"Try: kill -9 the process of ingest, the broker or the database. It comes back, and no reading that a\n"
        f"device was told is stored gets lost. Ctrl-C stops everything; the next start goes on with the same data."
    )


def _judged(story: Story) -> str:
    days = min(history.JUDGED_DAYS, story.history_days)
    return f" in the last {days} of {story.history_days} days" if days else ""


def _watched(invented: Region, story: Story) -> str:
    """What a program shows at once: little by day."""
    place = invented.assets[0]
    now_ms = np.array([round(story.now().timestamp() * 1000)])
    if sun.elevation_deg(now_ms, place.latitude, place.longitude)[0] < 0:
        return "and watch its lamps follow, their power fall and its savings"
    return "see what its night will take; by day Light now shows that lamps follow"
