"""A small TCP proxy by which two who talk are parted: nothing is refused and nothing is closed, it only stays silent.

What was on its way waits in the kernel's buffers, as unacknowledged segments would, and goes on when the partition is
over. Lines may also stay mute for ever, as behind a router that has forgotten them: both ends believe that they are
connected.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

PIECE = 1 << 16

Upstream = tuple[str, int] | str
"""Address and port, or the path of a Unix socket."""


@dataclass(slots=True, eq=False)
class _Line:
    """One connection; ``open`` while bytes go through."""

    number: int
    open: asyncio.Event = field(default_factory=asyncio.Event)
    mute: bool = False


class Proxy:
    """Listens on ``port`` of loopback for as long as its context lasts."""

    def __init__(self, upstream: Upstream) -> None:
        self.port = 0
        self.lines = 0
        """Connections ever made."""
        self._upstream = upstream
        self._lines: set[_Line] = set()
        self._parted = False
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._come, "127.0.0.1", 0, limit=PIECE)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def part(self) -> None:
        """From now on nothing goes through, in neither direction; who connects hears nothing."""
        self._parted = True
        for line in self._lines:
            line.open.clear()

    def heal(self, mute: Callable[[int], bool] = lambda _: False) -> None:
        """New connections go through; of those from before, the ones whose number is ``mute`` stay silent for ever."""
        self._parted = False
        for line in self._lines:
            line.mute = line.mute or mute(line.number)
            if not line.mute:
                line.open.set()

    def _come(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = _Line(self.lines)
        self.lines += 1
        if self._parted:
            line.mute = True  # nobody has answered this one, and nobody will
        else:
            line.open.set()
        self._lines.add(line)
        far: asyncio.StreamWriter | None = None
        try:
            await line.open.wait()
            back, far = await self._reach()
            async with asyncio.TaskGroup() as both:
                both.create_task(_carry(line, reader, far))
                both.create_task(_carry(line, back, writer))
        except* OSError:  # the end of one end is the end of the line
            pass
        finally:
            self._lines.discard(line)
            for end in (writer, far):
                if end is not None:
                    end.close()

    async def _reach(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if isinstance(self._upstream, str):
            return await asyncio.open_unix_connection(self._upstream, limit=PIECE)
        return await asyncio.open_connection(*self._upstream, limit=PIECE)


async def _carry(line: _Line, near: asyncio.StreamReader, far: asyncio.StreamWriter) -> None:
    while data := await near.read(PIECE):
        await line.open.wait()
        far.write(data)
        await far.drain()
    await line.open.wait()  # a partition keeps also the news that somebody has gone
    raise ConnectionError("closed")
