# Readings in flash: sectors of records, in the order of their numbers.
# A number is given once, and power may go within any write or erase.
#
# A sector begins with its HEAD: which numbers it holds from (`first`) and, where it was made of two others and stands
# for them, up to which (`until`). A record is a FRAME (length, state, number less `first`, check), a payload and a CRC.
# Bits of its state are cleared one after another, from the lowest: pending, delivered, again, delivered, …, dead.
import binascii
import struct
from array import array

from node import record
from node.scale import DECIMALS, about

SECTOR = 4096
HEAD = "<2sBBHHIIII"  # magic, version, metrics, 0, schema, first, until, boot, generation
HEAD_BYTES = 28  # with its CRC
FRAME = "<HBHB"
FRAME_BYTES = 6
OPEN = 0xFFFFFFFF
DELIVERED = (0xFE, 0xF8, 0xE0, 0x80)
DEAD = 0
KEY_EVERY = 16
OFFSET_MAX = 0xFFFF
PASSES = 12  # after so many events are thinned out, too
NOWHERE = 255


def is_pending(state):
    return state != DEAD and state not in DELIVERED


def delivered(state):
    return {0xFF: 0xFE, 0xFC: 0xF8, 0xF0: 0xE0}.get(state, 0x80) & state


# What a delivered record is when it is to be sent again, or None after three times.
def again(state):
    return {0xFE: 0xFC, 0xF8: 0xF0, 0xE0: 0xC0}.get(state)


def check_of(length, offset):
    return (length ^ length >> 8 ^ offset ^ offset >> 8 ^ 0x5A) & 0x7F


# The frames in a sector's bytes: (at, length, state, offset). A head that was cut is stepped over: nothing followed it.
def frames(data, at=HEAD_BYTES):
    while at + FRAME_BYTES <= SECTOR:
        length, state, offset, check = struct.unpack_from(FRAME, data, at)
        if length == 0xFFFF and check == 0xFF and offset == 0xFFFF and state == 0xFF:
            return
        if check == check_of(length, offset) and FRAME_BYTES + 4 < length <= SECTOR - at:
            yield at, length, state, offset
            at += length
        else:
            at += FRAME_BYTES


def crc_of(length, offset, payload):
    return binascii.crc32(payload, binascii.crc32(struct.pack("<HH", length, offset)))


def is_whole(data, at, length, offset):
    end = at + length - 4
    return crc_of(length, offset, data[at + FRAME_BYTES : end]) == struct.unpack_from("<I", data, end)[0]


def frame_of(offset, payload):
    length = FRAME_BYTES + len(payload) + 4
    head = struct.pack(FRAME, length, 0xFF, offset, check_of(length, offset))
    return head + payload + struct.pack("<I", crc_of(length, offset, payload))


# The last of some records of so many metrics, told one against the other, and where one is that cannot be read, or 0.
def decoded(data, run, count, before):
    for at, length, offset in run:
        try:
            if not is_whole(data, at, length, offset):
                return None, at
            before = record.decode(data, at + FRAME_BYTES, at + length - 4, count, before)
        except (ValueError, IndexError):
            return None, at
    return before, 0


