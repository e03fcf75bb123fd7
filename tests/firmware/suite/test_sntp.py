"""What is believed of an answer to the question for the time."""

import struct
import unittest

from node import sntp

NONCE = b"12345678"
UTC_MS = 1795212345250


def answer(first=0x24, stratum=2, nonce=NONCE, utc_ms=UTC_MS):
    seconds = utc_ms // 1000 + sntp.NTP_S & 0xFFFFFFFF
    return (
        bytes((first, stratum))
        + bytes(22)
        + nonce
        + bytes(8)
        + struct.pack("!II", seconds, (utc_ms % 1000 << 32) // 1000)
    )


class Sntp(unittest.TestCase):
    def test_the_question_is_that_of_a_client_of_version_4_with_the_nonce_where_it_is_repeated_from(self):
        self.assertEqual(sntp.question(NONCE), b"\x23" + bytes(39) + NONCE)

    def test_an_answer_to_our_question_is_the_time(self):
        self.assertLess(abs(sntp.read(answer(), NONCE) - UTC_MS), 2)

    def test_the_era_from_2036_is_known(self):
        self.assertLess(abs(sntp.read(answer(utc_ms=2200000000000), NONCE) - 2200000000000), 2)

    def test_what_is_not_an_answer_to_us_or_not_synchronised_is_not_believed(self):
        for wrong in (
            b"",
            answer()[:47],
            answer(nonce=b"87654321"),
            answer(first=0xE4),  # its own clock is not set
            answer(first=0x23),  # a question
            answer(stratum=0),  # a kiss of death
            answer(stratum=16),
        ):
            self.assertIsNone(sntp.read(wrong, NONCE))
