"""A stop's battery and what it sheds: thresholds with their hysteresis, coulombs, ports that are latched off."""

import unittest

from node import shedding


class Shedding(unittest.TestCase):
    def walk(self, charges, now=0):
        steps = []
        for pct in charges:
            now = shedding.step(pct * 10, now)
            steps.append(now)
        return steps

    def test_services_go_one_by_one_as_charge_falls(self):
        self.assertEqual(self.walk((100, 60, 59, 45, 44, 30, 29, 15, 14, 0)), [0, 0, 1, 1, 2, 2, 3, 3, 4, 4])

    def test_each_comes_back_ten_per_cent_higher(self):
        self.assertEqual(self.walk((14, 15, 24, 25, 39, 40, 54, 55, 69, 70)), [4, 4, 4, 3, 3, 2, 2, 1, 1, 0])

    def test_a_charge_that_wavers_about_a_threshold_switches_once(self):
        self.assertEqual(self.walk((61, 59, 61, 59, 61, 69, 59)), [0, 1, 1, 1, 1, 1, 1])

    def test_an_unknown_charge_changes_nothing(self):
        self.assertEqual([shedding.step(None, now) for now in range(5)], [0, 1, 2, 3, 4])

    def test_light(self):
        cases = ((100, 0, 100), (100, 1, 100), (100, 2, 30), (20, 2, 20), (100, 3, 30), (100, 4, 0))
        for level, shed, expected in cases:
            self.assertEqual(shedding.light_pct(level, shed), expected)


class Batteries(unittest.TestCase):
    def test_the_first_guess_is_by_voltage_at_twelve_and_twenty_four_volts(self):
        for mv, expected in ((11000, 0), (12950, 200), (13150, 550), (26300, 550), (14400, 1000)):
            self.assertEqual(shedding.guess_permille(mv), expected)

    def test_an_hour_at_ten_amperes_is_ten_ampere_hours(self):
        battery = shedding.Battery(100000, 180000000)
        for second in range(3601):
            battery.count(second * 1000, 13200, -10000)
        self.assertEqual(battery.permille(), 400)
        for second in range(3601):
            battery.count((3600 + second) * 1000, 13200, 10000)
        self.assertEqual(battery.permille(), 497)

    def test_small_currents_are_not_rounded_away(self):
        battery = shedding.Battery(1000, 1800000)
        for tick in range(100001):
            battery.count(tick * 10, 13200, -1)
        self.assertEqual(1800000 - battery.charge_mas, 1000)

    def test_at_full_it_begins_anew(self):
        battery = shedding.Battery(100000, 0)
        battery.count(0, 14200, 1500)
        self.assertEqual(battery.permille(), 1000)
        battery = shedding.Battery(100000, 0)
        battery.count(0, 14200, 20000)
        self.assertEqual(battery.permille(), 0)
        battery.count(1000, 13500, 100, floating=True)
        self.assertEqual(battery.permille(), 1000)

    def test_a_gap_is_not_counted_at_the_current_before_it(self):
        battery = shedding.Battery(100000, 180000000)
        battery.count(0, 13200, -10000)
        battery.count(3600000, 13200, -10000)
        self.assertEqual(battery.permille(), 500)

    def test_it_stays_between_empty_and_full(self):
        battery = shedding.Battery(1000, 100)
        for second in range(60):
            battery.count(second * 1000, 11000, -5000)
        self.assertEqual(battery.permille(), 0)

    def test_without_any_voltage_nothing_is_known(self):
        battery = shedding.Battery(1000)
        battery.count(0, None, None)
        self.assertIsNone(battery.permille())


class Ports(unittest.TestCase):
    def test_three_over_currents_within_an_hour_latch_it_off(self):
        port = shedding.Port()
        for at in (0, 600000, 1200000):
            self.assertTrue(port.look(at - 1, 500, False, False))
            self.assertFalse(port.look(at, 3500, False, False))
        self.assertEqual((port.faults, port.state(0, False)), (3, shedding.LATCHED))
        self.assertFalse(port.look(90000000, 0, False, False))

    def test_three_within_more_than_an_hour_do_not(self):
        port = shedding.Port()
        for at in (0, 2000000, 4000000):
            port.look(at, 0, True, False)
        self.assertEqual((port.faults, port.latched), (3, False))

    def test_one_over_current_is_counted_once_and_tried_again_after_a_minute(self):
        port = shedding.Port()
        for at in range(0, 60000, 1000):
            self.assertFalse(port.look(at, 3500, True, False))
            self.assertEqual(port.state(3500, False), shedding.OVERCURRENT)
        self.assertEqual(port.faults, 1)
        self.assertTrue(port.look(60000, 0, False, False))

    def test_states(self):
        port = shedding.Port()
        self.assertEqual([port.state(ma, False) for ma in (0, 500, None)], [1, 2, 1])
        self.assertEqual(port.state(0, True), shedding.OFF)
        self.assertFalse(port.look(0, 0, False, True))