class Sectors:
    def __init__(self, area, kind):
        if not 4 <= area.sectors < NOWHERE:
            raise ValueError("4 to 254 sectors")
        self.area = area
        self.kind, self.width, self.schemas = kind, len(kind.NAMES), {}
        count = area.sectors
        self.first = array("I", [0] * count)
        self.count = array("H", [0] * count)
        self.pending = array("H", [0] * count)
        self.order = []  # sectors by their numbers, the oldest first
        self.free = []
        self.thinned = 0
        self.lost = 0  # records that flash did not keep
        self.merged = None  # (first, last) of the numbers among which some were thinned out last
        self.next_seq = 1
        self.boot_max = 0
        self.end = SECTOR  # where the next record goes, in the newest sector
        self.before = None  # what it is told against
        self.since_key = 0
        self.key_at, self.key_seq = 0, OPEN  # the last key that was written
        self.generation = 0
        self.last_allocated = count - 1
        self._recover()

    # Every reading that waits, from one number to another: (seq, sector, at, reading).
    def waiting(self, low, high):
        for i in range(len(self.order)):
            place = self.order[i]
            if not self.pending[place] or self.first[place] > high:
                continue
            if i + 1 < len(self.order) and self.first[self.order[i + 1]] <= low:
                continue
            yield from self.readings(place, low, high)

    # The same of one sector. What cannot be read is dead from then on, with all that was told against it.
    def readings(self, place, low=0, high=OPEN):
        data = self.area.read(place * SECTOR, SECTOR)
        count, first = data[3], self.first[place]
        undone, before, broken = [], None, False
        for at, length, state, offset in frames(data, self.start_of(place, low)):
            if state == DEAD:
                continue
            if data[at + FRAME_BYTES] & record.KEY:
                undone, before, broken = [], None, False
            if not broken:
                undone.append((at, length, offset))
            seq = first + offset
            wanted = is_pending(state) and low <= seq <= high
            if wanted and not broken:
                before, bad = decoded(data, undone, count, before)
                if bad:
                    self._bury(place, data, bad)
                    broken = True
                undone = []
            if wanted and not broken:
                yield seq, place, at, before
            elif seq > high:
                return

    # Where to begin in a sector for what has this number or a higher one: at its newest it is the last key.
    def start_of(self, place, low):
        return self.key_at if low >= self.key_seq and place == self.order[-1] else HEAD_BYTES

    # The state of one record, and the count of what waits.
    def mark(self, place, at, before, state):
        self.area.write(place * SECTOR + at + 2, bytes((state,)))
        self.pending[place] += is_pending(state) - is_pending(before)

    def span(self, i):
        last = self.first[self.order[i + 1]] - 1 if i + 1 < len(self.order) else OPEN
        return self.first[self.order[i]], last

    # Keeps a reading under the next number, which it gives.
    def append(self, reading):
        seq = self.next_seq
        self.next_seq += 1
        for _ in range(4):
            try:
                if self.end == SECTOR or seq - self.first[self.order[-1]] > OFFSET_MAX:
                    self._new_head(seq, reading[0])
                before = self.before if self.since_key < KEY_EVERY else None
                frame = frame_of(seq - self.first[self.order[-1]], record.encode(reading, before))
                if self.end + len(frame) > SECTOR:
                    self.end = SECTOR
                    continue
                place, at = self.order[-1], self.end
                if self._written(place, at, frame):
                    self.end += len(frame)
                    self.since_key = self.since_key + 1 if frame[FRAME_BYTES] & record.KEY == 0 else 1
                    self.before = reading
                    if self.since_key == 1:
                        self.key_at, self.key_seq = at, seq
                    self.count[place] += 1
                    self.pending[place] += 1
                    return seq
                self.end = SECTOR
                self.area.write(place * SECTOR + at + 2, b"\0")
            except OSError:
                self.end = SECTOR
        self.lost += 1
        return seq

    def _written(self, place, at, data):
        self.area.write(place * SECTOR + at, data)
        return self.area.read(place * SECTOR + at, len(data)) == data

    def _bury(self, place, data, at):
        told = False
        for where, _, state, _ in frames(data):
            if where < at or state == DEAD:
                continue
            if told and data[where + FRAME_BYTES] & record.KEY:
                break
            told = True
            self.lost += is_pending(state)
            self.mark(place, where, state, DEAD)

    def _schema(self, count):
        if count not in self.schemas:
            crc = 0
            for place in range(count):
                said = ("," if place else "") + self.kind.NAMES[place] + ":" + str(about(self.kind, place, DECIMALS))
                crc = binascii.crc32(said.encode(), crc)
            self.schemas[count] = crc & 0xFFFF
        return self.schemas[count]

    def _write_head(self, place, first, until, boot):
        self.generation += 1
        count = self.width
        head = struct.pack(HEAD, b"KR", 1, count, 0, self._schema(count), first, until, boot, self.generation)
        return self._written(place, 0, head + struct.pack("<I", binascii.crc32(head)))

    def _new_head(self, seq, boot):
        while len(self.free) < 2 and self._make_room():
            pass
        while True:
            place = self._allocate()
            if self._write_head(place, seq, OPEN, boot):
                break
        self.order.append(place)
        self.first[place], self.count[place], self.pending[place] = seq, 0, 0
        self.end, self.before, self.since_key, self.key_seq = HEAD_BYTES, None, 0, OPEN

    # An erased sector, each in its turn; what cannot be erased any more is not asked again until the next start.
    def _allocate(self):
        while self.free:
            place = min(self.free, key=lambda n: (n <= self.last_allocated, n))
            self.free.remove(place)
            self.last_allocated = place
            try:
                self.area.erase(place)
                if self.area.read(place * SECTOR, SECTOR) == b"\xff" * SECTOR:
                    return place
            except OSError:
                pass
        raise OSError("no sector is left")

    def _release(self, place, invalid=True):
        self.order.remove(place)
        self.free.append(place)
        self.pending[place] = 0
        if invalid:
            self.area.write(place * SECTOR, b"\0\0")

    # One sector more that may be erased: what is delivered goes first, else the past becomes coarser.
    def _make_room(self):
        for place in self.order[:-1]:
            if not self.pending[place]:
                self._release(place, invalid=False)
                return True
        pairs = len(self.order) - 2
        if pairs < 1:
            return False

        def waits(i):
            return self.pending[self.order[i]] + self.pending[self.order[i + 1]]

        i, coarser = min(range(pairs), key=waits), False
        if waits(i) * 2 > self.count[self.order[i]] + self.count[self.order[i + 1]]:
            # Where they are densest, the oldest first; the newest quarter stays as it is.
            i = min(range(pairs - pairs // 4), key=lambda n: self.first[self.order[n + 2]] - self.first[self.order[n]])
            coarser = True
        return self._merge(i, coarser)

    # One sector for two, with some of their readings; it stands for them from when it has a head.
    def _merge(self, i, coarser):
        pair = self.order[i], self.order[i + 1]
        first, until = self.first[pair[0]], self.first[self.order[i + 2]] - 1
        waited, lost = self.pending[pair[0]] + self.pending[pair[1]], self.lost
        # Of how many numbers, in eighths, one stays: first every other of those that are there.
        apart = 16 * (until - first + 1) // waited if coarser else 0
        passes = 0
        while True:
            end, kept = HEAD_BYTES, 0
            for frame in self._thin(pair, first, apart, passes > PASSES):
                end += len(frame)
                kept += 1
            if end <= SECTOR:
                break
            apart = max(apart + 1, apart * end // SECTOR, 8)
            passes += 1
        self.merged = first, until
        try:
            while kept:
                place = self._allocate()
                copied = self._copied(place, self._thin(pair, first, apart, passes > PASSES))
                if copied and self._write_head(place, first, until, 0):
                    self.first[place] = first
                    self.count[place] = self.pending[place] = kept
                    self.order.insert(i, place)
                    break
        except OSError:  # nothing to write to: the older one has to go, as otherwise nothing new could be kept
            self.lost += self.pending[pair[0]]
            self._release(pair[0])
            return True
        self.thinned += waited - kept - (self.lost - lost)
        for old in pair:
            self._release(old)
        return True

    def _copied(self, place, made):
        at = HEAD_BYTES
        for frame in made:
            if not self._written(place, at, frame):
                return False
            at += len(frame)
        return True

    # Channels are thinned out apart, or every other reading would always be the same inverter. Events stay.
    def _thin(self, pair, first, apart, events):
        seen, before, since_key = {}, None, 0
        for place in pair:
            for seq, _, _, reading in self.readings(place):
                if apart and (reading[4] is None or events):
                    span = (seq - first) * 8 // apart
                    if seen.get(reading[1]) == span:
                        continue
                    seen[reading[1]] = span
                if seq - first > OFFSET_MAX:
                    return
                reading[5].extend([None] * (self.width - len(reading[5])))  # of older firmware
                payload = record.encode(reading, before if since_key < KEY_EVERY else None)
                since_key = since_key + 1 if payload[0] & record.KEY == 0 else 1
                before = reading
                yield frame_of(seq - first, payload)

    def _recover(self):
        until, generation = {}, {}
        for place in range(self.area.sectors):
            data = self.area.read(place * SECTOR, HEAD_BYTES)
            magic, version, count, _, schema, first, last, boot, made = struct.unpack(HEAD, data[:-4])
            if magic != b"KR" or binascii.crc32(data[:-4]) != struct.unpack("<I", data[-4:])[0]:
                self.free.append(place)
                continue
            self.generation = max(self.generation, made)
            self.boot_max = max(self.boot_max, boot)
            self.first[place] = first
            if version != 1 or count > self.width or schema != self._schema(count):
                # Of another kind: nobody could read it any more, but its numbers were given.
                if version == 1:
                    self._count(place)
                    self.count[place] = self.pending[place] = 0
                else:
                    self.next_seq = max(self.next_seq, first + OFFSET_MAX + 1)
                self.free.append(place)
                continue
            until[place], generation[place] = last, made
        for place in generation:
            if self._stands(place, until, generation):
                self.order.append(place)
            else:
                self.free.append(place)
                self.area.write(place * SECTOR, b"\0\0")
        self.order.sort(key=lambda place: (self.first[place], generation[place]))
        if self.order:
            self.last_allocated = self.order[-1]
        for place in self.order:
            self._count(place, place == self.order[-1])

    # Whether no later sector stands for this one.
    def _stands(self, place, until, generation):
        for other, last in until.items():
            later = last != OPEN and generation[other] > generation[place]
            if later and self.first[other] <= self.first[place] <= last:
                return False
        return True

    # Counts what is in a sector; in the newest, whose last record may have been cut, every record is looked at.
    def _count(self, place, newest=False):
        data = self.area.read(place * SECTOR, SECTOR)
        self.count[place] = self.pending[place] = 0
        end, last, boot = HEAD_BYTES, -1, 0
        for at, length, state, offset in frames(data):
            end, last = at + length, offset
            if newest and state != DEAD and not is_whole(data, at, length, offset):
                self.area.write(place * SECTOR + at + 2, b"\0")
                state = DEAD
            if state == DEAD:
                continue
            self.count[place] += 1
            self.pending[place] += is_pending(state)
            if newest and data[at + FRAME_BYTES] & record.KEY:
                boot = record.start(data, at + FRAME_BYTES, None)[0]
        self.boot_max = max(self.boot_max, boot)
        self.next_seq = max(self.next_seq, self.first[place] + last + 1)
        if not newest:
            return
        torn = end
        while torn + FRAME_BYTES <= SECTOR and data[torn : torn + FRAME_BYTES] != b"\xff" * FRAME_BYTES:
            torn += FRAME_BYTES
        if torn != end:
            self.next_seq += 1  # its record was cut before one could tell its number
        # What follows is told by as many metrics as its sector says.
        if data[3] == self.width and data[torn:] == b"\xff" * (SECTOR - torn):
            self.end = torn
