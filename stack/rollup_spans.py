"""Spans of time of many assets at once: joined, widened, and what one leaves of another."""

import numpy as np

from kraj.readings import Ints, Mask
from kraj.store.rollup import AssetSpans
from rules.rollups import HOUR_MS, midnights


def merged(asset: Ints, begin_ms: Ints, end_ms: Ints) -> AssetSpans:
    """Spans in order, those that touch or overlap made one."""
    if not len(asset):
        return AssetSpans(asset, begin_ms, end_ms)
    order = np.lexsort((begin_ms, asset))
    asset, begin_ms, end_ms = asset[order], begin_ms[order], end_ms[order]
    # The farthest end so far within the asset: ends are laid one asset behind another.
    base, axis = int(begin_ms.min()), int(end_ms.max()) - int(begin_ms.min()) + 1
    rank = np.cumsum(np.diff(asset, prepend=asset[0]) > 0)
    reach = np.maximum.accumulate(rank * axis + end_ms - base)
    first = np.concatenate([[True], rank[1:] * axis + begin_ms[1:] - base > reach[:-1]]) | (
        np.diff(rank, prepend=-1) > 0
    )
    start = np.flatnonzero(first)
    last = np.concatenate([start[1:], [len(asset)]]) - 1
    return AssetSpans(asset[start], begin_ms[start], reach[last] - rank[last] * axis + base)


def outside(wider: AssetSpans, inner: AssetSpans) -> AssetSpans:
    """What of the wider spans is not within the inner ones, which lie in them; both in order and apart."""
    asset = np.concatenate([wider.asset, inner.asset])
    begin, end = np.concatenate([wider.begin_ms, inner.end_ms]), np.concatenate([wider.end_ms, inner.begin_ms])
    from_, to = np.lexsort((begin, asset)), np.lexsort((end, asset))
    real = begin[from_] < end[to]
    return AssetSpans(asset[from_][real], begin[from_][real], end[to][real])


def some(spans: AssetSpans, rows: Mask) -> AssetSpans:
    """Those of the rows."""
    return AssetSpans(spans.asset[rows], spans.begin_ms[rows], spans.end_ms[rows])


def within(wider: AssetSpans, spans: AssetSpans) -> Ints:
    """The place of the wider span in which each one lies; both in order."""
    base = int(wider.begin_ms.min())
    axis = int(wider.end_ms.max()) - base + 1
    return (
        np.searchsorted(wider.asset * axis + wider.begin_ms - base, spans.asset * axis + spans.begin_ms - base, "right")
        - 1
    )


def whole_units(spans: AssetSpans, step: str) -> AssetSpans:
    """Whole hours (``1h``) or days (``1d``)."""
    if step == "1h":
        return merged(spans.asset, spans.begin_ms // HOUR_MS * HOUR_MS, -(-spans.end_ms // HOUR_MS) * HOUR_MS)
    bounds = midnights(int(spans.begin_ms.min()), int(spans.end_ms.max()))
    end = bounds[np.searchsorted(bounds, spans.end_ms)]
    return merged(spans.asset, bounds[np.searchsorted(bounds, spans.begin_ms, "right") - 1], end)
