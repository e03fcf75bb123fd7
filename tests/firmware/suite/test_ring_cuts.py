"""The ring when the power goes within any byte of any write, and at any moment of an erase.

Sectors are small here (512 bytes), so that few readings fill the flash and every path is cut in a short time.
"""

import json
import sys
import unittest

import nor
from node import ring, sectors

ON_DEVICE = sys.implementation.name == "micropython"
# Deeds begin at different bytes. 1 is every byte: ring_cuts.py, for `kraj bench firmware`.
EVERY = 97 if ON_DEVICE else 5
EVERY_OF_APPEND = 3 * EVERY
SMALL = 512
AREA = 5


class Meter:
    NAMES, NUMBERS, PACKED = ("power_w", "energy_wh", "voltage_v"), (1, 0), bytes((0,) * 5 + (1,) * 5 + (0,) * 5)
    STATES = {}  # noqa: RUF012
    BOOLEANS = ()


class Clock:
    def ticks_ms(self):
        return 0


def middle(n):
    return n // 2


def made(flash):
    return ring.Ring(flash, Meter, Clock(), middle)


class Chance:
    """Numbers that look random and are the same everywhere."""

    def __init__(self, seed):
        self.state = seed * 2654435761 & 0x3FFFFFFF

    def below(self, n):
        self.state = (self.state * 1103515245 + 12345) & 0x3FFFFFFF
        return (self.state >> 12) % n


def waiting(one):
    """What waits: the text of each reading by its number, without sending it."""
    found = {}
    for seq, _, _, reading in one._log.waiting(0, sectors.OPEN):
        assert seq not in found, f"{seq} stands twice"
        found[seq] = reading
    assert len(found) == one.pending, (len(found), one.pending)
    return found


class Small(unittest.TestCase):
    def setUp(self):
        for module in (sectors, nor):
            self.addCleanup(setattr, module, "SECTOR", module.SECTOR)
            module.SECTOR = SMALL


class EveryByte(Small):
    """A life of many deeds; each is cut at steps on its way, and what is there afterwards is compared."""

    def deeds(self, chance):
        count = 0
        for _ in range(150):
            what = chance.below(10)
            if what < 7:
                count += 1
                event = "door_opened" if chance.below(12) == 0 else None
                values = {"power_w": chance.below(900), "energy_wh": 70000 + count, "voltage_v": 2300 + chance.below(9)}
                yield "append", (values, 1795212345000 + 60000 * count, 0, chance.below(2), event)
            elif what < 9:
                low = max(1, count - chance.below(40))
                yield "acknowledge", (1, [(low, low + chance.below(6)), (low + 9, low + 9)])
            else:
                yield "resend", (max(1, count - 30), count)

    def one_life(self, seed, quiet):
        flash, places = nor.Nor(AREA, strict=True), 0
        one = made(flash)
        given = set()
        for number, (name, arguments) in enumerate(self.deeds(Chance(seed))):
            if quiet and name == "acknowledge":
                continue  # nothing is ever delivered: the flash fills up, and the past becomes coarser
            before, before_data, before_seq = waiting(one), bytes(flash.data), one._log.next_seq
            generation = one._log.generation
            began = flash.steps
            done = getattr(one, name)(*arguments)
            steps, after = flash.steps - began, waiting(one)
            after_data = bytes(flash.data)
            if name == "append":
                self.assertNotIn(done, given)
                given.add(done)
            # More of what seldom happens: new sectors, merged ones, marks.
            rare = one._log.generation != generation or name != "append"
            every = EVERY if rare else EVERY_OF_APPEND
            for left in range(number % every, steps, every):
                flash.data[:] = before_data
                flash.power()
                self.cut(flash, left, name, arguments)
                self.look(flash, (before_seq, before), after, done if name == "append" else None, seed)
                places += 1
            flash.power()
            flash.data[:] = after_data
        return places, one

    def cut(self, flash, left, name, arguments):
        one = made(flash)
        one.boot = 1
        flash.power(left)
        try:
            getattr(one, name)(*arguments)
        except nor.PowerCut:
            flash.power()

    def look(self, flash, before, after, appended, seed):
        before_seq, before = before
        one = made(flash)
        found = waiting(one)
        for seq, reading in before.items():
            if seq in after:
                self.assertEqual(found.get(seq), reading, f"seed {seed}: {seq} is lost")
        for seq, reading in found.items():
            self.assertTrue(seq in before or seq in after, f"seed {seed}: {seq} came back")
            if seq != appended:
                self.assertEqual(reading, before.get(seq) or after[seq])
        number = one.append({"power_w": 1}, 1, 0)
        self.assertGreaterEqual(number, before_seq)
        if appended in found:
            self.assertGreater(number, appended)
        self.assertEqual(one.lost, 0)
        # Once more without a cut: the flash is sound.
        self.assertIn(number, waiting(made(flash)))

    def test_no_cut_loses_or_doubles_anything_while_readings_are_delivered(self):
        places, one = self.one_life(3, quiet=False)
        self.assertGreater(places, 10 if ON_DEVICE else 250)
        self.assertGreater(one.acknowledged, 5)

    def test_no_cut_loses_more_than_a_full_flash_thins_out_anyway(self):
        places, one = self.one_life(4, quiet=True)
        self.assertGreater(places, 10 if ON_DEVICE else 250)
        self.assertGreater(one.thinned, 0)


class ManyLives(Small):
    """Lives that end in the middle of something, one after another on the same flash; the platform remembers."""

    def setUp(self):
        super().setUp()
        self.stored, self.kept, self.stamp = {}, {}, 0

    def hear(self, one, chance=None):
        found = one.take(self.stamp)
        for seq, said in found:
            reading = json.loads(said)
            self.assertEqual(self.stored.get(seq, reading), reading)
            self.stored[seq] = reading
            if chance is None or chance.below(8):
                one.acknowledge(reading["boot"], [(seq, seq)])
        return found

    def live(self, one, chance):
        while True:
            self.stamp += 1
            number = one.append({"power_w": self.stamp % 900, "energy_wh": self.stamp}, self.stamp, 0)
            self.assertNotIn(number, self.kept)
            self.kept[number] = self.stamp
            if chance.below(5) == 0:
                self.hear(one, chance)

    def test_over_many_cuts_every_number_is_given_once_and_no_reading_is_lost(self):
        for seed in range(1, 2 if ON_DEVICE else 5):
            self.stored.clear()
            self.kept.clear()
            chance, flash, boots = Chance(seed), nor.Nor(12, strict=True), []
            for _ in range(12):
                for steps in range(3):  # recovering is cut, too
                    flash.power(steps)
                    try:
                        made(flash)
                    except nor.PowerCut:
                        flash.power()
                flash.power()
                one = made(flash)
                boots.append(one.boot)
                flash.power(400 + chance.below(5000))
                with self.assertRaises(nor.PowerCut):
                    self.live(one, chance)
            flash.power()
            one = made(flash)
            while self.hear(one):
                pass
            self.assertEqual((boots, one.pending), (sorted(boots), 0))
            for number, stamp in self.kept.items():
                self.assertIn(number, self.stored)
                self.assertEqual(self.stored[number]["energy_wh"], stamp)
            stamps = {reading["ts"] for reading in self.stored.values()}
            self.assertEqual(len(stamps), len(self.stored))
