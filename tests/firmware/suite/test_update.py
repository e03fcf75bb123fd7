"""An update from the order to the confirmed slot: what is taken, what is refused, and the power gone at any byte."""

import json
import unittest
from binascii import unhexlify

import loader
from node import release, state, update
from nor import Nor, PowerCut

with open(__file__[: -len("suite/test_update.py")] + "releases.json") as file:
    RELEASES = json.load(file)
KEYS = unhexlify(RELEASES["keys"])
SECTORS = 34


def blocks(case):
    data = unhexlify(case["head"] + RELEASES["tails"][case["tail"]])
    return [data[at : at + release.BLOCK] for at in range(0, len(data), release.BLOCK)]


class Clock:
    def __init__(self, utc_s):
        self.utc_s = utc_s

    def utc_ms(self):
        return None if self.utc_s is None else self.utc_s * 1000


# A device with version 7 (of the first case) in slot 0, confirmed.
class Device:
    def __init__(self, floor=5, sectors=SECTORS):
        self.areas = {"state": Nor(4), "code_0": Nor(sectors), "code_1": Nor(sectors)}
        self.clock = Clock(RELEASES["now_s"])
        self.fed = 0
        state.State(self.areas["state"]).keep(slot=0, floor=floor)

    def put(self, slot, case):
        for number, block in enumerate(blocks(case)):
            self.areas[f"code_{slot}"].write(number * release.BLOCK, block)

    def feed(self):
        self.fed += 1

    # What a start does, up to where the chosen slot's code begins.
    def boot(self):
        self.state = state.State(self.areas["state"])
        chosen = loader.choose(self.areas, self.state, self.feed)
        if chosen is None:
            return None
        slot, trial, manifest = chosen
        self.running = {"slot": slot, "trial": trial, "version": manifest["version"], "name": manifest["name"]}
        self.update = update.Update(self.areas, self.state, self.clock, KEYS, self.running, self.feed)
        return slot, trial, manifest["version"]

    def drive(self, coroutine):
        try:
            coroutine.send(None)
        except StopIteration:
            return
        raise AssertionError("it waits for something")

    # Follows an order; "" or the reason.
    def take(self, case):
        refused = self.update.accept(case["order"])
        if refused:
            return refused
        topics = {str(number): block for number, block in enumerate(blocks(case))}
        topics["manifest"] = unhexlify(case["head"])
        prefix = "kraj_release/" + case["order"]["release"] + "/"

        async def fetch(topic, _timeout_s):
            assert topic[: len(prefix)] == prefix, topic
            return topics.get(topic[len(prefix) :])

        try:
            self.drive(self.update.run(case["order"], fetch))
        except release.Refused as refused:
            return refused.args[0]
        return ""


def by_title(title):
    return next(case for case in RELEASES["cases"] if case["title"] == title)


GOOD = by_title("the first key")


