"""What a device does without its network: it stamps, numbers, sends and obeys; no I/O, no clock, no connection."""

from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence

import msgspec

from kraj import moving, renewing
from simulators.asset import Device
from simulators.controller import Obeys
from simulators.messages import ACK, COMMAND, NAME, Command, Result
from simulators.ring import Entry, Ring

FIRMWARE = "sim-0.1"
READINGS_PER_MESSAGE = 16
"""A backlog goes in messages of this many readings: about 10 kB, far below what the platform takes."""
COMMANDS_REMEMBERED = 64
"""Answers kept so that a command that comes again is answered again and not done again."""
LIGHT = ("set_level", "release")
"""Commands that a device with lamps hands to its controller."""
OFFLINE: dict[str, object] = {"online": False}


class Node:
    """The ring of a device, and what it answers to what it hears; ``msgspec.DecodeError`` for what nobody can read.

    ``acknowledged`` is told of each reading that the platform confirmed for the first time, ``move`` follows an order
    to another server, ``renew`` takes the next certificate on trial, ``certificate`` is the serial number of its own.
    ``controller`` tells how its lamps obey. What is remembered here is lost with the power; ring and
    controller say themselves what they keep.
    """

    def __init__(
        self,
        device: Device,
        ring: Ring,
        *,
        acknowledged: Callable[[str, int, Sequence[int]], None] | None = None,
        controller: Obeys | None = None,
        move: Callable[[Command], Result] | None = None,
        renew: Callable[[Command], Result] | None = None,
        certificate: Callable[[], str] | None = None,
    ) -> None:
        self.device = device
        self.ring = ring
        self._acknowledged = acknowledged
        self._controller = controller
        self._move = move
        self._renew = renew
        self._certificate = certificate
        self._answers: OrderedDict[str, Result] = OrderedDict()

    def record(
        self, metrics: dict[str, object], ts_ms: int, channel: int = 0, *, past: bool = False, uptime_ms: int
    ) -> int:
        """Stamp a reading with the time, or (without a clock, unless it is of the ``past``) with the uptime."""
        stamp: dict[str, object] = {"ts": ts_ms} if self.device.clock or past else {"uptime_ms": uptime_ms}
        if channel:
            stamp["channel"] = channel
        return self.ring.append(stamp | metrics, ts_ms, channel)

    def restart(self) -> None:
        """Power was gone: the next boot of the same ring. Which commands it has answered it does not know any more, and
        does one that comes again, as what was ordered before is gone, too."""
        self.ring.restart()
        self._answers.clear()

    def online(self) -> dict[str, object]:
        """What it says when it has connected."""
        said: dict[str, object] = {"certificate": self._certificate()} if self._certificate is not None else {}
        return {"online": True, "boot": self.ring.boot, "firmware": FIRMWARE, "reset": "power_on"} | said

    def messages(self, now_ms: float) -> Iterator[bytes]:
        """What is to be sent now."""
        return messages(self.ring.take(now_ms))

    def take_ack(self, payload: bytes) -> None:
        """Forget what the platform has."""
        ack = ACK.decode(payload)
        first = self.ring.acknowledge(ack.boot, ack.seq)
        if first and self._acknowledged:
            self._acknowledged(self.device.name, ack.boot, first)

    def take_desired(self, payload: bytes) -> bytes | None:
        """What is published as ``reported``; None where there is nothing to say."""
        answer = self._controller.desired(payload) if self._controller else None
        return None if answer is None else msgspec.json.encode(answer)

    def obey(self, payload: bytes, expiry_s: int | None) -> bytes:
        """What is published as ``result``; a command that comes again is answered again, and not done again."""
        id_ = NAME.decode(payload).id
        answer = self._answers.get(id_)
        if answer is None:
            answer = self._do(id_, payload, expiry_s)
            self._answers[id_] = answer
            if len(self._answers) > COMMANDS_REMEMBERED:
                self._answers.popitem(last=False)
        return msgspec.json.encode(answer)

    def _do(self, id_: str, payload: bytes, expiry_s: int | None) -> Result:
        try:
            command = COMMAND.decode(payload)
        except msgspec.DecodeError as error:
            return Result(id_, ok=False, error=str(error)[:200])
        if command.do == moving.DO and self._move is not None:
            return self._move(command)
        if command.do == renewing.DO and self._renew is not None:
            return self._renew(command)
        if self._controller and command.do in LIGHT:
            return self._controller.obey(command, expiry_s)
        if command.do != "resend":
            renew = (renewing.DO,) if self._renew else ()
            known = ", ".join(("resend", moving.DO, *renew, *(LIGHT if self._controller else ())))
            return Result(command.id, ok=False, error=f"unknown command {command.do[:60]!r}; known: {known}")
        # Without a clock it cannot tell which readings a time names; sending them all again is always safe.
        from_ts, to_ts = (command.from_ts, command.to_ts) if self.device.clock else (None, None)
        readings = self.ring.resend(from_seq=command.from_seq, to_seq=command.to_seq, from_ts=from_ts, to_ts=to_ts)
        return Result(command.id, ok=True, readings=readings)


def messages(entries: Sequence[Entry]) -> Iterator[bytes]:
    """Readings as messages, several in one where there are several."""
    for start in range(0, len(entries), READINGS_PER_MESSAGE):
        bodies = [e.body for e in entries[start : start + READINGS_PER_MESSAGE]]
        yield bodies[0] if len(bodies) == 1 else b"[" + b",".join(bodies) + b"]"
