"""The least that asks an HTTP server: a general client takes longer for a question than the API for its answer."""

import asyncio
from types import TracebackType
from typing import Self

from kraj.errors import UnavailableError


class Requests:
    """Connections that are kept and taken in turn; more questions than connections wait. Used with ``async with``."""

    def __init__(self, port: int, connections: int) -> None:
        self._port = port
        self._count = connections
        self._idle: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.Queue()

    async def __aenter__(self) -> Self:
        for _ in range(self._count):
            self._idle.put_nowait(await asyncio.open_connection("127.0.0.1", self._port))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        while not self._idle.empty():
            self._idle.get_nowait()[1].close()

    async def get(self, path: str, headers: dict[str, str]) -> int:
        """The status of the answer, once all of it is here.

        Raises:
            UnavailableError: the server closed the connection, or its answer has no length.
        """
        given = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        reader, writer = await self._idle.get()
        try:
            writer.write(f"GET {path} HTTP/1.1\r\nhost: 127.0.0.1:{self._port}\r\n{given}\r\n".encode())
            head = await reader.readuntil(b"\r\n\r\n")
            lines = dict(line.lower().split(": ", 1) for line in head.decode("latin-1").split("\r\n")[1:] if line)
            await reader.readexactly(int(lines["content-length"]))
        except (asyncio.IncompleteReadError, ConnectionError, KeyError) as error:
            raise UnavailableError(f"the API did not answer {path}: {error!r}") from error
        self._idle.put_nowait((reader, writer))
        return int(head.split(b" ", 2)[1])
