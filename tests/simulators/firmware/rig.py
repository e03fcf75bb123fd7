"""A mosquitto that devices reach by mutual TLS and the tests' small platform as it is; identities of a fleet."""

import asyncio
import contextlib
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from simulators.identity import ROOTS
from stack import authority
from tests.stack.mutual import NAMES, Place, now
from tests.waiting import PATIENCE_S


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
        return port


class Region:
    """``port`` is for devices, ``plain`` for the platform; ``identities`` has a certificate for each name given."""

    def __init__(self, names: Iterable[str]) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="kraj-"))
        self.folder.chmod(0o755)
        place = Place(self.folder)
        self.identities = self.folder / "identities"
        self.identities.mkdir()
        (self.identities / ROOTS).write_text(place.roots)
        for name in names:
            shutil.copy(place.device(name), self.identities / f"{name}.pem")
        own = authority.server(place.folder, NAMES, now())
        files = {"keyfile": own.key.read_text(), "certfile": own.certificate.read_text(), "cafile": place.roots}
        for name, text in files.items():
            (self.folder / name).write_text(text)
        self.port, self.plain = free_port(), free_port()
        lines = [f"listener {self.plain} 127.0.0.1", "allow_anonymous true", f"listener {self.port} 127.0.0.1"]
        lines += [f"{name} {self.folder / name}" for name in files]
        lines += ["require_certificate true", "use_identity_as_username true", "user root", "persistence false"]
        lines += ["set_tcp_nodelay true", "log_type none"]
        (self.folder / "mosquitto.conf").write_text("\n".join(lines) + "\n")
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        self._process = subprocess.Popen(["/usr/sbin/mosquitto", "-c", str(self.folder / "mosquitto.conf")])
        deadline = time.monotonic() + PATIENCE_S
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.plain), 1):
                return
            assert time.monotonic() < deadline, "mosquitto does not listen"
            time.sleep(0.02)

    def kill(self) -> None:
        """The broker, as if its machine had lost its power: what it held is gone."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(PATIENCE_S)

    def close(self) -> None:
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)


async def until(condition: Callable[[], object], what: str, within_s: float) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, f"not within {within_s} s: {what}"
        await asyncio.sleep(0.02)
