"""A whole device with flash, clock and wire in memory: its start, its orders, and what it does when things go wrong."""

import asyncio
import json
import unittest
from binascii import unhexlify

import nor
from node import app, link
from node.state import State
from wire import Clock, Wire, message, settle

BASE = "kraj/brno/lamp-1/"
HOURS_MS = 3600000
SECTORS = {"state": 4, "ring": 12, "code_0": 34, "code_1": 34}
HERE = {"kind": "lamp", "host": "broker.example", "port": 8883, "municipality": "brno", "device": "lamp-1"}
SECRETS = {"settings": json.dumps(HERE).encode()}


class Board:
    def __init__(self, areas=None, cause="power_on", utc_ms=1795212345000):
        self.areas = areas or {
            name: nor.Nor(n) for name, n in (("state", 4), ("ring", 12), ("code_0", 4), ("code_1", 4))
        }
        self.clock = Clock(utc_ms)
        self.secrets = dict(SECRETS)
        self.cause = cause
        self.wire = Wire()
        self.dialled = []
        self.fed = 0
        self.unreachable = False

    def secret(self, name):
        return self.secrets.get(name)

    def reset_cause(self):
        return self.cause

    def feed(self):
        self.fed += 1

    def random(self, n):
        return 0

    def part(self, wiring):
        raise OSError("no part")

    async def network(self):
        if self.unreachable:
            raise OSError("no network")

    async def ask_time(self):
        return self.clock.ahead is not None

    async def dial(self, host, port):
        self.dialled.append((host, port))
        self.wire = Wire()
        return self.wire, self.wire


# A device that runs until the end of the block.
class Running:
    def __init__(self, board):
        self.board = board
        self.why = None

    async def __aenter__(self):
        self.task = asyncio.create_task(self.live())
        await settle()
        return self

    async def live(self):
        self.why = await app.run(self.board)

    async def __aexit__(self, *error):
        self.task.cancel()
        await settle()

    def say(self, channel, payload, number=0):
        self.board.wire.say(message(BASE + channel, payload, number))

    def heard(self, channel):
        return [json.loads(said) for said in self.board.wire.published(channel)]

    def readings(self):
        found = []
        for said in self.heard("/telemetry"):
            found.extend(said if isinstance(said, list) else [said])
        return found

    async def answer(self, command, number=1):
        count = len(self.heard("/result"))
        self.say("command", json.dumps(command).encode(), number)
        await settle()
        return self.heard("/result")[count:]


class Starts(unittest.IsolatedAsyncioTestCase):
    async def test_it_says_what_it_is_measures_and_frees_what_is_acknowledged(self):
        board = Board()
        async with Running(board) as device:
            await board.clock.run(3000)
            self.assertEqual(board.dialled, [("broker.example", 8883)])
            status = {"online": True, "boot": 1, "firmware": "0", "reset": "power_on", "safe_mode": False}
            self.assertEqual(device.heard("/status"), [status])
            first = device.readings()[0]
            self.assertEqual((first["boot"], first["seq"], first["level_reason"]), (1, 1, "fallback"))
            self.assertEqual(app.state()["pending"], 1)
            device.say("ack", b'{"boot":1,"seq":[[1,1]]}')
            await settle()
            self.assertEqual(app.state()["pending"], 0)
            for wrong in (
                b"",
                b"[]",
                b'{"boot":1}',
                b'{"boot":1,"seq":[[1]]}',
                b'{"boot":"1","seq":[["1","1"]]}',
                b"[" * 9000,
            ):
                device.say("ack", wrong)
            await settle()
            self.assertEqual(app.state()["malformed"], 6)
        self.assertTrue(board.fed)

    async def test_each_start_has_its_number_and_what_waited_is_sent_then(self):
        board = Board()
        board.unreachable = True
        async with Running(board):
            await board.clock.run(700000)
        again = Board(board.areas, cause="software")
        async with Running(again) as device:
            await again.clock.run(3000)
            status = device.heard("/status")[0]
            self.assertEqual((status["boot"], status["reset"]), (2, "software"))
            self.assertEqual({reading["boot"] for reading in device.readings()}, {1, 2})
            numbers = [reading["seq"] for reading in device.readings()]
            self.assertEqual(len(set(numbers)), len(numbers))

    async def test_without_the_time_it_measures_by_its_uptime_and_dials_nobody(self):
        board = Board(utc_ms=None)
        async with Running(board) as device:
            await board.clock.run(3000)
            self.assertEqual(board.dialled, [])
            self.assertEqual(app.state()["pending"], 1)
            board.clock.set(1795212345000)
            device.board = board
            app.here.link._stopped.set()  # its pause is over
            await settle()
        self.assertIn("time is not known", app.state()["trouble"])

    async def test_one_that_was_never_enrolled_does_its_work(self):
        board = Board()
        board.secrets["settings"] = b'{"kind":"lamp"}'
        async with Running(board):
            await board.clock.run(3000)
            self.assertEqual(app.state()["pending"], 1)
            self.assertEqual(app.here.supervisor.missing(), None)


