"""Configuration and state in two copies: whole or not at all, whatever becomes of the power."""

import json
import unittest

import nor
from node import config, state


class Configuration(unittest.TestCase):
    def test_what_was_kept_last_holds(self):
        flash = nor.Nor(4, strict=True)
        self.assertIsNone(config.Config(flash).kept("desired"))
        one = config.Config(flash)
        one.keep("desired", b"\1\2")
        one.keep_settings({"version": 1, "kind": "lamp", "device": "lamp-0001"})
        one.keep("desired", b"\3" * 2000)
        other = config.Config(flash)
        self.assertEqual(other.kept("desired"), b"\3" * 2000)
        self.assertEqual(other.settings(), {"version": 1, "kind": "lamp", "device": "lamp-0001"})
        other.keep("desired", None)
        other.keep("desired", None)
        self.assertIsNone(config.Config(flash).kept("desired"))
        self.assertEqual(config.Config(flash).settings()["kind"], "lamp")

    def test_what_stays_the_same_is_not_written(self):
        flash = nor.Nor(4)
        one, two = config.Config(flash), state.State(flash)
        one.keep("desired", b"x")
        two.keep(slot=1)
        steps = flash.steps
        one.keep("desired", b"x")
        two.keep(slot=1)
        self.assertEqual(flash.steps, steps)

    def test_what_is_too_large_or_of_another_version_is_refused_and_changes_nothing(self):
        flash = nor.Nor(4)
        one = config.Config(flash)
        one.keep("desired", b"old")
        for wrong in (b"x" * 4096, b"x" * 4071):
            with self.assertRaises(ValueError):
                one.keep("desired", wrong)
        one.keep("desired", b"x" * 4070)  # exactly what fits
        one.keep("desired", b"old")
        for wrong in ({"version": 2}, {"kind": "lamp"}, ["version"], {"version": 1, "more": "x" * 1536}):
            with self.assertRaises(ValueError):
                one.keep_settings(wrong)
        self.assertEqual(config.Config(flash).kept("desired"), b"old")
        one.keep("settings", b"{half")
        self.assertIsNone(one.settings())
        one.keep("settings", json.dumps({"version": 2}).encode())
        self.assertIsNone(one.settings())
        with self.assertRaises(ValueError):
            for number in range(9):
                one.keep(str(number), b"")

    def test_a_copy_of_another_form_is_none(self):
        flash = nor.Nor(4)
        state.Copies(flash, 0, b"KC", 9).keep(b"of the future")
        self.assertIsNone(config.Config(flash).kept("desired"))

    def test_one_flipped_bit_makes_a_copy_none_and_the_older_holds(self):
        flash = nor.Nor(4)
        one = state.State(flash)
        one.keep(slot=1, floor=7)
        one.keep(slot=0, floor=8)
        at = one.copies.at * nor.SECTOR
        for place in range(40):
            flash.data[at + place] ^= 4
            self.assertEqual(state.State(flash).floor, 7, place)
            flash.data[at + place] ^= 4
        self.assertEqual(state.State(flash).floor, 8)


class State(unittest.TestCase):
    def test_starts_are_counted_and_the_rest_stays(self):
        flash = nor.Nor(4, strict=True)
        self.assertEqual([state.State(flash).start() for _ in range(3)], [1, 2, 3])
        one = state.State(flash)
        one.keep(slot=1, trial=3, floor=17, failures=2, safe=1)
        self.assertEqual(one.start(at_least=9), 9)
        one = state.State(flash)
        found = (one.boot, one.slot, one.trial, one.floor, one.failures, one.safe)
        self.assertEqual(found, (9, 1, 3, 17, 2, 1))
        with self.assertRaises(ValueError):
            one.keep(name=1)

    def test_flash_that_keeps_nothing_is_told_and_changes_nothing(self):
        flash = nor.Nor(4)
        one = state.State(flash)
        one.keep(floor=3)
        flash.wear(one.copies.other * nor.SECTOR + 20, 0)  # within the body of the copy that is next
        with self.assertRaises(OSError):
            one.keep(floor=4, slot=0x01010101)
        self.assertEqual((one.floor, one.slot), (3, 0))
        self.assertEqual(state.State(flash).floor, 3)


class Cuts(unittest.TestCase):
    def check(self, flash, keep, look):
        """At each step of a change, one of the two holds: what was before or what should be."""
        before, old = bytes(flash.data), look(flash)
        began = flash.steps
        keep(flash)
        steps, new = flash.steps - began, look(flash)
        self.assertNotEqual(old, new)
        for left in range(steps):
            flash.data[:] = before
            flash.power(left)
            with self.assertRaises(nor.PowerCut):
                keep(flash)
            flash.power()
            self.assertIn(look(flash), (old, new), left)
            keep(flash)  # and it can be done again
            self.assertEqual(look(flash), new)
        return steps

    def test_a_change_of_state_is_whole_or_not_at_all(self):
        def look(flash):
            one = state.State(flash)
            return one.boot, one.slot, one.trial, one.floor

        def keep(flash):
            state.State(flash).keep(boot=8, slot=1, trial=2, floor=0x01020304)

        flash = nor.Nor(4, strict=True)
        state.State(flash).keep(boot=7, floor=0x01020303)
        self.assertGreater(self.check(flash, keep, look), 40)
        state.State(flash).keep(boot=9)
        self.check(flash, keep, look)

    def test_a_change_of_configuration_is_whole_or_not_at_all(self):
        def look(flash):
            one = config.Config(flash)
            return one.kept("desired"), one.settings()

        def keep(flash):
            config.Config(flash).keep("desired", b"new program" * 3)

        flash = nor.Nor(4, strict=True)
        config.Config(flash).keep_settings({"version": 1, "kind": "lamp"})
        config.Config(flash).keep("desired", b"the old program")
        self.check(flash, keep, look)
