"""A device over its cable: what is looked at first, what is put on it, and the commands that put it there.

Until the platform has taken the code nothing on the board is changed, and until everything that can be looked at is in
order the code is not used. What fails afterwards says what state the board is in.
"""

import importlib.util
import json
import shlex
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from kraj import certificates, enrolment, firmware_release
from kraj.errors import ConfigurationError, PayloadError, UnavailableError
from kraj.kinds import KINDS
from stack.firmware import building, partitions, wiring

SETTINGS_VERSION = 1
SETTINGS_BYTES_MAX = 1536
"""As ``firmware/node/config.py`` holds them."""
MAIN = "import sys\n\nsys.path.insert(0, '.frozen')\nimport loader\n\nloader.start()\n"
"""An image of our own has the loader frozen in it, where it takes no memory; that one is to be found first."""
IMAGE_OFFSET = 0x1000
IMAGE_MAGIC, IMAGE_BYTES_MIN = 0xE9, 512 * 1024
"""An image that is written there has the bootloader, a table and the interpreter, so is longer than any of them."""
INTERPRETER = b"1.29."
SECRET_BYTES_MAX = 4000
"""As ``firmware/board/secrets.py`` holds them."""
SSID_BYTES_MAX, PASSWORD_BYTES = 32, range(8, 64)
NAME_CHARS_MAX = 63
TIMEOUT_S = 30.0

CHECK = (
    "import sys, esp32\n"
    "assert sys.implementation._mpy & 255 == 6, 'another MicroPython than 1.29: ' + str(sys.implementation)\n"
    "for name in ('state', 'ring', 'romfs'):\n"
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


LONGEST = Identity("m" * NAME_CHARS_MAX, "d" * NAME_CHARS_MAX, {"key": "…", "cert": "…", "roots": "…"})
"""What no enrolment's names exceed."""


def first_looks(port: str, image: Path | None) -> list[Step]:
    """Is there a board, and the right one? They change nothing, but for a restart."""
    if image is not None:
        return [Step("a board that answers?", _esptool(port, "flash_id"))]
    return [Step("the right interpreter, with our partitions?", _remote(port, "exec", CHECK, "reset", "sleep", "3"))]


def first_steps(port: str, folder: Path, image: Path | None) -> list[Step]:
    """Up to a board on which nothing runs, with the right interpreter; ``folder`` has the partition table."""
    if image is None:
        return [
            Step("stop what runs", _remote(port, "exec", QUIET)),
            Step("restart without it", _remote(port, "reset", "sleep", "3")),
        ]
    table = str(folder / "partitions.bin")
    return [
        Step("erase the whole flash", _esptool(port, "erase_flash")),
        Step("MicroPython", _esptool(port, "write_flash", hex(IMAGE_OFFSET), str(image))),
        Step(
            "our partition table in place of its own",
            _esptool(port, "write_flash", hex(partitions.TABLE_OFFSET), table),
        ),
        # Its first start makes the small file system, which takes a moment.
        Step("the right interpreter, with our partitions?", _remote(port, "sleep", "5", "exec", CHECK)),
    ]


def last_steps(port: str, folder: Path) -> list[Step]:
    """What ``prepare`` has put into ``folder``, onto the device; main.py last, as it starts everything."""
    loader = [str(folder / name) for name in building.LOADER]
    return [
        Step("identity, settings and release", _remote(port, "mount", str(folder), "run", str(folder / "install.py"))),
        Step("the loader", _remote(port, "fs", "cp", *loader, ":")),
        Step("what starts it", _remote(port, "fs", "cp", str(folder / "main.py"), ":main.py")),
        Step("start", _remote(port, "reset")),
    ]


def back_steps(port: str, folder: Path) -> list[Step]:
    """What starts whatever is whole on a board that had it before."""
    return [
        Step("put back what starts it", _remote(port, "fs", "cp", str(folder / "main.py"), ":main.py")),
        Step("start", _remote(port, "reset")),
    ]


def _esptool(port: str, *words: str) -> tuple[str, ...]:
    return (sys.executable, "-m", "esptool", "--chip", "esp32", "--port", port, *words)


def _remote(port: str, *words: str) -> tuple[str, ...]:
    return (sys.executable, "-m", "mpremote", "connect", port, *words)


def enrol(server: str, code: str, *, post: Callable[..., httpx.Response] = httpx.post) -> Identity:
    """Exchange a one-time code for a certificate; the key is made here and written nowhere but on the device.

    Raises:
        ConfigurationError: the platform refuses the code, or gives what no device keeps.
        UnavailableError: there was no answer.
    """
    check_code(code)
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
    if long := [name for name, text in secrets.items() if len(text.encode()) > SECRET_BYTES_MAX]:
        raise ConfigurationError(f"{server} gives a {long[0]} of more than {SECRET_BYTES_MAX} bytes; the code is used")
    return Identity(municipality, device, secrets)


def check_code(code: str) -> None:
    """Raise ``ConfigurationError`` for what cannot be a code, as the platform would."""
    try:
        enrolment.digest(code)
    except PayloadError as error:
        raise ConfigurationError(f"--code: {error}; `kraj authority code NAME` gives one") from error


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
    wiring.check(kind, more)
    found = own | dict(more)
    if len(json.dumps(found)) > SETTINGS_BYTES_MAX:
        raise ConfigurationError(f"the settings have more than {SETTINGS_BYTES_MAX} bytes, which a device keeps")
    return found


def write_table(folder: Path) -> None:
    """The partition table as the bootloader reads it."""
    found = partitions.table(partitions.read(building.ROOT / "partitions.csv"))
    (folder / "partitions.bin").write_bytes(found)


def check_image(image: Path | None) -> None:
    """Raise ``ConfigurationError`` for a file that is no MicroPython of ours for the whole flash."""
    if image is None:
        return
    try:
        content = image.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"{image}: cannot be read ({error.strerror}); docs/firmware.md tells of it") from error
    if content[:1] != bytes([IMAGE_MAGIC]) or len(content) < IMAGE_BYTES_MIN:
        raise ConfigurationError(f"{image} is no image for an ESP32 from {IMAGE_OFFSET:#x} on: its .bin is needed")
    if INTERPRETER not in content:
        raise ConfigurationError(f"{image} is not MicroPython {INTERPRETER.decode()}x, for which releases are made")
    room = partitions.read(building.ROOT / "partitions.csv")["ota_0"]
    if IMAGE_OFFSET + len(content) > room.offset + room.size:
        raise ConfigurationError(f"{image} is larger than its partition: take the OTA variant, or one of our own")


