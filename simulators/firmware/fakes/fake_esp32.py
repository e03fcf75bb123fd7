"""``esp32``: partitions of a flash that only clears bits, and the store for secrets."""

import binascii

import _host
import parts

_sectors, _read, _write, _erase = _host.flash_sectors, _host.flash_read, _host.flash_write, _host.flash_erase
_get, _set, _drop, _commit = _host.nvs_get, _host.nvs_set, _host.nvs_drop, _host.nvs_commit
SECTOR = 4096
NAME_MAX = 15
NOT_FOUND, INVALID_LENGTH, INVALID_NAME = -0x1102, -0x110C, -0x1106


class Partition:
    """One partition, by its label."""

    BOOT, RUNNING, TYPE_APP, TYPE_DATA = 0, 1, 0, 1

    def __init__(self, label, block_size=SECTOR):
        if label in (self.BOOT, self.RUNNING):
            label = "ota_0"
        self.label = label
        self.block_size = block_size
        self.sectors = int(_sectors(label))
        if self.sectors < 0:
            raise OSError(2)

    @staticmethod
    def find(type=0, subtype=0xFF, label=None, block_size=SECTOR):  # noqa: A002 - as the board names it
        """A list of those with this label."""
        del subtype, type
        return [Partition(label, block_size)] if label and int(_sectors(label)) >= 0 else []

    def info(self):
        """(type, subtype, address, bytes, label, encrypted)."""
        kind = self.TYPE_APP if self.label.startswith("ota_") else self.TYPE_DATA
        return (kind, 6, 0, self.sectors * SECTOR, self.label, False)

    def readblocks(self, block, buffer, offset=0):
        """Fill the buffer from a block and an offset in it."""
        buffer[:] = binascii.unhexlify(_read(self.label, block * self.block_size + offset, len(buffer)))

    def writeblocks(self, block, data, offset=None):
        """With an offset as it is; without one the blocks are erased first."""
        if offset is None:
            for n in range((len(data) + SECTOR - 1) // SECTOR):
                _erase(self.label, block * self.block_size // SECTOR + n)
        _write(self.label, block * self.block_size + (offset or 0), binascii.hexlify(bytes(data)).decode())

    def ioctl(self, what, argument):
        """Number of blocks (4), their size (5), erase one (6)."""
        if what == 4:
            return self.sectors * SECTOR // self.block_size
        if what == 5:
            return self.block_size
        if what == 6:
            _erase(self.label, argument * self.block_size // SECTOR)
        return 0

    def set_boot(self):
        """Told to the host alone."""
        _host.told("boot", self.label)

    def get_next_update(self):
        """The other of the two interpreter images."""
        return Partition("ota_1" if self.label == "ota_0" else "ota_0")

    @classmethod
    def mark_app_valid_cancel_rollback(cls):
        """Told to the host alone."""
        _host.told("valid", "")


class NVS:
    """A namespace of the store for secrets; what is not committed is lost with the power."""

    def __init__(self, namespace):
        self.namespace = namespace

    def _name(self, key):
        if len(key) > NAME_MAX:
            raise OSError(INVALID_NAME)
        return self.namespace + "/" + key

    def set_blob(self, key, value):
        """Keep bytes under a name of at most 15 characters."""
        _set(self._name(key), "b" + binascii.hexlify(bytes(value)).decode())

    def get_blob(self, key, buffer):
        """Into the buffer; gives the length. A buffer that is too small is refused, as on the board."""
        found = _get(self._name(key))
        if not found.startswith("b"):
            raise OSError(NOT_FOUND)
        data = binascii.unhexlify(found[1:])
        if len(data) > len(buffer):
            raise OSError(INVALID_LENGTH)
        buffer[: len(data)] = data
        return len(data)

    def set_i32(self, key, value):
        """Keep a number."""
        _set(self._name(key), "i" + str(value))

    def get_i32(self, key):
        """The number kept."""
        found = _get(self._name(key))
        if not found.startswith("i"):
            raise OSError(NOT_FOUND)
        return int(found[1:])

    def erase_key(self, key):
        """Forget it."""
        if not _get(self._name(key)):
            raise OSError(NOT_FOUND)
        _drop(self._name(key))

    def commit(self):
        """From now on it outlives the power."""
        _commit()


class RMT:
    """Pulses out of a pin to who hears it in ``parts.lines``; a resolution of a microsecond."""

    def __init__(self, channel=0, *, pin, resolution_hz, idle_level=False):
        del channel
        if resolution_hz != 1000000:
            raise ValueError("resolution")
        self.pin, self.idle = pin, bool(idle_level)

    def write_pulses(self, duration, data):
        """Lengths that begin at the level of ``data``; from rest the first one is active, or nobody hears a frame."""
        line = parts.lines.get(self.pin.id)
        if line is not None and bool(data) != self.idle:
            line.heard(duration)


def mcu_temperature():
    """Degrees Celsius of the chip."""
    return 40


def wake_on_ext0(pin, level):
    """Nothing sleeps here."""
    del pin, level
