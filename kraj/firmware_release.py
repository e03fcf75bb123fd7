"""A firmware release: its manifest, the container that a device keeps in a slot, and its Ed25519 signature; pure.

A container is its head and then the files, as a ROM file system that a device mounts where it lies in flash::

    8 bytes     MAGIC
    4 bytes     length of the manifest, big-endian
    n bytes     the manifest: one line of JSON in ``kraj.signed.canonical`` form
    64 bytes    Ed25519 signature of everything before it
    …           the image (``kraj.romfs``)

The signature covers the SHA-256 and the size of the image, which ends the container: not a byte is outside it. The
name of a release is its ``digest``, made from the head; a device gets the container in blocks, before which it may have
the head (``kraj.firmware_blocks``).
"""

import hashlib
import json
import re
import struct
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, cast

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from kraj import romfs
from kraj.errors import PayloadError
from kraj.firmware_blocks import blocks
from kraj.signed import canonical

MAGIC = b"KRAJFW1\n"
PRODUCT = "kraj-node"
"""The one image for every kind of device."""
SLOT_BYTES = 34 * 4096
"""What a slot for code holds (firmware/partitions.csv)."""
MANIFEST_BYTES_MAX = 1024
"""A device reads it into its memory."""
FILES_MAX = 96
VERSION_MAX = 2**31 - 1
"""Versions are counted, never named: a device takes no lower one than it has had."""
EXPIRES_MAX = 2**32 - 1
SIZE_MAX = 2**32 - 1
SIGNATURE_BYTES, KEY_BYTES, KEY_CHARS, DIGEST_CHARS = 64, 32, 16, 16

FILE_NAME = re.compile(r"(?:[a-z][a-z0-9_]{0,31}/){0,3}[a-z_][a-z0-9_]{0,31}\.mpy")
NAME = re.compile(r"[0-9A-Za-z][0-9A-Za-z.+-]{0,31}")
RUNTIME = re.compile(r"[0-9a-z][0-9a-z.+ -]{0,63}")
SHA256 = re.compile(r"[0-9a-f]{64}")
DIGEST = re.compile(rf"[0-9a-f]{{{DIGEST_CHARS}}}")

_LENGTH = struct.Struct(">I")
_BEFORE = len(MAGIC) + _LENGTH.size


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a release is. ``name`` is what devices say in ``status.firmware``; ``expires`` is Unix time in seconds.

    ``runtime`` tells for which interpreter it was compiled; ``key`` is the number of the key that signed it. ``size``
    in bytes and ``sha256`` in hexadecimal digits are those of the image.
    """

    product: str
    version: int
    name: str
    runtime: str
    expires: int
    key: str
    size: int
    sha256: str

    def as_json(self) -> dict[str, Any]:
        """As it stands in a container."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Release:
    """A container that was checked; ``head`` is its signed beginning, ``digest`` its name of 16 hexadecimal digits.

    ``files`` are its files by their paths.
    """

    manifest: Manifest
    head: bytes
    container: bytes
    files: Mapping[str, bytes]

    @property
    def digest(self) -> str:
        """As the topics and the command name it."""
        return digest(self.head)

    @property
    def blocks(self) -> int:
        """How many messages carry it."""
        return blocks(len(self.container))


def public_bytes(key: Ed25519PublicKey) -> bytes:
    """The 32 bytes that a device carries."""
    return key.public_bytes(Encoding.Raw, PublicFormat.Raw)


def key_number(public: bytes) -> str:
    """Which key it is: 16 hexadecimal digits of the SHA-256 of its 32 bytes."""
    return hashlib.sha256(public).hexdigest()[:KEY_CHARS]


def digest(head: bytes) -> str:
    """The name of a release: 16 hexadecimal digits of the SHA-256 of its head, signature included."""
    return hashlib.sha256(head).hexdigest()[:DIGEST_CHARS]


def seal(
    key: Ed25519PrivateKey,
    files: Mapping[str, bytes],
    *,
    version: int,
    name: str,
    runtime: str,
    expires: int,
    product: str = PRODUCT,
) -> bytes:
    """Make a container of files by their paths, in the order in which they are given; it was read back and checked.

    Raises:
        PayloadError: ``release_…``, as ``read`` would raise for it.
    """
    public = public_bytes(key.public_key())
    image = romfs.image(files)
    sums = hashlib.sha256(image).hexdigest()
    manifest = Manifest(product, version, name, runtime, expires, key_number(public), len(image), sums)
    text = canonical(manifest.as_json()).encode()
    before = MAGIC + _LENGTH.pack(len(text)) + text
    return read(before + key.sign(before) + image, [public]).container


