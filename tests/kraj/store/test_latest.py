"""``latest`` follows the readings: soon, never backwards, and past any crash."""

import asyncio

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kraj.errors import UnavailableError
from kraj.kinds import CABINET, KINDS
from kraj.metrics import Kind
from kraj.readings import Readings
from kraj.store.latest import SHARDS, joined, newest
from kraj.store.write import LATEST_EVERY_S, RegistryChangedError
from tests.kraj.store.desk import Desk
from tests.kraj.store.samples import AT, AT_MS, KIND_READINGS, of_kind, readings_of

Key = tuple[int, int, int]


def keys(readings: Readings) -> list[Key]:
    return list(zip(readings.asset_id.tolist(), readings.ts_ms.tolist(), readings.seq.tolist(), strict=True))


def slow_newest(rows: list[Key]) -> list[Key]:
    best: dict[int, Key] = {}
    for row in rows:
        if row[0] not in best or row[1:] > best[row[0]][1:]:
            best[row[0]] = row
    return sorted(best.values())


@given(KIND_READINGS)
@settings(max_examples=60)
def test_newest_is_what_a_slow_loop_finds(readings: Readings) -> None:
    assert keys(newest(readings)) == slow_newest(keys(readings))


TWO_OF_A_KIND = st.sampled_from(list(KINDS.values())).flatmap(
    lambda kind: st.tuples(readings_of(kind), readings_of(kind))
)


@given(TWO_OF_A_KIND)
@settings(max_examples=40)
def test_joined_readings_are_both_one_behind_the_other(two: tuple[Readings, Readings]) -> None:
    first, second = two
    both = joined([first, second])
    assert keys(both) == keys(first) + keys(second)
    np.testing.assert_array_equal(both.values, np.concatenate([first.values, second.values]))


def latest(desk: Desk, table: str = "latest_lamp") -> list[Key]:
    return desk.keys(table)


async def test_latest_follows_within_a_second_and_not_before(desk: Desk) -> None:
    await desk.write(of_kind([(asset, AT_MS, 1) for asset in range(1, 9)]))
    assert latest(desk) == []
    assert desk.one("SELECT latest_batch_id FROM slot") == (0,)
    for turn in range(1, SHARDS + 1):
        desk.seconds[0] += LATEST_EVERY_S / SHARDS
        await desk.write(of_kind([(9, AT_MS + turn, turn)]))
        assert len(latest(desk)) >= 2 * turn, "a quarter of the assets each time"
    assert [row for row in latest(desk) if row[0] < 9] == [(asset, AT_MS, 1) for asset in range(1, 9)]


async def test_a_crash_between_turns_loses_no_turn(desk: Desk) -> None:
    assets = [(asset, AT_MS, 1) for asset in range(1, 9)]
    await desk.write(of_kind(assets))
    desk.seconds[0] += LATEST_EVERY_S / SHARDS
    await desk.write(of_kind([(9, AT_MS, 1)]))
    assert 0 < len(latest(desk)) < 9
    desk.terminate()
    await desk.restart()
    assert latest(desk) == [*assets, (9, AT_MS, 1)]


async def test_an_idle_slot_brings_latest_up(desk: Desk) -> None:
    await desk.write(of_kind([(1, AT_MS, 1)], power_w=[41]), of_kind([(2, AT_MS, 1)], CABINET))
    await desk.writer.idle(AT, 0)
    assert (latest(desk), latest(desk, "latest_cabinet")) == ([(1, AT_MS, 1)], [(2, AT_MS, 1)])
    assert desk.one("SELECT power_w, level_reason FROM latest_lamp") == (41, None)
    assert desk.one("SELECT latest_batch_id FROM slot") == desk.one("SELECT max(batch_id) FROM batch")


async def test_an_older_reading_never_replaces_a_newer_one(desk: Desk) -> None:
    await desk.write(of_kind([(1, AT_MS, 5)]))
    await desk.writer.idle(AT, 0)
    for row in [(1, AT_MS - 1, 9), (1, AT_MS, 4), (1, AT_MS, 5)]:
        await desk.write(of_kind([row]))
        await desk.writer.idle(AT, 0)
        assert latest(desk) == [(1, AT_MS, 5)]
    await desk.write(of_kind([(1, AT_MS, 6)]))
    await desk.writer.idle(AT, 0)
    assert latest(desk) == [(1, AT_MS, 6)]


