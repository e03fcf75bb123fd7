"""The ceiling: a subscriber of the same library that does nothing but acknowledge."""

import asyncio
import mmap
import struct
import sys
from pathlib import Path

import numpy as np

from ingest.session import Credentials, Link, connect
from kraj import topics


def progress_map(file: str) -> mmap.mmap:
    """The eight bytes that the generator watches."""
    with Path(file).open("r+b") as opened:
        return mmap.mmap(opened.fileno(), 8)


async def main(host: str, port: int, window: int, progress_file: str) -> None:
    """PUBACK whatever comes, and count it into the progress file."""
    progress = progress_map(progress_file)

    def inbox(link: Link, messages: list[tuple[str, bytes, int]]) -> None:
        link.acknowledge(np.fromiter((m[2] for m in messages), np.uint16, len(messages)))
        progress[:8] = struct.pack("q", link.digested)

    link = await connect(Credentials(host, port, "slot_9"), window, topics.subscriptions(), inbox)
    print("ready", flush=True)  # noqa: T201  # the signal to whoever measures
    while not link.closed.done():
        await asyncio.wait([link.closed], timeout=0.02)
        progress[:8] = struct.pack("q", link.digested)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]))
