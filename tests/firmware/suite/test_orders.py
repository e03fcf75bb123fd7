"""What the platform tells: documents that are refused or outlive a restart, orders that end, commands by id."""

import json
import unittest

from fakes.bench import Clock, Ring, Store
from node import desired, program
from node.orders import Orders

UTC_MS = 1795212345000


def document(**changes):
    found = {
        "floor_pct": 40,
        "zone": [[1761440400, 60], [1774742400, 120]],
        "sun": {"rise": [300] * 366, "set": [1000] * 366},
        "plans": [
            {"days": 31, "on": -10, "off": 5, "steps": [[0, 0, 100, 0], [1, 1380, 50, 600], [2, -30, 100, 60]]},
            {"dates": [20261224, 20261231], "steps": []},
            {"from": 1101, "to": 331, "steps": [[1, 60, 70, 0]]},
        ],
        "sensor": {"level_pct": 100, "up_s": 2, "hold_s": 30, "down_s": 10},
    }
    found.update(changes)
    return found


def wanted(version, channels="0", interval=None, **changes):
    said = {"version": version, "programs": {channel: document(**changes) for channel in channels}}
    if interval is not None:
        said["interval_s"] = interval
    return json.dumps(said).encode()


class Case(unittest.TestCase):
    def setUp(self):
        self.clock, self.store, self.ring = Clock(UTC_MS), Store(), Ring()
        self.orders = self.made()

    def made(self, channels=(0,), **more):
        return Orders(self.clock, self.store, self.ring, channels, **more)

    def say(self, **command):
        return json.loads(self.orders.command(json.dumps(command).encode()))

    def light(self, name, level=100, reason="manual", seconds=60, **more):
        until = UTC_MS + seconds * 1000
        return self.say(id=name, do="set_level", level_pct=level, reason=reason, until=until, **more)


