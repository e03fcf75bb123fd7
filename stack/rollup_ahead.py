"""Work on the next of many things while the one before is being used: a thread of its own, one thing ahead."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Given = TypeVar("Given")
Made = TypeVar("Made")


def ahead(work: Callable[[Given], Made], given: Sequence[Given]) -> Iterator[Made]:
    """What ``work`` makes of each, in order; no more than one that is done waits. Raises what ``work`` raises."""
    with ThreadPoolExecutor(1) as pool:
        before: Future[Made] | None = None
        for one in given:
            now = pool.submit(work, one)
            if before is not None:
                yield before.result()
            before = now
        if before is not None:
            yield before.result()
