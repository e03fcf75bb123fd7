"""Foreign devices at the broker (listener, access, passwords) and the commands ``kraj inbox`` and ``kraj pull``."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

PORT = 8884
"""8883 is for devices with certificates of ours."""
ROOT = "foreign"
FEED = "feed_0"
"""The user of inbox and pull at the broker: it publishes for devices that do not, and hears what is committed."""


def listener(port: int, host: str, *, certificate: Path, key: Path) -> list[str]:
    """Lines of mosquitto.conf for foreign devices: TLS 1.2 with an RSA certificate, which Tasmota expects, and the
    device's name and password. MQTT 3.1.1 and 5."""
    return [
        f"listener {port} {host}",
        "use_username_as_clientid true",
        f"certfile {certificate}",
        f"keyfile {key}",
        "tls_version tlsv1.2",
    ]


def access_of_services(slots: list[str]) -> list[str]:
    """Lines of the access list: slots of ingest hear foreign devices and send them commands; the feed speaks for
    devices whose files and clouds are read."""
    lines: list[str] = []
    for slot in sorted(slots):
        lines += [f"user {slot}", f"topic readwrite {ROOT}/+/+/#"]
    return [*lines, f"user {FEED}", "topic write kraj/+/+/telemetry", "topic read kraj/+/+/ack"]


def access_of_devices() -> list[str]:
    """Patterns of the access list: a device speaks and hears below its own name alone."""
    return [f"pattern readwrite {ROOT}/+/%u/#"]


def passwords(credentials: Mapping[str, str]) -> str:
    """Lines of mosquitto's password file from ``kraj.store.foreign.credentials``; they are hashed already."""
    return "".join(f"{name}:{hashed}\n" for name, hashed in sorted(credentials.items()))


def inbox(
    folder: Annotated[Path, typer.Argument(help="Where files are put: {municipality}/{device}/*.csv below it.")],
) -> None:
    """Take readings from CSV files; each moves to done or refused, with a report beside it.

    Example: kraj inbox /srv/kraj/inbox
    """
    from ingest.foreign.workers import run_inbox
    from kraj.settings import load
    from stack.services import database_url

    run_inbox(load(database_url=database_url(load(), "kraj_ingest")), folder)


def pull() -> None:
    """Fetch readings from vendors' clouds over HTTPS, as POST /v1/pulls says.

    Example: kraj pull
    """
    from ingest.foreign.workers import run_pull
    from kraj.settings import load
    from stack.services import database_url

    run_pull(load(database_url=database_url(load(), "kraj_ingest")))
