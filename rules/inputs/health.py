"""What rules of every kind may speak of: silence, heartbeats, neighbours, the sun, the clock, being online."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from kraj.assets import DeviceStatus
from kraj.kinds import KINDS
from kraj.metrics import Title
from kraj.readings import Floats, Ints, Mask
from kraj.units import Unit
from rules.estate import Estate, Slots
from rules.groups import group_count, to_rows
from rules.inputs import daylight, unknown
from rules.layer import Form, Input, Layer
from rules.state import State

NEVER = -1
"""A moment that has not been; times are Unix milliseconds."""
CLOCK_OK_S = 60.0
"""Further off, a clock is wrong (lighting.md, clock_drift)."""
ALIVE_HEARTBEATS = 1.5
"""A neighbour heard of within this is alive. After three heartbeats of silence one is judged by its neighbours: those
that fell silent together with it were last heard of at least two heartbeats ago by then."""
ALIVE_SHARE = 0.5
RESTS = "rests"
"""In the state of a kind that may be switched off as a whole: 1 where nothing is to be heard now."""
LIT_KINDS = frozenset({"lamp", "cabinet"})
DAWN_DEG = -4.0
"""From here on a program may have switched its lamps off; in Czechia half an hour before sunrise."""
COMPLETE_SHARE = 0.7
"""Of the expected data (lighting.md, guards on all)."""


# What is remembered


def newest_ms(state: State) -> Ints:
    """The time of each asset's newest evaluated reading."""
    return state.array("newest_ms", dtype=np.int64, fill=NEVER)


def heard_ms(state: State) -> Ints:
    """The attentive time of each asset's last message of any sort."""
    return state.array("heard_ms", dtype=np.int64, fill=NEVER)


def offline_ms(state: State) -> Ints:
    """When each asset's last will came; of those that are not online, when they were found to be gone."""
    return state.array("offline_ms", dtype=np.int64, fill=NEVER)


def hear(state: State, slots: Slots, attentive_ms: int) -> None:
    """Something has come from these assets."""
    heard_ms(state)
    state.put("heard_ms", slots, attentive_ms)
    online = state.array("online")
    fresh = slots[online[slots] != 1]
    if len(fresh):
        state.put("online", fresh, 1.0)


def note_statuses(
    estate: Estate, states: Mapping[str, State], statuses: Sequence[DeviceStatus], attentive_ms: int
) -> None:
    """Devices have said that they are online, or their wills have come: the broker's word, nothing heard of them."""
    said: dict[str, list[tuple[int, DeviceStatus]]] = {}
    for status in statuses:
        for asset_id in estate.assets_by_device.get(status.device_id, ()):
            said.setdefault(estate.kind_by_asset[asset_id], []).append((asset_id, status))
    for kind, listed in said.items():
        state = states[kind]
        slots = estate.members[kind].slots(np.array([asset_id for asset_id, _ in listed], np.int64))
        online = np.array([status.online for _, status in listed])
        booted = np.array([status.ts_ms if status.reset else NEVER for _, status in listed], np.int64)
        hear(state, slots[online], attentive_ms)
        state.put("online", slots, online.astype(np.float64))  # of several words the last one stays
        if not online.all():
            said_ms = np.array([status.ts_ms for _, status in listed], np.int64)
            offline_ms(state)
            state.put("offline_ms", slots[~online], said_ms[~online])
        fresh = online & (booted != NEVER)
        if fresh.any():
            state.array("booted_ms", dtype=np.int64, fill=NEVER)
            state.put("booted_ms", slots[fresh], booted[fresh])


def track(layer: Layer, active: Callable[[Layer], Mask] | None) -> None:
    """Move on what is remembered of every asset that reports; ``active`` tells which heartbeat holds from now on."""
    state = layer.state
    before = state.array("heartbeat_s")[layer.slots]
    now = _heartbeat_s(layer, active)
    layer.columns["heartbeat_s"] = np.where(np.isnan(before), now, before)
    changed = np.flatnonzero(before != now)
    if len(changed):
        state.put("heartbeat_s", layer.slots[changed], now[changed], before[changed])
    newest_ms(state)
    state.put("newest_ms", layer.slots, layer.ts_ms)


def _heartbeat_s(layer: Layer, active: Callable[[Layer], Mask] | None) -> Floats:
    kind = layer.kind
    busy, idle = float(kind.heartbeat_s), float(kind.heartbeat_idle_s)
    expected = np.full(len(layer), idle) if active is None else np.where(active(layer), busy, idle)
    own = layer.members.numbers.get("report_interval_s")
    if own is not None and has_any(layer, "report_interval_s"):
        given = own[layer.slots]
        expected = np.where(np.isnan(given), expected, given)
    return expected


