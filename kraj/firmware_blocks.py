"""How a release travels: in blocks, which the broker keeps for devices as retained messages.

Apart from ``kraj.firmware_release``, as who carries a release needs none of what checks its signature.
"""

BLOCK_BYTES = 1024
"""A device has one of them in memory, twice at times; the last is shorter. Four fill a sector of its flash."""
ROOT = "kraj_release"
"""No municipality and no device has an underscore in its name: nothing else speaks there."""
HEAD = "manifest"


def blocks(size: int) -> int:
    """How many blocks a container of so many bytes makes."""
    return -(-size // BLOCK_BYTES)


def block(container: bytes, number: int) -> bytes:
    """One block, from 0."""
    return container[number * BLOCK_BYTES : (number + 1) * BLOCK_BYTES]


def block_topic(release: str, number: int) -> str:
    """Where a block is kept for devices, retained."""
    return f"{ROOT}/{release}/{number}"


def manifest_topic(release: str) -> str:
    """Where the head is kept for devices, retained."""
    return f"{ROOT}/{release}/{HEAD}"
