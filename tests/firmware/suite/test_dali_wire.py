"""DALI frames as pulses: what goes out is Manchester, what comes in is a whole byte or nothing."""

import unittest

from fakes.dali_line import backward
from node import dali_wire


class Wire(unittest.TestCase):
    def test_a_frame_of_all_ones_is_a_square_wave(self):
        self.assertEqual(dali_wire.pulses(0xFFFF), [417] * 33)

    def test_every_frame_ends_with_the_line_at_rest_and_lasts_seventeen_bits(self):
        for frame in (0, 0xFFFF, 0xFE05, 0x0690, 0xA3FE):
            pulses = dali_wire.pulses(frame)
            self.assertEqual(len(pulses) % 2, 1)
            halves = sum(pulses) // 417
            self.assertEqual(halves, 33 if frame & 1 else 34)
            self.assertTrue(set(pulses) <= {417, 834})

    def test_every_byte_comes_back_also_from_a_gear_that_is_ten_per_cent_off(self):
        for byte in range(256):
            for times in (90, 100, 110):
                self.assertEqual(dali_wire.byte_of([n * times // 100 for n in backward(byte)]), byte)

    def test_what_is_cut_collided_or_noise_is_nothing(self):
        whole = backward(0x5A)
        for cut in range(len(whole)):
            self.assertIsNone(dali_wire.byte_of(whole[:cut]))
        self.assertIsNone(dali_wire.byte_of(whole + [417] * 2))
        for place in range(len(whole)):
            for length in (100, 1200, 5000, -1):
                self.assertIsNone(dali_wire.byte_of([length if at == place else n for at, n in enumerate(whole)]))
