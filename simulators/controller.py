"""What a lamp's or a contactor's controller does with its program and with orders: which it takes, and remembers.

Version and programs lie in flash and outlive a restart; orders do not. The light itself is ``physics.told``'s.
"""

from collections.abc import Callable, Collection, Mapping
from typing import Annotated, Any, Final, Protocol

import msgspec

from kraj.dimming import PLANS_MAX, RAMP_S_MAX, SHIFT_MIN_MAX, STEPS_MAX
from kraj.errors import PayloadError
from simulators.messages import Command, Reported, Result
from simulators.physics.told import REASONS, Told

ERROR_CHARS_MAX = 200
ZONE_MAX, DATES_MAX = 64, 366
INTERVAL_S: Final = (10, 86_400)

Percent = Annotated[int, msgspec.Meta(ge=0, le=100)]
Shift = Annotated[int, msgspec.Meta(ge=-SHIFT_MIN_MAX, le=SHIFT_MIN_MAX)]
OfSun = Annotated[int, msgspec.Meta(ge=-2880, le=32_002)]
OfZone = Annotated[int, msgspec.Meta(ge=-1440, le=1440)]
Minutes = Annotated[list[OfSun], msgspec.Meta(min_length=366, max_length=366)]
Seconds = Annotated[int, msgspec.Meta(ge=1, le=3600)]
Anchor = Annotated[int, msgspec.Meta(ge=0, le=2)]
Minute = Annotated[int, msgspec.Meta(ge=-SHIFT_MIN_MAX, le=1439)]
Ramp = Annotated[int, msgspec.Meta(ge=0, le=RAMP_S_MAX)]


class _Plan(msgspec.Struct, forbid_unknown_fields=True):
    steps: Annotated[list[tuple[Anchor, Minute, Percent, Ramp]], msgspec.Meta(max_length=STEPS_MAX)]
    on: Shift = 0
    off: Shift = 0
    days: Annotated[int, msgspec.Meta(ge=1, le=127)] = 127
    from_: Annotated[int, msgspec.Meta(ge=101, le=1231)] = msgspec.field(default=101, name="from")
    to: Annotated[int, msgspec.Meta(ge=101, le=1231)] = 1231
    dates: Annotated[list[int], msgspec.Meta(max_length=DATES_MAX)] | None = None


class _Sun(msgspec.Struct, forbid_unknown_fields=True):
    rise: Minutes
    set: Minutes


class _Sensor(msgspec.Struct, forbid_unknown_fields=True):
    level_pct: Percent
    up_s: Seconds
    hold_s: Seconds
    down_s: Seconds


class _Document(msgspec.Struct, forbid_unknown_fields=True):
    """What ``rules.dimming.desired`` makes; whatever else comes is not followed."""

    floor_pct: Percent
    zone: Annotated[list[tuple[int, OfZone]], msgspec.Meta(min_length=1, max_length=ZONE_MAX)]
    sun: _Sun
    plans: Annotated[list[_Plan], msgspec.Meta(max_length=PLANS_MAX)]
    sensor: _Sensor | None = None


class _Desired(msgspec.Struct):
    version: Annotated[int, msgspec.Meta(ge=1)]
    programs: dict[str, _Document]
    interval_s: Annotated[int, msgspec.Meta(ge=INTERVAL_S[0], le=INTERVAL_S[1])] | None = None


class _Version(msgspec.Struct):
    version: Annotated[int, msgspec.Meta(ge=1)]


_DESIRED = msgspec.json.Decoder(_Desired)
_VERSION = msgspec.json.Decoder(_Version)


class Obeys(Protocol):
    """What a device asks its controller."""

    def desired(self, payload: bytes) -> Reported | None:
        """What is published as ``reported``; None where there is nothing to say."""
        ...

    def obey(self, command: Command, expiry_s: int | None) -> Result:
        """The answer to ``set_level`` or ``release``; ``expiry_s`` is what is left of the message's own life."""
        ...