class Updates(unittest.TestCase):
    def test_each_release_is_taken_or_refused_for_its_reason(self):
        for case in RELEASES["cases"]:
            device = Device()
            device.put(0, by_title("a version below the floor"))
            self.assertEqual(device.boot(), (0, False, 5))
            self.assertEqual((case["title"], device.take(case)), (case["title"], case["expected"]))
            self.assertFalse(device.update.busy)
            # Only what was taken runs after the restart.
            self.assertEqual(device.boot(), (0, False, 5) if case["expected"] else (1, True, 7))

    def test_nothing_is_asked_for_before_the_order_is_plausible(self):
        device = Device()
        device.put(0, GOOD)
        device.boot()
        order = GOOD["order"]
        self.assertEqual(device.update.accept({}), "form")
        self.assertEqual(device.update.accept({"release": "../../x", "version": 8}), "form")
        self.assertEqual(device.update.accept({"release": order["release"], "version": "8"}), "form")
        self.assertEqual(device.update.accept({"release": order["release"], "version": 7}), "version")
        device.clock.utc_s = None
        self.assertEqual(device.update.accept(RELEASES["next"]["order"]), "clock")
        device.clock.utc_s = 1
        self.assertEqual(device.update.accept(RELEASES["next"]["order"]), None)
        self.assertEqual(device.update.accept(RELEASES["next"]["order"]), "busy")

    def test_a_device_without_keys_takes_nothing(self):
        device = Device()
        device.put(0, by_title("a version below the floor"))
        device.boot()
        for keys in (None, b"", KEYS[:31]):
            found = update.Update(device.areas, device.state, device.clock, keys, device.running)
            self.assertEqual(found.accept(GOOD["order"]), "key")

    def test_a_version_that_is_confirmed_stays_and_raises_the_floor(self):
        device = Device()
        device.put(0, by_title("a version below the floor"))
        device.boot()
        self.assertEqual(device.take(GOOD), "")
        self.assertEqual(device.boot(), (1, True, 7))
        # The old one is what a trial goes back to.
        self.assertEqual(device.update.accept(RELEASES["next"]["order"]), "trial")
        update.confirm(device.state, device.running)
        self.assertEqual(device.boot(), (1, False, 7))
        self.assertEqual(device.state.floor, 7)
        self.assertEqual(device.update.accept(GOOD["order"]), "version")
        self.assertEqual(device.take(RELEASES["next"]), "")
        self.assertEqual(device.boot(), (0, True, 9))

    def test_a_version_that_never_confirms_is_started_three_times(self):
        device = Device()
        device.put(0, by_title("a version below the floor"))
        device.boot()
        device.take(GOOD)
        started = [device.boot() for _ in range(5)]
        self.assertEqual(started, [(1, True, 7)] * 3 + [(0, False, 5)] * 2)
        self.assertEqual(update.failed(device.areas, device.state, device.running), 7)
        update.forget(device.areas, device.running)
        self.assertEqual(update.failed(device.areas, device.state, device.running), None)
        # It may be offered again.
        self.assertEqual(device.take(GOOD), "")
        self.assertEqual(device.boot(), (1, True, 7))

    def test_a_trial_has_an_hour(self):
        device = Device()
        device.put(0, by_title("a version below the floor"))
        device.boot()
        device.take(GOOD)
        device.boot()
        self.assertFalse(update.overdue(device.running, update.TRIAL_MS - 1))
        self.assertTrue(update.overdue(device.running, update.TRIAL_MS))
        update.give_up(device.state)
        self.assertEqual(device.boot(), (0, False, 5))
        self.assertFalse(update.overdue(device.running, update.TRIAL_MS))

    def test_a_worn_sector_is_found_before_the_new_version_runs(self):
        device = Device()
        device.put(0, by_title("a version below the floor"))
        device.boot()
        device.areas["code_1"].wear(4096 + 77, 0)
        self.assertEqual(device.take(GOOD), "flash")
        self.assertEqual(device.boot(), (0, False, 5))

    def test_a_confirmed_slot_that_flash_has_lost_is_replaced_by_the_other(self):
        device = Device()
        device.put(0, by_title("a version below the floor"))
        device.put(1, GOOD)
        device.areas["code_0"].write(900, bytes(8))
        self.assertEqual(device.boot(), (1, False, 7))
        # Until the broker was reached nothing is written over anything.
        self.assertEqual(device.update.accept(RELEASES["next"]["order"]), "trial")
        update.confirm(device.state, device.running)
        self.assertEqual(device.take(RELEASES["next"]), "")
        self.assertEqual(device.boot(), (0, True, 9))

    def test_without_any_whole_slot_nothing_is_started(self):
        device = Device()
        self.assertEqual(device.boot(), None)
        device.put(0, GOOD)
        device.areas["code_0"].write(len(unhexlify(GOOD["head"])) + 1, b"\x00")
        self.assertEqual(device.boot(), None)

    def test_a_trial_that_cannot_be_counted_is_none(self):
        device = Device()
        device.put(0, by_title("a version below the floor"))
        device.boot()
        device.take(GOOD)
        device.areas["state"].wear(2 * 4096, 0)
        device.areas["state"].wear(3 * 4096, 0)
        device.boot()
        self.assertEqual(device.running["slot"], 0)

    def test_power_gone_at_any_moment_of_the_last_block_leaves_a_device_that_starts(self):
        # Every byte of everything is stack/bench/firmware_trials.py's matter; here both interpreters see a few moments.
        steps = self.steps()
        for left in (0, 3, 4200, steps - 60, steps - 40, steps - 1):
            device = Device(sectors=3)
            device.put(0, by_title("a version below the floor"))
            device.boot()
            self.cut(device, left)
            started = device.boot()
            self.assertIn(started, ((0, False, 5), (1, True, 7)))
            if started[0] == 0:
                self.assertEqual(device.take(GOOD), "")
                self.assertEqual(device.boot(), (1, True, 7))
            update.confirm(device.state, device.running)
            self.assertEqual(device.boot(), (1, False, 7))

    def steps(self):
        device = Device(sectors=3)
        device.put(0, by_title("a version below the floor"))
        device.boot()
        before = sum(area.steps for area in device.areas.values())
        self.assertEqual(device.take(GOOD), "")
        return sum(area.steps for area in device.areas.values()) - before

    # One supply for all areas: what the slot has used up the state does not have.
    def cut(self, device, left):
        code, kept = device.areas["code_1"], device.areas["state"]
        code.power(left)
        keep = device.state.keep

        def counted(**changes):
            kept.power(code.left)
            keep(**changes)

        device.state.keep = counted
        with self.assertRaises(PowerCut):
            device.take(GOOD)
        for area in device.areas.values():
            area.power()
