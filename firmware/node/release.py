# A release as a device reads it, in its flash or from a message.
# Head (magic, length, manifest, signature), then the files as a ROM file system, which is mounted where it lies. The
# platform's side, which also makes releases, is kraj/firmware_release.py; a test holds the two together. Used by the
# loader, too: small, and it imports no module of ours.
import binascii
import hashlib
import json

MAGIC = b"KRAJFW1\n"
PRODUCT = "kraj-node"
SECTOR = 4096
BLOCK = 1024
BEFORE = 12
MANIFEST_MAX = 1024
INT_MAX = 0xFFFFFFFF
HEX = "0123456789abcdef"
KEYS = {"product", "version", "name", "runtime", "expires", "key", "size", "sha256"}


# Why a release is not taken: one word, told in results and events.
class Refused(Exception):  # noqa: N818
    pass


# Where the signature begins in a head that starts so; raises Refused.
def signed_size(start):
    if len(start) < BEFORE or bytes(start[:8]) != MAGIC:
        raise Refused("form")
    size = int.from_bytes(start[8:12], "big")
    if not 2 <= size <= MANIFEST_MAX:
        raise Refused("form")
    return BEFORE + size


def hexadecimal(data):
    return binascii.hexlify(data).decode()


def is_hex(text, chars):
    return isinstance(text, str) and len(text) == chars and all(c in HEX for c in text)


def is_count(number, high):
    return type(number) is int and 1 <= number <= high


# The manifest of a head (its signature is another matter); `begin` and `end` are where its image lies in a slot.
# Raises Refused.
def manifest(head, capacity):
    begin = signed_size(head) + 64
    try:
        found = json.loads(head[BEFORE : begin - 64])
        whole = (
            len(head) == begin
            and set(found) == KEYS
            and is_count(found["version"], INT_MAX >> 1)
            and is_count(found["expires"], INT_MAX)
            and is_count(found["size"], INT_MAX)
            and is_hex(found["key"], 16)
            and is_hex(found["sha256"], 64)
            and all(
                isinstance(found[name], str) and 0 < len(found[name]) <= 64 for name in ("name", "product", "runtime")
            )
        )
    except (ValueError, TypeError, KeyError, AttributeError, UnicodeError):
        whole = False
    if not whole:
        raise Refused("form")
    found["begin"] = begin
    found["end"] = begin + found["size"]
    if found["end"] > capacity:
        raise Refused("size")
    return found


# The manifest of what lies in an area, if the image is the one that was signed; None where it is not. Reads all of it.
def in_slot(area, feed=None):
    try:
        found = in_head(area)
        check(area.read, found, feed)
    except (Refused, OSError, MemoryError):
        return None
    return found


# The manifest of the head that lies in an area; raises Refused.
def in_head(area):
    return manifest(area.read(0, signed_size(area.read(0, BEFORE)) + 64), area.sectors * SECTOR)


# Raises Refused("file") where the image is not what the manifest says; `read` gives so many bytes from an offset.
def check(read, found, feed=None):
    sums = hashlib.sha256()
    at = found["begin"]
    while at < found["end"]:
        part = min(BLOCK, found["end"] - at)
        sums.update(read(at, part))
        at += part
        if feed:
            feed()
    if hexadecimal(sums.digest()) != found["sha256"]:
        raise Refused("file")
