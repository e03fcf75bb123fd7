"""Migrations: run twice or in two places they do the same, and they refuse what they cannot mend."""

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest

from kraj.errors import ConfigurationError, UnavailableError
from kraj.kinds import KINDS, LAMP
from kraj.metrics import Kind, Metric, Title, Type
from kraj.store.migrate import migrate, migrations, table_columns
from kraj.units import Unit

EMPTY = ["empty_url", "empty15_url"]
NAMES = [f"{m.number:04} {m.name}" for m in migrations()]
NEW = Metric("hum_v", Unit.VOLT, Title(cs="Brum", en="Hum"), possible=(0, 10))


def with_metrics(*metrics: Metric) -> Kind:
    return replace(LAMP, metrics=metrics)


def column_types(url: str, *tables: str) -> list[str | None]:
    with psycopg.connect(url) as connection:
        return [table_columns(connection, table).get(NEW.name) for table in tables]


@pytest.mark.parametrize("url", EMPTY)
def test_an_empty_database_gets_everything_and_a_migrated_one_nothing(request: pytest.FixtureRequest, url: str) -> None:
    address = request.getfixturevalue(url)
    assert migrate(address) == [*NAMES, *(kind.reading_table for kind in KINDS.values())]
    assert migrate(address) == []


def test_two_at_once_do_it_once(empty_url: str) -> None:
    with ThreadPoolExecutor(3) as pool:
        done = sorted(pool.map(migrate, [empty_url] * 3), key=len)
    assert done[:2] == [[], []]
    assert len(done[2]) == len(NAMES) + len(KINDS)


@pytest.mark.parametrize("url", ["database_url", "database15_url"])
def test_a_new_metric_becomes_a_column_also_of_partitions_that_are_there(
    request: pytest.FixtureRequest, url: str
) -> None:
    address = request.getfixturevalue(url)
    with psycopg.connect(address) as connection:
        connection.execute("SELECT ensure_partition('lamp', '2026-11-16')")
    kind = with_metrics(*LAMP.metrics, NEW)
    assert migrate(address, [kind]) == ["reading_lamp.hum_v", "latest_lamp.hum_v"]
    assert column_types(address, "reading_lamp", "latest_lamp", "reading_lamp_2026w47") == ["real"] * 3
    with psycopg.connect(address) as connection:
        connection.execute("SELECT ensure_partition('lamp', '2026-11-23')")
    assert column_types(address, "reading_lamp_2026w48") == ["real"]
    assert migrate(address, [kind]) == []


def test_a_new_kind_becomes_tables_that_can_have_partitions(database_url: str) -> None:
    kind = replace(LAMP, name="bench")
    assert migrate(database_url, [*KINDS.values(), kind]) == ["reading_bench"]
    with psycopg.connect(database_url) as connection:
        assert connection.execute("SELECT ensure_partition('bench', '2026-11-16')").fetchone() == (True,)


def test_a_metric_that_was_removed_is_refused_and_nothing_is_half_done(database_url: str) -> None:
    kind = with_metrics(*(m for m in LAMP.metrics if m.name != "tilt_deg"), NEW)
    with pytest.raises(ConfigurationError, match=r"reading_lamp\.tilt_deg .*put 'tilt_deg' back into kraj/kinds/lamp"):
        migrate(database_url, [kind])
    assert column_types(database_url, "reading_lamp", "latest_lamp") == [None, None]


def test_a_metric_that_changed_its_type_is_refused(database_url: str) -> None:
    metrics = [replace(m, type=Type.INTEGER) if m.name == "tilt_deg" else m for m in LAMP.metrics]
    with pytest.raises(ConfigurationError, match=r"tilt_deg is real in the database and integer in the kind"):
        migrate(database_url, [with_metrics(*metrics)])


def test_a_migration_that_was_edited_after_it_was_applied_is_refused(owner: psycopg.Connection[Any]) -> None:
    owner.execute("UPDATE migration SET checksum = 'of another text' WHERE number = 2")
    with pytest.raises(ConfigurationError, match="migration 0002 registry was edited after it was applied; restore"):
        migrate(dsn(owner))


