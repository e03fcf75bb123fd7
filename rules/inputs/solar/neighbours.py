"""What the roofs around are doing: medians over fresh last values of peers and siblings, renewed with each tick."""

from enum import IntEnum

import numpy as np

from kraj.metrics import Title
from kraj.readings import Floats, Mask
from kraj.units import Unit
from rules.groups import neighbour_median
from rules.inputs.solar.memory import Field, whole
from rules.layer import Input, Layer
from rules.peers import PEERS_LEAST, near, peers, siblings
from rules.state import State

FRESH_MS = 15 * 60_000
"""Three heartbeats; what is older says nothing about now."""
PRODUCES_PCT = 3.0
"""Of the rating: six times of what counts as nothing. On a dark morning sound roofs that face 30° apart give 0.4 and
1.5 %."""
BROKEN_MS = 6 * 3_600_000
"""The longest darkness of a storm was under five hours (solar.md)."""
ARRAY = "solar_neighbours"


class Around(IntEnum):
    """A column of what is known of the neighbours; only append."""

    AT_MS = 0
    REPORTING = 1
    PRODUCING = 2
    OUTPUT_PCT = 3
    INDEX = 4
    MODULE_DEGC = 5
    SIBLING_PCT = 6
    NEAR_PCT = 7
    NEAR_INDEX = 8
    LIGHT_W_PER_M2 = 9


def refresh(layer: Layer) -> None:
    """Look at all roofs; nobody is told about fewer than five peers, except how many of them produce."""
    memory, members = whole(layer.state), layer.members
    fresh = np.abs(layer.now_ms - memory[:, Field.SEEN_MS]) <= FRESH_MS
    output, index = (np.where(fresh, memory[:, field], np.nan) for field in (Field.OUTPUT_PCT, Field.INDEX))
    around = np.full((len(members), len(Around)), np.nan)
    around[:, Around.AT_MS] = layer.now_ms
    theirs, nearest = peers(members), near(members)
    around[:, Around.OUTPUT_PCT], around[:, Around.REPORTING] = neighbour_median(output, theirs)
    around[:, Around.INDEX], known = neighbour_median(index, theirs)
    all_around = np.concatenate([theirs, nearest], axis=1)
    for field, what in ((Field.MODULE_DEGC, Around.MODULE_DEGC), (Field.LIGHT_W_PER_M2, Around.LIGHT_W_PER_M2)):
        if not np.isnan(memory[:, field]).all():
            around[:, what], _ = neighbour_median(np.where(fresh, memory[:, field], np.nan), all_around)
    around[:, Around.SIBLING_PCT], _ = neighbour_median(output, siblings(members))
    sound = ~_broken(layer, memory)
    around[:, Around.NEAR_PCT], _ = neighbour_median(np.where(sound, output, np.nan), nearest)
    around[:, Around.NEAR_INDEX], _ = neighbour_median(np.where(sound, index, np.nan), nearest)
    produces = np.where(output > PRODUCES_PCT, 1, 0)
    around[:, Around.PRODUCING] = ((theirs >= 0) & (produces[theirs] == 1)).sum(axis=1) if len(members) else 0
    around[around[:, Around.REPORTING] < PEERS_LEAST, Around.OUTPUT_PCT] = np.nan
    around[known < PEERS_LEAST, Around.INDEX] = np.nan
    _around(layer.state)
    layer.state.put(ARRAY, slice(None), around)


def _broken(layer: Layer, memory: Floats) -> Mask:
    """Who has given nothing for hours of this day; a median of very few must not lean on it."""
    since_ms = np.fmax(memory[:, Field.ZERO_MS], memory[:, Field.HIGH_MS])
    return ~np.isnan(memory[:, Field.ZERO_MS]) & (layer.now_ms - since_ms > BROKEN_MS)


def seen(layer: Layer, what: Around) -> Floats:
    """What was seen around each roof, if that was lately; shape ``(n,)``."""
    found = _around(layer.state)
    lately = np.abs(layer.ts_ms - found[layer.slots, Around.AT_MS]) <= FRESH_MS
    return np.where(lately, found[layer.slots, what], np.nan)


def _around(state: State) -> Floats:
    return state.array(ARRAY, shape=(len(Around),))


def _input(name: str, unit: Unit, what: Around, cs: str, en: str) -> Input:
    return Input(name, unit, Title(cs=cs, en=en), lambda layer: seen(layer, what), needs=("azimuth_deg", "tilt_deg"))


INPUTS = (
    _input("peers_reporting", Unit.COUNT, Around.REPORTING, "Sousedé, kteří hlásí výkon", "Peers that report power"),
    _input("peers_producing", Unit.COUNT, Around.PRODUCING, "Sousedé, kteří vyrábějí", "Peers that produce"),
    _input(
        "peer_output_pct",
        Unit.PERCENT,
        Around.OUTPUT_PCT,
        "Medián výkonu sousedů (% jmenovitého)",
        "Peers' median output (% of rating)",
    ),
    _input(
        "peer_clear_index",
        Unit.RATIO,
        Around.INDEX,
        "Medián sousedů: podíl výkonu za jasné oblohy",
        "Peers' median share of clear-sky power",
    ),
    _input(
        "sibling_output_pct",
        Unit.PERCENT,
        Around.SIBLING_PCT,
        "Medián ostatních střídačů budovy (% jmenovitého)",
        "Median output of the site's other inverters (% of rating)",
    ),
    _input(
        "near_output_pct",
        Unit.PERCENT,
        Around.NEAR_PCT,
        "Medián nejbližších střech do 5 km (% jmenovitého)",
        "Median output of the nearest roofs within 5 km (% of rating)",
    ),
)
