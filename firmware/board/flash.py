# The areas of flash by their partitions' names (partitions.csv): bytes anywhere, erased by sector.
import esp32

SECTOR = 4096
ERASE = 6  # vfs.AbstractBlockDev.ioctl
# What areas lie in a partition, one behind another and of one size. An interpreter with ROMFS maps the partition of
# that name: both slots at once.
PARTITIONS = (("state", ("state",)), ("ring", ("ring",)), ("romfs", ("code_0", "code_1")))
NO_ROLLBACK = -261


class Area:
    def __init__(self, partition, number: int = 0, of: int = 1):
        self.partition = partition
        self.sectors = partition.info()[3] // SECTOR // of
        self.first = number * self.sectors

    def read(self, offset: int, size: int) -> bytes:
        buffer = bytearray(size)
        self.partition.readblocks(self.place(offset, size), buffer, offset % SECTOR)
        return bytes(buffer)

    # Bytes that were erased before; with an offset, even 0, MicroPython does not erase by itself.
    def write(self, offset: int, data: bytes) -> None:
        self.partition.writeblocks(self.place(offset, len(data)), data, offset % SECTOR)

    def erase(self, sector: int) -> None:
        self.partition.ioctl(ERASE, self.place(sector * SECTOR, SECTOR))

    # The sector in the partition; what is not within this area is another's.
    def place(self, offset: int, size: int) -> int:
        if offset < 0 or offset + size > self.sectors * SECTOR:
            raise OSError(22)
        return self.first + offset // SECTOR


def areas() -> dict[str, Area]:
    found = {}
    for name, parts in PARTITIONS:
        partitions = esp32.Partition.find(esp32.Partition.TYPE_DATA, label=name)
        if not partitions:
            raise RuntimeError("no partition " + name + ": flash this device's partition table")
        for number, part in enumerate(parts):
            found[part] = Area(partitions[0], number, len(parts))
    return found


# The interpreter's own image, after a round trip to the broker. It is changed by cable only; with a bootloader that
# rolls back it is said here that it works.
def confirm_image() -> None:
    try:
        esp32.Partition.mark_app_valid_cancel_rollback()
    except OSError as error:
        if error.args[0] != NO_ROLLBACK:
            raise
