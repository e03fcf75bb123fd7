"""Photos as they are kept: JPEG, PNG or WebP, without where, when and with what they were taken.

Nothing is decoded and drawn again: of the file only the parts that make the picture are copied. What a phone says of
the turn of the picture (EXIF orientation) is kept, or crews would see half of their photos lying on the side.
"""

import struct
from dataclasses import dataclass

BYTES_MAX = 5 * 1024 * 1024
"""A phone's photo of 12 megapixels has 2 to 4 MB."""
PIXELS_MAX = 50_000_000
"""What a browser can show without an effort; a small file may claim any size."""
_JPEG_KEPT = frozenset({0xE0, 0xEE})
"""JFIF, and Adobe's colour transform, without which colours are wrong."""
_PNG_KEPT = frozenset(
    {b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"gAMA", b"cHRM", b"sRGB", b"iCCP", b"sBIT", b"bKGD", b"pHYs"}
)
_WEBP_KEPT = frozenset({b"VP8 ", b"VP8L", b"VP8X", b"ALPH", b"ICCP"})
_EXIF_ORIENTATION = 0x0112


class PictureError(ValueError):
    """Theirs: the bytes are no picture of a kind that we keep."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture without metadata."""

    media_type: str
    width: int
    height: int
    content: bytes


def cleaned(raw: bytes) -> Picture:
    """The picture; raises ``PictureError`` for what is none, is broken, or has too many pixels."""
    try:
        if raw.startswith(b"\xff\xd8\xff"):
            picture = _jpeg(raw)
        elif raw.startswith(b"\x89PNG\r\n\x1a\n"):
            picture = _png(raw)
        elif raw[:4] == b"RIFF" and raw[8:12] == b"WEBP":
            picture = _webp(raw)
        else:
            raise PictureError("no JPEG, PNG or WebP")
    except (struct.error, IndexError) as error:
        raise PictureError("it ends in the middle") from error
    if not 0 < picture.width * picture.height <= PIXELS_MAX:
        raise PictureError(f"{picture.width} × {picture.height} pixels")
    return picture


def _jpeg(raw: bytes) -> Picture:
    out: list[bytes] = []
    width = height = 0
    turned = b""
    at = 2
    while True:
        at, kind, segment = _segment(raw, at)
        if kind == 0xDA:
            break
        if 0xC0 <= kind <= 0xCF and kind not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack_from(">HH", segment, 5)
        if kind == 0xE1 and segment[4:10] == b"Exif\0\0":
            turned = turned or _turned(segment[10:])
        if kind in _JPEG_KEPT or not _tells(kind):
            out.append(segment)
        at += len(segment)
    return Picture("image/jpeg", width, height, b"".join([raw[:2], turned, *out, _scans(raw, at)]))


def _segment(raw: bytes, at: int) -> tuple[int, int, bytes]:
    """Where the next segment begins, its kind, and all of it."""
    while raw[at] == 0xFF and raw[at + 1] == 0xFF:  # fill bytes
        at += 1
    kind = raw[at + 1]
    if raw[at] != 0xFF or kind == 0xD9:
        raise PictureError("no picture in it")
    (length,) = struct.unpack_from(">H", raw, at + 2)
    segment = raw[at : at + 2 + length]
    if len(segment) != 2 + length or length < 2:
        raise PictureError("it ends in the middle")
    return at, kind, segment


def _tells(kind: int) -> bool:
    """Whether a segment only tells of the picture: APP0 to APP15, and comments."""
    return 0xE0 <= kind <= 0xEF or kind == 0xFE


def _scans(raw: bytes, at: int) -> bytes:
    """From the first scan to the end of the picture. Behind it some phones put a film, or a second picture."""
    out: list[bytes] = []
    while True:
        at, kind, segment = _segment(raw, at)
        end = at + len(segment)
        if kind == 0xDA:  # entropy-coded bytes follow; within them 0xFF is followed by 0 or a restart
            end = raw.find(b"\xff", end)
            while end >= 0 and (raw[end + 1] == 0 or 0xD0 <= raw[end + 1] <= 0xD7):
                end = raw.find(b"\xff", end + 2)
            if end < 0:
                raise PictureError("it ends in the middle")
        if not _tells(kind):
            out.append(raw[at:end])
        at = end
        while raw[at + 1] == 0xFF:
            at += 1
        if raw[at + 1] == 0xD9:
            return b"".join([*out, b"\xff\xd9"])


def _turned(exif: bytes) -> bytes:
    """A segment that says of the picture's turn what this EXIF says, and nothing else."""
    try:
        order = {b"II": "<", b"MM": ">"}[exif[:2]]
        (first,) = struct.unpack_from(f"{order}I", exif, 4)
        (entries,) = struct.unpack_from(f"{order}H", exif, first)
        for number in range(min(entries, 200)):
            tag, _, _, value = struct.unpack_from(f"{order}HHIH", exif, first + 2 + 12 * number)
            if tag == _EXIF_ORIENTATION and 1 < value <= 8:
                entry = struct.pack(">HHIHH", _EXIF_ORIENTATION, 3, 1, value, 0)
                body = b"Exif\0\0MM\0*" + struct.pack(">IH", 8, 1) + entry + struct.pack(">I", 0)
                return b"\xff\xe1" + struct.pack(">H", 2 + len(body)) + body
    except (KeyError, struct.error):
        pass
    return b""


def _png(raw: bytes) -> Picture:
    out = [raw[:8]]
    at = 8
    width, height = struct.unpack_from(">II", raw, 16)
    while True:
        (length,) = struct.unpack_from(">I", raw, at)
        chunk = raw[at : at + 12 + length]
        if len(chunk) != 12 + length:
            raise PictureError("it ends in the middle")
        if chunk[4:8] in _PNG_KEPT:
            out.append(chunk)
        if chunk[4:8] == b"IEND":
            return Picture("image/png", width, height, b"".join(out))
        at += 12 + length


def _webp(raw: bytes) -> Picture:
    out: list[bytes] = []
    width = height = 0
    at = 12
    drawn = False
    end = 8 + struct.unpack_from("<I", raw, 4)[0]
    if end > len(raw):
        raise PictureError("it ends in the middle")
    while at < end:
        (length,) = struct.unpack_from("<I", raw, at + 4)
        name, body = raw[at : at + 4], raw[at + 8 : at + 8 + length]
        if len(body) != length:
            raise PictureError("it ends in the middle")
        if name == b"VP8X":
            width, height = (int.from_bytes(body[i : i + 3], "little") + 1 for i in (4, 7))
            body = bytes([body[0] & ~0b1110]) + body[1:]  # no EXIF, no XMP, no animation
        elif name == b"VP8 " and not width:
            width, height = (side & 0x3FFF for side in struct.unpack_from("<HH", body, 6))
        elif name == b"VP8L" and not width:
            (bits,) = struct.unpack_from("<I", body, 1)
            width, height = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
        drawn = drawn or name in (b"VP8 ", b"VP8L")
        if name in _WEBP_KEPT:
            out.append(name + struct.pack("<I", length) + body + b"\0" * (length % 2))
        at += 8 + length + length % 2
    if not drawn:
        raise PictureError("no picture in it")
    content = b"WEBP" + b"".join(out)
    return Picture("image/webp", width, height, b"RIFF" + struct.pack("<I", len(content)) + content)
