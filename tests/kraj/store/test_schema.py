"""The schema is what the kinds declare, on the newest and the oldest server, and each role can do what it must only."""

import contextlib
from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from psycopg import errors

from kraj.kinds import KINDS
from kraj.metrics import Kind, Type
from kraj.store.migrate import table_columns
from kraj.store.schema import CORE_COLUMNS, WIDTH_BYTES, columns, create_statements

DATABASES = ["database_url", "database15_url"]


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.name)
@pytest.mark.parametrize("url", DATABASES)
def test_the_tables_have_the_columns_of_their_kind(request: pytest.FixtureRequest, url: str, kind: Kind) -> None:
    with psycopg.connect(request.getfixturevalue(url)) as connection:
        for table in (kind.reading_table, kind.latest_table):
            found = table_columns(connection, table)
            assert list(found.items()) == [(column.name, column.sql) for column in columns(kind)]
            null = connection.execute(
                "SELECT attname, NOT attnotnull FROM pg_attribute WHERE attrelid = to_regclass(%s) AND attnum > 0",
                [table],
            ).fetchall()
            assert dict(null) == {column.name: column.nullable for column in columns(kind)}


@pytest.mark.parametrize("url", DATABASES)
def test_the_servers_are_two_versions(request: pytest.FixtureRequest, url: str) -> None:
    with psycopg.connect(request.getfixturevalue(url)) as connection:
        assert connection.info.server_version // 10_000 == (18 if url == "database_url" else 15)


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.name)
def test_columns_stand_widest_first_and_every_metric_once(kind: Kind) -> None:
    metrics = columns(kind)[len(CORE_COLUMNS) :]
    assert columns(kind)[: len(CORE_COLUMNS)] == CORE_COLUMNS
    assert sorted(column.name for column in metrics) == sorted(metric.name for metric in kind.metrics)
    widths = [WIDTH_BYTES[column.sql] for column in metrics]
    assert widths == sorted(widths, reverse=True)
    assert {metric.type.sql for metric in kind.metrics} | {c.sql for c in CORE_COLUMNS} <= WIDTH_BYTES.keys()
    assert all(metric.type in Type for metric in kind.metrics)


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.name)
def test_a_hypertable_differs_in_its_creation_only(kind: Kind) -> None:
    """Text only: no server with the extension is at hand here."""
    plain, hyper = create_statements(kind, hypertable=False), create_statements(kind, hypertable=True)
    table = kind.reading_table
    assert plain[0] == hyper[0] + " PARTITION BY RANGE (ts)"
    assert hyper[1] == f"SELECT create_hypertable('{table}', by_range('ts', INTERVAL '7 days'))"
    assert hyper[2:-2] == plain[1:]
    assert hyper[-2].startswith(f"ALTER TABLE {table} SET (timescaledb.enable_columnstore, ")
    assert hyper[-1] == f"CALL add_columnstore_policy('{table}', after => INTERVAL '30 days')"
    assert f"CREATE UNIQUE INDEX {table}_key ON {table} (asset_id, ts, seq)" in plain


Connect = Callable[[str], psycopg.Connection[Any]]


def allowed(connection: psycopg.Connection[Any], role: str) -> dict[str, set[str]]:
    """Table → what the role may do with it, partitions and views included."""
    rows = connection.execute(
        "SELECT relname, privilege FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace,"
        " unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER']) AS privilege"
        " WHERE nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')"
        " AND relkind IN ('r', 'p', 'v', 'm', 'f')"
        " AND has_table_privilege(%s, c.oid, privilege)",
        [role],
    )
    found: dict[str, set[str]] = {}
    for table, privilege in rows:
        found.setdefault(table, set()).add(privilege)
    return found


READ_BY_INGEST = {
    *("municipality", "asset", "device", "installed", "asset_group", "asset_group_member", "registry_version"),
    *("maintenance_window", "rule_mute", "rule_override", "custom_rule", "device_life", "mapping", "pull"),
    *(
        "dimming_program",
        "lighting_segment",
        "lamp_program",
        "lighting_order",
        "segment_behind",
        "rollout",
        "safety_lock",
    ),
    *("command", "device_command", "desired", "desired_left"),
    *("firmware_release", "firmware_container", "firmware_campaign", "firmware_update"),
}
"""Of the last four rows it writes single columns: how far a program, a command and a release have got."""
READ_BY_THE_API = {
    *("slot", "device_status", "device_event", "quarantine", "quarantine_overflow", "unknown_key", "resend"),
    *("alert", "outbox", "delivery", "device", "installed", "audit_entry", "device_life"),
}
"""What others write; of alerts, devices and installations the API writes single columns."""
COLUMNS_OF_THE_API = {
    "alert": {"state", "assignee", "changed_at", "fixed_at", "closed_at", "cause", "spare_part", "version"},
    "device": {"state"},
    "installed": {"valid_to"},
    "asset": {"label", "latitude", "longitude", "metadata", "municipality_id", "retired_at"},
    "municipality": {"title"},
    "access_token": {"revoked_at"},
    "device_certificate": {"revoked_at", "reason"},
}
"""Not what telemetry says, nor what a thing is, nor whom an alert concerns."""


