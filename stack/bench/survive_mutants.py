"""Bad inputs without an end: what broken and hostile devices could say, as mutations of good messages.

As a program it feeds them to the decoder alone and prints one JSON object: how many, what escaped, and by how much its
memory grew.
"""

import itertools
import json
import sys
import time
from collections.abc import Iterator
from random import Random

import psutil

from ingest.decode import Message, decode
from ingest.routes import Routes
from kraj.foreign.adapters import ROOT as FOREIGN
from kraj.kinds import KINDS
from kraj.store.registry import Installation

AT_ONCE = 200
WARM_SHARE = 0.1
"""Of the inputs; what has been allocated by then is what decoding takes, and the rest is growth."""
INTERNAL = "internal"
"""The reason by which the decoder says that the fault is its own."""
NOW_MS = 1_795_212_345_000

GOOD = (
    b'{"ts":1795212345000,"boot":7,"seq":1234,"power_w":41.2,"level_reason":"manual","rssi_dbm":-70}',
    b'[{"ts":1795212344000,"boot":7,"seq":1,"power_w":1,"event":"sos_pressed"},{"uptime_ms":5,"boot":8,"seq":2}]',
    b'{"online":true,"boot":7,"firmware":"1.4.0","reset":"power_on"}',
    b'{"id":"1","ok":true,"readings":5}',
    b'{"version":3,"ok":true}',
    b'{"ENERGY":{"Power":12,"Voltage":230},"Time":"2026-11-21T12:00:00"}',
)
TOKENS = (
    *(b"null", b"true", b"{}", b"[]", b'""', b"NaN", b"-Infinity", b"1e999", b"-1", b"0", b"9" * 30, b"1.5e-320"),
    *(b"[" * 3000, b'{"a":' * 2000, b"\xff\xfe", b"\xed\xa0\x80", b"\\ud800", b"\0", b'"' + b"x" * 5000 + b'"'),
    *(b'"seq":2,"seq":3', b'"boot":99999999999999999999', b'"ts":1e308', b",", b":", b"}", b"]", b'"', b"\\"),
)
CHANNELS = ("telemetry", "telemetry", "telemetry", "event", "status", "reported", "result", "ack", "x" * 200, "")


def payloads(random: Random) -> Iterator[bytes]:
    """Mutated ones; some come out good, as it happens."""
    while True:
        data = bytearray(random.choice(GOOD))
        for _ in range(random.choice((1, 1, 2, 3, 8))):
            at = random.randrange(len(data) + 1)
            match random.randrange(5):
                case 0:
                    data[at : at + 1] = random.randbytes(1)
                case 1:
                    del data[at : at + random.randrange(1, 20)]
                case 2:
                    data[at : at + random.randrange(12)] = random.choice(TOKENS)
                case 3:
                    data[at:at] = data[max(0, at - random.randrange(1, 30)) : at]
                case _:
                    data[at:at] = random.choice(GOOD)
        yield bytes(data)


def topics(random: Random, town: str, names: list[str]) -> Iterator[str]:
    """Mostly of known devices, sometimes of strangers, of other makers' devices, or of no form at all."""
    while True:
        name, channel = random.choice(names), random.choice(CHANNELS)
        match random.randrange(20):
            case 0:
                yield f"{FOREIGN}/{name}/tele/SENSOR"
            case 1:
                yield f"kraj/{town}/stranger-{random.randrange(50)}/{channel}"
            case 2:
                yield f"kraj/{'x' * random.randrange(100)}/{name}/{channel}"
            case _:
                yield f"kraj/{town}/{name}/{channel}"


def packets(random: Random) -> Iterator[bytes]:
    """Bytes that are no MQTT, or nearly are: what a connection begins with."""
    connect = b"\x10\x0d\x00\x04MQTT\x05\x02\x00\x0a\x00\x00\x00"
    while True:
        kind = random.randrange(4)
        if kind == 0:
            yield random.randbytes(random.randrange(1, 60))
        elif kind == 1:
            data = bytearray(connect)
            data[random.randrange(len(data))] = random.randrange(256)
            yield bytes(data)
        else:
            head = bytes((random.randrange(256), random.choice((0, 1, 2, 5, 40, 127))))
            yield connect + head + random.randbytes(random.randrange(60))


def routes() -> Routes:
    """A device of each kind, and one with two channels."""
    kinds = list(KINDS)
    rows = [Installation("lhota", f"{kind}-1", n, 1, "active", 0, n, kind, 1) for n, kind in enumerate(kinds, 1)]
    rows += [Installation("lhota", "gateway-1", 99, 1, "active", n, 90 + n, kinds[0], 1) for n in (1, 2)]
    return Routes(1, rows)


def feed(count: int, seed: int, seconds_max: float) -> dict[str, float]:
    """Decode so many, or as many as there is time for."""
    random = Random(seed)  # noqa: S311 - reproducible
    known = routes()
    bodies = payloads(random)
    places = topics(random, "lhota", [route.name for route in known.all])
    process = psutil.Process()
    began, done, escaped, internal, before = time.monotonic(), 0, 0, 0, 0
    while done < count and time.monotonic() - began < seconds_max:
        messages: list[Message] = list(
            zip(itertools.islice(places, AT_ONCE), bodies, itertools.repeat(1), strict=False)
        )
        try:
            found = decode(messages, known, {}, NOW_MS)
            internal += sum(rejection.reason == INTERNAL for rejection in found.rejections)
        except Exception as error:  # whatever it is, it would have ended ingest
            escaped += 1
            print(f"{type(error).__name__}: {error}", file=sys.stderr)  # noqa: T201
        done += len(messages)
        if not before and done >= WARM_SHARE * count:
            before = process.memory_info().rss
    grown = process.memory_info().rss - (before or process.memory_info().rss)
    return {"inputs": done, "crashes": escaped + internal, "memory_mb": grown / 2**20}


if __name__ == "__main__":
    print("ready", flush=True)  # noqa: T201  # the signal to whoever measures
    sys.stdin.readline()
    print(json.dumps(feed(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]))))  # noqa: T201  # the result