async def test_a_new_reading_without_a_value_takes_the_old_value_away(desk: Desk) -> None:
    await desk.write(of_kind([(1, AT_MS, 1)], power_w=[41]))
    await desk.writer.idle(AT, 0)
    await desk.write(of_kind([(1, AT_MS + 1, 2)], voltage_v=[230]))
    await desk.writer.idle(AT, 0)
    assert desk.one("SELECT power_w, voltage_v FROM latest_lamp") == (None, 230), "a snapshot is whole"


async def test_latest_names_the_batch_that_committed_the_reading(desk: Desk) -> None:
    for seq in (1, 2, 3):
        await desk.write(of_kind([(seq, AT_MS, seq)]))
    await desk.write(of_kind([(1, AT_MS + 1, 4)]))
    await desk.writer.idle(AT, 0)
    both = "SELECT asset_id, seq, batch_id FROM {} ORDER BY asset_id, seq"
    committed = {(asset, seq): batch for asset, seq, batch in desk.rows(both.format("reading_lamp"))}
    found = desk.rows(both.format("latest_lamp"))
    assert len(found) == 3
    assert all(committed[asset, seq] == batch for asset, seq, batch in found)


async def test_after_a_crash_the_next_start_brings_latest_up(desk: Desk) -> None:
    await desk.write(of_kind([(1, AT_MS, 1), (2, AT_MS, 1)]), of_kind([(3, AT_MS, 1)], CABINET))
    await desk.write(of_kind([(1, AT_MS + 1, 2), (1, AT_MS - 1, 0)]))
    desk.terminate()
    with pytest.raises(UnavailableError):
        await desk.writer.idle(AT, 0)
    assert latest(desk) == []
    await desk.restart()
    assert latest(desk) == [(1, AT_MS + 1, 2), (2, AT_MS, 1)]
    assert latest(desk, "latest_cabinet") == [(3, AT_MS, 1)]
    assert (await desk.write(of_kind([(1, AT_MS + 1, 2)]))).duplicates == 1


async def test_a_flush_that_does_not_commit_is_done_by_the_next_one(desk: Desk) -> None:
    await desk.write(of_kind([(1, AT_MS, 1)]))
    desk.seconds[0] += LATEST_EVERY_S
    batch = await desk.batch(of_kind([(1, AT_MS + 1, 2)]))
    desk.owner.execute("UPDATE asset SET label = 'new' WHERE asset_id = 1")  # the batch is refused before it begins
    with pytest.raises(RegistryChangedError):
        await desk.writer.write(batch, 0)
    await desk.writer.idle(AT, 0)
    assert latest(desk) == [(1, AT_MS, 1)]


async def test_slots_catch_up_with_their_own_batches_only(desk: Desk) -> None:
    other = await Desk.open(desk.url, desk.owner, "slot_1")
    await desk.write(of_kind([(1, AT_MS, 1)]))
    await other.write(of_kind([(2, AT_MS, 1)]))
    await other.restart()
    assert latest(desk) == [(2, AT_MS, 1)]
    await desk.restart()
    assert latest(desk) == [(1, AT_MS, 1), (2, AT_MS, 1)]
    await other.connection.close()


async def test_two_slots_write_at_once_and_latest_has_the_newest_of_both(desk: Desk) -> None:
    other = await Desk.open(desk.url, desk.owner, "slot_1")

    async def work(desk: Desk, assets: range, kind: Kind) -> None:
        for seq in range(20):
            desk.seconds[0] += LATEST_EVERY_S
            await desk.write(of_kind([(asset, AT_MS + seq, seq) for asset in assets], kind))
        await desk.writer.idle(AT, 0)

    await asyncio.gather(work(desk, range(1, 50), CABINET), work(other, range(50, 100), CABINET))
    assert latest(desk, "latest_cabinet") == [(asset, AT_MS + 19, 19) for asset in range(1, 100)]
    assert (desk.totals(), other.totals()) == ((980, 0, 0), (1000, 0, 0))
    await other.connection.close()
