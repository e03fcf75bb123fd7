"""Renewal of the certificate: which orders are followed, the trial, and power that goes at any write."""

import asyncio
import json
import unittest

from node import app, link, p256, renewal
from test_app import Board, Running
from wire import Clock, settle

with open(__file__[: -len("suite/test_renewal.py")] + "renewals.json") as file:
    FOUND = json.load(file)
HAVE, NOW_MS = FOUND["have"], FOUND["now_ms"]
ORDERS = {case["title"]: case["order"] for case in FOUND["cases"]}
NEXT, ROTATED = ORDERS["the next certificate"], ORDERS["after the authority was rotated"]


class PowerError(Exception):
    pass


# Secrets whose power goes at a write.
class Secrets:
    def __init__(self, cut=-1):
        self.kept = {name: HAVE[name].encode() for name in ("cert", "roots")}
        self.writes, self.cut, self.fed, self.worn = 0, cut, 0, False

    def secret(self, name):
        return self.kept.get(name)

    def write(self):
        if self.worn:
            raise OSError(5)
        if self.writes == self.cut:
            raise PowerError
        self.writes += 1

    def keep_secret(self, name, value):
        if self.kept.get(name) != value:
            self.write()
            self.kept[name] = value
            if value is None:
                del self.kept[name]

    def feed(self):
        self.fed += 1


def take(board, order, now_ms=NOW_MS):
    return renewal.take(board, Clock(now_ms), FOUND["device"], order)


def serial_of(board):
    found = renewal.own(board)
    return found and found.serial


def leaf(order):
    return json.loads(order["document"])["certificate"]


def serial(order):
    return renewal.Certificate(renewal.certificates(leaf(order))[0]).serial


class Orders(unittest.TestCase):
    def test_each_is_followed_or_refused_by_its_word_and_a_refused_one_leaves_no_trace(self):
        for case in FOUND["cases"]:
            with self.subTest(case["title"]):
                board = Secrets()
                self.assertEqual(take(board, case["order"]) or "", case["expected"])
                self.assertEqual(board.writes, 0 if case["expected"] or "again" in case["title"] else 1)

    def test_whatever_the_order_is_made_of_it_is_refused(self):
        for name in ("document", "signature", "issuer"):
            for wrong in (None, 7, [], {}, "", "\0", "é"):
                with self.subTest(name):
                    board = Secrets()
                    order = dict(NEXT)
                    order[name] = wrong
                    self.assertTrue(take(board, order))
                    self.assertEqual(board.writes, 0)

    def test_a_document_cut_anywhere_or_with_a_byte_changed_is_refused(self):
        text = NEXT["document"]
        for at in range(0, len(text), 97):
            for changed in (text[:at], text[:at] + ("a" if text[at] != "a" else "b") + text[at + 1 :]):
                board = Secrets()
                order = dict(NEXT)
                order["document"] = changed
                self.assertTrue(take(board, order), at)
                self.assertEqual(board.writes, 0)

    def test_without_the_time_without_a_certificate_or_with_worn_flash_it_says_so(self):
        self.assertEqual(take(Secrets(), NEXT, None), "clock")
        self.assertEqual(take(Secrets(), NEXT, NOW_MS - 10 * 365 * 86400000), "expired")
        bare = Secrets()
        bare.kept = {}
        self.assertEqual(take(bare, NEXT), "none")
        bare.kept = {"cert": b"-----BEGIN CERTIFICATE-----\nAAAA", "roots": b""}
        self.assertEqual(take(bare, NEXT), "none")
        self.assertEqual(serial_of(bare), None)
        worn = Secrets()
        worn.worn = True
        self.assertEqual(take(worn, NEXT), "flash")

    def test_the_watchdog_is_fed_meanwhile(self):
        board = Secrets()
        take(board, NEXT)
        self.assertTrue(board.fed >= 16)


