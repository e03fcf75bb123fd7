"""Quarantine: nothing is lost in silence, and no device fills it."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kraj.store.quarantine import QUOTA_PER_SOURCE_AND_DAY, Quarantined, store_quarantine
from tests.kraj.store.desk import Desk, refusal
from tests.kraj.store.samples import AT, AT_MS, of_kind

ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=50)


async def test_the_same_refusal_is_one_row_that_counts(desk: Desk) -> None:
    await desk.write(quarantined=[refusal(), refusal(), refusal("other"), refusal(source="lamp-2")])
    await store_quarantine(desk.connection, [refusal()], AT + timedelta(hours=1), 7)
    found = desk.rows("SELECT source, detail, times, first_at, last_at FROM quarantine ORDER BY quarantine_id")
    assert found == [
        ("lamp-1", "found null", 3, AT, AT + timedelta(hours=1)),
        ("lamp-1", "other", 1, AT, AT),
        ("lamp-2", "found null", 1, AT, AT),
    ]
    assert desk.totals() == (0, 0, 4)


async def test_beyond_the_quota_of_a_source_refusals_are_counted_and_named_as_not_stored(desk: Desk) -> None:
    flood = [refusal(f"bad {n}") for n in range(QUOTA_PER_SOURCE_AND_DAY + 3)]
    mixed = [flood[0], *flood, refusal(source="lamp-2"), refusal("again")]
    outcome = await desk.write(quarantined=mixed)
    first_beyond = 1 + QUOTA_PER_SOURCE_AND_DAY
    assert outcome.not_stored == [first_beyond, first_beyond + 1, first_beyond + 2, len(mixed) - 1]
    assert desk.one("SELECT count(*), sum(times) FROM quarantine") == (
        QUOTA_PER_SOURCE_AND_DAY + 1,
        QUOTA_PER_SOURCE_AND_DAY + 2,
    )
    assert desk.rows("SELECT source, day, reason, times FROM quarantine_overflow") == [
        ("lamp-1", AT.date(), "shape", 4)
    ]
    assert desk.totals() == (0, 0, len(mixed)), "what is not stored is counted all the same"


async def test_a_full_source_still_counts_what_it_repeats_and_starts_anew_tomorrow(desk: Desk) -> None:
    await desk.write(quarantined=[refusal(f"bad {n}") for n in range(QUOTA_PER_SOURCE_AND_DAY)])
    outcome = await desk.write(quarantined=[refusal("bad 0"), refusal("new")])
    assert outcome.not_stored == [1]
    assert desk.one("SELECT times FROM quarantine WHERE detail = 'bad 0'") == (2,)
    assert await store_quarantine(desk.connection, [refusal("new")], AT + timedelta(days=1), 9) == []
    for at in (AT, AT + timedelta(hours=1)):
        await store_quarantine(desk.connection, [refusal("newer")], at, 9)
    assert desk.one("SELECT times, last_at FROM quarantine_overflow") == (3, AT + timedelta(hours=1))


async def test_readings_that_the_database_refused_stand_behind_the_others_in_not_stored(desk: Desk) -> None:
    desk.owner.execute("ALTER TABLE reading_lamp ADD CONSTRAINT no_13 CHECK (power_w <> 13)")
    flood = [refusal(f"bad {n}") for n in range(QUOTA_PER_SOURCE_AND_DAY)]
    outcome = await desk.write(of_kind([(1, AT_MS, 1), (1, AT_MS, 2)], power_w=[13, 40]), quarantined=flood)
    assert (outcome.committed, len(outcome.refused)) == (1, 1)
    assert outcome.not_stored == [len(flood)]


@pytest.mark.parametrize("field", ["topic", "reason", "detail", "metric", "payload"])
def test_a_difference_anywhere_makes_another_row(field: str) -> None:
    one = Quarantined("t", "s", 1, 1, "shape", "d", "m", b"p", 1)
    other: Any = b"q" if field == "payload" else "q"
    assert one.digest != replace(one, **{field: other}).digest
    assert one.digest == replace(one, municipality_id=2, device_id=None).digest


@given(topic=ANY_TEXT, source=ANY_TEXT, detail=ANY_TEXT, payload=st.binary(max_size=50))
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_whatever_was_sent_can_be_stored(
    owner: psycopg.Connection[Any], topic: str, source: str, detail: str, payload: bytes
) -> None:
    row = Quarantined(topic, source, None, None, "shape", detail, None, payload, len(payload))
    found = owner.execute(
        "SELECT %s::text, %s::text, %s::text, %s::bytea, %s::bytea",
        [row.topic, row.source, row.detail, row.payload, row.digest],
    ).fetchone()
    assert found == (row.topic, row.source, row.detail, payload, row.digest)
