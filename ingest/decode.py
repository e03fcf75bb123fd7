"""A batch of messages to columns, refusals, events and acknowledgements: pure, no clock, no I/O."""

from collections import Counter
from collections.abc import Generator
from dataclasses import dataclass, field
from functools import cache
from typing import Any, cast

import numpy as np

from ingest import device_messages
from ingest.checking import Refuser, check_values
from ingest.device_messages import DeviceMessage
from ingest.flood import MESSAGES_PER_S_MAX, READINGS_PER_S_MAX, FloodGuards
from ingest.foreign.translating import PREFIX, Said
from ingest.routes import Route, Routes
from kraj import topics, wire
from kraj.errors import PayloadError
from kraj.metrics import COUNTER_MAX, Kind, Type
from kraj.quarantine import PAYLOAD_BYTES_MAX, Rejection
from kraj.readings import (
    DAY_MS,
    FUTURE_MINUTES_MAX,
    PAST_DAYS_MAX,
    Floats,
    Ints,
    Mask,
    Readings,
    implausible_bits,
)
from kraj.topics import Channel

Message = tuple[str, bytes, int]
"""Topic, payload, packet id."""
STEP_RECORDS = 500
"""Records decoded and turned into columns in one step, about a millisecond; their objects still fit the CPU's cache."""
STEP_PATIENT = 32
"""Messages that the patient path reads in one step."""
READING_CHANNELS = (Channel.TELEMETRY, Channel.EVENT)


@dataclass(slots=True)
class Decoded:
    """What a batch of messages says. ``routes`` is parallel to the messages; -1 is no known device."""

    readings: list[Readings] = field(default_factory=list[Readings])
    rejections: list[Rejection] = field(default_factory=list[Rejection])
    device_messages: list[DeviceMessage] = field(default_factory=list[DeviceMessage])
    statuses_only: list[DeviceMessage] = field(default_factory=list[DeviceMessage])
    """Refused as a flood, hence no part of the history; but the newest status of a device is its state."""
    unknown_keys: Counter[tuple[int, str]] = field(default_factory=Counter[tuple[int, str]])
    epochs_missing: dict[tuple[int, int], int] = field(default_factory=dict[tuple[int, int], int])
    """(device_id, boot) without a known beginning, with the beginning that its newest reading suggests."""
    routes: Ints = field(default_factory=lambda: np.zeros(0, np.int64))
    foreign: dict[int, Said] = field(default_factory=dict[int, Said])
    """What messages in other systems' languages say, by their position; nobody acknowledges those."""

    @property
    def received(self) -> int:
        """Readings, as invariant 4 counts them: a message that cannot be read is one."""
        return sum(len(r) for r in self.readings) + self.quarantined

    @property
    def quarantined(self) -> int:
        return sum(not r.of_value for r in self.rejections)


@dataclass(slots=True)
class _Rows:
    """Records of one kind on their way to columns; the fast path's in several steps."""

    kind: Kind
    records: list[Any] = field(default_factory=list[Any])
    columns: list[Floats] = field(default_factory=list[Floats])
    message: list[int] = field(default_factory=list[int])
    asset_id: list[int] = field(default_factory=list[int])
    municipality_id: list[int] = field(default_factory=list[int])


def decode(
    messages: list[Message],
    routes: Routes,
    epochs: dict[tuple[int, int], int],
    now_ms: int,
    flood: FloodGuards | None = None,
    *,
    before: Decoded | None = None,
) -> Decoded:
    """Decode a batch. Where ``epochs_missing`` comes back non-empty, look those up and decode again: the readings
    without a clock are left out until then. ``before`` is what the same messages were decoded to."""
    steps = decoding(messages, routes, epochs, now_ms, flood, before=before)
    while True:
        try:
            next(steps)
        except StopIteration as done:
            return done.value


def decoding(
    messages: list[Message],
    routes: Routes,
    epochs: dict[tuple[int, int], int],
    now_ms: int,
    flood: FloodGuards | None = None,
    *,
    before: Decoded | None = None,
) -> Generator[None, None, Decoded]:
    """``decode`` in steps of a millisecond or two, for whoever has something else to do in between."""
    work = _Decoding(messages, routes, epochs, now_ms)
    work.foreign_before = before.foreign if before is not None else {}
    patient = yield from work.first_pass()
    yield from work.patient_pass(sorted(patient))
    if flood is not None and not work.out.epochs_missing:
        work.hold_floods(flood)
    return work.out