class Trials(unittest.TestCase):
    def test_what_is_on_trial_is_whole_and_what_it_had_stays(self):
        for order, roots in ((NEXT, HAVE["roots"]), (ROTATED, json.loads(ROTATED["document"])["roots"])):
            board = Secrets()
            take(board, order)
            chain, known = renewal.trial(board)
            found = renewal.certificates(chain.decode())
            self.assertEqual(found, renewal.certificates(leaf(order) + order["issuer"]))
            self.assertEqual(renewal.certificates(known.decode()), renewal.certificates(roots))
            self.assertEqual(serial_of(board), HAVE["serial"])
            renewal.keep(board)
            self.assertEqual(serial_of(board), serial(order))
            self.assertEqual(sorted(board.kept), ["cert", "roots"])
            self.assertEqual(board.kept["roots"].decode(), roots)
            self.assertEqual(take(board, order), None)  # once more: it has it
            self.assertEqual(renewal.trial(board), None)

    def test_one_that_is_dropped_leaves_all_as_it_was_and_tells_its_order(self):
        board = Secrets()
        before = dict(board.kept)
        take(board, ROTATED)
        self.assertEqual(renewal.drop(board), ROTATED["id"])
        self.assertEqual(board.kept, before)
        self.assertEqual(renewal.drop(board), None)

    def test_power_that_goes_at_any_write_leaves_a_certificate_that_the_broker_takes_and_the_trial(self):
        for order in (NEXT, ROTATED):
            for cut in range(4):
                board = Secrets(cut)
                with self.assertRaises(PowerError):
                    take(board, order)
                    renewal.keep(board)
                    raise PowerError  # fewer writes than that
                board.cut = -1
                have = serial_of(board)
                self.assertTrue(have in (HAVE["serial"], serial(order)))
                self.assertEqual(len(renewal.certificates(board.kept["cert"].decode())), 2)
                if "renewal" in board.kept:
                    chain, known = renewal.trial(board)
                    found = renewal.certificates(chain.decode())
                    self.assertEqual(found, renewal.certificates(leaf(order) + order["issuer"]))
                    self.assertEqual(len(renewal.certificates(known.decode())), 2)
                    renewal.keep(board)
                    self.assertEqual(serial_of(board), serial(order))
                else:
                    self.assertEqual(have, HAVE["serial"] if cut == 0 else serial(order))

    def test_what_lies_there_and_is_no_trial_is_forgotten(self):
        board = Secrets()
        board.kept["renewal"] = b"something"
        self.assertEqual(renewal.trial(board), None)
        renewal.keep(board)
        self.assertEqual(sorted(board.kept), ["cert", "roots"])
        self.assertEqual(serial_of(board), HAVE["serial"])


class Points(unittest.TestCase):
    def test_no_key_off_the_curve_and_no_numbers_of_no_signature_verify(self):
        x, y = p256.BASE_X.to_bytes(32, "big"), p256.BASE_Y.to_bytes(32, "big")
        digest = bytes(32)
        # By the base point as the key (1), r = s = x signs nothing; a digest of 0 and r = s is a signature by it.
        r = p256.BASE_X % p256.ORDER
        self.assertTrue(p256.verify(x + y, r, r, digest))
        for key in (x + x, y + x, bytes(64), x + y[:31], b"\xff" * 64):
            self.assertFalse(p256.verify(key, r, r, digest))
        for wrong in (
            (0, r),
            (r, 0),
            (p256.ORDER, r),
            (r, p256.ORDER),
            (r + p256.ORDER, r),
            (r, r + p256.ORDER),
            (-r, r),
        ):
            self.assertFalse(p256.verify(x + y, wrong[0], wrong[1], digest))
        # The key is the inverse of the base, the sum of both parts the point at infinity.
        minus = x + (p256.P - p256.BASE_Y).to_bytes(32, "big")
        self.assertFalse(p256.verify(minus, 1, 1, b"\0" * 31 + b"\x01"))


# A board whose broker takes the certificates that `takes` says, by their serial number; None: there is no broker.
class Renewing(Board):
    def __init__(self, *given, **named):
        super().__init__(*given, **named)
        self.secrets.update({name: HAVE[name].encode() for name in ("cert", "roots")})
        self.takes = {HAVE["serial"]}
        self.by = []

    def keep_secret(self, name, value):
        self.secrets[name] = value
        if value is None:
            del self.secrets[name]

    async def dial(self, host, port, by=None):
        shown = self.secrets["cert"] if by is None else by[0]
        self.by.append(renewal.Certificate(renewal.certificates(shown.decode())[0]).serial)
        if self.takes is None:
            raise OSError(111)
        found = await super().dial(host, port)
        if self.by[-1] not in self.takes:
            self.wire.answers = False  # as by TLS 1.3: refused once the handshake is over
            self.wire.hang_up()
        return found


OLD, NEW = HAVE["serial"], serial(NEXT)


# Of what it tells, in the order in which it came: one wire follows another.
class Telling(Running):
    async def __aenter__(self):
        await super().__aenter__()
        self.wires = [self.board.wire]
        return self

    async def run(self, ms):
        for _ in range(0, ms, 1000):
            await self.board.clock.run(1000)
            if self.board.wire is not self.wires[-1]:
                self.wires.append(self.board.wire)

    def told(self, channel):
        found = []
        for wire in self.wires:
            found.extend(json.loads(said) for said in wire.published(channel))
        return found


