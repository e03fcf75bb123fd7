"""Grafana's roles read their own municipality through views, and nothing that a session can say gets them further."""

from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from kraj.errors import ConfigurationError
from kraj.kpis import KPIS
from kraj.store.grafana import REGION, drop_role, ensure_role, municipality_of, role_name
from kraj.store.registry import NewAsset, NewDevice, register
from stack.database import OWNER
from tests.kraj.store.samples import AT

TOWNS = {"brno": "Brno", "zlin": "Zlín"}
READS = {
    "seen_municipality",
    "seen_asset",
    "seen_group",
    "seen_group_member",
    "seen_alert",
    "seen_device",
    "seen_quarantine",
}
"""The views made for it; the others are derived from kinds, and KPIs."""
READ = (
    "SELECT municipality_id FROM seen_municipality ORDER BY 1",
    "SELECT DISTINCT municipality_id FROM seen_asset ORDER BY 1",
    "SELECT DISTINCT municipality_id FROM seen_alert WHERE municipality_id IS NOT NULL ORDER BY 1",
    "SELECT DISTINCT municipality_id FROM seen_device ORDER BY 1",
    "SELECT DISTINCT municipality_id FROM seen_latest_lamp ORDER BY 1",
    "SELECT DISTINCT municipality_id FROM seen_group ORDER BY 1",
    "SELECT DISTINCT municipality_id FROM kpi_lighting_energy_kwh ORDER BY 1",
    "SELECT unnest(kraj_municipalities('read')) ORDER BY 1",
)


class Wall:
    """Two towns with a lamp, a group and an alert each, an alert of nobody's, an administrator of the region."""

    def __init__(self, owner: psycopg.Connection[Any], url: str) -> None:
        self.owner, self._url = owner, url
        devices = [
            NewDevice(name=f"{town}-1", municipality=town, assets={0: NewAsset(kind="lamp", label=town)})
            for town in TOWNS
        ]
        register(owner, TOWNS, devices, AT)
        owner.execute("INSERT INTO asset_group (municipality_id, name) SELECT municipality_id, 'g' FROM municipality")
        owner.execute(
            "INSERT INTO latest_lamp (asset_id, municipality_id, ts, seq, batch_id, implausible)"
            " SELECT asset_id, municipality_id, %s, 1, 1, 0 FROM asset",
            [AT],
        )
        owner.execute(
            "INSERT INTO asset_day SELECT date_trunc('day', %s::timestamptz, 'Europe/Prague'), asset_id,"
            " municipality_id, 86400, kind FROM asset",
            [AT],
        )
        owner.execute(
            "INSERT INTO alert (key, rule, scope_type, scope_name, municipality_id, asset_id, severity, active, notify,"
            " since, opened_at, changed_at) SELECT 'k' || asset_id, 'lamp_out', 'asset', asset_id::text,"
            " municipality_id, asset_id, 'major', true, true, %(at)s, %(at)s, %(at)s FROM asset"
            " UNION ALL SELECT 'grid', 'grid_outage', 'supply_area', 'x', NULL, NULL, 'critical', true, true, %(at)s,"
            " %(at)s, %(at)s",
            {"at": AT},
        )
        row = owner.execute(
            "INSERT INTO person (name, title, created_at) VALUES ('a@b', 'A', %s) RETURNING person_id", [AT]
        ).fetchone()
        assert row
        self.administrator: int = row[0]
        owner.execute(
            "INSERT INTO membership (person_id, role, valid_from) VALUES (%s, 'region_admin', '2020-01-01')", [row[0]]
        )
        self.roles = [role_name(None), *(role_name(n, town) for n, town in enumerate(TOWNS, 1))]
        for number, role in zip((None, 1, 2), self.roles, strict=True):
            ensure_role(owner, number, role, "secret of " + role, AT)

    def connect(self, role: str, password: str | None = None) -> psycopg.Connection[Any]:
        conninfo = make_conninfo(self._url, user=role, password=password or "secret of " + role)
        return psycopg.connect(conninfo, autocommit=True)


@pytest.fixture(params=["database_role_url", "database15_role_url"])
def wall(request: pytest.FixtureRequest) -> Iterator[Wall]:
    url: Callable[[str], str] = request.getfixturevalue(request.param)
    with psycopg.connect(url(OWNER), autocommit=True) as owner:
        made = Wall(owner, url("kraj_api"))
        yield made
        for role in made.roles:
            drop_role(owner, role)


