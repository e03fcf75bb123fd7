# A release as a device reads it, in its flash or from a message.
# Head (magic, length, manifest, signature), then the files. The platform's side, which also makes releases, is
# kraj/firmware_release.py; a test holds the two together. Used by the loader, too: small, and it imports no module of
# ours.
import binascii
import hashlib
import json

MAGIC = b"KRAJFW1\n"
PRODUCT = "kraj-node"
BLOCK = 4096
BEFORE = 12
MANIFEST_MAX = 8192
FILES_MAX = 96
INT_MAX = 0xFFFFFFFF
HEX = "0123456789abcdef"
KEYS = {"product", "version", "name", "runtime", "expires", "key", "files"}


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


# Names of files are modules: lower-case letters, digits and underscores, at most three folders deep.
def is_file_name(name):
    if not isinstance(name, str) or name[-4:] != ".mpy" or len(name) > 136:
        return False
    parts = name[:-4].split("/")
    letters = "abcdefghijklmnopqrstuvwxyz_"
    return len(parts) <= 4 and all(
        0 < len(part) <= 32 and part[0] in letters and all(c in letters or c in "0123456789" for c in part)
        for part in parts
    )


# The manifest of a head (its signature is another matter) with `files` as (name, offset, size, sha256); raises Refused.
def manifest(head, capacity):
    end = signed_size(head)
    try:
        found = json.loads(head[BEFORE:end])
        if set(found) != KEYS:
            raise Refused("form")
        offset = end + 64
        files = []
        names = set()
        for name, size, digest in found["files"]:
            if not (is_file_name(name) and is_count(size, capacity) and is_hex(digest, 64)) or name in names:
                raise Refused("form")
            names.add(name)
            files.append((name, offset, size, binascii.unhexlify(digest)))
            offset += size
        texts = (found["name"], found["product"], found["runtime"])
        whole = (
            is_count(found["version"], INT_MAX >> 1)
            and is_count(found["expires"], INT_MAX)
            and is_hex(found["key"], 16)
            and all(isinstance(text, str) and 0 < len(text) <= 64 for text in texts)
            and 1 <= len(files) <= FILES_MAX
        )
    except (ValueError, TypeError, KeyError, AttributeError, UnicodeError):
        raise Refused("form") from None
    if not whole or len(head) != end + 64:
        raise Refused("form")
    if offset > capacity:
        raise Refused("size")
    found["files"] = files
    found["size"] = offset
    return found


# The manifest of what lies in an area, each file as it was signed; None where it is not whole. Reads all of it.
def in_slot(area, feed=None):
    try:
        start = area.read(0, BEFORE)
        head = area.read(0, signed_size(start) + 64)
        found = manifest(head, area.sectors * BLOCK)
        check_files(area, found, feed)
    except (Refused, OSError, MemoryError):
        return None
    return found


# Raises Refused("file") where a file in the area is not what the manifest says.
def check_files(area, found, feed=None):
    for _, offset, size, digest in found["files"]:
        sums = hashlib.sha256()
        end = offset + size
        while offset < end:
            part = min(1024, end - offset)
            sums.update(area.read(offset, part))
            offset += part
        if sums.digest() != digest:
            raise Refused("file")
        if feed:
            feed()
