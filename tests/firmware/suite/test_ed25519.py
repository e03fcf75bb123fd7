"""Signatures: the RFC's examples, and what a careless verifier would take."""

import hashlib
import unittest
from binascii import unhexlify

from node import ed25519

# RFC 8032, 7.1: tests 1, 2, 3 and SHA(abc), as public key, message, signature.
EXAMPLES = (
    (
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155"
        "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
    ),
    (
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
        "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
    ),
    (
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
        "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
    ),
    (
        "ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf",
        "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
        "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
        "dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b589"
        "09351fc9ac90b3ecfdfbc7c66431e0303dca179c138ac17ad9bef1177331a704",
    ),
)


def examples():
    return [[unhexlify(text) for text in example] for example in EXAMPLES]


class Signatures(unittest.TestCase):
    def test_the_examples_of_the_rfc_are_good(self):
        for public, message, signature in examples():
            self.assertTrue(ed25519.verify(public, signature, (message,)))

    def test_a_message_may_come_in_parts(self):
        public, message, signature = examples()[3]
        self.assertTrue(ed25519.verify(public, signature, (message[:1], b"", message[1:50], message[50:])))

    def test_any_changed_bit_is_found(self):
        public, message, signature = examples()[1]
        for at in (0, 31, 32, 63):
            changed = bytearray(signature)
            changed[at] ^= 1 << (at % 8)
            self.assertFalse(ed25519.verify(public, bytes(changed), (message,)))
        self.assertFalse(ed25519.verify(public, signature, (b"s",)))
        self.assertFalse(ed25519.verify(examples()[0][0], signature, (message,)))

    def test_another_size_is_no_signature(self):
        public, message, signature = examples()[1]
        for wrong in (b"", signature[:-1], signature + b"\x00"):
            self.assertFalse(ed25519.verify(public, wrong, (message,)))
        self.assertFalse(ed25519.verify(public[:-1], signature, (message,)))

    def test_the_same_signature_written_otherwise_is_refused(self):
        public, message, signature = examples()[1]
        s = int.from_bytes(signature[32:], "little") + ed25519.ORDER
        self.assertFalse(ed25519.verify(public, signature[:32] + s.to_bytes(32, "little"), (message,)))

    def test_points_of_small_order_sign_nothing(self):
        # With the neutral element as key and as R, and s = 0, the equation holds for every message.
        neutral = (1).to_bytes(32, "little")
        self.assertFalse(ed25519.verify(neutral, neutral + bytes(32), (b"anything",)))
        public, _, _ = examples()[0]
        self.assertFalse(ed25519.verify(public, neutral + bytes(32), (b"anything",)))

    def test_points_that_are_none_are_refused(self):
        _, message, signature = examples()[1]
        # 2 is no y of the curve; P + 1 is 1 written otherwise; x = 0 has no sign.
        for y in (2, ed25519.P + 1, 1 | 1 << 255):
            self.assertFalse(ed25519.verify(y.to_bytes(32, "little"), signature, (message,)))

    def test_the_watchdog_is_fed_meanwhile(self):
        public, message, signature = examples()[1]
        fed = []
        self.assertTrue(ed25519.verify(public, signature, (message,), lambda: fed.append(1)))
        self.assertGreater(len(fed), 8)

    def test_sha512_is_that_of_others_around_its_blocks(self):
        known = {
            b"": "cf83e1357eefb8bdf1542850d66d8007d620e4050b5715dc83f4a921d36ce9ce"
            "47d0d13c5d85f2b0ff8318d2877eec2f63b931bd47417a81a538327af927da3e",
            b"abc": "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
            "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
        }
        for message, digest in known.items():
            self.assertEqual(ed25519.sha512(message), unhexlify(digest))
        if hasattr(hashlib, "sha512"):  # CPython
            for size in (1, 110, 111, 112, 127, 128, 129, 239, 240, 256, 1000):
                message = bytes(n % 251 for n in range(size))
                self.assertEqual(ed25519.sha512(message[:5], message[5:]), hashlib.sha512(message).digest())
