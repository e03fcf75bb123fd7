"""Writing: every reading is committed once, refused with its reason or known already, and the totals say so."""

import asyncio
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings

from kraj.errors import ConfigurationError, UnavailableError
from kraj.kinds import CABINET, KINDS
from kraj.readings import DAY_MS, Readings
from kraj.store import write
from kraj.store.write import EventRow, Outcome, RegistryChangedError, StatusRow, in_order
from tests.kraj.store.desk import Desk, refusal, until
from tests.kraj.store.samples import AT, AT_MS, KIND_READINGS, of_kind

POISON = "ALTER TABLE reading_lamp ADD CONSTRAINT no_13 CHECK (power_w <> 13)"


@given(KIND_READINGS)
@settings(max_examples=60)
def test_order_is_that_of_a_plain_sort_and_repeats_are_those_that_a_set_knows(readings: Readings) -> None:
    order, repeated = in_order(readings)
    keys: list[tuple[int, int, int]] = list(
        zip(readings.asset_id.tolist(), readings.ts_ms.tolist(), readings.seq.tolist(), strict=True)
    )
    assert [keys[row] for row in order] == sorted(keys)
    seen: set[tuple[int, int, int]] = set()
    for key, again in zip(sorted(keys), repeated, strict=True):
        assert again == (key in seen)
        seen.add(key)


async def test_fresh_readings_of_every_kind_are_committed_together(desk: Desk) -> None:
    outcome = await desk.write(*(of_kind([(1, AT_MS, 1), (2, AT_MS, 1)], kind) for kind in KINDS.values()))
    assert (outcome.committed, outcome.duplicates) == (8, 0)
    for kind in KINDS.values():
        assert desk.keys(kind.reading_table) == [(1, AT_MS, 1), (2, AT_MS, 1)]
    assert desk.totals() == (8, 0, 0)


async def test_what_is_stored_is_what_came_in(desk: Desk) -> None:
    readings = of_kind([(1, AT_MS, 5)], power_w=[41.2], level_reason=[4], energy_wh=[2**53])
    await desk.write(readings)
    found = desk.one(
        "SELECT ts, seq, boot, municipality_id, implausible, power_w, level_reason, energy_wh, voltage_v"
        " FROM reading_lamp"
    )
    assert found == (AT, 5, 7, 1, 0, pytest.approx(41.2), 4, 2**53, None)


async def test_a_row_that_repeats_within_its_batch_is_committed_once(desk: Desk) -> None:
    outcome = await desk.write(of_kind([(1, AT_MS, 1), (1, AT_MS, 2), (1, AT_MS, 1), (1, AT_MS, 1)]))
    assert outcome.duplicate[0].tolist() == [False, False, True, True]
    assert desk.totals() == (2, 2, 0)


async def test_a_row_that_repeats_in_another_part_of_its_batch_is_committed_once(desk: Desk) -> None:
    outcome = await desk.write(of_kind([(1, AT_MS, 1)]), of_kind([(1, AT_MS, 1), (2, AT_MS, 1)]))
    assert [mask.tolist() for mask in outcome.duplicate] == [[False], [True, False]]
    assert desk.totals() == (2, 1, 0)


@pytest.mark.parametrize("restarted", [False, True])
async def test_a_resend_is_known_as_such_also_by_a_new_process(desk: Desk, restarted: bool) -> None:
    sent = of_kind([(1, AT_MS, 1), (1, AT_MS + 1, 2), (2, AT_MS, 1)])
    await desk.write(sent)
    if restarted:
        await desk.restart()
    outcome = await desk.write(sent, of_kind([(3, AT_MS, 1)]))
    assert (outcome.committed, outcome.duplicates) == (1, 3)
    assert desk.totals() == (4, 3, 0)


