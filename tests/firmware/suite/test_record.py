"""Readings as bytes for flash and as text for the wire."""

import json
import random
import unittest

from node import constants, record, scale

LAMP = constants.kind("lamp")
SOLAR = constants.kind("solar")


def reading(kind, **values):
    known = [values.get(name) for name in kind.NAMES]
    return (7, 0, True, 1795212345000, None, known)


def stored(readings, count):
    """What comes out of flash for what went in, each told against the one before."""
    before, out, back = None, [], None
    for one in readings:
        data = record.encode(one, before)
        padded = b"xx" + data + b"yy"
        back = record.decode(padded, 2, 2 + len(data), count, back)
        out.append(back)
        before = one
    return out


class Bytes(unittest.TestCase):
    def test_numbers_of_any_size_come_back(self):
        for n in (0, 1, -1, 63, -64, 64, 127, 128, 2**14, 2**31, -(2**31), 2**53, -(2**53)):
            out = bytearray()
            record.zigzag(out, n)
            self.assertEqual(record.read_zigzag(out, 0), (n, len(out)))

    def test_readings_come_back_as_they_were(self):
        chosen = random.getrandbits
        readings = []
        for number in range(200):
            boot, event = 3 + number // 50, "sos_pressed" if number % 41 == 3 else None
            values = [None if chosen(3) == 0 and number % 7 == 0 else chosen(20) - chosen(19) for _ in SOLAR.NAMES]
            stamp_ms = 1795212345000 + number * 60000 - chosen(9)
            readings.append((boot, chosen(1) * 5, number % 60 > 2, stamp_ms, event, values))
        self.assertEqual(stored(readings, len(SOLAR.NAMES)), readings)

    def test_what_stays_the_same_takes_little(self):
        one = reading(LAMP, power_w=412, energy_wh=123456789, voltage_v=2312, uptime_s=86400)
        other = (7, 0, True, one[3] + 60000, None, list(one[5]))
        other[5][21] += 60
        self.assertLess(len(record.encode(other, one)), 12)

    def test_bytes_that_are_no_reading_are_refused(self):
        count = len(LAMP.NAMES)
        data = record.encode(reading(LAMP, power_w=412, voltage_v=2312))
        for end in range(len(data)):
            with self.assertRaises((ValueError, IndexError)):
                record.decode(bytes(data[:end]), 0, end, count)
        with self.assertRaises(ValueError):
            record.decode(bytes(data) + b"\0", 0, len(data) + 1, count)
        with self.assertRaises(ValueError):
            record.decode(b"\0" * 20, 0, 20, count)  # told against nothing


class Text(unittest.TestCase):
    def test_whole_numbers_become_exact_decimals(self):
        told = {(412, 1): "41.2", (120, 1): "12", (0, 3): "0", (5, 3): "0.005", (-5, 2): "-0.05", (-1230, 2): "-12.3"}
        told.update({(16777217, 0): "16777217", (41, -3): "41000", (9007199254740992, 0): "9007199254740992"})
        for (value, decimals), said in told.items():
            self.assertEqual(record.number(value, decimals), said)

    def test_a_reading_is_flat_json_with_words_and_truths(self):
        cabinet = constants.kind("cabinet")
        known = reading(cabinet, power_w=4120, door_open=1, contactor_closed=0, local_switch=2)
        said = json.loads(record.text(cabinet, 1234, known))
        self.assertEqual(
            said,
            {
                "boot": 7,
                "seq": 1234,
                "ts": 1795212345000,
                "power_w": 4120 if scale.about(cabinet, 0, scale.DECIMALS) == 0 else 412,
                "contactor_closed": False,
                "door_open": True,
                "local_switch": "off",
            },
        )

    def test_an_event_comes_first_and_a_lost_clock_tells_its_uptime(self):
        one = (7, 3, False, 90061, 'pří"klad', [None] * len(LAMP.NAMES))
        said = record.text(LAMP, 1, one)
        self.assertTrue(said.startswith(b'{"event"'))
        self.assertEqual(json.loads(said), {"event": 'pří"klad', "boot": 7, "seq": 1, "uptime_ms": 90061, "channel": 3})

    def test_a_word_that_nobody_knows_is_left_out(self):
        said = json.loads(record.text(LAMP, 1, reading(LAMP, level_reason=99, power_w=1)))
        self.assertNotIn("level_reason", said)
