"""Columns of readings leave and enter the oldest and the newest PostgreSQL bit by bit, and terms are whose they are."""

from datetime import date

import psycopg
import pytest

from kraj.kinds import KINDS
from kraj.metrics import Kind
from kraj.store import archive
from kraj.store.archive import Owned, Week
from kraj.store.schema import columns

LEAST = {
    "bigint": ["-9223372036854775808", "9223372036854775807", "9007199254740993"],
    "integer": ["-2147483648", "0", "2147483647"],
    "smallint": ["-32768", "0", "32767"],
    "real": ["'NaN'", "'-0'", "1e-45"],
    "boolean": ["false", "true", "false"],
    "timestamptz": ["'2026-11-02 00:00:00.000001Z'", "'2026-11-05Z'", "'2026-11-08 23:59:59.999999Z'"],
}
FIXED = {"asset_id": ["7", "7", "2"], "municipality_id": ["1"] * 3, "batch_id": ["9", "8", "7"]}


@pytest.mark.parametrize("url", ["database_url", "database15_url"])
@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.name)
def test_values_that_are_as_odd_as_can_be_come_back_bit_by_bit(
    request: pytest.FixtureRequest, url: str, kind: Kind
) -> None:
    week, of = Week(kind, date(2026, 11, 2)), columns(kind)
    with psycopg.connect(request.getfixturevalue(url), autocommit=True) as connection:
        connection.execute("SELECT ensure_partition(%s, %s)", [kind.name, week.begins])
        assert archive.weeks(connection, kind) == [week]
        for n in range(3):
            values = [FIXED.get(c.name, LEAST[c.sql])[n] for c in of]
            # In each row every third value is unknown, in each another third.
            values = ["NULL" if c.nullable and (place + n) % 3 == 0 else values[place] for place, c in enumerate(of)]
            names = ", ".join(c.name for c in of)
            connection.execute(f"INSERT INTO {kind.reading_table} ({names}) VALUES ({', '.join(values)})".encode())
        before = archive.fingerprint(connection, week.table)
        (whose,) = archive.owned(connection, week)
        assert whose == Owned(1, "former-1", ((2, 1), (7, 2)))
        pieces = list(archive.rows(connection, week, whose))
        assert [piece["asset_id"].values.tolist() for piece in pieces] == [[2, 7, 7]]
        connection.execute(f"DELETE FROM {kind.reading_table} WHERE asset_id = 7".encode())
        assert archive.fingerprint(connection, week.table) != before
        assert archive.put(connection, week, iter(pieces)) == 2
        assert archive.put(connection, week, iter(pieces)) == 0
        assert archive.fingerprint(connection, week.table) == before


def test_a_town_with_a_word_of_its_own_has_all_of_its_own_words(database_url: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("INSERT INTO municipality (name, title) VALUES ('brno', 'Brno'), ('zlin', 'Zlín')")
        connection.execute("INSERT INTO retention (municipality_id, quarter_days, day_days) VALUES (2, 90, 4000)")
        assert archive.terms(connection, "15m") == {1: 1096, 2: 90}
        assert archive.terms(connection, "1h") == {1: 3653}, "an empty one is for ever"
        assert archive.terms(connection, "1d") == {2: 4000}
        assert archive.raw_days(connection) == 400


def test_readers_are_not_waited_for(database_url: str) -> None:
    week = Week(KINDS["lamp"], date(2026, 11, 2))
    with (
        psycopg.connect(database_url, autocommit=True) as connection,
        psycopg.connect(database_url) as reader,
    ):
        connection.execute("SELECT ensure_partition(%s, %s)", [week.kind.name, week.begins])
        reader.execute("SELECT count(*) FROM reading_lamp")
        assert not archive.set_aside(connection, week)
        assert archive.weeks(connection, week.kind) == [week]
        reader.rollback()
        assert archive.set_aside(connection, week)
        assert archive.weeks(connection, week.kind) == []
        assert archive.put_back(connection, week.kind) == 1
        assert archive.weeks(connection, week.kind) == [week]
