"""A photo is kept without where, when and with what it was taken; what is no photo is refused."""

import random
import struct
import zlib

import pytest

from api.orders.pictures import PIXELS_MAX, PictureError, cleaned

PLACE = b"N 49.5000 E 15.6000"


def segment(kind: int, body: bytes) -> bytes:
    return b"\xff" + bytes([kind]) + struct.pack(">H", 2 + len(body)) + body


def exif(orientation: int, order: str = ">") -> bytes:
    head = b"MM\0*" if order == ">" else b"II*\0"
    entries = [(0x010F, 2, 1, 0), (0x0112, 3, 1, orientation), (0x8825, 4, 1, 99)]
    body = struct.pack(f"{order}H", len(entries))
    for tag, type_, count, value in entries:
        body += struct.pack(f"{order}HHIHH", tag, type_, count, value, 0)
    return segment(0xE1, b"Exif\0\0" + head + struct.pack(f"{order}I", 8) + body + b"\0\0\0\0" + PLACE)


def jpeg(*told: bytes, width: int = 640, height: int = 480) -> bytes:
    """The shape of a progressive JPEG: two scans with a table between, stuffed bytes and a restart within."""
    frame = segment(0xC2, b"\x08" + struct.pack(">HH", height, width) + b"\x01\x01\x11\x00")
    scan = segment(0xDA, b"\x01\x01\x00\x00\x3f\x00") + b"\x12\xff\x00\x34\xff\xd0\x56"
    table = segment(0xC4, b"\x00" * 17)
    return b"\xff\xd8" + b"".join(told) + frame + table + scan + table + scan + b"\xff\xd9"


def chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def png(width: int = 2, height: int = 3) -> bytes:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    pixels = chunk(b"IDAT", zlib.compress((b"\0" + b"\x80" * 3 * width) * height))
    told = chunk(b"tEXt", b"Comment\0" + PLACE) + chunk(b"eXIf", PLACE) + chunk(b"tIME", b"\x07\xea\x0b\x15\0\0\0")
    return b"\x89PNG\r\n\x1a\n" + header + told + pixels + chunk(b"IEND", b"") + b"behind it " + PLACE


def webp() -> bytes:
    extended = b"\x0c\0\0\0" + (639).to_bytes(3, "little") + (479).to_bytes(3, "little")
    parts = [(b"VP8X", extended), (b"VP8L", b"\x2f\x7f\xc2\x77\x00"), (b"EXIF", PLACE), (b"XMP ", PLACE)]
    body = b"".join(n + struct.pack("<I", len(b)) + b + b"\0" * (len(b) % 2) for n, b in parts)
    return b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WEBP" + body


def test_a_jpeg_loses_its_place_and_keeps_its_picture() -> None:
    told = (segment(0xE0, b"JFIF\0" + b"\0" * 9), exif(1), segment(0xE1, b"http://ns.adobe.com/xap/" + PLACE))
    raw = jpeg(*told, segment(0xED, PLACE), segment(0xFE, PLACE)) + b"a film behind it " + PLACE
    found = cleaned(raw)
    assert (found.media_type, found.width, found.height) == ("image/jpeg", 640, 480)
    assert found.content == jpeg(told[0])
    assert PLACE not in found.content
    assert cleaned(found.content) == found


@pytest.mark.parametrize("order", [">", "<"])
def test_a_turned_picture_stays_turned(order: str) -> None:
    found = cleaned(jpeg(exif(6, order)))
    assert PLACE not in found.content
    assert found.content.count(b"Exif\0\0") == 1
    assert struct.pack(">HHIH", 0x0112, 3, 1, 6) in found.content
    assert cleaned(found.content) == found


def test_png_and_webp_lose_their_place() -> None:
    found = cleaned(png())
    assert (found.media_type, found.width, found.height) == ("image/png", 2, 3)
    assert PLACE not in found.content
    found = cleaned(webp())
    assert (found.media_type, found.width, found.height) == ("image/webp", 640, 480)
    assert PLACE not in found.content
    assert found.content[20] & 0b1100 == 0, "and does not claim to have them"


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"<svg onload='alert(1)'>",
        b"GIF89a",
        b"\xff\xd8\xff",
        jpeg()[:60],
        jpeg()[:-2],
        png()[:40],
        webp()[:30],
        jpeg(width=0),
        jpeg(width=60000, height=60000),
        b"\xff\xd8\xff\xd9",
    ],
)
def test_what_is_no_photo_is_refused(raw: bytes) -> None:
    assert PIXELS_MAX < 60000 * 60000
    with pytest.raises(PictureError):
        cleaned(raw)


def test_broken_files_are_refused_or_read_and_nothing_else_happens() -> None:
    chance = random.Random(1)
    for whole in (jpeg(exif(6)), png(), webp()):
        for _ in range(500):
            raw = bytearray(whole[: chance.randrange(1, len(whole) + 1)])
            raw[chance.randrange(len(raw))] = chance.randrange(256)
            try:
                cleaned(bytes(raw))
            except PictureError:
                continue