TS, BOOT, SEQ, UPTIME_MS, CHANNEL = range(len(wire.CORE))


@cache
def _quotes(kind: Kind) -> Floats:
    """How many quotation marks each field costs: two for its key, and two for the word of a state."""
    return np.array([2.0] * len(wire.CORE) + [4.0 if m.type is Type.STATE else 2.0 for m in kind.metrics])


@dataclass(frozen=True, slots=True)
class _Owners:
    """Whose the readings are; arrays parallel to them."""

    asset_id: Ints
    municipality_id: Ints
    device_id: Ints


class _Decoding:
    """The passes over one batch."""

    def __init__(
        self, messages: list[Message], routes: Routes, epochs: dict[tuple[int, int], int], now_ms: int
    ) -> None:
        self._messages = messages
        self._routes = routes
        self._epochs = epochs
        self._now_ms = now_ms
        self.out = Decoded(routes=np.full(len(messages), -1, np.int64))
        self.foreign_before: dict[int, Said] = {}

    def first_pass(self) -> Generator[None, None, list[int]]:
        """Decode what is as expected, a whole kind at a time; return the positions of messages that are not."""
        messages, routes = self._messages, self._routes
        fast, patient = yield from self._fast_records()
        for rows in fast:
            kind = rows.kind
            message = np.array(rows.message, np.int64)
            route = self.out.routes[message]
            fields = np.concatenate([*rows.columns, wire.matrix(kind, rows.records)])
            # msgspec takes the last of two equal keys in silence; the number of quotes gives them away.
            quotes = ~np.isnan(fields) @ _quotes(kind)
            expected = np.bincount(message, quotes, len(messages))[message]
            once: list[int] = np.unique(message).tolist()
            found = np.zeros(len(messages), np.int64)
            found[once] = [messages[m][1].count(b'"') for m in once]
            core, values = fields[:, : len(wire.CORE)], fields[:, len(wire.CORE) :]
            channel = core[:, CHANNEL]
            odd = (found[message] != expected) | (~np.isnan(channel) & (channel != routes.channel[route]))
            odd |= (np.abs(values) >= COUNTER_MAX).any(axis=1)  # the float may stand for another whole number
            if odd.any():
                patient += np.unique(message[odd]).tolist()
                keep = ~np.isin(message, message[odd])
                core, values, message, route = core[keep], values[keep], message[keep], route[keep]
            if len(message):
                owners = _Owners(routes.asset_id[route], routes.municipality_id[route], routes.device_id[route])
                self._accept(kind, core, values, message, owners)
        return patient

    def _fast_records(self) -> Generator[None, None, tuple[list[_Rows], list[int]]]:
        """The hot loop: one lookup and one decode a message; whatever is unusual is left to the patient pass."""
        fast: dict[str, _Rows] = {}
        patient: list[int] = []
        telemetry, of_message = self._routes.telemetry, self.out.routes
        refusals = wire.FAST_PATH_REFUSALS
        for position, (topic, payload, _) in enumerate(self._messages):
            route = telemetry.get(topic)
            if route is None or route.decode is None or route.only is None or len(payload) > PAYLOAD_BYTES_MAX:
                patient.append(position)
                continue
            try:
                found: Any = route.decode(payload)
            except refusals:
                patient.append(position)
                continue
            name = route.only.kind.name
            rows = fast.get(name)
            if rows is None:
                rows = fast[name] = _Rows(route.only.kind)
            of_message[position] = route.index
            if isinstance(found, list):
                many = cast("list[Any]", found)
                rows.records.extend(many)
                rows.message.extend([position] * len(many))
            else:
                rows.records.append(found)
                rows.message.append(position)
            if len(rows.records) >= STEP_RECORDS:
                rows.columns.append(wire.matrix(rows.kind, rows.records))
                rows.records.clear()
                yield
        return list(fast.values()), patient

    def patient_pass(self, positions: list[int]) -> Generator[None]:
        """Take the messages that surprised the fast path apart, one by one."""
        slow: dict[str, _Rows] = {}
        for count, position in enumerate(positions, 1):
            if not count % STEP_PATIENT:
                yield
            try:
                self._patient(position, slow)
            except PayloadError as error:
                self.out.rejections.append(Rejection(position, error.reason, str(error)))
            except Exception as error:  # a fault of ours must not hold up the neighbours
                self.out.rejections.append(Rejection(position, "internal", f"{type(error).__name__}: {error}"))
        for rows in slow.values():
            fields = wire.matrix_of_records(rows.kind, rows.records)
            message = np.array(rows.message, np.int64)
            owners = _Owners(
                np.array(rows.asset_id, np.int64),
                np.array(rows.municipality_id, np.int64),
                self._routes.device_id[self.out.routes[message]],
            )
            core, values = fields[:, : len(wire.CORE)], fields[:, len(wire.CORE) :]
            self._accept(rows.kind, core, values, message, owners)

    def _patient(self, position: int, slow: dict[str, _Rows]) -> None:
        topic, payload, _ = self._messages[position]
        if topic.startswith(PREFIX) and self._routes.translate is not None:
            before = self.foreign_before.get(position)
            self._foreign(position, self._routes.translate(topic, payload, self._routes, self._now_ms, before), slow)
            return
        known = self._routes.of_topic(topic)
        if known is None:
            self._unroutable(position)
            return
        route, channel = known
        self.out.routes[position] = route.index
        if len(payload) > PAYLOAD_BYTES_MAX:
            raise PayloadError("too_large", f"{len(payload)} bytes; at most {PAYLOAD_BYTES_MAX}")
        if channel not in READING_CHANNELS:
            self.out.device_messages.append(device_messages.read(position, route, channel, payload))
        elif not route.targets:
            self._refuse_readings(position, "not_installed", f"device {route.name} serves no asset")
        else:
            self._readings(position, payload, route, slow)

    def _foreign(self, position: int, said: Said, slow: dict[str, _Rows]) -> None:
        """Another system's message; from here on its readings go the way of ours."""
        self.out.foreign[position] = said
        if said.route is not None:
            self.out.routes[position] = said.route.index
        if said.refusal is not None:
            raise said.refusal
        if said.route is not None and said.status is not None:
            self.out.device_messages.append(device_messages.status(position, said.route, said.status))
        if said.route is not None and said.readings:
            self._readings(position, said.payload, said.route, slow)

    def _readings(self, position: int, payload: bytes, route: Route, slow: dict[str, _Rows]) -> None:
        examined = wire.examine(payload, route.kind_of)
        for refusal in examined.refusals:
            self.out.rejections.append(
                Rejection(position, refusal.reason, refusal.detail, refusal.boot, refusal.seq, refusal.metric)
            )
        for key in examined.unknown_keys:
            self.out.unknown_keys[route.device_id, key] += 1
        for kind, record in examined.records:
            target = route.target(record.channel)
            if target is None:
                raise LookupError(f"channel {record.channel} lost between two looks")
            rows = slow.setdefault(kind.name, _Rows(kind))
            rows.records.append(record)
            rows.message.append(position)
            rows.asset_id.append(target.asset_id)
            rows.municipality_id.append(target.municipality_id)
            if record.event is not None:  # on whichever channel: nothing is dropped in silence
                self.out.device_messages.append(device_messages.event(position, route, record))

    def _unroutable(self, position: int) -> None:
        """Say why a topic leads nowhere."""
        topic, payload, _ = self._messages[position]
        parsed = topics.parse(topic)
        route = self._routes.by_name.get(parsed.device)
        if len(payload) > PAYLOAD_BYTES_MAX:
            raise PayloadError("too_large", f"{len(payload)} bytes; at most {PAYLOAD_BYTES_MAX}")
        if route is None:
            reason, detail = "unknown_device", f"device {parsed.device} of {parsed.municipality}"
        elif route.municipality != parsed.municipality:
            reason = "municipality"
            detail = f"{parsed.device} was enrolled in {route.municipality}, not {parsed.municipality}"
        else:
            reason = "revoked" if route.state == "revoked" else "suspended"
            detail = f"device {parsed.device} is {route.state}"
        if parsed.channel not in READING_CHANNELS:
            raise PayloadError(reason, detail)
        self._refuse_readings(position, reason, detail)

    def _refuse_readings(self, position: int, reason: str, detail: str) -> None:
        """Refuse every reading of a message that is kept whole in quarantine; each is acknowledged by its number."""
        marks = wire.marks(self._messages[position][1]) or [wire.Mark()]
        self.out.rejections += [Rejection(position, reason, detail, mark.boot, mark.seq) for mark in marks]

    def _accept(self, kind: Kind, core: Floats, values: Floats, message: Ints, owners: _Owners) -> None:
        """Check times and spans; what is good goes to ``out.readings``, the rest to ``out.rejections``."""
        ts, boot, seq = core[:, TS], core[:, BOOT], core[:, SEQ]
        refuse = Refuser(message, boot, seq, self.out.rejections)
        waiting = np.zeros(len(ts), bool)
        if np.isnan(ts).any():
            ts, waiting = self._times_without_clock(core, owners.device_id)
        wrong = self._wrong_times(ts, refuse, waiting)
        keep = ~(wrong | waiting)
        check_values(kind, values, keep, refuse)
        readings = Readings(
            kind,
            owners.asset_id,
            owners.municipality_id,
            np.where(keep, ts, 0).astype(np.int64),
            np.where(np.isnan(seq), 0, seq).astype(np.int64),
            np.where(np.isnan(boot), -1, boot).astype(np.int64),
            values,
            implausible_bits(kind, values),
            message,
        )
        self.out.readings.append(readings if keep.all() else readings.take(keep))

    def _wrong_times(self, ts: Floats, refuse: Refuser, waiting: Mask) -> Mask:
        past, future = self._now_ms - PAST_DAYS_MAX * DAY_MS, self._now_ms + FUTURE_MINUTES_MAX * 60_000
        missing, early, late = np.isnan(ts) & ~waiting, ts < past, ts > future
        for row in np.flatnonzero(missing):
            refuse(int(row), "time_missing", "neither ts nor boot with uptime_ms")
        for row in np.flatnonzero(early):
            refuse(int(row), "time_past", f"ts is {ts[row]:.0f}")
        for row in np.flatnonzero(late):
            refuse(int(row), "time_future", f"ts is {ts[row]:.0f}")
        return missing | early | late

    def _times_without_clock(self, core: Floats, device_id: Ints) -> tuple[Floats, Mask]:
        """Times where the device has none: the beginning of its boot plus its uptime. And the rows whose boot was not
        met before: as far as we can know it began its newest reading's uptime ago."""
        ts, boot, uptime = core[:, TS].copy(), core[:, BOOT], core[:, UPTIME_MS]
        waiting = np.zeros(len(ts), bool)
        missing = self.out.epochs_missing
        for row in np.flatnonzero(np.isnan(ts) & ~np.isnan(boot) & ~np.isnan(uptime)):
            key = (int(device_id[row]), int(boot[row]))
            epoch = self._epochs.get(key)
            if epoch is None:
                suggested = self._now_ms - int(uptime[row])
                missing[key] = min(suggested, missing.get(key, suggested))
                waiting[row] = True
            else:
                ts[row] = epoch + uptime[row]
        return ts, waiting

    def hold_floods(self, flood: FloodGuards) -> None:
        """Take out again what is beyond a device's allowance."""
        out = self.out
        for position, readings in enumerate(out.readings):
            route = out.routes[readings.message]
            excess = flood.readings.excess(self._routes.device_id[route], self._now_ms)
            if excess.any():
                refuse = Refuser(readings.message, readings.boot, readings.seq, out.rejections)
                for row in np.flatnonzero(excess):
                    refuse(int(row), "flood", f"more than {READINGS_PER_S_MAX:.0f} readings a second")
                out.readings[position] = readings.take(~excess)
        self._hold_messages(flood)

    def _hold_messages(self, flood: FloodGuards) -> None:
        """Events are left alone: they came with readings, which have their own allowance. A status beyond the allowance
        gets no line in the history; whether the device is online must be right all the same."""
        out = self.out
        limited = [m for m in out.device_messages if m.channel is not Channel.EVENT]
        if not limited:
            return
        device_id = np.array([m.route.device_id for m in limited], np.int64)
        excess = {
            m.message for m, over in zip(limited, flood.messages.excess(device_id, self._now_ms), strict=True) if over
        }
        if not excess:
            return
        detail = f"more than {MESSAGES_PER_S_MAX:.0f} messages a second that are no readings"
        out.rejections += [Rejection(message, "flood", detail) for message in sorted(excess)]
        out.statuses_only += [m for m in limited if m.message in excess and m.status is not None]
        out.device_messages = [m for m in out.device_messages if m.message not in excess]
