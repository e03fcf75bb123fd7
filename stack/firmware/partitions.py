"""The layout of a device's flash: from ``firmware/partitions.csv`` to what the ESP-IDF's bootloader reads."""

import csv
import hashlib
import struct
from dataclasses import dataclass
from pathlib import Path

from kraj.errors import ConfigurationError

FLASH_BYTES = 4 * 1024**2
TABLE_OFFSET = 0x8000
SECTOR_BYTES = 4096
APP_ALIGNMENT = 0x10000
_TYPES = {"app": 0, "data": 1}
_SUBTYPES = {"ota_0": 0x10, "ota_1": 0x11, "ota": 0, "phy": 1, "nvs": 2, "undefined": 6, "fat": 0x81}
_ENTRY = struct.Struct("<HBBII16sI")
_MAGIC, _TABLE_BYTES = 0x50AA, 0xC00
_FIRST = 0x9000


@dataclass(frozen=True, slots=True)
class Partition:
    """A part of flash; offset and size in bytes."""

    name: str
    type: str
    subtype: str
    offset: int
    size: int

    @property
    def sectors(self) -> int:
        """How many can be erased one by one."""
        return self.size // SECTOR_BYTES


def read(file: Path) -> dict[str, Partition]:
    """The partitions by name; raises ``ConfigurationError`` where they overlap, leave flash or stand askew."""
    lines = [line for line in file.read_text().splitlines() if line and not line.startswith("#")]
    found: dict[str, Partition] = {}
    end = _FIRST
    for name, kind, subtype, offset, size in csv.reader(lines, skipinitialspace=True):
        part = Partition(name.strip(), kind.strip(), subtype.strip(), int(offset, 16), int(size, 16))
        alignment = APP_ALIGNMENT if part.type == "app" else SECTOR_BYTES
        if part.offset < end or part.offset % alignment or part.size % SECTOR_BYTES or part.name in found:
            raise ConfigurationError(f"{file}: {part.name} overlaps what is before it, or does not begin with a sector")
        if part.type not in _TYPES or part.subtype not in _SUBTYPES or len(part.name) > 15:
            raise ConfigurationError(f"{file}: {part.name} is of no kind that a bootloader knows")
        found[part.name] = part
        end = part.offset + part.size
    if end > FLASH_BYTES:
        raise ConfigurationError(f"{file}: {end - FLASH_BYTES} bytes more than the flash of {FLASH_BYTES}")
    return found


def table(partitions: dict[str, Partition]) -> bytes:
    """The table as it lies at ``TABLE_OFFSET``, with its MD5 as the bootloader checks it."""
    entries = b"".join(
        _ENTRY.pack(_MAGIC, _TYPES[part.type], _SUBTYPES[part.subtype], part.offset, part.size, part.name.encode(), 0)
        for part in partitions.values()
    )
    checked = b"\xeb\xeb" + b"\xff" * 14 + hashlib.md5(entries, usedforsecurity=False).digest()
    return (entries + checked).ljust(_TABLE_BYTES, b"\xff")