async def test_readings_may_come_late_and_in_any_order(desk: Desk) -> None:
    rows = [(1, AT_MS + step * 60_000, step) for step in (5, 3, 4, 1, 2)]
    await desk.write(of_kind(rows[:2]))
    outcome = await desk.write(of_kind([*rows[2:], (1, AT_MS - DAY_MS, 0), (1, AT_MS + 6 * 60_000, 6), rows[0]]))
    assert outcome.duplicate[0].tolist() == [False] * 5 + [True]
    assert desk.keys() == sorted([*rows, (1, AT_MS - DAY_MS, 0), (1, AT_MS + 6 * 60_000, 6)])
    assert desk.totals() == (7, 1, 0)


async def test_any_sequence_of_batches_stores_the_set_of_its_rows_and_counts_the_rest(desk: Desk) -> None:
    random = np.random.default_rng(11)
    stored: set[tuple[int, int, int]] = set()
    sent = 0
    for number in range(40):
        size = int(random.integers(1, 30))
        columns = random.integers([1, 0, 0], [6, 25, 3], (size, 3)).tolist()
        rows = [(asset, AT_MS + hour * 3_600_000 * 12, seq) for asset, hour, seq in columns]
        outcome = await desk.write(of_kind(rows))
        fresh = [row for row in rows if row not in stored]
        assert outcome.committed == len(set(fresh))
        stored |= set(rows)
        sent += size
        if number % 10 == 9:
            await desk.restart()
    assert desk.keys() == sorted(stored)
    assert desk.totals() == (len(stored), sent - len(stored), 0)


async def test_an_empty_batch_is_a_batch(desk: Desk) -> None:
    assert (await desk.write()).committed == 0
    assert (await desk.write(of_kind([]))).committed == 0
    assert desk.totals() == (0, 0, 0)
    assert desk.one("SELECT count(*) FROM batch") == (2,)


@pytest.mark.parametrize("poisoned", [[0], [7], [15], [3, 4], [0, 5, 10, 15], list(range(16))], ids=str)
async def test_a_row_that_the_database_refuses_goes_to_quarantine_and_its_neighbours_commit(
    desk: Desk, poisoned: list[int]
) -> None:
    desk.owner.execute(POISON)
    rows = [(1 + n % 3, AT_MS + n * 1000, n) for n in range(16)]
    power = [13.0 if n in poisoned else 40.0 for n in range(16)]
    outcome = await desk.write(of_kind(rows, power_w=power), of_kind([(1, AT_MS, 1)], CABINET))
    assert sorted(row for _, row, _ in outcome.refused) == poisoned
    assert outcome.committed == 17 - len(poisoned)
    assert desk.keys() == sorted(row for n, row in enumerate(rows) if n not in poisoned)
    assert desk.keys("reading_cabinet") == [(1, AT_MS, 1)]
    assert desk.totals() == (17 - len(poisoned), 0, len(poisoned))
    kept = desk.rows("SELECT reason, payload, batch_id = (SELECT max(batch_id) FROM batch), detail FROM quarantine")
    assert sorted((reason, payload, same) for reason, payload, same, _ in kept) == sorted(
        ("database", b"m%d" % n, True) for n in poisoned
    )
    assert all("no_13" in detail for *_, detail in kept)


