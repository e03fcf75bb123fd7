# The areas of flash by their partitions' names (partitions.csv): bytes anywhere, erased by sector.
import esp32

SECTOR = 4096
ERASE = 6  # vfs.AbstractBlockDev.ioctl
NAMES = ("state", "ring", "code_0", "code_1")
NO_ROLLBACK = -261


class Area:
    def __init__(self, partition):
        self.partition = partition
        self.sectors = partition.info()[3] // SECTOR

    def read(self, offset: int, size: int) -> bytes:
        buffer = bytearray(size)
        self.partition.readblocks(offset // SECTOR, buffer, offset % SECTOR)
        return bytes(buffer)

    # Bytes that were erased before; with an offset, even 0, MicroPython does not erase by itself.
    def write(self, offset: int, data: bytes) -> None:
        self.partition.writeblocks(offset // SECTOR, data, offset % SECTOR)

    def erase(self, sector: int) -> None:
        self.partition.ioctl(ERASE, sector)


def areas() -> dict[str, Area]:
    found = {}
    for name in NAMES:
        partitions = esp32.Partition.find(esp32.Partition.TYPE_DATA, label=name)
        if not partitions:
            raise RuntimeError("no partition " + name + ": flash this device's partition table")
        found[name] = Area(partitions[0])
    return found


# The interpreter's own image, after a round trip to the broker. It is changed by cable only; with a bootloader that
# rolls back it is said here that it works.
def confirm_image() -> None:
    try:
        esp32.Partition.mark_app_valid_cancel_rollback()
    except OSError as error:
        if error.args[0] != NO_ROLLBACK:
            raise
