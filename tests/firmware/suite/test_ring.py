"""The ring: what waits, what is sent when, what is delivered, and what a full flash does."""

import json
import sys
import unittest

import nor
from node import constants, ring, sectors

LAMP = constants.kind("lamp")
NOW_MS = 1795212345000
ON_DEVICE = sys.implementation.name == "micropython"


class Clock:
    def __init__(self):
        self.now_ms = 0

    def ticks_ms(self):
        return self.now_ms


def middle(n):
    return n // 2


def made(flash, kind=LAMP, boot=0):
    return ring.Ring(flash, kind, Clock(), middle, boot)


def fill(one, count, start_ms=NOW_MS):
    return [
        one.append(
            {"power_w": 412 + n % 9, "energy_wh": 70000 + n, "uptime_s": 60 * n}, start_ms + 60000 * n, 60000 * n
        )
        for n in range(count)
    ]


def everything(one, now_ms=0):
    """All that `take` gives by and by, which leaves it in flight."""
    out = []
    while found := one.take(now_ms):
        out.extend(found)
    return out


def numbers(found):
    return [seq for seq, _ in found]


def drained(one, now_ms=0):
    """Everything that waits, each message acknowledged when it comes."""
    out = []
    while found := one.take(now_ms):
        out.extend(found)
        for boot in {json.loads(said)["boot"] for _, said in found}:
            one.acknowledge(boot, [(seq, seq) for seq in numbers(found)])
    return out