class IsRenewed(unittest.IsolatedAsyncioTestCase):
    def setUp(self):
        # Pauses between connections are asyncio's own time: none, and rest is the clock's.
        self.first, self.longest = link.FIRST_MS, link.LONGEST_MS
        link.FIRST_MS = link.LONGEST_MS = 2

    def tearDown(self):
        link.FIRST_MS, link.LONGEST_MS = self.first, self.longest

    async def turns(self, device, count=30):
        for _ in range(count):
            await asyncio.sleep(0.003)
            await device.run(1000)

    # The rest before the next try is over.
    async def rested(self, device):
        tried = len(device.board.by)
        self.assertTrue(app.here.link.rest_until >= device.board.clock.ticks_ms() + renewal.REST_MS - 60000)
        await self.turns(device, 2)
        self.assertEqual(len(device.board.by), tried)
        app.here.link.rest_until = 0
        await self.turns(device)

    async def test_it_answers_connects_by_the_new_one_and_says_so(self):
        board = Renewing()
        board.takes = {OLD, NEW}
        async with Telling(board) as device:
            await device.run(3000)
            self.assertEqual(device.told("/status")[-1]["certificate"], OLD)
            boot, kind = app.here.ring.boot, app.here.kind
            device.say("command", json.dumps(NEXT).encode(), 7)
            await self.turns(device)
            self.assertEqual(board.by, [OLD, NEW])
            self.assertEqual(device.told("/result"), [{"id": NEXT["id"], "ok": True}])
            self.assertEqual([said.get("certificate") for said in device.told("/status")], [OLD, NEW])
            self.assertEqual(serial_of(board), NEW)
            self.assertEqual(board.secret("renewal"), None)
            self.assertTrue(app.here.kind is kind and app.here.ring.boot == boot and device.why is None)
            # Acknowledged before it left, so that it does not come again; and nobody was told that it was gone.
            self.assertIn(b"\x40\x02\x00\x07", device.wires[0].raw)
            device.say("command", json.dumps(NEXT).encode(), 8)
            await self.turns(device, 3)
            self.assertEqual(len(board.by), 2)

    async def test_one_that_the_broker_refuses_is_given_up_after_some_tries_and_that_is_told(self):
        board = Renewing()
        async with Telling(board) as device:
            await device.run(3000)
            device.say("command", json.dumps(NEXT).encode(), 7)
            await self.turns(device)
            self.assertEqual(board.by, [OLD, NEW, OLD])
            self.assertTrue(app.state()["connected"])
            for _ in range(2):
                await self.rested(device)
            self.assertEqual(board.by, [OLD] + [NEW, OLD] * 3)
            self.assertEqual(device.told("/result")[1:], [{"id": NEXT["id"], "ok": False, "error": "refused"}])
            self.assertEqual(board.secret("renewal"), None)
            self.assertEqual(serial_of(board), OLD)
            await self.turns(device)
            self.assertEqual(len(board.by), 7)

    async def test_a_broker_that_is_gone_says_nothing_of_a_certificate(self):
        board = Renewing()
        async with Telling(board) as device:
            await device.run(3000)
            board.takes = None
            device.say("command", json.dumps(NEXT).encode(), 7)
            await self.turns(device, 24)
            self.assertTrue(board.by.count(NEW) > 3 and board.by.count(OLD) > 3)
            board.takes = {OLD, NEW}
            await self.turns(device)
            if board.by[-1] == OLD:  # it was its turn; the new one's comes
                await self.rested(device)
            self.assertEqual(board.by[-1], NEW)
            self.assertEqual(device.told("/status")[-1]["certificate"], NEW)
            self.assertEqual([said["ok"] for said in device.told("/result")], [True])

    async def test_after_a_loss_of_power_it_tries_the_one_that_waits(self):
        board = Renewing()
        self.assertEqual(renewal.take(board, board.clock, FOUND["device"], ROTATED), None)
        board.takes = {serial(ROTATED)}
        async with Telling(board) as device:
            await device.run(3000)
            self.assertEqual(board.by, [serial(ROTATED)])
            self.assertEqual(device.told("/status")[-1]["certificate"], serial(ROTATED))
            self.assertEqual(board.secret("roots").decode(), json.loads(ROTATED["document"])["roots"])

    async def test_flash_that_is_worn_ends_nothing_and_it_is_tried_again_by_the_next_start(self):
        board = Renewing()
        renewal.take(board, board.clock, FOUND["device"], NEXT)
        board.takes = {OLD, NEW}

        def worn(name, value=None):
            raise OSError(5)

        board.keep_secret = worn
        async with Telling(board) as device:
            await device.run(3000)
            self.assertEqual(board.by, [NEW])
            self.assertTrue(app.state()["connected"])
            self.assertIn("renewal", app.state()["troubles"][-1])
        self.assertTrue(board.secret("renewal"))

    async def test_a_refused_order_is_answered_by_its_word_and_the_session_goes_on(self):
        board = Renewing()
        async with Telling(board) as device:
            await device.run(3000)
            device.say("command", json.dumps(ORDERS["another key"]).encode(), 7)
            await settle()
            self.assertEqual(device.told("/result"), [{"id": NEXT["id"], "ok": False, "error": "key"}])
            await self.turns(device, 5)
            self.assertEqual(board.by, [OLD])

    async def test_asked_for_its_certificate_it_shows_it(self):
        board = Renewing()
        async with Telling(board) as device:
            await device.run(3000)
            device.say("command", b'{"id":"c","do":"renew"}', 7)
            await settle()
            shown, plain = device.told("/result")
            self.assertEqual(plain, {"id": "c", "ok": True})
            pem = renewal.BEGIN + shown["certificate"] + renewal.END
            self.assertEqual(renewal.certificates(pem), renewal.certificates(HAVE["cert"])[:1])
            del board.secrets["cert"]
            device.say("command", b'{"id":"d","do":"renew"}', 8)
            await settle()
            self.assertEqual(device.told("/result")[2:], [{"id": "d", "ok": False, "error": "none"}])
