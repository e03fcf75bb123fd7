"""A new device over its cable: what is put on it, and the commands that put it there."""

import json
import shlex
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from kraj import certificates, firmware_release
from kraj.errors import ConfigurationError, UnavailableError
from kraj.kinds import KINDS
from stack.firmware import building, partitions

SETTINGS_VERSION = 1
SETTINGS_BYTES_MAX = 1536
"""As ``firmware/node/config.py`` holds them."""
MAIN = "import loader\n\nloader.start()\n"
IMAGE_OFFSET = 0x1000
TIMEOUT_S = 30.0

CHECK = (
    "import sys, esp32\n"
    "assert sys.implementation._mpy & 255 == 6, 'another MicroPython than 1.29: ' + str(sys.implementation)\n"
    "for name in ('state', 'ring', 'code_0', 'code_1'):\n"
    " assert esp32.Partition.find(1, label=name), 'no partition ' + name + ': flash with --image'\n"
)
QUIET = "import os\nif 'main.py' in os.listdir():\n os.remove('main.py')\n"
"""Without main.py no loader runs, whose watchdog would end what comes."""


@dataclass(frozen=True, slots=True)
class Step:
    """One command, and what it is for."""

    what: str
    command: tuple[str, ...]

    def __str__(self) -> str:
        return f"# {self.what}\n{shlex.join(self.command)}"


@dataclass(frozen=True, slots=True)
class Identity:
    """What enrolment gives: names and the secrets that go into the device's NVS."""

    municipality: str
    device: str
    secrets: Mapping[str, str]


def first_steps(port: str, folder: Path, image: Path | None) -> list[Step]:
    """Up to a board that answers and is what it must be; ``folder`` has the partition table. Nothing is secret."""
    found: list[Step] = []
    if image is not None:
        esptool = (sys.executable, "-m", "esptool", "--chip", "esp32", "--port", port)
        found += [
            Step("erase the whole flash", (*esptool, "erase_flash")),
            Step("MicroPython", (*esptool, "write_flash", hex(IMAGE_OFFSET), str(image))),
            Step(
                "our partition table in place of its own",
                (*esptool, "write_flash", hex(partitions.TABLE_OFFSET), str(folder / "partitions.bin")),
            ),
        ]
    else:
        found += [
            Step("stop what runs", _remote(port, "exec", QUIET)),
            Step("restart without it", _remote(port, "reset", "sleep", "3")),
        ]
    # Its first start makes the small file system, which takes a moment.
    return [*found, Step("the right interpreter, with our partitions?", _remote(port, "sleep", "5", "exec", CHECK))]


def last_steps(port: str, folder: Path) -> list[Step]:
    """What ``prepare`` has put into ``folder``, onto the device; main.py last, as it starts everything."""
    loader = [str(folder / name) for name in building.LOADER]
    return [
        Step("identity, settings and release", _remote(port, "mount", str(folder), "run", str(folder / "install.py"))),
        Step("the loader", _remote(port, "fs", "cp", *loader, ":")),
        Step("what starts it", _remote(port, "fs", "cp", str(folder / "main.py"), ":main.py")),
        Step("start", _remote(port, "reset")),
    ]


def _remote(port: str, *words: str) -> tuple[str, ...]:
    return (sys.executable, "-m", "mpremote", "connect", port, *words)


def enrol(server: str, code: str, *, post: Callable[..., httpx.Response] = httpx.post) -> Identity:
    """Exchange a one-time code for a certificate; the key is made here and written nowhere but on the device.

    Raises:
        ConfigurationError: the platform refuses the code.
        UnavailableError: there was no answer.
    """
    key = certificates.new_key()
    body = {"code": code, "csr": certificates.request(key).decode()}
    try:
        answer = post(server.rstrip("/") + "/v1/enrol", json=body, timeout=TIMEOUT_S)
        got: dict[str, Any] = answer.json()
    except (httpx.HTTPError, ValueError) as error:
        raise UnavailableError(f"{server} does not answer as the platform does: {error}") from error
    if answer.status_code != 200:
        raise ConfigurationError(f"{server} refuses the code: {got.get('detail') or got.get('title')}")
    _, municipality, device = got["topic"].split("/")
    secrets = {"key": certificates.key_pem(key), "cert": got["certificate"], "roots": got["roots"]}
    return Identity(municipality, device, secrets)


def settings(identity: Identity, kind: str, broker: str, more: Mapping[str, Any]) -> dict[str, Any]:
    """The document that a device keeps about its place; raises ``ConfigurationError``."""
    host, _, port = broker.rpartition(":")
    if kind not in KINDS:
        raise ConfigurationError(f"{kind!r} is no kind; there are {', '.join(KINDS)}")
    if not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise ConfigurationError(f"{broker!r} is no broker; expected is host:port, such as broker.example.cz:8883")
    own = {
        "version": SETTINGS_VERSION,
        "kind": kind,
        "host": host,
        "port": int(port),
        "municipality": identity.municipality,
        "device": identity.device,
    }
    if twice := sorted(set(own) & set(more)):
        raise ConfigurationError(f"the settings' file must not say {', '.join(twice)}: options or enrolment do")
    found = own | dict(more)
    if len(json.dumps(found)) > SETTINGS_BYTES_MAX:
        raise ConfigurationError(f"the settings have more than {SETTINGS_BYTES_MAX} bytes, which a device keeps")
    return found


def write_table(folder: Path) -> None:
    """The partition table as the bootloader reads it."""
    found = partitions.table(partitions.read(building.ROOT / "partitions.csv"))
    (folder / "partitions.bin").write_bytes(found)


def prepare(
    folder: Path, container: bytes, keys: Sequence[bytes], said: Mapping[str, Any], secrets: Mapping[str, str]
) -> None:
    """Fill a private folder with what ``last_steps`` puts onto a device. It holds a key: remove it."""
    folder.chmod(0o700)
    firmware_release.read(container, keys)
    plan = {"secrets": dict(secrets), "release_keys": b"".join(keys).hex(), "settings": dict(said)}
    file = folder / "install.json"
    file.touch(mode=0o600)
    file.write_text(json.dumps(plan))
    (folder / "release.bin").write_bytes(container)
    (folder / "main.py").write_text(MAIN)
    (folder / "install.py").write_bytes((building.ROOT / "install.py").read_bytes())
    for name, code in building.loader().items():
        (folder / name).write_bytes(code)
    needed = ("node/config.py", "node/release.py", "node/state.py", "board/flash.py", "board/secrets.py")
    for name, code in building.compile_all({name[:-3] + ".mpy": building.ROOT / name for name in needed}).items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(code)


def run(steps: Sequence[Step], say: Callable[[str], None]) -> None:
    """Run them one after another; raises ``UnavailableError`` at the first that fails."""
    for step in steps:
        say(step.what)
        done = subprocess.run(step.command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise UnavailableError(f"{step.what}: this failed:\n{step}\n{done.stdout}{done.stderr}")