def has_any(layer: Layer, attribute: str) -> bool:
    """Whether this attribute is known of any asset of the kind; looked up once an estate."""
    kept, key = layer.members.kept, f"any {attribute}"
    if key not in kept:
        kept[key] = ~np.isnan(layer.members.numbers[attribute]).all(keepdims=True)
    return bool(kept[key][0])


# What rules see


def _silent_s(layer: Layer) -> Floats:
    heard = layer.of(heard_ms(layer.state))
    silent = (layer.attentive_ms - heard) / 1000
    np.copyto(silent, np.nan, where=heard == NEVER)
    return silent


def _expected_s(layer: Layer) -> Floats:
    """On ticks; with readings ``track`` has put it there.

    What was lit and is silent since dawn may be off, and its word of that lost on the way: it has time until the
    heartbeat of those that are off.
    """
    known = layer.of(layer.state.array("heartbeat_s"))
    busy, idle = float(layer.kind.heartbeat_s), float(layer.kind.heartbeat_idle_s)
    expected = np.where(np.isnan(known), max(busy, idle), known)
    if layer.kind.name in LIT_KINDS:
        rows = np.flatnonzero((expected == busy) & (layer.column("silent_s") > busy))
        if len(rows):
            off = layer.part(rows).column("sun_elevation_deg") > DAWN_DEG
            expected[rows[off]] = idle
    return expected


def _online(layer: Layer) -> Floats:
    return layer.of(layer.state.array("online"))


def _since_boot_s(layer: Layer) -> Floats:
    booted = layer.state.array("booted_ms", dtype=np.int64, fill=NEVER)[layer.slots]
    by_status = np.where(booted == NEVER, np.nan, (layer.ts_ms - booted) / 1000)
    uptime = layer.column("uptime_s")
    return np.where(np.isnan(uptime), by_status, uptime)


def _clock_ok(layer: Layer) -> Floats:
    """Not known to be wrong: many devices do not say how far off they are, and a late reading looks like a slow clock.
    One from the future has a fast one."""
    offset = layer.column("clock_offset_s")
    wrong = (np.abs(offset) > CLOCK_OK_S) | (layer.ts_ms > layer.now_ms + CLOCK_OK_S * 1000)
    return np.where(wrong, 0.0, 1.0)


def _neighbours_alive(layer: Layer) -> Floats:
    """Whether at least half of the others on its feeder, and of those behind its gateway, have been heard of lately;
    without such others those of its cabinet, municipality, region. Unknown without any other asset at all.

    Who speaks through the same controller or stands on the same site falls silent with it and is no neighbour, and
    neither is who rests because its feeder is switched off."""
    verdict = np.full(len(layer), np.nan)
    for name in ("feeder", "gateway"):
        share = _others_alive(layer, name)
        judged = ~np.isnan(share)
        verdict[judged] = np.where(verdict[judged] == 0, 0.0, share[judged] >= ALIVE_SHARE)
    for name in ("cabinet", "municipality", "region"):
        if not np.isnan(verdict).any():
            break
        share = _others_alive(layer, name)
        verdict = np.where(np.isnan(verdict) & ~np.isnan(share), share >= ALIVE_SHARE, verdict)
    return verdict


def _others_alive(layer: Layer, name: str) -> Floats:
    """Of the others in each row's group, of any kind, the share heard of lately; NaN without any."""
    key = f"alive in {name}"
    if key not in layer.shared:
        parts = _parts(layer.estate, name)
        groups = {kind: _group(layer.estate, kind, name) for kind in layer.states}
        layer.shared[key] = (_count_alive(layer, groups), _count_alive(layer, parts))
    (alive, known), (part_alive, part_known) = layer.shared[key]
    group = _group(layer.estate, layer.kind.name, name)[layer.slots]
    part = _parts(layer.estate, name)[layer.kind.name][layer.slots]
    alive = to_rows(alive, group) - to_rows(part_alive, part)
    known = to_rows(known, group) - to_rows(part_known, part)
    return np.divide(alive, known, out=np.full(len(layer), np.nan), where=known > 0)


def _count_alive(layer: Layer, groups: Mapping[str, Slots]) -> tuple[Ints, Ints]:
    """How many of each group are alive, and how many ought to be; shape ``(groups,)``."""
    size = max(int(group.max(initial=-1)) for group in groups.values()) + 1
    alive, known = np.zeros(size, np.int64), np.zeros(size, np.int64)
    for kind, group in groups.items():
        heard_lately, heard = _alive(layer, kind)
        alive += group_count(heard_lately, group, size)
        known += group_count(heard, group, size)
    return alive, known


