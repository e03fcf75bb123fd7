# What must survive a loss of power at any moment: two copies in two sectors, of which the newer whole one holds.
# Used by the loader, too: it imports no module of ours.
import binascii
import struct

SECTOR = 4096
HEAD = "<2sBBIHH"  # magic, version, 0, generation, length of the body, 0; then the CRC of head and body
HEAD_BYTES = 16
BODY_MAX = SECTOR - HEAD_BYTES


# Bytes in one of two sectors. `keep` writes the older one, reads it back, and only then is it the newer.
class Copies:
    # The version is that of the body's form: a copy of another one is none.
    def __init__(self, area, sector, magic, version):
        self.area = area
        self.magic, self.version = magic, version
        self.generation = -1  # of the copy that holds; -1 before the first
        self.at = sector + 1
        self.other = sector
        for place in (sector, sector + 1):
            generation = self._whole(place)
            if generation > self.generation:
                self.generation, self.at = generation, place
                self.other = sector if place != sector else sector + 1

    # The body that holds, or None.
    def read(self):
        if self.generation < 0:
            return None
        length = struct.unpack(HEAD, self.area.read(self.at * SECTOR, HEAD_BYTES - 4))[4]
        return self.area.read(self.at * SECTOR + HEAD_BYTES, length)

    # Raises ValueError when it is too long, and OSError when flash did not take it: what held before still does.
    def keep(self, body):
        if len(body) > BODY_MAX:
            raise ValueError("too large")
        generation = self.generation + 1
        head = struct.pack(HEAD, self.magic, self.version, 0, generation, len(body), 0)
        check = binascii.crc32(body, binascii.crc32(head))
        self.area.erase(self.other)
        self.area.write(self.other * SECTOR + HEAD_BYTES, body)
        self.area.write(self.other * SECTOR, head + struct.pack("<I", check))
        if self._whole(self.other) != generation or self._body(self.other, len(body)) != body:
            raise OSError("flash did not keep it")
        self.generation = generation
        self.at, self.other = self.other, self.at

    def _body(self, place, length):
        return self.area.read(place * SECTOR + HEAD_BYTES, length)

    # The generation of the copy there, -1 if there is none.
    def _whole(self, place):
        head = self.area.read(place * SECTOR, HEAD_BYTES)
        magic, version, _, generation, length, _ = struct.unpack(HEAD, head[:-4])
        if magic != self.magic or version != self.version or length > BODY_MAX:
            return -1
        check = binascii.crc32(self._body(place, length), binascii.crc32(head[:-4]))
        return generation if check == struct.unpack("<I", head[-4:])[0] else -1


FIELDS = ("boot", "slot", "trial", "floor", "failures", "safe")


# Whole numbers of the device's life:
#   boot      starts, counted by `start`
#   slot      0 or 1, the confirmed one; `trial`: starts that the other one has left; `floor`: highest confirmed version
#   failures  starts since the last that went well
#   safe      1: the next start is in safe mode
# More may be added at the end: what an older copy does not have is 0.
class State:
    def __init__(self, area):
        self.copies = Copies(area, 2, b"KS", 1)
        body = self.copies.read() or b""
        for place, name in enumerate(FIELDS):
            known = len(body) >= place * 4 + 4
            setattr(self, name, struct.unpack_from("<I", body, place * 4)[0] if known else 0)

    # All changes or, with an OSError, none of them. Nothing is written where nothing changes.
    def keep(self, **changes):
        if any(name not in FIELDS for name in changes):
            raise ValueError("no such field")
        values = [changes.get(name, getattr(self, name)) for name in FIELDS]
        if values == [getattr(self, name) for name in FIELDS] and self.copies.generation >= 0:
            return
        self.copies.keep(struct.pack("<" + "I" * len(values), *values))
        for place, name in enumerate(FIELDS):
            setattr(self, name, values[place])

    # Another start; gives its number. `at_least` is what the ring has seen, should this state have been lost.
    def start(self, at_least=0):
        self.keep(boot=max(self.boot + 1, at_least))
        return self.boot