def seen(connection: psycopg.Connection[Any], query: str) -> list[Any]:
    return [row[0] for row in connection.execute(query.encode()).fetchall()]


def test_a_town_sees_its_own_and_the_region_all(wall: Wall) -> None:
    region, brno, _ = wall.roles
    with wall.connect(region) as connection:
        assert [seen(connection, query) for query in READ] == [[1, 2]] * len(READ)
        assert seen(connection, "SELECT count(*) FROM seen_alert") == [3]
    with wall.connect(brno) as connection:
        assert [seen(connection, query) for query in READ] == [[1]] * len(READ)
        assert seen(connection, "SELECT count(*) FROM seen_alert") == [1]


def test_nothing_that_a_session_sets_gets_it_further(wall: Wall) -> None:
    settings = (
        f"SET kraj.principal = '{wall.administrator}'",
        "SET kraj.scopes = '*'",
        "SET \"kraj.kept_kraj_municipalities_read\" = '/={1,2}'",
        f"SET \"kraj.kept_kraj_municipalities_read\" = '{wall.administrator}/={{1,2}}'",
        f"SET \"kraj.kept_kraj_assets_read\" = '{wall.administrator}/={{1,2}}'",
        "SET ROLE kraj_grafana",
    )
    with wall.connect(wall.roles[1]) as connection:
        for setting in settings:
            connection.execute(setting.encode())
            assert [seen(connection, query) for query in READ] == [[1]] * len(READ), setting
            assert seen(connection, "SELECT asset_id FROM seen_asset") == [1], setting
        connection.execute("RESET ROLE")
        for right in ("act", "people", "register", "export"):
            assert seen(connection, f"SELECT kraj_municipalities('{right}')") == [[]]
        assert seen(connection, "SELECT kraj_region('read')") == [False]
        assert seen(connection, "SELECT kraj_principal()") == [None]
        assert seen(connection, "SELECT kraj_people()") == [[]]


FORBIDDEN = (
    "SET ROLE kraj_api",
    "SET ROLE kraj_owner",
    "SET ROLE kraj_grafana_region",
    "SET SESSION AUTHORIZATION kraj_grafana_region",
    "SELECT * FROM asset",
    "SELECT * FROM grafana_role",
    "SELECT * FROM latest_lamp",
    "SELECT * FROM person",
    "SELECT * FROM rollup_lamp_1h",
    "SELECT * FROM asset_day",
    "SELECT * FROM tariff",
    "SELECT * FROM meter_quarter",
    "UPDATE seen_asset SET label = 'mine'",
    "DELETE FROM seen_alert",
    "INSERT INTO seen_municipality (name, title) VALUES ('x', 'X')",
    "CREATE TABLE mine (x integer)",
    "CREATE ROLE somebody",
    "ALTER ROLE kraj_grafana_zlin PASSWORD 'x'",
    "GRANT kraj_grafana_zlin TO kraj_grafana_brno",
    "SELECT grant_grafana()",
    "SELECT tenant_wall('asset', 'true')",
    "COPY (SELECT 1) TO '/tmp/x'",
)


def test_a_town_can_neither_read_tables_nor_write_nor_be_somebody_else(wall: Wall) -> None:
    with wall.connect(wall.roles[1]) as connection:
        connection.execute("SET default_transaction_read_only = off")
        for statement in FORBIDDEN:
            with pytest.raises(psycopg.errors.Error) as refused:
                connection.execute(statement.encode())
            assert refused.value.sqlstate in {"42501", "55000"}, (statement, refused.value)


def test_a_session_begins_read_only_and_ends_what_takes_too_long(wall: Wall) -> None:
    with wall.connect(wall.roles[1]) as connection:
        assert seen(connection, "SHOW default_transaction_read_only") == ["on"]
        assert seen(connection, "SHOW statement_timeout") == ["30s"]
        assert seen(connection, "SELECT rolconnlimit FROM pg_roles WHERE rolname = current_user") == [20]


