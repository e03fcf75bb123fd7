"""The thin drivers on a machine that is not there: which pin gets what, and DALI down to the pulse."""

import sys
import unittest

from fakes import machine_bench
from fakes.dali_line import Line

machine_bench.install(sys.modules)

from board.drivers import epaper, parts  # noqa: E402
from node import dali, dali_wire  # noqa: E402


class Drivers(unittest.IsolatedAsyncioTestCase):
    def setUp(self):
        parts.shared.clear()
        machine_bench.pins.clear()

    def made(self, kind, **wiring):
        wiring["type"] = kind
        return parts.made(wiring)

    def test_a_lamp_is_lit_before_the_first_order(self):
        self.assertEqual(self.made("pwm", pin=25).pwm.duty, 65535)
        self.assertEqual(self.made("pwm", pin=25, inverted=True).pwm.duty, 0)
        self.made("switch", pin=26, at_start=1)
        self.assertEqual(machine_bench.pins[26].level, 1)
        self.made("switch", pin=27, at_start=1, on=0)
        self.assertEqual(machine_bench.pins[27].level, 0)

    def test_outputs_and_inputs(self):
        pwm = self.made("pwm", pin=25)
        pwm.set(400)
        self.assertEqual(pwm.pwm.duty, 26214)
        relay = self.made("switch", pin=26, on=0)
        relay.set(1)
        self.assertEqual(machine_bench.pins[26].level, 0)
        adc = self.made("adc", pin=34, times=11)
        adc.adc.uv = 250000
        self.assertEqual(adc.mv(), 2750)

    def test_a_button_pressed_between_two_looks_is_not_missed_and_a_spark_is_none(self):
        contact = self.made("contact", pin=4, latch=1)
        pin = machine_bench.pins[4]
        self.assertEqual(contact.value(), 1)
        pin.level = 0
        pin.fire()
        pin.level = 1
        self.assertEqual((contact.value(), contact.value()), (0, 1))
        pin.fire()
        self.assertEqual(contact.value(), 1)

    def test_pulses_are_counted_once(self):
        pulses = self.made("pulses", pin=5)
        for _ in range(3):
            machine_bench.pins[5].fire()
        self.assertEqual((pulses.taken(), pulses.taken()), (3, 0))

    def test_a_line_is_shared_and_its_driver_sends_only_while_it_writes(self):
        line = self.made("uart", id=1, de=23)
        self.assertTrue(self.made("uart", id=1, de=23) is line)
        self.assertFalse(self.made("uart", id=2) is line)
        line.uart.pin = machine_bench.pins[23]
        line.write(b"\x01\x03")
        self.assertEqual((line.uart.written, line.uart.level_then, line.uart.pin.level), (b"\x01\x03", 1, 0))
        self.assertEqual(line.read(), b"")

    def test_an_unknown_part_is_refused(self):
        with self.assertRaises(ValueError):
            self.made("flux_capacitor")

    async def test_a_gear_is_told_and_asked_over_pulses(self):
        for inverted in (True, False):
            parts.shared.clear()
            bus = self.made("dali", tx=18, rx=19, inverted=inverted)
            line = Line({202: {at: at for at in range(4, 16)}})
            machine_bench.wire.gear, machine_bench.wire.active = line, 1 if inverted else 0
            gear = dali.Gear(bus, 3)
            await gear.set_pct(50)
            self.assertEqual((line.sent, line.level), ([6 << 8 | 229], 229))
            self.assertEqual(await gear.level(), dali.pct_of(229))
            self.assertEqual(await gear.memory(202, 4, 5), [4, 5, 6, 7, 8])
            line.mute = True
            self.assertIsNone(await gear.level())
        self.assertEqual(dali_wire.pulses(0x06E5)[0], 417)

    async def test_a_panel_gets_its_lines_band_by_band(self):
        epaper.REFRESH_MS, epaper.STEP_MS = 2, 1
        panel = self.made("epaper", sck=1, mosi=2, cs=3, dc=6, rst=7, busy=8)
        machine_bench.pins[8].level = 0
        self.assertTrue(await panel.write(("WiFi ano", "USB ne")))
        sent = panel.spi.written
        begin = sent.index(b"\x4f\x00\x00\x24") + 4
        self.assertEqual(sent[:1], b"\x12")
        self.assertEqual((sent[begin : begin + 8], sent[begin + 128 : begin + 134]), (b"WiFi ano", b"USB ne"))
        self.assertEqual(len(sent) - begin, 16 * 250 + len(b"\x22\xf7\x20"))

    async def test_a_panel_that_stays_busy_is_broken(self):
        epaper.REFRESH_MS, epaper.STEP_MS = 2, 1
        panel = self.made("epaper", sck=1, mosi=2, cs=3, dc=6, rst=7, busy=8)
        self.assertEqual((panel.shown, panel.ok), (0, None))
        machine_bench.pins[8].level = 0
        self.assertTrue(await panel.show(b"\x00" * 8))
        self.assertEqual((panel.ok, panel.shown), (1, 1))
        panel.REFRESHES = 1
        machine_bench.pins[8].level = 1
        self.assertFalse(await panel.show(b"\x00" * 8))
        self.assertEqual((panel.ok, panel.shown), (0, 1))
