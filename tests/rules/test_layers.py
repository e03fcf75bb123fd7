"""Readings are cut so that each asset comes once a layer, in order of time, and none is lost."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from rules import layers
from rules.layers import Rows
from tests.rules.world import MINUTE_MS, lamps, readings

ESTATE = lamps(5).members["lamp"]
BATCH = st.lists(st.tuples(st.integers(1, 7), st.integers(0, 40)), max_size=40)
Batch = list[tuple[int, int]]


def cut(batch: Batch) -> Rows:
    """The power of each is its place in the batch."""
    given_rows = [(asset, minute * MINUTE_MS, {"power_w": float(n)}) for n, (asset, minute) in enumerate(batch)]
    middle = len(batch) // 2
    return layers.rows_of([readings("lamp", given_rows[:middle]), readings("lamp", given_rows[middle:])], ESTATE)


def told(rows: Rows) -> list[tuple[int, int, int]]:
    """Asset, minute and place in the batch of each row."""
    places = rows.columns()[4].astype(int)
    return list(zip((rows.slots + 1).tolist(), (rows.ts_ms // MINUTE_MS).tolist(), places.tolist(), strict=True))


@given(BATCH)
def test_rows_are_those_of_known_assets_in_order_of_slots(batch: Batch) -> None:
    wanted = sorted(((a, m, n) for n, (a, m) in enumerate(batch) if a <= 5), key=lambda row: (row[0], row[2]))
    assert told(cut(batch)) == wanted


@given(BATCH, st.lists(st.integers(-1, 40), min_size=5, max_size=5))
def test_late_is_what_is_not_newer_than_what_was_judged(batch: Batch, newest: list[int]) -> None:
    rows = cut(batch)
    in_time, late = layers.in_time_and_late(rows, np.array(newest) * MINUTE_MS)
    seen: set[tuple[int, int]] = set()
    wanted: list[tuple[int, int, int]] = []
    for row in told(rows):
        if row[1] > newest[row[0] - 1] and row[:2] not in seen:
            seen.add(row[:2])
            wanted.append(row)
    assert told(in_time) == wanted
    assert sorted(told(in_time) + told(late)) == sorted(told(rows))


@given(BATCH)
def test_each_asset_comes_once_a_layer_in_order_of_time(batch: Batch) -> None:
    rows = cut(batch)
    found = [told(layer) for layer in layers.layers(rows)]
    for layer in found:
        assets = [asset for asset, _, _ in layer]
        assert assets == sorted(set(assets))
    for asset in range(1, 6):
        mine = [row for layer in found for row in layer if row[0] == asset]
        assert mine == sorted((row for row in told(rows) if row[0] == asset), key=lambda row: row[1:])


def test_layers_come_in_pieces() -> None:
    count = 2 * layers.PIECE_ROWS + 1
    rows = Rows(np.arange(count), np.zeros(count, np.int64), np.arange(count), np.arange(float(count))[:, None])
    pieces = list(layers.layers(rows))
    assert [len(piece) for piece in pieces] == [layers.PIECE_ROWS, layers.PIECE_ROWS, 1]
    np.testing.assert_array_equal(np.concatenate([p.columns() for p in pieces], axis=1)[0], np.arange(count))


def test_what_spans_long_is_judged_slice_by_slice_over_all_kinds() -> None:
    first, second = cut([(1, 0), (2, 7), (3, 31)]), cut([(1, 3), (2, 30)])
    minutes = [[[m for _, m, _ in told(rows)] for rows in both] for both in layers.slices([first, second])]
    assert minutes == [[[0], [3]], [[7], []], [[31], [30]]]
    short = cut([(1, 0), (2, 14)])
    assert [[told(rows) for rows in both] for both in layers.slices([short])] == [[told(short)]]
    assert list(layers.slices([cut([])])) == []


@given(BATCH, st.integers(1, 5))
def test_of_an_asset_that_sends_very_many_the_newest_are_judged(batch: Batch, most: int) -> None:
    rows = cut(batch)
    by_time = sorted(told(rows), key=lambda row: (row[0], row[1], row[2]))
    wanted = {row for n, row in enumerate(by_time) if sum(other[0] == row[0] for other in by_time[n:]) <= most}
    assert told(layers.newest(rows, most)) == [row for row in told(rows) if row in wanted]