def test_grafana_reads_views_behind_the_wall_and_functions_that_it_needs(wall: Wall) -> None:
    """A table, an open view or a function with the owner's rights that comes within its reach fails here."""
    tables = wall.owner.execute(
        "SELECT relname, relkind::text, coalesce('security_barrier=true' = ANY (reloptions), false) FROM pg_class c"
        " WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v', 'm', 'f', 'S')"
        " AND CASE relkind WHEN 'S' THEN has_sequence_privilege('kraj_grafana', oid, 'USAGE, SELECT, UPDATE')"
        " ELSE has_any_column_privilege('kraj_grafana', oid, 'SELECT, INSERT, UPDATE, REFERENCES')"
        " OR has_table_privilege('kraj_grafana', oid, 'DELETE, TRUNCATE, TRIGGER') END"
    ).fetchall()
    assert {name for name, *_ in tables} >= READS | {kpi.view for kpi in KPIS.values()}
    assert [row for row in tables if row[1:] != ("v", True) and row[0] not in {"migration", "registry_version"}] == []
    functions = wall.owner.execute(
        "SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace AND prosecdef"
        " AND prorettype <> 'trigger'::regtype AND has_function_privilege('kraj_grafana', oid, 'EXECUTE')"
    ).fetchall()
    assert {name for (name,) in functions} <= HARMLESS


HARMLESS = {
    *("kraj_municipalities", "kraj_assets", "kraj_devices", "kraj_region", "kraj_grants", "kraj_people"),
    *("kraj_town_names", "kraj_teams", "grafana_municipalities", "price_czk_per_kwh", "co2_g_per_kwh"),
}
"""They answer for who asks, and Grafana's roles are nobody but themselves."""


def test_a_town_knows_its_own_prices_and_factors_and_nobody_elses(wall: Wall) -> None:
    wall.owner.execute(
        "INSERT INTO tariff (municipality_id, name, direction, czk_per_kwh, valid_from, source, who, at)"
        " SELECT municipality_id, 'x', 'import', municipality_id, '2020-01-01', 'x', 'x', %s FROM municipality",
        [AT],
    )
    wall.owner.execute(
        "INSERT INTO co2_factor (municipality_id, g_per_kwh, valid_from, source, who, at)"
        " SELECT nullif(municipality_id, 2), 100 * municipality_id, '2020-01-01', 'x', 'x', %s FROM municipality",
        [AT],
    )  # Zlín goes by the region's
    asked = (
        "SELECT price_czk_per_kwh(n, a, '2026-11-21', 'import') FROM generate_series(1, 2) n, unnest(ARRAY[1, 2]) a"
        " ORDER BY n, a",
        "SELECT co2_g_per_kwh(n, '2026-11-21') FROM generate_series(1, 2) n ORDER BY n",
    )
    wanted = ([[1, 1, 2, 2], [100, 200]], [[1, 1, None, None], [100, None]], [[None, None, 2, 2], [None, 200]])
    for role, answers in zip(wall.roles, wanted, strict=True):
        with wall.connect(role) as connection:
            connection.execute(f"SET kraj.principal = '{wall.administrator}'".encode())
            assert [seen(connection, query) for query in asked] == answers, role


def test_making_a_role_again_changes_nothing_until_its_password_is_another(wall: Wall) -> None:
    _, brno, _ = wall.roles
    assert not ensure_role(wall.owner, 1, brno, "secret of " + brno, AT)
    assert ensure_role(wall.owner, 1, brno, "a new one", AT)
    with pytest.raises(psycopg.OperationalError):
        wall.connect(brno)
    with wall.connect(brno, "a new one") as connection:
        drop_role(wall.owner, brno)
        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT 1")
    drop_role(wall.owner, brno)


def test_a_role_without_a_municipality_sees_nothing(wall: Wall) -> None:
    with wall.connect(wall.roles[1]) as connection:
        wall.owner.execute("DELETE FROM grafana_role")
        assert [seen(connection, query) for query in READ] == [[]] * len(READ)


def test_names_of_roles_fit_and_are_never_anothers() -> None:
    assert role_name(3, "brno") == "kraj_grafana_brno"
    assert role_name(3, "region") == "kraj_grafana_town_3" != REGION
    assert role_name(3, "x" * 63) == "kraj_grafana_town_3"
    assert len(role_name(3, "x" * 50)) == 63


def test_an_unknown_municipality_is_said(database_url: str) -> None:
    with psycopg.connect(database_url) as owner, pytest.raises(ConfigurationError, match="nowhere"):
        municipality_of(owner, "nowhere")
