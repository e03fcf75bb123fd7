"""What a device says over its cable: each new trouble once, and which parts fail."""

import asyncio
import unittest

from fakes.bench import Analogue, Pin
from fakes.serial_line import ModbusLine
from node import app, link, supervisor
from node.kinds import cabinet, lamp, solar
from suite.test_app import Board, Running
from suite.test_kinds import Case


# The lines that are printed until `end`. A module's own `print` is found before the interpreter's.
class Cable:
    def __init__(self):
        self.lines = []
        for module in (supervisor, link):
            module.print = self.lines.append

    def end(self):
        for module in (supervisor, link):
            del module.print


class Far(Board):
    """Its network is there or not; how often it was tried."""

    tries = 0

    async def network(self):
        self.tries += 1
        await super().network()


async def until(condition):
    for _ in range(500):
        if condition():
            return
        await asyncio.sleep(0.002)
    raise AssertionError("it never came to that")


class OfTheLink(unittest.IsolatedAsyncioTestCase):
    async def test_a_network_that_lets_nobody_in_is_said_once_and_again_after_a_connection(self):
        pauses = link.FIRST_MS, link.LONGEST_MS
        link.FIRST_MS = link.LONGEST_MS = 2
        cable, board = Cable(), Far()
        board.unreachable = True
        try:
            async with Running(board):
                await until(lambda: board.tries > 3)
                self.assertEqual(cable.lines, ["link: OSError: no network"])
                board.unreachable = False
                await until(lambda: app.state()["connected"])
                self.assertEqual(cable.lines[1:], ["link: connected"])
                board.unreachable, tried = True, board.tries
                board.wire.close()
                await until(lambda: board.tries > tried + 3)
                self.assertEqual(cable.lines[2:].count("link: OSError: no network"), 1, cable.lines)
        finally:
            cable.end()
            link.FIRST_MS, link.LONGEST_MS = pauses

    async def test_other_trouble_is_said_as_well_and_never_twice_in_a_row(self):
        cable = Cable()
        try:
            here = supervisor.Supervisor(Board())
            for _ in range(3):
                here.note("kind", ValueError("no such part"))
            here.note("state", OSError(5))
        finally:
            cable.end()
        self.assertEqual(cable.lines[0], "kind: ValueError: no such part")
        self.assertEqual(len(cable.lines), 2)


class OfParts(Case):
    def setUp(self):
        self.cable = Cable()

    def tearDown(self):
        self.cable.end()

    async def test_one_that_cannot_be_opened_is_said_once_and_named(self):
        wirings = {"output": {"at": "output"}, "relay": {"at": "nowhere"}}
        self.bench(lamp, {"output": Pin(None)}, wirings)
        self.assertEqual(self.kind.failed(), [])
        await self.after(300)
        self.assertEqual(len(self.cable.lines), 1)
        self.assertTrue(self.cable.lines[0].startswith("part relay: KeyError"), self.cable.lines)
        self.assertEqual(self.kind.failed(), ["relay"])
        self.board.parts["nowhere"] = Pin(0)
        await self.after(90)
        self.assertEqual(self.kind.failed(), [])
        self.assertEqual(len(self.cable.lines), 1)

    async def test_one_that_answers_no_more_is_said_at_the_second_time_and_again_after_it_did(self):
        cell = Analogue(100)
        self.bench(cabinet, {"photocell": cell}, {"photocell": {"at": "photocell"}})
        for _ in range(2):
            said = len(self.cable.lines)
            cell.level_mv = None
            await self.kind.apply()
            self.assertEqual((len(self.cable.lines), self.kind.failed()), (said, []))
            await self.after(100)
            self.assertEqual(self.cable.lines[said:], ["part photocell: OSError: no converter"])
            self.assertEqual(self.kind.failed(), ["photocell"])
            cell.level_mv = 100
            await self.kind.apply()
            self.assertEqual(self.kind.failed(), [])

    async def test_a_meter_and_an_inverter_that_are_silent_are_said_too(self):
        for module, name, parts in (
            (lamp, "meter", {"meter": {"at": "line", "chip": "pzem"}}),
            (solar, "inverter 1", {"inverter": {"at": "line"}}),
        ):
            self.bench(module, {"line": ModbusLine({})}, parts)
            del self.cable.lines[:]
            for _ in range(3):
                await self.kind.sample(0)
            self.assertEqual(len(self.cable.lines), 1, self.cable.lines)
            self.assertTrue(self.cable.lines[0].startswith("part " + name + ": ModbusError: "), self.cable.lines)
            self.assertEqual(self.kind.failed(), [name])


class InTheStatus(unittest.IsolatedAsyncioTestCase):
    async def test_parts_that_fail_are_named_to_the_platform_and_none_where_all_is_well(self):
        cable, board = Cable(), Board()
        board.secrets["settings"] = board.secrets["settings"][:-1] + b', "parts": {"tilt": {"type": "lis3dh"}}}'
        board.unreachable = True
        try:
            async with Running(board) as device:
                self.assertEqual(app.here.status()["parts_failed"], ["tilt"])
                app.here.kind.failed_ms.clear()
                self.assertNotIn("parts_failed", app.here.status())
                self.assertEqual(device.heard("/status"), [])
        finally:
            cable.end()
        self.assertIn("part tilt: OSError: no part", cable.lines)