async def test_a_row_that_the_database_names_is_tried_alone_and_no_neighbour_is_halved_for_it(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.owner.execute(POISON)
    sizes: list[int] = []
    copy = vars(write)["_copy"]

    async def counting(*arguments: Any) -> None:
        sizes.append(len(arguments[3]))
        await copy(*arguments)

    monkeypatch.setattr(write, "_copy", counting)
    rows = [(1 + n % 3, AT_MS + n * 1000, n) for n in range(64)]
    outcome = await desk.write(of_kind(rows, power_w=[13.0 if n == 40 else 40.0 for n in range(64)]))
    assert [row for _, row, _ in outcome.refused] == [40]
    assert sizes[:3] == [64, 63, 1]
    await desk.write(of_kind([(1, AT_MS + 99_000, 99)], power_w=[13.0]), of_kind([(2, AT_MS + 99_000, 99)]))
    assert desk.totals() == (64, 0, 2), "what was named in one batch is not accused in the next"


async def test_duplicates_are_told_from_poison_in_the_same_batch(desk: Desk) -> None:
    await desk.write(of_kind([(1, AT_MS, 1)]))
    desk.owner.execute(POISON)
    power = [40, 13, 40, 40]
    outcome = await desk.write(of_kind([(1, AT_MS, 1), (1, AT_MS, 2), (1, AT_MS, 3), (1, AT_MS, 3)], power_w=power))
    assert outcome.duplicate[0].tolist() == [True, False, False, True]
    assert [(position, row) for position, row, _ in outcome.refused] == [(0, 1)]
    assert desk.totals() == (2, 2, 1)


async def test_after_a_poisoned_batch_the_slot_goes_on_as_before(desk: Desk) -> None:
    desk.owner.execute(POISON)
    await desk.write(of_kind([(1, AT_MS, 1)], power_w=[13]))
    outcome = await desk.write(of_kind([(1, AT_MS, 2)], power_w=[40]))
    assert (outcome.committed, outcome.refused) == (1, [])


async def test_a_partition_that_somebody_dropped_is_made_again(desk: Desk) -> None:
    await desk.write(of_kind([(1, AT_MS, 1)]))
    desk.owner.execute("DROP TABLE reading_lamp_2026w47")
    outcome = await desk.write(of_kind([(1, AT_MS + 1, 2)]))
    assert (outcome.committed, outcome.refused) == (1, [])


async def test_a_database_that_does_not_fit_blames_us_and_no_reading(desk: Desk) -> None:
    desk.owner.execute("ALTER TABLE reading_lamp DROP COLUMN power_w CASCADE")
    with pytest.raises(ConfigurationError, match="kraj migrate"):
        await desk.write(of_kind([(1, AT_MS, 1)]))
    assert desk.totals() == (0, 0, 0)
    assert desk.rows("SELECT * FROM quarantine") == []


async def test_a_batch_decoded_under_an_older_registry_is_not_written(desk: Desk) -> None:
    batch = await desk.batch(of_kind([(1, AT_MS, 1)]), statuses=[StatusRow(1, True, 1, None, None)])
    desk.owner.execute("UPDATE asset SET label = 'L9' WHERE asset_id = 1")
    with pytest.raises(RegistryChangedError):
        await desk.writer.write(batch, 0)
    assert desk.keys() == []
    assert desk.rows("SELECT * FROM device_status") == []
    assert (await desk.write(of_kind([(1, AT_MS, 1)]))).committed == 1, "the connection is of use still"


async def test_a_lost_connection_is_the_worlds_fault_whatever_was_asked(desk: Desk) -> None:
    for action in (
        lambda: desk.writer.next_batch_id(),
        lambda: desk.writer.is_committed(1),
        lambda: desk.writer.epochs({(1, 1)}),
        lambda: desk.writer.idle(AT, 0),
        lambda: desk.writer.make_partitions_ahead(AT),
        lambda: desk.writer.start(),
    ):
        desk.terminate()
        with pytest.raises(UnavailableError):
            await action()
        assert desk.connection.closed
        await desk.restart()


async def retried(desk: Desk, batch: Any) -> Outcome:
    """What ingest does after a lost connection."""
    await desk.restart()
    if await desk.writer.is_committed(batch.batch_id):
        return batch.outcome
    return await desk.writer.write(batch, 0)


@pytest.mark.parametrize("careful", [False, True])
async def test_a_connection_that_ends_before_commit_leaves_nothing_and_the_batch_is_written_once(
    desk: Desk, careful: bool
) -> None:
    if careful:
        desk.owner.execute(POISON)
    batch = await desk.batch(of_kind([(1, AT_MS, 1), (2, AT_MS, 1)], power_w=[40, 13]), quarantined=[refusal()])
    with desk.owner.transaction():
        desk.owner.execute("SELECT FROM slot FOR UPDATE")
        writing = asyncio.create_task(desk.writer.write(batch, 0))
        await desk.waits_for("Lock")  # all is written but totals and COMMIT
        assert batch.outcome is not None
        desk.terminate()
        with pytest.raises(UnavailableError):
            await writing
    await desk.restart()
    assert not await desk.writer.is_committed(batch.batch_id)
    assert (desk.keys(), desk.totals()) == ([], (0, 0, 0))
    await retried(desk, batch)
    assert desk.totals() == ((1, 0, 2) if careful else (2, 0, 1))
    assert desk.one("SELECT sum(times) FROM quarantine") == (2 if careful else 1,)


async def test_a_connection_that_ends_in_commit_is_asked_about_and_nothing_is_doubled(desk: Desk) -> None:
    await desk.write(of_kind([(3, AT_MS, 1)]))  # so that no partition is made on the way
    batch = await desk.batch(of_kind([(1, AT_MS, 1), (1, AT_MS, 1)]), quarantined=[refusal()])
    desk.owner.execute("SET synchronous_commit = local")
    desk.owner.execute("ALTER SYSTEM SET synchronous_standby_names = 'nobody'")  # commits, and waits with the answer
    desk.owner.execute("SELECT pg_reload_conf()")
    try:
        await desk.commits_wait_for_a_standby()
        writing = asyncio.create_task(desk.writer.write(batch, 0))
        await desk.waits_for("SyncRep")
        there = "SELECT FROM batch WHERE batch_id = %s"
        assert desk.rows(there, [batch.batch_id]) == []
        desk.owner.execute("SELECT pg_terminate_backend(%s)", [desk.pid])
        await until(lambda: bool(desk.rows(there, [batch.batch_id])))
    finally:
        desk.owner.execute("ALTER SYSTEM RESET synchronous_standby_names")
        desk.owner.execute("SELECT pg_reload_conf()")
    with pytest.raises(UnavailableError):
        await writing
    await desk.restart()
    assert await desk.writer.is_committed(batch.batch_id)
    outcome = await retried(desk, batch)
    assert (outcome.committed, outcome.duplicates) == (1, 1)
    assert desk.totals() == (2, 1, 1)
    assert (await desk.write(of_kind([(1, AT_MS, 1)]))).duplicates == 1


async def test_a_worker_that_stood_still_within_a_transaction_finds_the_database_away(desk: Desk) -> None:
    await desk.connection.execute("SET idle_in_transaction_session_timeout = '50ms'")
    await desk.connection.execute("BEGIN")
    await asyncio.to_thread(desk.one, "SELECT pg_sleep(0.3)")
    with pytest.raises(UnavailableError):
        await desk.writer.next_batch_id()


async def test_the_first_word_on_when_a_boot_began_stays(desk: Desk) -> None:
    await desk.write(epochs={(1, 7): 1000, (2, 7): 3000})
    await desk.write(epochs={(1, 7): 2000, (1, 8): 5000})
    assert await desk.writer.epochs({(1, 7), (2, 7), (1, 8), (3, 1)}) == {(1, 7): 1000, (2, 7): 3000, (1, 8): 5000}
    assert await desk.writer.epochs(set()) == {}


async def test_unknown_keys_are_one_row_a_device_that_counts(desk: Desk) -> None:
    await desk.write(unknown_keys={(1, "Power"): 2, (2, "Power"): 1})
    await desk.write(unknown_keys={(1, "Power"): 3})
    assert desk.rows("SELECT device_id, key, times FROM unknown_key ORDER BY 1") == [(1, "Power", 5), (2, "Power", 1)]


async def test_a_device_with_random_keys_does_not_fill_the_table(desk: Desk) -> None:
    for part in range(3):
        await desk.write(unknown_keys={(1, f"key{part}-{n}"): 1 for n in range(60)})
    await desk.write(unknown_keys={(1, "key0-0"): 1, (1, "new"): 1, (2, "new"): 1})
    assert desk.rows("SELECT device_id, count(*) FROM unknown_key GROUP BY 1 ORDER BY 1") == [(1, 100), (2, 1)]
    assert desk.one("SELECT times FROM unknown_key WHERE key = 'key0-0'") == (2,)


async def test_the_newest_status_wins_and_keeps_what_it_does_not_say(desk: Desk) -> None:
    await desk.write(statuses=[StatusRow(1, False, None, None, None), StatusRow(1, True, 7, "1.4.0", "power_on")])
    seen = "SELECT online, boot, firmware, reset FROM device_status"
    assert desk.one(seen) == (True, 7, "1.4.0", "power_on")
    await desk.write(statuses=[StatusRow(1, True, 8, None, None), StatusRow(1, False, None, None, None)])
    assert desk.one(seen)[0] is False
    assert desk.one(seen)[2] == "1.4.0"


async def test_an_event_that_the_database_refuses_goes_to_quarantine_and_its_neighbours_stay(desk: Desk) -> None:
    bodies = [b'{"event":"sos_pressed"}', rb'{"event":"\u0000"}', b'{"event":"door"}']
    events = [EventRow(1, 1, "event", body, message) for message, body in enumerate(bodies)]
    outcome = await desk.write(of_kind([(1, AT_MS, 1)]), events=events, statuses=[StatusRow(1, True, 1, None, None)])
    assert [message for message, _ in outcome.events_refused] == [1]
    assert desk.rows("SELECT body ->> 'event' FROM device_event ORDER BY 1") == [("door",), ("sos_pressed",)]
    assert desk.rows("SELECT reason, payload FROM quarantine") == [("database", b"m1")]
    assert desk.totals() == (1, 0, 0), "an event is not a reading"


async def test_totals_are_what_happened_over_many_batches(desk: Desk) -> None:
    desk.owner.execute(POISON)
    received = 0
    for n in range(4):
        rows = [(1, AT_MS + n * 1000, n), (1, AT_MS, 0), (2, AT_MS + n, n)]
        quarantined = [refusal(f"bad {n}"), refusal("power_w: bad", metric="power_w")]
        await desk.write(of_kind(rows, power_w=[40, 40, 13 if n == 2 else 40]), quarantined=quarantined)
        received += len(rows) + 1
    committed, duplicate, quarantined_readings = desk.totals()
    assert committed == desk.one("SELECT count(*) FROM reading_lamp")[0] == 7
    assert committed + duplicate + quarantined_readings == received
    assert desk.one("SELECT values_quarantined FROM slot") == (4,)


async def test_an_idle_slot_still_shows_that_it_lives(desk: Desk) -> None:
    await desk.writer.idle(AT, 17)
    assert desk.one("SELECT heartbeat_at, in_flight FROM slot") == (AT, 17)


async def test_an_event_that_is_told_again_is_one_line(desk: Desk) -> None:
    def told(body: bytes, channel: str = "event", device_id: int = 1) -> EventRow:
        return EventRow(device_id, 1, channel, body, 0)

    body = b'{"event":"sos_pressed","boot":7,"seq":5,"ts":1}'
    others = [
        told(body, device_id=2),
        told(body.replace(b"7", b"8")),
        told(body.replace(b"5", b"6")),
        told(body.replace(b'"ts":1', b'"ts":2')),
        told(body, channel="result"),
    ]
    for events in ([told(body), told(body)], [told(body), *others], [told(body), others[-1]]):
        await desk.write(events=events)
    assert desk.one("SELECT count(*) FILTER (WHERE channel = 'event'), count(*) FROM device_event") == (5, 7)
