"""What must hold when everything has settled: the store against what devices made, alerts against history."""

from typing import TYPE_CHECKING

import numpy as np

from kraj.commands import OPEN, CommandState
from rules.estate import Estate
from rules.watch import Watch

if TYPE_CHECKING:
    from stack.seeds.devices import Lamp, Made
    from stack.seeds.world import World

CLOCK_AHEAD_MS = 600_000
LATE_MS = 60_000
"""A reading is judged some time after it was made."""
TICK_MS = 90_000
"""What time alone brings is judged so soon."""


def unsettled(world: "World") -> list[str]:
    """What is still on its way."""
    tables, service = world.server.tables, world.service
    out = [f"{lamp.name} holds {lamp.ring.pending} readings" for lamp in world.lamps if lamp.ring.pending]
    if not service.alive or service.link is None or service.pipeline.in_flight:
        out.append("ingest is not idle")
    out += [f"{s.client} waits for {len(s.queue)} messages" for s in world.broker.sessions.values() if s.queue]
    now = world.loop.now()
    for lamp in world.lamps:
        desired = tables.desired[lamp.number + 1]
        if (lamp.controller.version, desired.reported_version) != (desired.version, desired.version):
            kept = f"{lamp.controller.version}, reported {desired.reported_version}"
            out.append(f"{lamp.name} keeps {kept}, desired is {desired.version}")
    for one in tables.commands.values():
        if CommandState(one.state) in OPEN and one.state != "accepted" and one.until > now:
            out.append(f"command {one.command_id} for {one.device} is {one.state}")
    out += [f"resend {number} is not granted" for number, (_, done) in tables.resends.items() if not done]
    return out


def judge(world: "World") -> None:
    """Everything that must hold at the end; tells the world of what does not."""
    for what in unsettled(world):
        world.violated("progress", what)
    _readings(world)
    _totals(world)
    _alerts(world)


def _readings(world: "World") -> None:
    tables = world.server.tables
    rows = {(key[0], key[2]): (key[1], *row) for key, row in tables.rows.items()}
    for key in tables.doubled:
        world.violated("once", f"reading {key[2]} of asset {key[0]} stands there twice")
    for lamp in world.lamps:
        epochs: dict[int, set[int]] = {}
        for seq, made in lamp.made.items():
            found = rows.get((lamp.asset_id, seq))
            if found is None:
                _missing(world, lamp, seq, made)
                continue
            ts_ms, boot, power_w = found
            if boot != made.boot or power_w != np.float32(made.power_w) or (made.ts_ms or ts_ms) != ts_ms:
                world.violated("value", f"{lamp.name} {seq}: stored {found}, made {made}")
            if made.ts_ms is None:
                epochs.setdefault(boot, set()).add(ts_ms - made.uptime_ms)
        for boot, found_epochs in epochs.items():
            if len(found_epochs) > 1:
                world.violated("epoch", f"boot {boot} of {lamp.name} began at {sorted(found_epochs)}")


def _missing(world: "World", lamp: "Lamp", seq: int, made: "Made") -> None:
    """What is no reading is in quarantine, and only where the device's time was in the future."""
    tables = world.server.tables
    reason = tables.refused.get((lamp.name, seq))
    if reason is None:
        world.violated("lost", f"{lamp.name} has forgotten {seq} of boot {made.boot}, which is not stored")
        return
    began_ms = made.at_ms - made.uptime_ms
    if made.ts_ms is not None:
        ahead_ms = made.ts_ms - made.at_ms
    else:  # it was out of reach when it began, and what it kept since was taken for new
        ahead_ms = tables.epochs.get((lamp.number + 1, made.boot), began_ms) - began_ms
    if reason != "time_future" or ahead_ms < CLOCK_AHEAD_MS - LATE_MS:
        world.violated("quarantine", f"{lamp.name} {seq}: {reason}, although its time was right")


def _totals(world: "World") -> None:
    tables, totals = world.server.tables, world.server.tables.totals
    if totals.received != totals.committed + totals.duplicate + totals.quarantined:
        world.violated("balance", f"the slot's totals: {totals}")
    if totals.committed != len(tables.rows) + len(tables.doubled):
        world.violated("balance", f"{totals.committed} committed, {len(tables.rows)} stored")
    if world.service.alive and world.service.imbalance():
        world.violated("balance", f"received exceeds its parts by {world.service.imbalance():g}")


def _alerts(world: "World") -> None:
    """History in order, judged once more, says the same."""
    from stack.seeds.world import rules

    tables = world.server.tables
    found = world.server.judged()
    watch = Watch(Estate.of(found.version, found.assets), rules())
    told: set[tuple[str, str, int]] = set()
    at_ms = 0
    for batch in sorted(tables.batches.values(), key=lambda b: b.batch_id):
        at_ms = round(batch.at.timestamp() * 1000)
        for change in watch.step(batch.readings, batch.statuses, at_ms, attentive=False):
            told.add((change.key, str(change.step), change.at_ms))
        watch.commit()
    now_ms = world.loop.now_ms
    for change in watch.step([], [], now_ms, attentive=False):
        told.add((change.key, str(change.step), change.at_ms))
    watch.commit()
    stored = set(tables.events)
    for event in sorted(told - stored):
        if event[2] < at_ms or event[2] < now_ms - TICK_MS:
            world.violated("alert lost", f"history says {event}")
    for event in sorted(stored - told):
        world.violated("alert doubled", f"history does not say {event}")
    active = [(alert.rule, alert.scope) for alert in tables.alerts.values() if alert.active]
    for cause in sorted({str(one) for one in active if active.count(one) > 1}):
        world.violated("alert doubled", f"{cause} is open twice")
    live = world.service.judge.active if world.service.alive else frozenset[str]()
    if live != frozenset(watch.active):
        world.violated("rule state", f"ingest holds {sorted(live)}, history gives {sorted(watch.active)}")