def _group(estate: Estate, kind: str, name: str) -> Slots:
    members = estate.members[kind]
    if name == "municipality":
        return members.municipality_id
    return np.zeros(len(members), np.intp) if name == "region" else members.group[name]


def _parts(estate: Estate, name: str) -> dict[str, Slots]:
    """By kind, each slot's part of its group, -1 for none: those of one site, else of one controller. Found once an
    estate."""
    kinds = list(estate.members)
    kept, key = estate.members[kinds[0]].kept, f"parts of {name}"
    if key not in kept:
        members = estate.members.values()
        group = np.concatenate([_group(estate, kind, name) for kind in kinds])
        site = np.concatenate([m.group["site"] for m in members])
        device = np.concatenate([m.device_id for m in members])
        sites, devices = int(site.max(initial=-1)) + 1, int(device.max(initial=-1)) + 1
        alone = sites + devices + np.arange(len(device))  # without a controller nobody shares it
        own = np.where(site >= 0, site, np.where(device >= 0, sites + device, alone))
        part = np.unique(group * (int(own.max(initial=0)) + 1) + own, return_inverse=True)[1]
        edges = np.cumsum([len(m) for m in members])[:-1]
        kept[key] = dict(zip(kinds, np.split(np.where(group >= 0, part, -1), edges), strict=True))
    return kept[key]


def _alive(layer: Layer, kind: str) -> tuple[Mask, Mask]:
    """Of all slots of a kind, which have been heard of lately, and which ought to be: were ever, and do not rest."""
    key = f"alive {kind}"
    if key not in layer.shared:
        state = layer.states[kind]
        heard, heartbeat = heard_ms(state), state.array("heartbeat_s")
        longest = float(max(KINDS[kind].heartbeat_s, KINDS[kind].heartbeat_idle_s))
        within_ms = ALIVE_HEARTBEATS * 1000 * np.where(np.isnan(heartbeat), longest, heartbeat)
        known = heard != NEVER
        rests = state.get(RESTS)
        if rests is not None:
            known &= rests != 1
        layer.shared[key] = (known & (layer.attentive_ms - heard <= within_ms), known)
    return layer.shared[key]


def _complete(layer: Layer) -> Floats:
    coverage = layer.column("coverage")
    return np.where(np.isnan(coverage), np.nan, coverage >= COMPLETE_SHARE)


INPUTS = (
    Input("silent_s", Unit.SECOND, Title(cs="Doba mlčení", en="Time of silence"), _silent_s),
    Input("heartbeat_s", Unit.SECOND, Title(cs="Očekávaný interval hlášení", en="Expected heartbeat"), _expected_s),
    Input("gap_s", Unit.SECOND, Title(cs="Doba od minulého hlášení", en="Since the reading before"), lambda y: y.gap_s),
    Input("online", Unit.NONE, Title(cs="Spojeno", en="Online"), _online, Form.FLAG),
    Input("clock_ok", Unit.NONE, Title(cs="Hodiny jdou správně", en="Clock is right"), _clock_ok, Form.FLAG),
    Input(
        "neighbours_alive",
        Unit.NONE,
        Title(cs="O sousedech je slyšet", en="Neighbours are heard of"),
        _neighbours_alive,
        Form.FLAG,
        cost=60,
    ),
    Input("since_boot_s", Unit.SECOND, Title(cs="Doba od startu", en="Since the start"), _since_boot_s, needs=()),
    Input(
        "sun_elevation_deg",
        Unit.DEGREE,
        Title(cs="Výška slunce", en="Elevation of the sun"),
        daylight.sun_elevation_deg,
    ),
    Input(
        "local_minute",
        Unit.NONE,
        Title(cs="Minuta dne (místní čas)", en="Minute of the day (local time)"),
        daylight.local_minute,
    ),
)
DAY_INPUTS = (
    Input("coverage", Unit.RATIO, Title(cs="Podíl pokrytý hlášeními", en="Share covered by readings"), unknown),
    Input("covered_h", Unit.NONE, Title(cs="Hodiny pokryté hlášeními", en="Hours covered by readings"), unknown),
    Input("data_complete", Unit.NONE, Title(cs="Dost hlášení", en="Enough readings"), _complete, Form.FLAG),
    *(given for given in INPUTS if given.name in {"online", "silent_s"}),
)
