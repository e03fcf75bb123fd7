# A DALI bus behind a transceiver: frames go out by the RMT unit, answers are timed on a pin.

import asyncio

from esp32 import RMT
from machine import Pin, time_pulse_us
from node import dali_wire

FRAME_MS = 16  # 17 bits and the rest after them
REST_MS = 14  # between frames
ANSWER_US = 14000  # an answer begins 2.4 to 12.4 ms after the question
PULSES_MAX = 18


class Bus:
    def __init__(self, wiring):
        # With transistors or optocouplers between, a high pin pulls the line low: `inverted`.
        self.rest = 0 if wiring.get("inverted", True) else 1
        self.rmt = RMT(pin=Pin(wiring["tx"]), resolution_hz=1000000, idle_level=bool(self.rest))
        self.pin = Pin(wiring["rx"], Pin.IN)
        self.rx_rest = 0 if wiring.get("rx_inverted", False) else 1

    async def send(self, frame):
        self.rmt.write_pulses(tuple(dali_wire.pulses(frame)), 1 - self.rest)
        await asyncio.sleep_ms(FRAME_MS + REST_MS)

    # The loop waits here for the 20 ms of an answer, as no interrupt of MicroPython keeps time to 100 us.
    async def ask(self, frame):
        self.rmt.write_pulses(tuple(dali_wire.pulses(frame)), 1 - self.rest)
        await asyncio.sleep_ms(FRAME_MS)
        low = 1 - self.rx_rest
        lengths = [time_pulse_us(self.pin, low, ANSWER_US)]
        while lengths[-1] > 0 and len(lengths) < PULSES_MAX:
            level = low if len(lengths) % 2 == 0 else self.rx_rest
            lengths.append(time_pulse_us(self.pin, level, dali_wire.LONG_US))
        if lengths[-1] <= 0:
            lengths.pop()
        await asyncio.sleep_ms(REST_MS)
        return dali_wire.byte_of(lengths)


dali = Bus
