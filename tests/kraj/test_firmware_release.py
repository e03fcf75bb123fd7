"""A release is taken whole, signed by a key of the region, or not at all."""

import hashlib
import random
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from kraj import romfs
from kraj.errors import PayloadError
from kraj.firmware_blocks import BLOCK_BYTES, block, block_topic, manifest_topic
from kraj.firmware_release import (
    MAGIC,
    SLOT_BYTES,
    Release,
    digest,
    key_number,
    public_bytes,
    read,
    seal,
)
from kraj.signed import canonical

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
SPARE = Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33)))
KEYS = [public_bytes(KEY.public_key()), public_bytes(SPARE.public_key())]
FILES = {"node/app.mpy": b"M\x06\x00\x1f" * 700, "node/kinds/lamp.mpy": b"M\x06lamp" * 300, "main.mpy": b"M"}


def sealed(key: Ed25519PrivateKey = KEY, **other: object) -> bytes:
    given = {"version": 7, "name": "1.4.0", "runtime": "micropython 1.29 mpy 6.3", "expires": 1_900_000_000, **other}
    return seal(key, FILES, **given)  # pyright: ignore[reportArgumentType]


def signed_anew(text: bytes, rest: bytes, key: Ed25519PrivateKey = KEY) -> bytes:
    before = MAGIC + len(text).to_bytes(4, "big") + text
    return before + key.sign(before) + rest


def image_signed(image: bytes) -> bytes:
    """A container of any image, signed all the same."""
    sums = hashlib.sha256(image).hexdigest()
    return signed_anew(manifest_text(read(sealed(), KEYS), size=len(image), sha256=sums), image)


def refusal(container: bytes, keys: list[bytes] | None = None) -> str:
    with pytest.raises(PayloadError) as refused:
        read(container, KEYS if keys is None else keys)
    return refused.value.reason


def test_what_was_sealed_is_read_back_with_every_file() -> None:
    release = read(sealed(), KEYS)
    assert (release.manifest.version, release.manifest.name) == (7, "1.4.0")
    assert release.files == FILES
    assert release.manifest.key == key_number(KEYS[0])
    assert release.digest == digest(release.head)


def test_either_of_the_two_keys_signs() -> None:
    assert read(sealed(SPARE), KEYS).manifest.key == key_number(KEYS[1])
    assert refusal(sealed(SPARE), KEYS[:1]) == "release_key"


def test_blocks_put_together_are_the_container() -> None:
    release = read(sealed(), KEYS)
    parts = [block(release.container, number) for number in range(release.blocks)]
    assert b"".join(parts) == release.container
    assert {len(part) for part in parts[:-1]} == {BLOCK_BYTES}
    assert block(release.container, release.blocks) == b""
    assert block_topic(release.digest, 3) == f"kraj_release/{release.digest}/3"
    assert manifest_topic(release.digest) == f"kraj_release/{release.digest}/manifest"


def test_a_bit_changed_anywhere_a_byte_more_or_less_is_refused() -> None:
    container, chance = sealed(), random.Random(8)
    for place in [*range(900), *(chance.randrange(len(container)) for _ in range(600))]:
        wrong = bytearray(container)
        wrong[place] ^= 1 << chance.randrange(8)
        assert refusal(bytes(wrong)).startswith("release_")
    for size in range(0, len(container), 37):
        assert refusal(container[:size]).startswith("release_")
    assert refusal(container + b"\0") == "release_file"


def manifest_text(release: Release, **other: object) -> bytes:
    return canonical({**release.manifest.as_json(), **other}).encode()


@pytest.mark.parametrize(
    "other",
    [
        {"more": 1},
        {"version": 0},
        {"version": True},
        {"version": 7.0},
        {"version": 2**31},
        {"name": "1.4 .0"},
        {"size": 0},
        {"size": -1},
        {"size": 7.0},
        {"size": 2**32},
        {"sha256": "0" * 63},
        {"sha256": "A" * 64},
        {"sha256": None},
        {"expires": None},
    ],
)
def test_a_manifest_that_says_what_none_may_is_refused_though_it_is_signed(other: dict[str, object]) -> None:
    release = read(sealed(), KEYS)
    assert refusal(signed_anew(manifest_text(release, **other), b"")) == "release_form"


@pytest.mark.parametrize(
    "files",
    [
        {},
        {"a.mpy": b""},
        {"../boot.mpy": b"M"},
        {"/boot.mpy": b"M"},
        {"boot.py": b"M"},
        {"a/b/c/d/e.mpy": b"M"},
        {f"a{n}.mpy": b"M" for n in range(97)},
    ],
    ids=lambda files: next(iter(files), "none"),
)
def test_files_that_none_may_have_are_refused_though_they_are_signed(files: dict[str, bytes]) -> None:
    assert refusal(image_signed(romfs.image(files))) == "release_form"


def test_an_image_that_no_builder_makes_is_refused_though_it_is_signed() -> None:
    image = romfs.image(FILES)
    assert read(image_signed(image), KEYS).files == FILES
    twice = romfs.image({"a.mpy": b"M"})[4:] * 2
    for wrong in (image + b"\0", image[:-1], b"\xd2\xcd\x32" + image[3:], b"\xd2\xcd\x31\x80" + image[3:]):
        assert refusal(image_signed(wrong)) == "release_form"
    assert refusal(image_signed(romfs.MAGIC + bytes((len(twice),)) + twice)) == "release_form"


def test_a_manifest_has_one_way_to_be_written() -> None:
    release = read(sealed(), KEYS)
    text = manifest_text(release)
    rest = release.container[len(release.head) :]
    assert read(signed_anew(text, rest), KEYS).manifest == release.manifest
    for wrong in (
        b" " + text,
        text[:-1] + b',"version":7}',
        text.replace(b'"version"', b'"\\u0076ersion"'),
        b"[" * 3000,
    ):
        assert refusal(signed_anew(wrong, rest)) == "release_form"


def test_files_that_are_not_the_signed_ones_another_product_and_one_too_large_are_refused() -> None:
    release = read(sealed(), KEYS)
    rest = bytearray(release.container[len(release.head) :])
    rest[5] ^= 1
    assert refusal(release.head + bytes(rest)) == "release_file"
    other = canonical(replace(release.manifest, product="toaster").as_json()).encode()
    assert refusal(signed_anew(other, release.container[len(release.head) :])) == "release_product"
    assert refusal(release.container + bytes(SLOT_BYTES)) == "release_size"
    assert refusal(signed_anew(manifest_text(release, size=SLOT_BYTES), bytes(rest))) == "release_size"
