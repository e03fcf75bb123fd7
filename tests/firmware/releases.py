"""Releases, good and bad, with what a device must say of each: made by the platform's code, read by the device's.

``python -m tests.firmware.releases`` writes ``releases.json``; keys and times are fixed, so it is always the same.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from kraj import firmware_blocks, firmware_release, romfs
from kraj.firmware_release import MAGIC
from kraj.signed import canonical

FILE = Path(__file__).with_name("releases.json")
NOW_S = 1795212345
FILES = {
    "main.mpy": b"the first file",
    "node/app.mpy": bytes(range(256)) * 18,
    "node/kinds/lamp.mpy": b"a lamp",
}


def key(number: int) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32)


KEYS = [firmware_release.public_bytes(key(number).public_key()) for number in (1, 2)]


def container(version: int = 7, by: int = 1, **changed: Any) -> bytes:
    said: dict[str, Any] = {"name": f"1.0.{version}", "runtime": "mpy 6", "expires": NOW_S + 1000, **changed}
    return firmware_release.seal(key(by), said.pop("files", FILES), version=version, **said)


def forged(by: int = 1, **changed: Any) -> bytes:
    """A container that our builder would refuse to make, signed all the same."""
    manifest = firmware_release.read(container(), KEYS).manifest.as_json() | changed
    text = canonical(manifest).encode()
    before = MAGIC + len(text).to_bytes(4, "big") + text
    return before + key(by).sign(before) + romfs.image(FILES)


def head_of(data: bytes) -> bytes:
    return data[: 12 + int.from_bytes(data[8:12], "big") + 64]


def flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def case(title: str, expected: str, data: bytes, **changed: Any) -> dict[str, Any]:
    head = head_of(data)
    said: dict[str, Any] = {"release": hashlib.sha256(head).hexdigest()[:16], "version": 7, **changed}
    return {"title": title, "expected": expected, "order": said, "head": head.hex(), "tail": data[len(head) :].hex()}


def build() -> dict[str, Any]:
    good = container()
    head = head_of(good)
    size = len(good) - len(head)
    cases = [
        case("the first key", "", good),
        case("the spare key", "", container(by=2)),
        case("a key of nobody here", "key", container(by=3)),
        case("another's signature", "signature", flipped(good, len(head) - 1)),
        case("a changed manifest", "signature", good.replace(b'"1.0.7"', b'"1.0.8"')),
        case("another release than ordered", "digest", good, release="0" * 16),
        case("a changed file", "file", flipped(good, len(good) - 1)),
        case("an early file changed", "file", flipped(good, len(head) + 3)),
        case("a block missing", "missing", good[: firmware_blocks.BLOCK_BYTES]),
        case("a block too short", "block", good[:-1]),
        case("a block too long", "block", good + b"!"),
        case("another version than ordered", "version", container(8)),
        case("a version below the floor", "version", container(5), version=5),
        case("expired", "expired", container(expires=NOW_S)),
        case("another interpreter", "runtime", container(runtime="mpy 7")),
        case("another product", "product", forged(product="kraj-gateway")),
        case("no magic", "form", b"X" + good[1:]),
        case("more than a manifest says", "form", forged(extra=1)),
        case("a version that is no number", "form", forged(version="7")),
        case("a version that is a bool", "form", forged(version=True)),
        case("an image of no size", "form", forged(size=None)),
        case("an image of no bytes", "form", forged(size=0)),
        case("an image of a bool", "form", forged(size=True)),
        case("an image of more than can be counted", "form", forged(size=2**32)),
        case("a sum of another length", "form", forged(sha256="0" * 63)),
        case("a sum that is no digits", "form", forged(sha256="x" * 64)),
        case("a sum in a list", "form", forged(sha256=["0" * 64])),
        case("another image's sum", "file", forged(sha256="0" * 64)),
        case("more than a slot holds", "size", forged(size=34 * 4096)),
        case("an image longer than there is", "block", forged(size=size + 1)),
    ]
    next_ = case("the next", "", container(9), version=9)
    # What follows the head is nearly always the same: kept once.
    tails = sorted({said["tail"] for said in [*cases, next_]})
    for said in (*cases, next_):
        said["tail"] = tails.index(said["tail"])
    return {"keys": b"".join(KEYS).hex(), "now_s": NOW_S, "tails": tails, "cases": cases, "next": next_}


if __name__ == "__main__":
    FILE.write_text(json.dumps(build(), indent=0) + "\n")