class Desired(Case):
    def test_a_program_is_followed_kept_and_still_there_after_a_restart(self):
        self.assertEqual(self.orders.desired(wanted(7, interval=120)), {"version": 7, "ok": True})
        again = self.made()
        self.assertEqual((again.version, again.interval_s), (7, 120))
        original = document()
        for utc_s in range(UTC_MS // 1000, UTC_MS // 1000 + 14 * 86400, 3571):
            expected = program.level_pct(original, utc_s)
            self.assertEqual(program.level_pct(self.orders.programs[0], utc_s), expected)
            self.assertEqual(program.level_pct(again.programs[0], utc_s), expected)

    def test_a_program_takes_a_sector_less_than_half(self):
        self.orders.desired(wanted(1))
        self.assertTrue(len(self.store.held["desired"]) < 1700)

    def test_lamps_of_a_segment_share_one_program(self):
        self.orders = self.made((0, 1, 2))
        self.orders.desired(wanted(1, "012"))
        self.assertTrue(self.orders.programs[0] is self.orders.programs[2])
        self.assertTrue(len(self.store.held["desired"]) < 1700)
        again = self.made((0, 1, 2))
        self.assertTrue(again.programs[0] is again.programs[2])

    def test_channels_that_are_not_named_stay_as_they_are(self):
        self.orders = self.made((0, 1))
        self.orders.desired(wanted(1, "01"))
        self.orders.desired(wanted(2, "1", floor_pct=60))
        self.assertEqual([self.orders.programs[at]["floor_pct"] for at in (0, 1)], [40, 60])

    def test_an_older_version_is_refused_and_the_same_one_answered(self):
        self.orders.desired(wanted(7))
        writes = self.store.writes
        self.assertEqual(self.orders.desired(wanted(7, floor_pct=90)), {"version": 7, "ok": True})
        said = self.orders.desired(wanted(6))
        self.assertEqual(said, {"version": 7, "ok": False, "error": "older: version 7 is applied", "wanted": 6})
        self.assertEqual((self.orders.programs[0]["floor_pct"], self.store.writes), (40, writes))

    def test_nothing_is_said_of_a_message_taken_back(self):
        self.assertIsNone(self.orders.desired(b""))

    def refused(self, payload, reason):
        before = dict(self.store.held)
        said = self.orders.desired(payload)
        self.assertFalse(said["ok"])
        self.assertTrue(said["error"].startswith(reason), said["error"])
        self.assertEqual((self.store.held, self.orders.version), (before, said["version"]))

    def test_what_is_malformed_is_refused_and_changes_nothing(self):
        self.orders.desired(wanted(1))
        for payload in (b"{", b"[]", b"7", b"\xff\xfe", b'{"version": 0}', b'{"version": true}', b'{"version": "2"}'):
            self.refused(payload, "malformed")
        self.refused(b'{"version": 2}', "malformed")
        self.refused(b'{"version": 2, "programs": {}, "interval_s": 9}', "malformed")
        self.refused(b'{"version": 2, "programs": {"0": 7}}', "malformed")
        for changes in (
            {"floor_pct": 101},
            {"floor_pct": 40.5},
            {"zone": []},
            {"zone": [[0]]},
            {"sun": {"rise": [300] * 365, "set": [1000] * 366}},
            {"sun": {"rise": [300] * 366, "set": [1000] * 365 + [40000]}},
            {"plans": [{}]},
            {"plans": [{"steps": [], "days": 0}]},
            {"plans": [{"steps": [], "more": 1}]},
            {"plans": [{"steps": [[3, 0, 50, 0]]}]},
            {"plans": [{"steps": [[0, 0, 50]]}]},
            {"plans": [{"steps": [[0, 1440, 50, 0]]}]},
            {"plans": [{"steps": []}] * 13},
            {"plans": [{"steps": [[0, 0, 50, 0]] * 13}]},
            {"plans": [{"steps": [], "dates": [0] * 367}]},
            {"sensor": {"level_pct": 100}},
            {"sensor": {"level_pct": 100, "up_s": 0, "hold_s": 1, "down_s": 1}},
            {"surprise": 1},
        ):
            self.refused(wanted(2, **changes), "malformed")
        self.assertEqual(self.orders.programs[0]["floor_pct"], 40)

    def test_what_is_too_large_for_another_lamp_or_for_flash_is_refused(self):
        self.orders.desired(wanted(1))
        self.refused(b" " * 16385, "large")
        self.refused(wanted(2, "1"), "channel: there is no lamp on channel 1")
        self.store.full = True
        self.refused(wanted(2, floor_pct=50), "no room")
        self.store.full, self.store.bad = False, True
        said = self.orders.desired(wanted(2, floor_pct=50))
        self.assertTrue(said["error"].startswith("no room"))
        self.assertEqual((said["version"], said["wanted"], self.orders.programs[0]["floor_pct"]), (1, 2, 40))

    def test_whatever_lies_in_flash_the_device_starts_and_is_lit(self):
        self.orders.desired(wanted(3))
        whole = self.store.held["desired"]
        for damaged in (b"", b"\x00", b"\x02" + whole[1:], whole[:900], whole[:-1], b"\xff" * 50):
            self.store.held["desired"] = damaged
            again = self.made()
            self.assertEqual((again.version, again.level(0)), (0, (100, 5)))

    def test_a_device_without_lamps_takes_its_interval(self):
        self.orders = self.made(())
        self.assertTrue(self.orders.desired(b'{"version": 1, "programs": {}, "interval_s": 60}')["ok"])
        self.assertEqual(self.orders.interval_s, 60)

    def test_every_cut_of_a_document_is_refused(self):
        payload = wanted(2)
        for cut in range(1, len(payload), 37):
            self.refused(payload[:cut], "malformed")

    def test_packing_is_exact(self):
        packed = desired.pack(document())
        self.assertEqual(desired.pack(document()), packed)
        found = desired.unpack(packed)
        self.assertEqual(found["zone"], [(1761440400, 60), (1774742400, 120)])
        self.assertEqual(found["plans"][1]["dates"], [20261224, 20261231])
        self.assertEqual(list(found["sun"]["set"]), [1000] * 366)


class Commands(Case):
    def test_an_order_holds_until_it_ends(self):
        self.assertEqual(self.light("a", 30), {"id": "a", "ok": True})
        self.assertEqual(self.orders.level(0), (30, 2))
        self.clock.now_ms += 59999
        self.assertEqual(self.orders.level(0), (30, 2))
        self.clock.now_ms += 1
        self.assertEqual(self.orders.level(0), (100, 5))

    def test_a_clock_that_is_lost_or_set_ends_no_order(self):
        self.light("a", 30)
        for utc_ms in (None, 946684800000, UTC_MS + 9 * 86400000):
            self.clock.set(utc_ms or 0)
            if utc_ms is None:
                self.clock.utc_from_ms = None
            self.assertEqual(self.orders.level(0), (30, 2))

    def test_emergency_goes_before_the_switch_and_that_before_manual(self):
        self.light("a", 30)
        self.orders.local = True
        self.assertEqual(self.orders.level(0), (100, 1))
        self.light("b", 100, "emergency")
        self.assertEqual(self.orders.level(0), (100, 0))
        self.say(id="c", do="release", reason="emergency")
        self.orders.local = False
        self.assertEqual(self.orders.level(0), (30, 2))
        self.say(id="d", do="release", reason="manual")
        self.assertEqual(self.orders.level(0), (100, 5))

    def test_where_somebody_works_nothing_is_energised(self):
        self.orders.locked = True
        self.assertEqual(self.light("a")["error"], "locked")
        self.assertEqual(self.light("b", 100, "emergency")["error"], "locked")
        self.assertEqual(self.light("c", 0), {"id": "c", "ok": True})
        self.assertEqual(self.orders.level(0)[0], 0)

    def test_a_command_that_comes_again_is_answered_again_and_not_done_again(self):
        first = self.say(id="r", do="resend", from_seq=3, to_seq=9)
        self.assertEqual(first, {"id": "r", "ok": True, "readings": 7})
        self.assertEqual(self.ring.asked, (3, 9, None, None))
        self.ring.asked = None
        self.assertEqual(self.say(id="r", do="resend", from_seq=3, to_seq=9), first)
        self.assertIsNone(self.ring.asked)
        self.light("a", 30)
        self.say(id="b", do="release", reason="manual")
        self.light("a", 30)
        self.assertEqual(self.orders.level(0)[0], 100)

    def test_answers_of_the_last_64_are_remembered(self):
        for number in range(65):
            self.say(id=str(number), do="resend")
        self.ring.asked = None
        self.say(id="1", do="resend")
        self.assertIsNone(self.ring.asked)
        self.say(id="0", do="resend")
        self.assertEqual(self.ring.asked, (None, None, None, None))
        self.assertTrue(len(self.orders.said) <= 64)

    def test_a_name_that_begins_another_is_another(self):
        self.say(id="a", do="resend")
        self.ring.asked = None
        self.say(id='a"', do="resend")
        self.assertEqual(self.ring.asked, (None, None, None, None))

    def test_without_a_clock_the_message_expiry_tells_the_end(self):
        self.clock.utc_from_ms = None
        command = {"id": "a", "do": "set_level", "level_pct": 20, "reason": "manual", "until": UTC_MS + 60000}
        self.assertEqual(json.loads(self.orders.command(json.dumps(command).encode()))["error"], "clock")
        command["id"] = "b"
        self.assertTrue(json.loads(self.orders.command(json.dumps(command).encode(), 5))["ok"])
        self.clock.now_ms += 4999
        self.assertEqual(self.orders.level(0)[0], 20)
        self.clock.now_ms += 1
        self.assertEqual(self.orders.level(0)[0], 100)
        self.assertTrue(self.say(id="r", do="resend", from_ts=5, from_seq=2)["ok"])
        self.assertEqual(self.ring.asked, (2, None, None, None))

    def test_what_cannot_be_obeyed_is_refused_with_its_reason(self):
        for number, (changes, reason) in enumerate(
            (
                ({"level_pct": 101}, "level"),
                ({"level_pct": None}, "level"),
                ({"level_pct": 50.5}, "level"),
                ({"reason": "mood"}, "reason"),
                ({"reason": None}, "reason"),
                ({"channel": 5}, "channel"),
                ({"channel": "x"}, "channel"),
                ({"channel": []}, "channel"),
                ({"reason": {}}, "reason"),
                ({"until": None}, "until"),
                ({"until": UTC_MS}, "expired"),
                ({"do": "dance"}, "unknown command"),
                ({"do": None}, "do"),
                ({"do": "resend", "from_seq": "x"}, "malformed"),
            )
        ):
            command = {"id": "c" + str(number), "do": "set_level", "level_pct": 50, "reason": "manual"}
            command["until"] = UTC_MS + 1000
            command.update(changes)
            said = self.say(**command)
            self.assertFalse(said["ok"])
            self.assertTrue(said["error"].startswith(reason), said["error"])
        self.assertEqual(self.orders.level(0), (100, 5))

    def test_a_command_for_lamps_is_unknown_to_a_device_without_any(self):
        self.orders = self.made(())
        self.assertTrue(self.light("a")["error"].startswith("unknown command"))

    def test_what_has_no_name_is_not_answered(self):
        for payload in (b"", b"{", b"[]", b'{"do": "resend"}', b'{"id": 7}', b'{"id": ""}', b"\xff", b'"x"'):
            self.assertIsNone(self.orders.command(payload))
        self.assertIsNone(self.orders.command(json.dumps({"id": "x" * 65, "do": "resend"}).encode()))

    def test_further_commands_are_handed_on(self):
        self.orders = self.made(more={"update": lambda command: (command["version"] > 3, "old")})
        self.assertFalse(self.say(id="a", do="update", version=3)["ok"])
        self.assertTrue(self.say(id="b", do="update", version=4)["ok"])

    def test_motion_told_by_a_neighbour_raises_by_our_own_program(self):
        self.orders.desired(wanted(1, plans=[{"steps": [[0, 0, 50, 0]]}], sun={"rise": [300] * 366, "set": [0] * 366}))
        self.assertEqual(self.orders.level(0), (50, 4))
        self.assertTrue(self.light("a", 100, "sensor", 30)["ok"])
        self.clock.now_ms += 2000
        self.assertEqual(self.orders.level(0), (100, 3))
        self.clock.now_ms += 60000
        self.assertEqual(self.orders.level(0), (50, 4))

    def test_neighbours_are_told_of_one_motion_once(self):
        self.assertTrue(self.orders.moved(0))
        self.assertFalse(self.orders.moved(0))
        self.clock.now_ms += 30000
        self.assertTrue(self.orders.moved(0))