class IsTold(unittest.IsolatedAsyncioTestCase):
    async def test_a_command_is_answered_once_and_done_once(self):
        board = Board()
        async with Running(board) as device:
            await board.clock.run(3000)
            until = board.clock.utc_ms() + 60000
            order = {"id": "a", "do": "set_level", "level_pct": 30, "reason": "manual", "until": until}
            self.assertEqual(await device.answer(order, 5), [{"id": "a", "ok": True}])
            self.assertEqual(board.wire.raw[-1], b"\x40\x02\x00\x05")  # acknowledged after the answer
            self.assertEqual(await device.answer(order, 6), [{"id": "a", "ok": True}])
            await board.clock.run(11000)
            self.assertEqual(device.readings()[-1]["level_commanded_pct"], 30)
            refused = await device.answer({"id": "b", "do": "fly"}, 7)
            self.assertFalse(refused[0]["ok"])
            refused = await device.answer({"id": "c", "do": "update", "release": "0123456789abcdef", "version": 2}, 8)
            self.assertEqual(refused, [{"id": "c", "ok": False, "error": "key"}])
            for wrong in (b"", b"\xff", b"[1]", b'{"id":1}'):
                device.say("command", wrong, 9)
            await settle()
            self.assertEqual(board.wire.raw[-1], b"\x40\x02\x00\x09")  # it does not come again for ever
            self.assertTrue(app.state()["connected"])

    async def test_a_document_that_is_too_large_or_wrong_is_refused_by_name(self):
        board = Board()
        async with Running(board) as device:
            await board.clock.run(3000)
            wrong = json.dumps({"version": 3, "programs": {"7": {}}}).encode()
            for payload in (b"{", b" " * 16000 + b"{}", wrong):
                device.say("desired", payload, 3)
                await settle()
                self.assertFalse(device.heard("/reported")[-1]["ok"])
            self.assertEqual(device.heard("/reported")[-1]["wanted"], 3)
            self.assertTrue(app.state()["connected"])


