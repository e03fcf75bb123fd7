"""The region straight into arrays: what a platform would take in, day by day, in the order in which it arrives."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Self

import numpy as np

from kraj.assets import DeviceStatus
from kraj.metrics import Kind, Type
from kraj.readings import FUTURE_MINUTES_MAX, Floats, Ints, Mask, Readings, spans
from simulators.asset import Region
from simulators.physics.frame import DAY_MS, Fault, Rows
from simulators.presence import Event
from simulators.radio import RADIOS, Messages, Radio, arrivals, patience_ms, travel_ms
from simulators.roster import Duty, Part, Roster
from simulators.stamps import RESET, Stamps
from simulators.world import World

BATCH_S = 120


@dataclass(frozen=True, slots=True)
class Delivery:
    """What came in up to ``now_ms`` since the delivery before: by kind in order of arrival, and the statuses.

    Ids are places in the region, from 1, as an empty database would give them. ``readings`` are those that a platform
    keeps: ``repeated`` counts those that came once more, ``refused`` those whose time lay too far ahead.
    """

    now_ms: int
    readings: list[Readings]
    statuses: list[DeviceStatus]
    repeated: int = 0
    refused: int = 0


def days(
    region: Region | World,
    start_ms: int,
    days: int,
    faults: Sequence[Fault] = (),
    radio: Radio = RADIOS["ordinary"],
    *,
    batch_s: int = BATCH_S,
    boot: int = 1,
) -> Iterator[Delivery]:
    """Simulate ``days`` days from ``start_ms`` (a multiple of ``DAY_MS``), seeded by the region's seed.

    There is a delivery for every ``batch_s`` seconds, also where nothing came. What is still under way at the end is
    not delivered. ``boot`` numbers every device's first run.
    """
    stream = Stream(region if isinstance(region, World) else World(region), start_ms, faults, radio, boot=boot)
    for day in range(days):
        yield from stream.day(start_ms + day * DAY_MS, batch_s)


class Stream:
    """All messages of a world; ``day`` is called for each day in order."""

    def __init__(
        self,
        world: World,
        start_ms: int,
        faults: Sequence[Fault] = (),
        radio: Radio = RADIOS["ordinary"],
        *,
        boot: int = 1,
    ) -> None:
        region = world.region
        names = [device.name for device in region.devices]
        towns = {town.name: n for n, town in enumerate(region.municipalities, 1)}
        self._world = world
        self._radio = radio
        self._roster = Roster(world, faults, start_ms, boot=boot)
        self._stamps = Stamps(region, faults, radio)
        self._patience = patience_ms(region.seed, names)
        self._town = {
            kind: np.array([towns[asset.municipality] for asset in model.assets], np.int64)
            for kind, model in world.models.items()
        }
        self._seq = np.zeros(len(names), np.int64)
        self._under_way: dict[str, _Sent] = {}

    def day(self, start_ms: int, batch_s: int = BATCH_S) -> Iterator[Delivery]:
        """The deliveries of the day from ``start_ms``."""
        duty = self._roster.day(start_ms)
        edges = np.arange(start_ms, start_ms + DAY_MS, batch_s * 1000)[1:]
        bounds = np.append(edges, start_ms + DAY_MS)
        repeated = np.zeros(len(bounds), np.int64)
        refused = repeated.copy()
        arrived: list[tuple[Readings, Ints]] = []
        for number, kind in enumerate(self._world.models):
            taken = [self._taken(part, duty) for part in duty.parts if part.kind == kind]
            random = np.random.default_rng([self._world.region.seed, start_ms // DAY_MS, number])
            found = self._arrive(kind, taken, duty, random)
            batch = np.searchsorted(bounds, found.due_ms, "right")
            ahead = found.own_ms > found.due_ms + FUTURE_MINUTES_MAX * 60_000
            refused += np.bincount(batch[ahead], minlength=len(bounds))
            twice = found.second_ms >= 0
            came = np.minimum(
                np.searchsorted(bounds, (found.due_ms + found.second_ms)[twice], "right"), len(bounds) - 1
            )
            repeated += np.bincount(came, minlength=len(bounds))
            if ahead.any():
                found, batch = found.take(~ahead), batch[~ahead]
            arrived.append((self._readings(kind, found), np.searchsorted(batch, np.arange(len(bounds) + 1))))
        statuses = _statuses(duty, bounds)
        for n, now_ms in enumerate(bounds.tolist()):
            readings = [_cut(all_, at[n], at[n + 1]) for all_, at in arrived if at[n] < at[n + 1]]
            yield Delivery(now_ms, readings, statuses[n], int(repeated[n]), int(refused[n]))

    def _taken(self, part: Part, duty: Duty) -> "_Sent":
        """What the devices of a crew read on this day, numbered and stamped by them."""
        due, values = part.reporter.read(part.plan)
        kind = self._world.models[part.kind].kind
        rows = part.rows[due.place]
        device = self._world.device[part.kind][rows]
        for name, column in self._stamps.health(device, due.ts_ms, duty.presence).items():
            values[kind.positions[name]] = column
        for column, metric in zip(values, kind.metrics, strict=True):
            if metric.type is Type.REAL:
                np.round(column, metric.decimals, out=column)  # as finely as on the wire
        nobody = np.zeros(len(rows), np.int64)
        return _Sent(
            row=rows,
            device=device,
            seq=self._number(device, due.ts_ms),
            boot=duty.presence.boots(device, due.ts_ms)[0],
            taken_ms=due.ts_ms,
            own_ms=due.ts_ms + self._stamps.off_ms(device, due.ts_ms).astype(np.int64),
            due_ms=nobody,
            second_ms=nobody,
            waiting=np.ones(len(rows), np.bool_),
            values=values,
        )

    def _number(self, device: Rows, ts_ms: Ints) -> Ints:
        """``seq`` of each reading: they count through the channels of a device, and never begin anew."""
        order = np.lexsort((ts_ms, device))
        ordered = device[order]
        out = np.empty(len(device), np.int64)
        out[order] = np.arange(len(device)) - np.searchsorted(ordered, ordered, "left") + 1
        out += self._seq[device]
        np.maximum.at(self._seq, device, out)
        return out

    def _arrive(self, kind: str, taken: "list[_Sent]", duty: Duty, random: np.random.Generator) -> "_Sent":
        """Send what was read, and give what arrives today, in order; the rest stays under way."""
        sent = _Sent.joined(taken)
        travelled, second = travel_ms(self._radio, random, len(sent.row))
        sent.due_ms = sent.taken_ms + travelled
        sent.second_ms = second
        if kind in self._under_way:
            sent = _Sent.joined([self._under_way[kind], sent])
        messages = Messages(sent.device, sent.seq, sent.taken_ms, sent.due_ms, sent.waiting)
        end_ms = duty.start_ms + DAY_MS
        sent.due_ms, sent.waiting = arrivals(messages, duty.presence.gaps, self._patience, end_ms)
        here = ~sent.waiting & (sent.due_ms < end_ms)
        self._under_way[kind] = sent.take(np.flatnonzero(~here))
        order = np.flatnonzero(here)
        return sent.take(order[np.argsort(sent.due_ms[order], kind="stable")])

    def _readings(self, kind: str, sent: "_Sent") -> Readings:
        model = self._world.models[kind]
        implausible = stored(model.kind, sent.values)
        return Readings(
            model.kind,
            self._world.asset[kind][sent.row].astype(np.int64) + 1,
            self._town[kind][sent.row],
            sent.own_ms,
            sent.seq,
            sent.boot,
            sent.values.T,
            implausible,
            np.arange(len(implausible)),
        )


def stored(kind: Kind, values: Floats) -> Ints:
    """Make ``values``, shape ``(metrics, n)``, in place what the database would give back, as that is what rules judge:
    real ones in single precision, impossible ones unknown (they go to quarantine). Gives the bits of implausible ones,
    shape ``(n,)``."""
    bits = np.zeros(values.shape[1], np.int64)
    limits = zip(values, kind.metrics, *spans(kind, plausible=True), *spans(kind), strict=True)
    for number, (column, metric, low, high, lowest, highest) in enumerate(limits):
        outside = (column < low) | (column > high)
        if outside.any():
            column[(column < lowest) | (column > highest)] = np.nan
            bits |= (outside & ~np.isnan(column)).astype(np.int64) << np.int64(number)
        if metric.type is Type.REAL:
            column[:] = column.astype(np.float32)
    return bits


@dataclass(slots=True)
class _Sent:
    """Readings from being taken to arrival, arrays of shape ``(n,)``, ``values`` ``(metrics, n)``: columns are moved
    much faster than rows.

    ``taken_ms`` is the true time, ``own_ms`` the device's; ``second_ms`` after its arrival it comes again, -1 for no.
    """

    row: Rows
    device: Rows
    seq: Ints
    boot: Ints
    taken_ms: Ints
    own_ms: Ints
    due_ms: Ints
    second_ms: Ints
    waiting: Mask
    values: Floats

    @classmethod
    def joined(cls, parts: "Sequence[Self]") -> "Self":
        if len(parts) == 1:
            return parts[0]
        return cls(*(np.concatenate([getattr(part, f.name) for part in parts], axis=-1) for f in fields(cls)))

    def take(self, which: Rows | Mask) -> "Self":
        return type(self)(*(getattr(self, f.name)[..., which] for f in fields(self)))


def _cut(all_: Readings, first: int, last: int) -> Readings:
    return Readings(all_.kind, *(getattr(all_, f.name)[first:last] for f in fields(all_)[1:]))


def _statuses(duty: Duty, bounds: Ints) -> list[list[DeviceStatus]]:
    """By batch, as they come in; a will tells nothing of the run that ended."""
    out: list[list[DeviceStatus]] = [[] for _ in range(len(bounds))]
    events: Sequence[Event] = duty.presence.events
    device = np.array([event.device for event in events], np.intp)
    ts_ms = np.array([event.ts_ms for event in events], np.int64)
    boots: list[int] = duty.presence.boots(device, ts_ms)[0].tolist()
    batch: list[int] = np.searchsorted(bounds, ts_ms, "right").tolist()
    for event, boot, n in zip(events, boots, batch, strict=True):
        known = (boot, RESET) if event.online else (None, None)
        out[n].append(
            DeviceStatus(
                device_id=event.device + 1, online=event.online, ts_ms=event.ts_ms, boot=known[0], reset=known[1]
            )
        )
    return out
