"""A ROM file system as MicroPython reads it where it lies in flash, without a copy in memory; pure.

It is records in records: a kind and a length as numbers of seven bits a byte, then what is in it. A folder and a file
begin with their names; a file goes on with its bytes. Bytecode is read byte by byte, so nothing is aligned.
"""

from collections.abc import Iterator, Mapping

MAGIC = b"\xd2\xcd\x31"
_DATA, _FOLDER, _FILE = 2, 4, 5
_DEEP = 8


def image(files: Mapping[str, bytes]) -> bytes:
    """The one image of files by their paths; folders stand where the first of their files does."""
    inside = _records([(name.split("/"), content) for name, content in files.items()])
    return MAGIC + _number(len(inside)) + inside


def read(data: bytes) -> dict[str, bytes]:
    """The files of what ``image`` made, by path; ``ValueError`` for anything else, be it a byte longer."""
    if data[: len(MAGIC)] != MAGIC:
        raise ValueError("it does not begin as a ROM file system")
    try:
        length, at = _read_number(data, len(MAGIC))
        files = dict(_walk(data[at : at + length], "", _DEEP))
    except IndexError as error:
        raise ValueError("it ends too early") from error
    if image(files) != data:
        raise ValueError("it could be written otherwise")
    return files


def _records(files: list[tuple[list[str], bytes]]) -> bytes:
    out = b""
    for name in dict.fromkeys(path[0] for path, _ in files):
        below = [(path[1:], content) for path, content in files if path[0] == name]
        named = _number(len(name.encode())) + name.encode()
        if below[0][0]:
            out += _record(_FOLDER, named + _records(below))
        else:
            out += _record(_FILE, named + _record(_DATA, below[0][1]))
    return out


def _record(kind: int, payload: bytes) -> bytes:
    return bytes((kind,)) + _number(len(payload)) + payload


def _number(n: int) -> bytes:
    out = bytes((n & 127,))
    while n := n >> 7:
        out = bytes((n & 127 | 128,)) + out
    return out


def _walk(data: bytes, folder: str, deep: int) -> Iterator[tuple[str, bytes]]:
    at = 0
    while at < len(data):
        kind = data[at]
        length, at = _read_number(data, at + 1)
        payload = data[at : at + length]
        at += length
        size, start = _read_number(payload, 0)
        name, rest = folder + payload[start : start + size].decode(), payload[start + size :]
        if kind == _FOLDER and deep:
            yield from _walk(rest, name + "/", deep - 1)
        elif kind == _FILE and rest[0] == _DATA:
            content, start = _read_number(rest, 1)
            yield name, rest[start : start + content]
        else:
            raise ValueError(f"a record of kind {kind} has no place there")


def _read_number(data: bytes, at: int) -> tuple[int, int]:
    n = 0
    while data[at] & 128:
        n, at = n << 7 | data[at] & 127, at + 1
    return n << 7 | data[at], at + 1