# A release as it lies at the broker, and the order to take it.
def release():
    with open(__file__[: -len("suite/test_app.py")] + "releases.json") as file:
        found = json.load(file)
    case = found["cases"][0]
    topic, whole = "kraj_release/" + case["order"]["release"] + "/", case["head"] + found["tails"][case["tail"]]
    whole = unhexlify(whole)
    retained = {topic + str(at // 1024): whole[at : at + 1024] for at in range(0, len(whole), 1024)}
    retained[topic + "manifest"] = unhexlify(case["head"])
    order = {"id": "u", "do": "update"}
    order.update(case["order"])
    return unhexlify(found["keys"]), retained, order


class Updates(unittest.IsolatedAsyncioTestCase):
    async def test_a_release_is_fetched_checked_and_started_and_stays_once_it_has_met_the_broker(self):
        board = Board()
        board.secrets["release_keys"], retained, order = release()
        async with Running(board) as device:
            await board.clock.run(3000)
            device.say("ack", b'{"boot":1,"seq":[[1,9]]}')
            board.wire.retained = retained
            self.assertEqual(await device.answer(order), [{"id": "u", "ok": True}])
            await board.clock.run(20000)
            await settle(200)
            self.assertEqual(device.why, "update")
            self.assertEqual(app.here.update, None)
        kept = State(board.areas["state"])
        self.assertEqual((kept.slot, kept.trial, kept.floor), (0, 3, 0))
        new = Board(board.areas, cause="software")
        new.running = {"slot": 1, "trial": True, "version": order["version"], "name": "7.0"}
        async with Running(new) as device:
            await new.clock.run(12000)
            self.assertEqual(device.heard("/status")[0]["firmware"], "7.0")
            await settle()
        kept = State(board.areas["state"])
        self.assertEqual((kept.slot, kept.trial, kept.floor), (1, 0, order["version"]))

    async def test_one_that_does_not_come_whole_is_told_of_and_what_runs_goes_on(self):
        board = Board()
        board.secrets["release_keys"], retained, order = release()
        spoiled = max(retained)
        retained[spoiled] = retained[spoiled][:-1] + bytes((retained[spoiled][-1] ^ 1,))
        async with Running(board) as device:
            await board.clock.run(3000)
            board.wire.retained = retained
            self.assertEqual(await device.answer(order), [{"id": "u", "ok": True}])
            await settle(200)
            await board.clock.run(2000)
            self.assertEqual([said["event"] for said in device.heard("/event")], ["update_failed"])
            self.assertEqual(device.why, None)
        self.assertEqual(State(board.areas["state"]).trial, 0)

    async def test_one_on_trial_that_meets_no_broker_gives_way(self):
        board = Board()
        board.running = {"slot": 1, "trial": True, "version": 7, "name": "7.0"}
        board.unreachable = True
        async with Running(board) as device:
            await board.clock.run(3000)
            board.clock.now += 3580000  # nearly an hour, at once
            beats = app.here.supervisor._beats
            for name in beats:
                beats[name] = board.clock.now
            self.assertEqual(device.why, None)
            await board.clock.run(40000)
            app.here.link._stopped.set()
            await settle()
            self.assertEqual(device.why, "update_failed")


class GoesWrong(unittest.IsolatedAsyncioTestCase):
    async def test_it_is_not_reset_because_a_server_is_gone_for_hours(self):
        board = Board()
        board.unreachable = True
        async with Running(board) as device:
            await board.clock.run(HOURS_MS)
            self.assertEqual(device.why, None)
            self.assertFalse(device.task.done())
            self.assertGreater(app.state()["pending"], 5)
            self.assertGreater(board.fed, 170)
            self.assertEqual(app.here.state.failures, 0)

    async def test_a_task_that_hangs_ends_in_a_reset_that_is_counted(self):
        board = Board()
        async with Running(board) as device:
            await board.clock.run(3000)

            async def hang():
                await asyncio.Event().wait()

            app.here.kind.apply = hang
            await board.clock.run(200000)
            self.assertEqual(device.why, "stalled kind")
        self.assertEqual(State(board.areas["state"]).failures, 1)

    async def test_a_task_that_fails_is_started_again_and_too_often_is_too_often(self):
        board = Board()
        async with Running(board) as device:
            await board.clock.run(3000)
            kind, apply = app.here.kind, app.here.kind.apply

            async def fail():
                kind.apply = apply
                raise KeyError("once")

            kind.apply = fail
            await board.clock.run(10000)
            self.assertEqual(device.why, None)
            self.assertIn("KeyError", app.state()["troubles"][-1])

            async def always():
                raise ValueError("always")

            kind.apply = always
            await board.clock.run(30000)
            self.assertEqual(device.why, "stalled kind")

    async def test_after_starts_that_failed_only_link_and_light_run_and_it_tries_again_later(self):
        board = Board()
        for _ in range(app.SAFE_AFTER):
            board = Board(board.areas, cause="watchdog")
            async with Running(board):
                await board.clock.run(3000)
        async with Running(Board(board.areas, cause="software")) as device:
            clock = device.board.clock
            await clock.run(3000)
            self.assertTrue(device.heard("/status")[0]["safe_mode"])
            self.assertEqual([one for one in device.readings() if one["boot"] == app.here.ring.boot], [])
            self.assertEqual(app.here.kind.lights[0].pct, 100)
            until = clock.utc_ms() + 60000
            order = {"id": "a", "do": "set_level", "level_pct": 30, "reason": "manual", "until": until}
            self.assertEqual(await device.answer(order), [{"id": "a", "ok": True}])
            await clock.run(2000)
            self.assertEqual(app.here.kind.lights[0].pct, 30)
            device.say("desired", b'{"version":3,"programs":{}}', 4)
            await settle()
            self.assertFalse(device.heard("/reported")[0]["ok"])
            device.say("ack", b'{"boot":1,"seq":[[1,9]]}')
            device.say("ack", b'{"boot":2,"seq":[[1,9]]}')
            device.say("ack", b'{"boot":3,"seq":[[1,9]]}')
            long, app.SAFE_MS = app.SAFE_MS, app.WELL_MS + 60000  # in place of hours
            self.addCleanup(setattr, app, "SAFE_MS", long)
            await clock.run(app.SAFE_MS)
            await settle()
            self.assertEqual(device.why, "safe_mode_over")
        async with Running(Board(board.areas, cause="software")) as device:
            await device.board.clock.run(app.WELL_MS + 11000)
            self.assertFalse(app.state()["safe"])
        self.assertEqual(State(board.areas["state"]).failures, 0)

    async def test_safe_mode_can_be_asked_for_and_is_for_once(self):
        board = Board()
        async with Running(board) as device:
            await board.clock.run(3000)
            device.say("ack", b'{"boot":1,"seq":[[1,9]]}')
            self.assertEqual(await device.answer({"id": "s", "do": "safe_mode"}), [{"id": "s", "ok": True}])
            await board.clock.run(10000)
            self.assertEqual(device.why, "safe_mode")
            self.assertEqual(device.heard("/status")[-1], {"online": False})
        for safe in (True, False):
            async with Running(Board(board.areas, cause="software")):
                self.assertEqual(app.state()["safe"], safe)

    async def test_a_kind_that_cannot_begin_leaves_the_link(self):
        board = Board()
        keep, app.lights = app.lights, lambda *_: ()  # the lamp's channel is not among its orders'
        try:
            async with Running(board) as device:
                await board.clock.run(3000)
                app.here.kind = app.here.sampling = None
                self.assertEqual(len(device.heard("/status")), 1)
                self.assertEqual((await device.answer({"id": "r", "do": "resend"}))[0]["ok"], True)
        finally:
            app.lights = keep

    async def test_two_of_one_name_do_not_throw_each_other_out_all_the_time(self):
        board = Board()
        first, link.FIRST_MS = link.FIRST_MS, 1
        try:
            async with Running(board):
                await board.clock.run(3000)
                board.wire.hang_up()
                await asyncio.sleep(0.05)
                self.assertEqual(len(board.dialled), 2)
                board.wire.say(b"\xe0\x01\x8e")  # session taken over
                await asyncio.sleep(0.05)
                self.assertEqual(len(board.dialled), 2)
                self.assertIn("142", app.state()["trouble"])
        finally:
            link.FIRST_MS = first