class Controller:
    """The controller of some lamps, or of a contactor, by channel the row of each in ``told``; ``clock`` is whether it
    knows the time, ``kind`` whose rows these are.

    ``changed`` is called whenever what holds may have changed, ``obeyed`` with kind, row and moment (ms) when somebody
    has told a level by hand.
    """

    def __init__(
        self,
        rows: Mapping[int, int],
        told: Told,
        now_ms: Callable[[], int],
        changed: Callable[[], None],
        *,
        clock: bool = True,
        kind: str = "lamp",
        obeyed: Callable[[str, int, int], object] | None = None,
    ) -> None:
        self.version = 0
        self.kind = kind
        self.interval_s: int | None = None
        self._rows = dict(rows)
        self._told = told
        self._now_ms = now_ms
        self._changed = changed
        self._obeyed = obeyed
        self._clock = clock
        self._running: dict[int, bytes] = {}

    @property
    def rows(self) -> Collection[int]:
        """Of what it switches."""
        return self._rows.values()

    def desired(self, payload: bytes) -> Reported | None:
        """Take a newer document, or say why not and go on as before."""
        if not payload:  # the retained message was taken back
            return None
        version: int | None = None
        try:
            version = _VERSION.decode(payload).version
            if version < self.version:
                raise PayloadError("older", f"version {self.version} is applied")
            if version > self.version:
                self._apply(self._read(payload))
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            return self._refusal(f"malformed: {error}", version)
        except PayloadError as error:
            return self._refusal(f"{error.reason}: {error}", version)
        return Reported(version, ok=True)

    def obey(self, command: Command, expiry_s: int | None) -> Result:
        """``set_level`` or ``release``; refused as ``channel``, ``reason``, ``level``, ``clock`` or ``expired``."""
        try:
            self._take(command, expiry_s)
        except PayloadError as error:
            # The code alone, where it says everything.
            said = f"{error.reason}: {error}" if str(error) else error.reason
            return Result(command.id, ok=False, error=said[:ERROR_CHARS_MAX])
        self._changed()
        return Result(command.id, ok=True)

    def restart(self) -> None:
        """Power was gone: the program is in flash, orders are not."""
        now_ms = self._now_ms()
        ended = [self._told.release(row, None, now_ms) for row in self._rows.values()]
        if any(ended):
            self._changed()

    def _take(self, command: Command, expiry_s: int | None) -> None:
        row = self._rows.get(command.channel)
        if row is None:
            raise PayloadError("channel", f"there is no lamp on channel {command.channel}")
        if command.reason is None or command.reason not in REASONS:
            raise PayloadError("reason", f"there are {', '.join(REASONS)}")
        if command.do == "release":
            self._told.release(row, command.reason, self._now_ms())
            return
        if command.level_pct is None or not 0 <= command.level_pct <= 100:
            raise PayloadError("level", f"found {command.level_pct}, expected 0 to 100 %")
        now_ms = self._now_ms()
        until_ms = self._until_ms(command, now_ms, expiry_s)
        if until_ms <= now_ms:
            raise PayloadError("expired", "")
        self._told.order(row, command.reason, float(command.level_pct), now_ms, until_ms)
        if self._obeyed is not None and command.reason == "manual":
            self._obeyed(self.kind, row, now_ms)

    def _until_ms(self, command: Command, now_ms: int, expiry_s: int | None) -> int:
        if command.until is None:
            raise PayloadError("until", "an order must say until when")
        if self._clock:
            return command.until
        if expiry_s is None:
            raise PayloadError("clock", "")
        return now_ms + expiry_s * 1000

    def _read(self, payload: bytes) -> _Desired:
        wanted = _DESIRED.decode(payload)
        strangers = sorted(set(wanted.programs) - {str(channel) for channel in self._rows})
        if strangers:
            raise PayloadError("channel", f"there is no lamp on channel {strangers[0][:20]}")
        return wanted

    def _apply(self, wanted: _Desired) -> None:
        now_ms = self._now_ms()
        for name, document in wanted.programs.items():  # what is not named stays as it is
            channel, written = int(name), msgspec.json.encode(document)
            if self._running.get(channel) != written:
                self._running[channel] = written
                self._told.program(self._rows[channel], _plain(document), now_ms)
        self.version = wanted.version
        self.interval_s = wanted.interval_s
        self._changed()

    def _refusal(self, error: str, wanted: int | None) -> Reported:
        return Reported(self.version, ok=False, error=error[:ERROR_CHARS_MAX], wanted=wanted)


def _plain(document: _Document) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.to_builtins(document)
    for plan in found["plans"]:
        if plan["dates"] is None:
            del plan["dates"]
    return found
