"""What feeds a lamp: whether it has supply, which cabinet it hangs on, whether its circuit is live."""

from dataclasses import dataclass

import numpy as np

from kraj.readings import Floats, Ints, Mask
from rules.estate import Estate, Slots
from rules.inputs.health import RESTS, heard_ms, newest_ms, offline_ms
from rules.layer import Layer

GONE_V = 50.0
"""A last gasp: a storage capacitor lets a device say that there is no voltage. Induced voltages on a dead line are less
than this."""
LIVE_V = 180.0
"""With less a driver may be dark and whole (lighting.md, lamp_out)."""
LIVE_S = 600.0
"""So long after its contactor has closed a switched circuit's controllers have started and connected."""
DARK_DEG = -6.0
"""The end of civil twilight: photocells switch above it, around sunset and sunrise; below it, whatever is to be lit is
lit, and has been long enough."""
CABINET_STALE_MS = 3 * 3_600_000
"""A contactor not heard of for three of its idle heartbeats may be either."""


def note_supply(layer: Layer, voltage_v: Floats) -> Mask:
    """Keep in the state ``supply_gone`` whether the last reading with a voltage had none; gives where it has just
    come back, shape ``(n,)``."""
    state, slots = layer.state, layer.slots
    before = state.array("supply_gone", fill=0.0)[slots] == 1
    gone = voltage_v < GONE_V
    changed = (gone != before) & ~np.isnan(voltage_v)
    rows = np.flatnonzero(changed)
    if len(rows):
        state.put("supply_gone", slots[rows], gone[rows].astype(np.float64))
    return changed & before


def supply_gone(layer: Layer) -> Floats:
    """1 where the asset has said that its supply is gone, and nothing else since."""
    return layer.of(layer.state.array("supply_gone", fill=0.0))


def lamp_supply_gone(layer: Layer) -> Floats:
    """As ``supply_gone``, of lamps; what one said before its contactor closed is not about its supply now."""
    gone = supply_gone(layer)
    rows = np.flatnonzero((gone == 1) & (layer.column("feeder_switched") == 1))
    if len(rows):
        switched = layer.part(rows)
        feeds = contactor(switched)
        gone = gone.copy()
        gone[rows] = ~((feeds.closed == 1) & (newest_ms(layer.state)[switched.slots] < feeds.changed_ms))
    return gone


def cabinet_slots(estate: Estate) -> Slots:
    """The slot of each lamp's cabinet, shape ``(lamps,)``, -1 for none; looked up once an estate."""
    lamps = estate.members["lamp"]
    if "cabinet_slot" not in lamps.kept:
        cabinets = estate.members["cabinet"].group["cabinet"]
        by_group = np.full(
            len(estate.groups["cabinet"]) + 1, -1, np.intp
        )  # the last is that of lamps without a cabinet
        named = np.flatnonzero(cabinets >= 0)
        by_group[cabinets[named]] = named
        by_group[-1] = -1
        lamps.kept["cabinet_slot"] = by_group[lamps.group["cabinet"]]
    return lamps.kept["cabinet_slot"]


@dataclass(frozen=True, slots=True)
class Contactor:
    """Of each lamp's cabinet, shape ``(n,)``: whether its contactor is ``closed`` (NaN: not known, or not heard of
    lately), when that changed last, when the cabinet ``spoke`` last (both Unix milliseconds), and whether by habit it
    ``ought`` to be closed now."""

    closed: Floats
    changed_ms: Ints
    spoke_ms: Ints
    ought: Mask


def contactor(layer: Layer) -> Contactor:
    """The contactor that feeds each of the layer's lamps."""
    cabinet = cabinet_slots(layer.estate)[layer.slots]
    state = layer.states["cabinet"]
    if not state.size:
        none = np.zeros(len(layer), np.int64)
        return Contactor(np.full(len(layer), np.nan), none, none, none == 1)
    closed = state.array("contactor")[cabinet]
    heard = heard_ms(state)[cabinet]
    closed[(cabinet < 0) | (layer.attentive_ms - heard > CABINET_STALE_MS)] = np.nan
    changed_ms = state.array("contactor_ms", dtype=np.int64, fill=0)[cabinet]
    by_habit = (state.array("lit_by_habit", fill=0.0)[cabinet] == 1) & (cabinet >= 0)
    return Contactor(closed, changed_ms, newest_ms(state)[cabinet], by_habit & ~cabinet_tested(layer))


def due(layer: Layer) -> Floats:
    """Whether a lamp's circuit ought to be live: always on a permanent feeder; on a switched one ten minutes after the
    contactor has closed and until it opens, and while it is open although lamps usually burn at this hour of the night.
    Unknown in between, without a cabinet, and where it may just have opened."""
    out = np.ones(len(layer))
    rows = np.flatnonzero(layer.column("feeder_switched") == 1)
    if len(rows):
        switched = layer.part(rows)
        feeds = contactor(switched)
        fresh = (feeds.closed == 1) & (switched.ts_ms - feeds.changed_ms < LIVE_S * 1000)
        unsure = fresh | ((feeds.closed == 1) & _may_have_opened(switched, feeds))
        out[rows] = np.where(unsure, np.nan, np.where((feeds.closed == 0) & feeds.ought, 1.0, feeds.closed))
    return out


def _may_have_opened(layer: Layer, feeds: Contactor) -> Mask:
    """Where a lamp is gone since its cabinet spoke last, while contactors open: at dawn wills overtake the report that
    says so. In the dark none opens by itself."""
    silent = (layer.column("online") == 0) & (feeds.spoke_ms < offline_ms(layer.state)[layer.slots])
    gasped = layer.flag("supply_gone") & (feeds.spoke_ms < newest_ms(layer.state)[layer.slots])
    return (silent | gasped) & (layer.column("sun_elevation_deg") > DARK_DEG)


def refresh(layer: Layer) -> None:
    """Keep in the state which lamps rest: their circuit is switched off, or nobody can tell that it is live."""
    rests = (due(layer) != 1).astype(np.float64)
    before = layer.state.array(RESTS, fill=0.0)
    changed = np.flatnonzero(rests != before)
    if len(changed):
        layer.state.put(RESTS, changed, rests[changed])


def lost_by_switching(layer: Layer) -> Floats:
    """1 where a lamp fell silent because its contactor opened, as it should: it was heard of until then, or a heartbeat
    and a half before."""
    out = np.zeros(len(layer))
    rows = np.flatnonzero(layer.column("feeder_switched") == 1)
    if len(rows):
        switched = layer.part(rows)
        feeds = contactor(switched)
        last = newest_ms(layer.state)[switched.slots]
        until_then = last >= feeds.changed_ms - 1500 * switched.column("heartbeat_s")
        out[rows] = (feeds.closed == 0) & ~feeds.ought & until_then
    return out


def cabinet_tested(layer: Layer) -> Mask:
    """Where somebody has switched a lamp's cabinet by hand."""
    state = layer.states["cabinet"]
    if not state.size:
        return np.zeros(len(layer), np.bool_)
    cabinet = cabinet_slots(layer.estate)[layer.slots]
    return (state.array("under_test", fill=0.0)[cabinet] == 1) & (cabinet >= 0)
