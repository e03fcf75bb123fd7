"""A lamp's program at its bounds; what it says of whole weeks is compared with the server in node/test_program.py."""

import unittest

from node import program


class Program(unittest.TestCase):
    def test_a_lamp_without_a_program_is_lit_unless_its_photocell_sees_day(self):
        self.assertEqual(program.decide(None, 1795212345, 10, {}), (100, "fallback"))
        self.assertEqual(program.decide(None, 1795212345, 10, {}, dark=False), (0, "fallback"))

    def test_an_emergency_ends_by_itself(self):
        orders = {"emergency": (100, 60)}
        self.assertEqual(program.decide(None, None, 59, orders, dark=False), (100, "emergency"))
        self.assertEqual(program.decide(None, None, 60, orders, dark=False), (0, "fallback"))

    def test_dates_are_those_of_the_calendar(self):
        self.assertEqual(program.date(0), (1970, 1, 1))
        self.assertEqual(program.date(19782), (2024, 2, 29))