def test_a_database_of_a_newer_version_is_refused(owner: psycopg.Connection[Any]) -> None:
    owner.execute("INSERT INTO migration (number, name, checksum) VALUES (9999, 'future', '')")
    with pytest.raises(ConfigurationError, match="the database has migration 9999, this version does not: upgrade"):
        migrate(dsn(owner))


def dsn(connection: psycopg.Connection[Any]) -> str:
    return f"{connection.info.dsn} password={connection.info.password}"


@pytest.mark.parametrize(
    "names",
    [
        ["0001_a.sql", "0003_c.sql"],
        ["0002_b.sql"],
        ["0001_a.sql", "0001_b.sql"],
    ],
)
def test_a_gap_or_a_number_used_twice_is_refused(tmp_path: Path, names: list[str]) -> None:
    for name in names:
        (tmp_path / name).write_text("SELECT 1")
    with pytest.raises(ConfigurationError, match="numbered without gaps"):
        migrations(tmp_path)


def test_only_numbered_files_are_migrations_and_they_come_in_order(tmp_path: Path) -> None:
    for name in ("0002_b.sql", "0001_a.sql", "README.md", "0003_c.sql.orig"):
        (tmp_path / name).write_text(name)
    assert [(m.number, m.name, m.text) for m in migrations(tmp_path)] == [
        (1, "a", "0001_a.sql"),
        (2, "b", "0002_b.sql"),
    ]


def test_a_server_that_is_away_is_the_worlds_fault(empty_url: str) -> None:
    with pytest.raises(UnavailableError, match="database: "):
        migrate(re.sub("port=[0-9]+", "port=1", empty_url))


def test_a_table_that_somebody_holds_is_not_waited_for_and_nothing_is_half_done(owner: psycopg.Connection[Any]) -> None:
    with owner.transaction():
        owner.execute("SELECT * FROM latest_lamp")  # what any open transaction of a reader has done
        with pytest.raises(UnavailableError, match=r"lock timeout: another session holds a table .* Stop ingest"):
            migrate(dsn(owner), [with_metrics(*LAMP.metrics, NEW)], lock_timeout_s=0.2)
    assert column_types(dsn(owner), "reading_lamp", "latest_lamp") == [None, None]
    assert migrate(dsn(owner), [with_metrics(*LAMP.metrics, NEW)]) == ["reading_lamp.hum_v", "latest_lamp.hum_v"]


EVENT = '{"event": "sos_pressed", "boot": %s, "seq": %s, "ts": %s}'


@pytest.mark.parametrize("url", ["database_url", "database15_url"])
def test_events_that_were_told_twice_become_one_and_others_stay(request: pytest.FixtureRequest, url: str) -> None:
    (once,) = (m for m in migrations() if m.name == "event_once")
    told = [("1", "5", "7"), ("1", "5", "7"), ("1", "6", "7"), ("2", "5", "7"), ("2", "9", "null"), ("2", "9", "null")]
    vague = [("null", "3", "null")] * 2 + [("4", "null", "null")] * 2
    with psycopg.connect(request.getfixturevalue(url)) as connection:
        connection.execute("INSERT INTO municipality (name, title) VALUES ('brno', 'Brno')")
        connection.execute(
            "INSERT INTO device (name, municipality_id) SELECT 'lamp-1', municipality_id FROM municipality"
        )
        connection.execute("DROP INDEX device_event_once")
        for body in [EVENT % one for one in told + vague]:
            connection.execute(
                "INSERT INTO device_event (device_id, municipality_id, received_at, channel, body, batch_id)"
                " SELECT device_id, 1, '2026-11-16', 'event', %s, 1 FROM device",
                [body],
            )
        connection.execute(once.text.encode())
        left = connection.execute("SELECT event_id - min(event_id) OVER () FROM device_event ORDER BY 1").fetchall()
    assert [n for (n,) in left] == [0, 2, 3, 4, 6, 7, 8, 9], "what carries no numbers cannot be told apart"


def test_whoever_may_not_migrate_is_told_who_may(database_role_url: Callable[[str], str]) -> None:
    with pytest.raises(ConfigurationError, match="migrate as the owner of the database"):
        migrate(database_role_url("kraj_ingest"))