@pytest.mark.parametrize("url", DATABASES)
def test_the_api_may_write_what_people_say_and_nothing_that_telemetry_says(
    request: pytest.FixtureRequest, url: str
) -> None:
    with psycopg.connect(request.getfixturevalue(url)) as connection:
        connection.execute("SELECT ensure_partition('lamp', '2026-11-16')")
        may = allowed(connection, "kraj_api")
        assert set[str]().union(*may.values()) == {"SELECT", "INSERT", "UPDATE", "DELETE"}
        assert not [table for table in may if table.startswith(("reading_", "latest_"))], "readings go by the views"
        views = {view for kind in KINDS.values() for view in (kind.reading_view, kind.latest_view)}
        assert {table: may[table] for table in views | READ_BY_THE_API} == {
            table: {"SELECT"} for table in views | READ_BY_THE_API
        }
        assert may["rule_failure"] == {"SELECT", "DELETE"}, "to have it tried again; never what has failed"
        for secret in ("person", "one_time_code", "recovery_code", "sign_in_attempt", "audit_head", "rule_checkpoint"):
            assert secret not in may
        for table, columns in COLUMNS_OF_THE_API.items():
            rows = connection.execute(
                "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0"
                " AND has_column_privilege('kraj_api', attrelid, attnum, 'UPDATE')",
                [table],
            ).fetchall()
            assert {name for (name,) in rows} == columns, table
        assert not any(
            row[0] for row in connection.execute(
                "SELECT has_sequence_privilege('kraj_api', c.oid, p) FROM pg_class c, unnest(ARRAY['USAGE', 'UPDATE'])"
                " AS p WHERE relkind = 'S'"
            )
        )  # fmt: skip
        rights = connection.execute(
            "SELECT has_schema_privilege('kraj_api', 'public', 'CREATE'),"
            " has_function_privilege('kraj_api', 'ensure_partition(text, date)', 'EXECUTE')"
        ).fetchone()
        assert rights == (False, False)


@pytest.mark.parametrize("url", DATABASES)
def test_ingest_may_add_and_never_take_away(request: pytest.FixtureRequest, url: str) -> None:
    with psycopg.connect(request.getfixturevalue(url)) as connection:
        connection.execute("SELECT ensure_partition('lamp', '2026-11-16')")
        may = allowed(connection, "kraj_ingest")
        assert set[str]().union(*may.values()) == {"SELECT", "INSERT", "UPDATE"}
        assert sorted(table for table, rights in may.items() if rights == {"SELECT"}) == sorted(READ_BY_INGEST)
        append_only = {table for table, rights in may.items() if rights == {"SELECT", "INSERT"}}
        kept = {kind.reading_table for kind in KINDS.values()} | {"alert_event"}
        assert append_only == kept, "neither a reading nor a step of an alert is ever changed"
        assert "migration" not in may
        assert connection.execute("SELECT has_schema_privilege('kraj_ingest', 'public', 'CREATE')").fetchone() == (
            False,
        )


@pytest.mark.parametrize("role", ["kraj_ingest", "kraj_api", "kraj_notify"])
def test_a_role_is_nothing_more_than_itself(owner: psycopg.Connection[Any], role: str) -> None:
    row = owner.execute(
        "SELECT rolsuper, rolcreaterole, rolcreatedb, rolreplication, rolbypassrls,"
        " EXISTS (SELECT FROM pg_auth_members WHERE member = pg_roles.oid) FROM pg_roles WHERE rolname = %s",
        [role],
    ).fetchone()
    assert row == (False,) * 6
    owned = owner.execute("SELECT relname FROM pg_class WHERE relowner = %s::regrole", [role]).fetchall()
    assert owned == []


FORBIDDEN_TO_BOTH = (
    "CREATE TABLE mine (a int)",
    "CREATE SCHEMA mine",
    "CREATE ROLE mine",
    "CREATE FUNCTION mine() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "CREATE TRIGGER t AFTER INSERT ON quarantine EXECUTE FUNCTION raise_registry_version()",
    "ALTER TABLE reading_lamp ADD COLUMN mine int",
    "ALTER TABLE quarantine DROP COLUMN payload",
    "DROP TABLE reading_lamp",
    "DROP FUNCTION ensure_partition",
    "TRUNCATE reading_lamp",
    "DELETE FROM reading_lamp",
    "DELETE FROM quarantine",
    "UPDATE reading_lamp SET power_w = 0",
    "UPDATE device SET name = 'other'",
    "INSERT INTO municipality (name, title) VALUES ('evil', 'Evil')",
    "UPDATE registry_version SET version = 0",
    "SELECT * FROM migration",
    "SELECT * FROM pg_authid",
    "SELECT pg_read_file('postgresql.conf')",
    "COPY (SELECT 1) TO PROGRAM 'true'",
    "SET ROLE kraj_owner",
)
FORBIDDEN_TO_THE_API = (
    "INSERT INTO slot (name) VALUES ('slot_9')",
    "UPDATE slot SET committed = 0",
    "INSERT INTO quarantine_overflow VALUES ('a', '2026-11-21', 'shape', 1, '2026-11-21')",
    "SELECT nextval('batch_id_seq')",
    "SELECT ensure_partition('lamp', '2026-11-16')",
    "SELECT * FROM boot_epoch",
)


@pytest.mark.parametrize(
    ("role", "forbidden"),
    [("kraj_ingest", FORBIDDEN_TO_BOTH), ("kraj_api", FORBIDDEN_TO_BOTH + FORBIDDEN_TO_THE_API)],
)
def test_what_a_role_must_not_do_is_refused(
    database_role_url: Callable[[str], str], role: str, forbidden: tuple[str, ...]
) -> None:
    done: list[str] = []
    with psycopg.connect(database_role_url(role), autocommit=True) as connection:
        for statement in forbidden:
            with contextlib.suppress(errors.InsufficientPrivilege):
                connection.execute(statement.encode())
                done.append(statement)
    assert done == []
