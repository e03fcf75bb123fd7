"""How a release travels: in blocks, which the broker keeps for devices as retained messages.

Apart from ``kraj.firmware_release``, as who carries a release needs none of what checks its signature.
"""

BLOCK_BYTES = 4096
"""A sector of flash; the last block is shorter."""
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
