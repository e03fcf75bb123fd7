# A reading as bytes for flash and as text for the wire, by integers alone.
#
# A reading is (boot, channel, timed, stamp_ms, event, values): `stamp_ms` is UTC where `timed`, else the uptime;
# `event` is a word or None; `values` are the kind's metrics in order, None where unknown. In flash it is a key, which
# stands for itself, or tells only what differs from the reading before.
import json

from node.scale import DECIMALS, about

KEY, TIMED, CHANNEL, EVENT = 1, 2, 4, 8


def varint(out, n):
    while n > 127:
        out.append(n & 127 | 128)
        n >>= 7
    out.append(n)


def zigzag(out, n):
    varint(out, n << 1 if n >= 0 else (-n << 1) - 1)


# (number, where the next one begins); bytes that end too early are an IndexError.
def read_varint(data, at):
    byte = data[at]
    at += 1
    n, shift = byte & 127, 7
    while byte & 128:
        byte = data[at]
        at += 1
        n |= (byte & 127) << shift
        shift += 7
    return n, at


def read_zigzag(data, at):
    n, at = read_varint(data, at)
    return (-((n + 1) >> 1) if n & 1 else n >> 1), at


def _differs(reading, before):
    if before is None or reading[0] != before[0] or reading[2] != before[2]:
        return True
    now, then = reading[5], before[5]
    return any((now[i] is None) != (then[i] is None) for i in range(len(now)))


# `before` is the reading that was encoded last, or None for a key.
def encode(reading, before=None):
    boot, channel, timed, stamp_ms, event, values = reading
    key = _differs(reading, before)
    channel_before = 0 if key else before[1]
    out = bytearray(1)
    flags = (KEY if key else 0) | (TIMED if timed else 0)
    if key:
        varint(out, boot)
    zigzag(out, stamp_ms if key else stamp_ms - before[3])
    if channel != channel_before:
        flags |= CHANNEL
        varint(out, channel)
    if event is not None:
        flags |= EVENT
        said = event.encode()[:255]
        out.append(len(said))
        out += said
    mask = len(out)
    out += bytes((len(values) + 7) // 8)
    then = None if key else before[5]
    for i in range(len(values)):
        value = values[i]
        if value is None or (then is not None and value == then[i]):
            continue
        out[mask + (i >> 3)] |= 1 << (i & 7)
        zigzag(out, value if then is None else value - then[i])
    out[0] = flags
    return out


# The reading in data[at:end] of so many metrics; ValueError or IndexError where none can be.
def decode(data, at, end, count, before=None):
    flags = data[at]
    key = flags & KEY
    if not key and before is None:
        raise ValueError("no key before")
    boot, stamp_ms, at = start(data, at, before)
    channel, event = 0 if key else before[1], None
    if flags & CHANNEL:
        channel, at = read_varint(data, at)
    if flags & EVENT:
        length = data[at]
        event = bytes(data[at + 1 : at + 1 + length]).decode()
        at += 1 + length
    mask = at
    at += (count + 7) // 8
    values = [None] * count if key else list(before[5])
    for i in range(count):
        if data[mask + (i >> 3)] >> (i & 7) & 1:
            value, at = read_zigzag(data, at)
            values[i] = value if key else values[i] + value
    if at != end:
        raise ValueError("a record of another length")
    return boot, channel, bool(flags & TIMED), stamp_ms, event, values


# (boot, stamp_ms, where the rest begins), without looking at the rest. `before` is a reading or (boot, _, _, stamp_ms).
def start(data, at, before):
    if data[at] & KEY:
        boot, at = read_varint(data, at + 1)
        stamp_ms, at = read_zigzag(data, at)
        return boot, stamp_ms, at
    step, at = read_zigzag(data, at + 1)
    return before[0], before[3] + step, at


# 412 with 1 decimal is 41.2, 120 is 12, 41 with -3 decimals 41000.
def number(value, decimals):
    if decimals <= 0:
        return str(value * 10**-decimals)
    sign = "-" if value < 0 else ""
    digits = str(abs(value))
    while len(digits) <= decimals:
        digits = "0" + digits
    whole, part = digits[:-decimals], digits[-decimals:]
    while part and part[-1] == "0":
        part = part[:-1]
    return sign + whole + ("." + part if part else "")


# A reading as the platform takes it. An event is the first thing in it.
def text(kind, seq, reading):
    boot, channel, timed, stamp_ms, event, values = reading
    said = [] if event is None else ['"event":' + json.dumps(event)]
    said.append('"boot":' + str(boot))
    said.append('"seq":' + str(seq))
    said.append(('"ts":' if timed else '"uptime_ms":') + str(stamp_ms))
    if channel:
        said.append('"channel":' + str(channel))
    for i in range(len(values)):
        value, name = values[i], kind.NAMES[i]
        if value is None:
            continue
        if name in kind.STATES:
            words = kind.STATES[name]
            if not 0 <= value < len(words):
                continue
            told = '"' + words[value] + '"'
        elif name in kind.BOOLEANS:
            told = "true" if value else "false"
        else:
            told = number(value, about(kind, i, DECIMALS))
        said.append('"' + name + '":' + told)
    return ("{" + ",".join(said) + "}").encode()