def check_tools(image: Path | None) -> None:
    """Raise ``ConfigurationError`` unless the programs that speak with a board are here."""
    for name in ("mpremote", *(("esptool",) if image else ())):
        if importlib.util.find_spec(name) is None:
            raise ConfigurationError(f"{name} is missing: {sys.executable} -m pip install {name}")


def wifi(ssid: str, password: str) -> str:
    """Both as a device keeps them; raises ``ConfigurationError`` for what no network has."""
    if not 0 < len(ssid.encode()) <= SSID_BYTES_MAX or "\n" in ssid:
        raise ConfigurationError(f"--wifi: a network's name has 1 to {SSID_BYTES_MAX} bytes")
    if password and len(password.encode()) not in PASSWORD_BYTES:
        raise ConfigurationError("the Wi-Fi password has 8 to 63 characters, or none in an open network")
    return f"{ssid}\n{password}"


def prepare(folder: Path, container: bytes, keys: Sequence[bytes]) -> None:
    """Fill a private folder with all that ``last_steps`` puts onto any device; raises ``ConfigurationError``."""
    folder.chmod(0o700)
    firmware_release.read(container, keys)
    write_table(folder)
    (folder / "release.bin").write_bytes(container)
    (folder / "main.py").write_text(MAIN)
    (folder / "install.py").write_bytes((building.ROOT / "install.py").read_bytes())
    for name, code in building.loader().items():
        (folder / name).write_bytes(code)
    needed = ("node/config.py", "node/release.py", "node/state.py", "board/flash.py", "board/secrets.py")
    for name, code in building.compile_all({name[:-3] + ".mpy": building.ROOT / name for name in needed}).items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(code)


def address(folder: Path, keys: Sequence[bytes], said: Mapping[str, Any], secrets: Mapping[str, str]) -> None:
    """Add what is this device's alone. The folder then holds a key: remove it."""
    plan = {"secrets": dict(secrets), "release_keys": b"".join(keys).hex(), "settings": dict(said)}
    file = folder / "install.json"
    file.touch(mode=0o600)
    file.write_text(json.dumps(plan))


def install(
    port: str, folder: Path, image: Path | None, say: Callable[[str], None], again: Callable[[str], bool]
) -> None:
    """Change the board, whose code is used by now.

    A step that fails is done again while ``again`` says so. Otherwise a board that had our firmware gets back what
    starts it, and the ``UnavailableError`` tells how it stands.
    """
    try:
        run([*first_steps(port, folder, image), *last_steps(port, folder)], say, again)
    except (UnavailableError, KeyboardInterrupt) as error:
        after = "The code is used: `kraj authority code NAME` gives a new one, then run the same command again."
        why = str(error) or "interrupted"
        raise UnavailableError(f"{why}\n\n{_left(port, folder, image)} {after}") from error


def _left(port: str, folder: Path, image: Path | None) -> str:
    if image is not None:
        return "What was on the board is gone, and it does not start by itself yet."
    try:
        run(back_steps(port, folder), lambda _: None)
    except UnavailableError:
        return "The board does not start by itself: its main.py was taken away, and could not be put back."
    return "Its main.py was put back, so it starts with what is whole on it; its old certificate counts no more."


def run(steps: Sequence[Step], say: Callable[[str], None], again: Callable[[str], bool] = lambda _: False) -> None:
    """Run them one after another; raises ``UnavailableError`` at the first that fails and is not to be done again."""
    for step in steps:
        say(step.what)
        while (done := subprocess.run(step.command, capture_output=True, text=True, check=False)).returncode:
            why = f"{step.what}: this failed:\n{step}\n{done.stdout}{done.stderr}"
            if not again(why):
                raise UnavailableError(why)
