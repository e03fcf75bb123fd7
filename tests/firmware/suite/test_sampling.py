"""When a reading goes into the ring: heartbeats, at once, a closer look, and what is expected after a command."""

import unittest

from fakes.bench import Clock, Ring
from node import constants
from node.sampling import Sampling, left


class Lamp:
    """A kind whose values are set by hand."""

    COMMANDED = ("level_commanded_pct",)
    UNEXPECTED = ("power_w", "voltage_v", "failure_flags")
    every_ms = 10000
    changed = False

    def __init__(self, channels=(0,)):
        self.table = constants.kind("lamp")
        self.places = {name: place for place, name in enumerate(self.table.NAMES)}
        self.channels = channels
        self.values = {"level_commanded_pct": 1000, "power_w": 412, "voltage_v": 2300, "failure_flags": 0}
        self.lit, self.told, self.applied, self.told_of = True, [], 0, []

    async def apply(self):
        self.applied += 1

    async def sample(self, channel):
        return dict(self.values)

    def active(self, channel):
        return self.lit

    def events(self):
        told, self.told = self.told, []
        return told

    def sent(self, channel):
        self.told_of.append(channel)


class Orders:
    interval_s = None


class Sampled(unittest.IsolatedAsyncioTestCase):
    def setUp(self):
        self.clock, self.ring, self.kind, self.orders = Clock(), Ring(), Lamp(), Orders()
        self.sampling = Sampling(self.kind, self.ring, self.clock, 300, 3600, self.orders)

    async def run_s(self, seconds, every_s=10):
        for _ in range(0, seconds, every_s):
            await self.sampling.turn()
            self.clock.now_ms += every_s * 1000

    def times(self):
        return [(at - 1000) // 1000 for at, _, _, _ in self.ring.readings]

    async def test_a_lit_lamp_reports_every_five_minutes_and_a_dark_one_every_hour(self):
        await self.run_s(1201)
        self.assertEqual(self.times(), [0, 300, 600, 900, 1200])
        self.kind.lit, self.ring.readings = False, []
        await self.run_s(7300)
        self.assertEqual(len(self.ring.readings), 3)

    async def test_the_platform_may_want_another_interval_while_lit(self):
        self.orders.interval_s = 60
        await self.run_s(301)
        self.assertEqual(self.times(), [0, 60, 120, 180, 240, 300])

    async def test_an_unexpected_change_is_told_at_once_and_then_every_minute_for_twenty(self):
        await self.run_s(900)
        self.kind.values["power_w"] = 100
        self.ring.readings = []
        await self.run_s(3000)
        times = self.times()
        self.assertEqual(times[0], 900)
        self.assertEqual(times[1:21], list(range(960, 900 + 1200 + 1, 60)))
        self.assertEqual(times[21:], [2400, 2700, 3000, 3300, 3600])

    async def test_noise_within_three_deadbands_is_no_event(self):
        await self.run_s(900)
        self.ring.readings = []
        for watts in (420, 400, 440, 380):
            self.kind.values["power_w"] = watts
            await self.run_s(10)
        self.assertEqual(self.times(), [900])

    async def test_a_command_is_told_once_and_what_follows_it_is_expected(self):
        await self.run_s(900)
        self.ring.readings = []
        self.kind.values["level_commanded_pct"] = 500
        await self.run_s(10)
        for watts in (300, 200, 150):
            self.kind.values["power_w"] = watts
            await self.run_s(10)
        await self.run_s(560)
        self.assertEqual(self.times(), [900, 1200])

    async def test_where_a_dark_lamps_power_falls_to_is_no_surprise_once_the_command_is_long_ago(self):
        await self.run_s(900)
        self.kind.values["level_commanded_pct"], self.kind.lit = 0, False
        await self.run_s(10)  # the meter still says what it said
        self.ring.readings, self.kind.values["power_w"] = [], 4
        await self.run_s(3580)
        self.assertEqual(self.times(), [])

    async def test_a_level_is_told_when_it_changes_and_a_ramp_when_it_begins_and_when_it_stands_still(self):
        await self.run_s(300)
        self.ring.readings = []
        for second in range(1, 21):
            self.clock.now_ms += 1000
            if second in (3, 4, 5, 6):
                self.kind.values["level_commanded_pct"] = 1000 - 50 * second
                self.kind.changed = True
            await self.sampling.turn()
        # The first is the sensors' own look; the ramp goes on from 3 to 6 and stands still at 11.
        self.assertEqual([(at - 301000) // 1000 for at, _, _, _ in self.ring.readings], [1, 3, 11])

    async def test_a_failure_is_told_at_once_even_then(self):
        await self.run_s(20)
        self.kind.values["failure_flags"] = 8
        await self.run_s(100)
        self.assertEqual(self.times(), [0, 20])

    async def test_a_sensor_that_falls_silent_and_returns_is_no_event(self):
        await self.run_s(900)
        self.ring.readings = []
        watts = self.kind.values.pop("power_w")
        await self.run_s(20)
        self.kind.values["power_w"] = watts
        await self.run_s(20)
        self.assertEqual(self.times(), [900])
        self.assertFalse("power_w" in self.ring.readings[0][3])

    async def test_an_event_is_a_reading_of_its_own_and_does_not_wait(self):
        await self.run_s(20)
        self.clock.now_ms += 1000
        self.kind.told = [(0, "sos_pressed"), (0, "door")]
        self.assertEqual(await self.sampling.turn(), 2)
        self.assertEqual([event for _, _, event, _ in self.ring.readings], [None, "sos_pressed", "door"])

    async def test_orders_are_applied_more_often_than_sensors_are_read(self):
        await self.run_s(30, 1)
        self.assertEqual((self.kind.applied, len(self.ring.readings)), (30, 1))

    async def test_channels_report_apart(self):
        self.kind = Lamp((0, 1))
        self.sampling = Sampling(self.kind, self.ring, self.clock, 300, 3600, self.orders)
        await self.run_s(10)
        self.assertEqual([channel for _, channel, _, _ in self.ring.readings], [0, 1])
        self.assertEqual(self.kind.told_of, [0, 1])

    def test_the_wider_of_two_deadbands_counts(self):
        self.assertFalse(left(20, 3, 10000, 10900))
        self.assertTrue(left(20, 3, 10000, 10901))
        self.assertTrue(left(20, 3, 100, 161))
        self.assertFalse(left(-1, None, 1, 100))
        self.assertTrue(left(0, None, 1, 2))
        self.assertFalse(left(0, None, None, 2))