class Sending(unittest.TestCase):
    def setUp(self):
        self.flash = nor.Nor(8, strict=True)
        self.ring = made(self.flash)

    def test_readings_are_numbered_and_sent_as_they_were(self):
        self.assertEqual(fill(self.ring, 3), [1, 2, 3])
        found = everything(self.ring)
        self.assertEqual(numbers(found), [1, 2, 3])
        said = json.loads(found[1][1])
        expected = {"boot": 1, "seq": 2, "ts": NOW_MS + 60000, "power_w": 41.3, "energy_wh": 70001, "uptime_s": 60}
        self.assertEqual(said, expected)
        self.assertEqual(self.ring.pending, 3)
        self.assertEqual(everything(self.ring), [])

    def test_at_most_64_are_in_flight(self):
        fill(self.ring, 100)
        self.assertEqual(numbers(everything(self.ring)), list(range(1, 65)))
        self.assertEqual(self.ring.acknowledge(1, [(1, 10)]), 10)
        self.assertEqual(numbers(everything(self.ring)), list(range(65, 75)))

    def test_a_message_holds_no_more_than_fits_in_memory(self):
        fill(self.ring, 64)
        found = self.ring.take(0)
        self.assertEqual(len(found), constants.READINGS_PER_MESSAGE)
        self.assertEqual(len(self.ring.take(0, size=300)), 4)

    def test_new_readings_go_before_the_backlog(self):
        fill(self.ring, 100)
        self.ring.reconnect()
        self.ring.append({"power_w": 1}, NOW_MS, 0)
        self.assertEqual(numbers(self.ring.take(0))[:3], [101, 1, 2])

    def test_what_is_not_answered_is_sent_again_later_and_later(self):
        self.ring.append({"power_w": 1}, NOW_MS, 0)
        times, now_ms = [], 0
        for _ in range(8):
            self.assertEqual(numbers(self.ring.take(now_ms)), [1])
            due_ms = self.ring.due_ms(now_ms)
            self.assertEqual(self.ring.take(due_ms - 1), [])
            times.append((due_ms - now_ms) // 1000)
            now_ms = due_ms
        self.assertEqual(times, [30, 60, 120, 240, 480, 600, 600, 600])

    def test_jitter_is_a_fifth_each_way(self):
        for random, expected in ((lambda n: 0, 24000), (lambda n: n - 1, 36000)):
            one = ring.Ring(nor.Nor(4), LAMP, Clock(), random)
            one.append({"power_w": 1}, NOW_MS, 0)
            one.take(0)
            self.assertEqual(one.due_ms(0), expected)

    def test_what_is_overdue_goes_before_the_backlog(self):
        fill(self.ring, 70)
        self.ring.reconnect()
        everything(self.ring)
        self.ring.acknowledge(1, [(3, 30)])
        self.assertEqual(numbers(self.ring.take(40000))[:4], [1, 2, 31, 32])

    def test_a_new_connection_sends_everything_at_once(self):
        fill(self.ring, 3)
        everything(self.ring)
        self.assertEqual(self.ring.due_ms(0), 30000)
        self.ring.reconnect()
        self.assertEqual(self.ring.due_ms(0), 0)
        self.assertEqual(numbers(everything(self.ring)), [1, 2, 3])

    def test_only_what_is_named_is_delivered(self):
        fill(self.ring, 10)
        self.assertEqual(self.ring.acknowledge(2, [(1, 10)]), 0)  # another boot
        self.assertEqual(self.ring.acknowledge(1, [(2, 3), (5, 2**53), (-4, -1), (9, 8)]), 8)
        self.assertEqual(self.ring.acknowledge(1, [(2, 3)]), 0)
        self.assertEqual(numbers(everything(self.ring)), [1, 4])
        self.assertEqual(self.ring.pending, 2)

    def test_a_lost_clock_and_events(self):
        self.ring.append({}, None, 90000, 2, "door_opened")
        said = everything(self.ring)[0][1]
        self.assertTrue(said.startswith(b'{"event"'))
        self.assertEqual(
            json.loads(said), {"event": "door_opened", "boot": 1, "seq": 1, "uptime_ms": 90000, "channel": 2}
        )


class Restarting(unittest.TestCase):
    def test_what_waits_and_what_is_delivered_survives_a_restart(self):
        flash = nor.Nor(8, strict=True)
        one = made(flash)
        fill(one, 150)
        one.acknowledge(1, [(1, 40), (50, 50)])
        other = made(flash)
        self.assertEqual((other.boot, other.pending), (2, 109))
        self.assertEqual(other.append({"power_w": 5}, NOW_MS, 0), 151)
        found = drained(other)
        self.assertEqual(sorted(numbers(found)), [n for n in range(41, 152) if n != 50])
        self.assertEqual({json.loads(said)["boot"] for _, said in found}, {1, 2})
        self.assertEqual(made(flash).pending, 0)

    def test_a_boot_that_counted_higher_is_kept_and_a_lost_count_is_repaired(self):
        flash = nor.Nor(4)
        self.assertEqual(made(flash, boot=7).append({"power_w": 1}, NOW_MS, 0), 1)
        self.assertEqual(made(flash, boot=1).boot, 8)
        self.assertEqual(made(flash, boot=9).boot, 9)

    def test_many_restarts_do_not_use_up_the_flash(self):
        flash = nor.Nor(4, strict=True)
        for _ in range(60):
            made(flash).append({"power_w": 412, "energy_wh": 70000}, NOW_MS, 0)
        one = made(flash)
        self.assertEqual((one.pending, one.thinned), (60, 0))

    def test_a_longer_table_of_metrics_reads_what_the_older_wrote(self):
        class Older:
            NAMES, NUMBERS, PACKED = LAMP.NAMES[:-2], LAMP.NUMBERS, LAMP.PACKED
            STATES, BOOLEANS = LAMP.STATES, LAMP.BOOLEANS

        flash = nor.Nor(4)
        fill(made(flash, Older), 3)
        one = made(flash)
        one.append({"power_w": 9, "uptime_s": 4}, NOW_MS, 0)
        self.assertEqual(numbers(drained(one)), [4, 1, 2, 3])

    def test_readings_of_another_kind_are_not_sent_and_their_numbers_not_given_again(self):
        flash = nor.Nor(4)
        fill(made(flash), 3)
        one = made(flash, constants.kind("cabinet"))
        self.assertEqual(one.pending, 0)
        self.assertEqual(one.append({"power_w": 9}, NOW_MS, 0), 4)
        self.assertEqual(numbers(drained(one)), [4])


class Again(unittest.TestCase):
    def setUp(self):
        self.flash = nor.Nor(8, strict=True)
        self.ring = made(self.flash)
        fill(self.ring, 120)
        self.assertEqual(len(drained(self.ring)), 120)

    def test_delivered_readings_are_sent_again_when_asked_for(self):
        self.assertEqual(self.ring.resend(10, 19), 10)
        self.assertEqual(numbers(drained(self.ring)), list(range(10, 20)))
        self.assertEqual(self.ring.resend(from_ts=NOW_MS + 60000 * 100, to_ts=NOW_MS + 60000 * 104), 5)
        self.assertEqual(numbers(drained(made(self.flash))), list(range(101, 106)))

    def test_each_at_most_three_times(self):
        found = [self.ring.resend(1, 1) + 0 * len(drained(self.ring)) for _ in range(5)]
        self.assertEqual(found, [1, 1, 1, 0, 0])

    def test_what_still_waits_is_not_counted(self):
        self.ring.append({"power_w": 1}, NOW_MS, 0)
        self.assertEqual(self.ring.resend(121), 0)
        self.assertEqual(self.ring.resend(), 120)


class Full(unittest.TestCase):
    def test_delivered_readings_make_room_and_are_kept_until_then(self):
        flash = nor.Nor(6, strict=True)
        one = made(flash)
        for _ in range(12):
            fill(one, 50)
            drained(one)
        self.assertEqual((one.thinned, one.lost, one.pending), (0, 0, 0))
        self.assertGreater(one.resend(), 100)
        self.assertLess(max(flash.erased) - min(flash.erased), 3)  # wear is spread

    def test_a_full_flash_becomes_coarser_and_loses_no_day(self):
        flash = nor.Nor(8, strict=True)
        one = made(flash)
        count = len(fill(one, 1500 if ON_DEVICE else 4000))
        self.assertEqual(one.pending + one.thinned, count)
        self.assertEqual(one.lost, 0)
        self.assertGreater(one.thinned, count // 10)
        left = numbers(drained(one))
        self.assertEqual(left, sorted(left))
        self.assertEqual(left[-20:], list(range(count - 19, count + 1)))  # what is new is whole
        steps = [left[n + 1] - left[n] for n in range(len(left) - 1)]
        self.assertLessEqual(left[0], 2)
        self.assertLess(max(steps), count // 80)
        self.assertEqual(made(flash).pending, 0)

    def test_channels_are_thinned_out_apart(self):
        one = made(nor.Nor(4, strict=True))
        for n in range(1200):
            one.append({"power_w": 100 + n % 3, "energy_wh": 70000 + n}, NOW_MS + 1000 * n, 0, n % 2)
        self.assertGreater(one.thinned, 0)
        channels = [json.loads(said).get("channel", 0) for _, said in drained(one)]
        self.assertLess(abs(channels.count(0) - channels.count(1)), len(channels) // 8)

    def test_events_stay(self):
        one = made(nor.Nor(5, strict=True))
        told = [one.append({}, NOW_MS, 0, 0, "sos_pressed")]
        fill(one, 1200)
        self.assertGreater(one.thinned, 0)
        self.assertIn(told[0], numbers(drained(one)))

    def test_what_is_in_flight_and_thinned_out_frees_the_window(self):
        one = made(nor.Nor(4, strict=True))
        fill(one, 64)
        self.assertEqual(len(everything(one)), 64)
        fill(one, 900)
        self.assertLess(one.in_flight, 64)
        self.assertTrue(one.take(1))

    def test_a_week_offline_at_one_reading_a_minute_fits(self):
        days = 1 if ON_DEVICE else 7
        area = nor.Nor(160 * days // 7)
        one = made(area)
        total, energy = days * 1440, 1234567
        for n in range(total):
            lit = n % 1440 < 720
            energy += n % 2
            values = {"level_commanded_pct": 1000 if lit else 0, "level_effective_pct": 1000 if lit else 0}
            values.update({"level_measured_pct": 998 - n % 7 if lit else 0, "level_reason": 4, "energy_wh": energy})
            values.update({"power_w": 412 + (n * 7919) % 31 if lit else 4, "voltage_v": 2290 + (n * 104729) % 53})
            values.update({"current_a": 181 + n * 31 % 17, "power_factor": 957 - n % 5, "gear_temp_degc": 215 + n % 40})
            values.update({"lamp_on_time_s": 90000 + 30 * n, "gear_on_time_s": 880000 + 60 * n, "lamp_starts": 812})
            values.update({"gear_starts": 31, "supply_losses": 5, "failure_flags": 0, "illuminance_lx": n * 13 % 4000})
            values.update({"tilt_deg": 8 + n % 3, "shock_g": 2 + n % 2, "clock_offset_s": n * 7 % 23 - 11})
            values.update({"rssi_dbm": -70 - n % 12, "uptime_s": 60 * n + 17, "reset_cause": 0})
            one.append(values, NOW_MS + 60000 * n + n * 37 % 90, 60000 * n)
        self.assertEqual((one.pending, one.thinned, one.lost), (total, 0, 0))
        one = made(area)
        self.assertEqual(one.pending, total)
        found = drained(one)
        self.assertEqual(numbers(found), list(range(1, total + 1)))
        self.assertEqual(one.pending, 0)


class Worn(unittest.TestCase):
    def test_a_cell_that_cannot_be_written_costs_no_reading(self):
        flash = nor.Nor(6)
        for place in (100, 700, 4096 + 60, 2 * 4096 + 5, 3 * 4096 + 2000):
            flash.wear(place, 0x7E)
        one = made(flash)
        sent = []
        for _ in range(10):
            told = fill(one, 40)
            found = numbers(drained(one))
            self.assertEqual(found, told)
            sent += found
        self.assertEqual((one.lost, one.pending, len(set(sent))), (0, 0, 400))

    def test_without_any_flash_it_goes_on_and_counts(self):
        flash = nor.Nor(4)
        for sector in range(4):
            flash.wear(sector * nor.SECTOR, 0)
        one = made(flash)
        fill(one, 3)
        self.assertEqual((one.lost, one.pending, one.take(0)), (3, 0, []))

    def test_a_record_that_went_bad_takes_no_others_with_it_but_those_told_against_it(self):
        flash = nor.Nor(4)
        one = made(flash)
        fill(one, 60)
        data = flash.read(0, sectors.SECTOR)
        at = [at for at, _, _, _ in sectors.frames(data)][20]
        flash.data[at + sectors.FRAME_BYTES + 2] ^= 0x10
        found = numbers(drained(one))
        self.assertEqual(found, list(range(1, 21)) + list(range(33, 61)))
        self.assertEqual((one.lost, one.pending), (12, 0))
        self.assertEqual(made(flash).pending, 0)
