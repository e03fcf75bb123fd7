"""A ROM file system is the one that MicroPython's own tool makes, and is read back or refused."""

import random
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from kraj import romfs

FILES = {"a.mpy": b"M\x06", "b/c.mpy": bytes(range(256)) * 3, "b/d/e.mpy": b"e" * 20_000, "f.mpy": b""}


def test_what_is_made_is_what_mpremote_makes(tmp_path: Path) -> None:
    """But for one byte that makes its length even, of which a reader takes no notice."""
    for name, content in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content)
    tool: Any = import_module("mpremote.romfs")
    theirs: bytes = tool.make_romfs(str(tmp_path), mpy_cross=False)
    ours = romfs.image(FILES)
    assert theirs in (ours, ours[:3] + b"\x80" + ours[3:])


def test_what_was_made_is_read_back_and_nothing_else_is() -> None:
    image, chance = romfs.image(FILES), random.Random(1)
    assert romfs.read(image) == FILES
    assert romfs.read(romfs.image({})) == {}
    for size in [*range(300), *range(300, len(image), 97)]:
        with pytest.raises(ValueError, match="it "):
            romfs.read(image[:size])
    taken = 0
    for _ in range(2000):
        wrong = bytearray(image)
        wrong[chance.randrange(40)] ^= 1 << chance.randrange(8)
        try:
            files = romfs.read(bytes(wrong))
        except ValueError:
            continue
        taken += 1
        assert romfs.image(files) == wrong  # another name, or other bytes: a file system as good as the first
    assert 0 < taken < 1500


def test_folders_within_folders_without_end_are_refused() -> None:
    with pytest.raises(ValueError, match="no place there"):
        romfs.read(romfs.image({"a/" * 500 + "b.mpy": b"M"}))