def read(container: bytes, keys: Sequence[bytes], *, product: str = PRODUCT) -> Release:
    """Read a container and check all of it but time: form, signature, size, image and names.

    Args:
        container: its bytes.
        keys: the public keys that are trusted, 32 bytes each.
        product: what the devices are.

    Raises:
        PayloadError: ``release_form`` (it is no container), ``release_key`` (signed by none of the keys),
            ``release_signature``, ``release_product``, ``release_size`` (it does not fit a slot) or ``release_file``
            (the files are not what was signed).
    """
    if len(container) > SLOT_BYTES:
        raise _refused("size", f"{len(container)} bytes do not fit a slot of {SLOT_BYTES}")
    manifest, head = read_head(container, keys)
    if manifest.product != product:
        raise _refused("product", f"it is for {manifest.product}, not for {product}")
    if len(head) + manifest.size > SLOT_BYTES:
        raise _refused("size", f"an image of {manifest.size} bytes does not fit a slot of {SLOT_BYTES}")
    image = bytes(container[len(head) :])
    if len(image) != manifest.size:
        raise _refused("file", f"the manifest tells of {manifest.size} bytes, and there are {len(image)}")
    if hashlib.sha256(image).hexdigest() != manifest.sha256:
        raise _refused("file", "its files are not those that were signed")
    try:
        files = romfs.read(image)
    except ValueError as error:
        raise _refused("form", f"its files cannot be read: {error}") from error
    if (
        not 1 <= len(files) <= FILES_MAX
        or not all(FILE_NAME.fullmatch(name) for name in files)
        or b"" in files.values()
    ):
        raise _refused("form", "its files are none, too many, empty, or named as none may be")
    return Release(manifest, head, bytes(container), files)


def read_head(container: bytes, keys: Sequence[bytes]) -> tuple[Manifest, bytes]:
    """The manifest and the signed beginning of what may be a whole container; raises as ``read`` does."""
    if len(container) < _BEFORE or container[: len(MAGIC)] != MAGIC:
        raise _refused("form", "it does not begin as a release")
    [length] = _LENGTH.unpack_from(container, len(MAGIC))
    end = _BEFORE + length
    if not 2 <= length <= MANIFEST_BYTES_MAX or len(container) < end + SIGNATURE_BYTES:
        raise _refused("form", f"a manifest of {length} bytes is not in it")
    text = bytes(container[_BEFORE:end])
    manifest = _manifest(text)
    public = {key_number(key): key for key in keys}.get(manifest.key)
    if public is None:
        raise _refused("key", f"the key {manifest.key} is not one of this region's")
    head = bytes(container[: end + SIGNATURE_BYTES])
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(head[end:], head[:end])
    except InvalidSignature as error:
        raise _refused("signature", "the manifest was not signed so") from error
    return manifest, head


def _manifest(text: bytes) -> Manifest:
    try:
        found = json.loads(text)
        if canonical(found).encode() != text:
            raise ValueError
        given = cast("Mapping[str, Any]", found)
        manifest = Manifest(*(given[field.name] for field in fields(Manifest)))
        whole = manifest.as_json() == found and _is_plausible(manifest)
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise _refused("form", "its manifest cannot be read") from error
    if not whole:
        raise _refused("form", "its manifest says more, or less, than a manifest may")
    return manifest


def _is_plausible(manifest: Manifest) -> bool:
    texts = (
        (NAME, manifest.product),
        (NAME, manifest.name),
        (RUNTIME, manifest.runtime),
        (DIGEST, manifest.key),
        (SHA256, manifest.sha256),
    )
    counts = (
        (manifest.version, 1, VERSION_MAX),
        (manifest.expires, 1, EXPIRES_MAX),
        (manifest.size, 1, SIZE_MAX),
    )
    return all(_is_text(text, pattern) for pattern, text in texts) and all(
        type(count) is int and low <= count <= high for count, low, high in counts
    )


def _is_text(found: Any, pattern: re.Pattern[str]) -> bool:
    return isinstance(found, str) and pattern.fullmatch(found) is not None


def _refused(what: str, message: str) -> PayloadError:
    return PayloadError(f"release_{what}", f"the release is refused: {message}")
