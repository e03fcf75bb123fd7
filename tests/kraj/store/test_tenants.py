"""The wall between municipalities stands in the database: each sees its own and what was granted, until it was."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from psycopg import sql

from kraj.kinds import KINDS
from kraj.kpis import KPIS
from kraj.metrics import Rollup
from kraj.store import open_views, public_quarters, public_views
from kraj.store.registry import NewAsset, NewDevice, register
from kraj.store.rollup_schema import STEPS, booked_view
from stack.database import OWNER
from tests.kraj.store.samples import AT

TOWNS = {"brno": "Brno", "zlin": "Zlín"}


class Region:
    """Two towns with two lamps each, lamp 1 and 2 in Brno, 3 and 4 in Zlín, each with a reading and an alert."""

    def __init__(self, owner: psycopg.Connection[Any], api: psycopg.Connection[Any]) -> None:
        self.owner = owner
        self.api = api
        devices = [
            NewDevice(name=f"{town}-{n}", municipality=town, assets={0: NewAsset(kind="lamp", label=f"{town} {n}")})
            for town in TOWNS
            for n in (1, 2)
        ]
        register(owner, TOWNS, devices, AT)
        owner.execute("SELECT ensure_partition('lamp', date_trunc('week', %s::timestamptz)::date)", [AT])
        for table in ("reading_lamp", "latest_lamp"):
            owner.execute(
                f"INSERT INTO {table} (asset_id, municipality_id, ts, seq, batch_id, implausible, power_w)"
                " SELECT asset_id, municipality_id, %s, 1, 1, 0, 40 FROM asset",
                [AT],
            )
        owner.execute(
            "INSERT INTO alert (key, rule, scope_type, scope_name, municipality_id, asset_id, severity, active, notify,"
            " since, opened_at, changed_at) SELECT 'k' || asset_id, 'lamp_out', 'asset', asset_id::text,"
            " municipality_id, asset_id, 'major', true, true, %(at)s, %(at)s, %(at)s FROM asset",
            {"at": AT},
        )
        self._people = 0

    def person(self, role: str | None = None, town: int | None = None, *, until: datetime | None = None) -> int:
        self._people += 1
        row = self.owner.execute(
            "INSERT INTO person (name, title, created_at) VALUES (%s, 'Somebody', %s) RETURNING person_id",
            [f"somebody{self._people}@example.org", AT],
        ).fetchone()
        assert row
        if role is not None:
            self.owner.execute(
                "INSERT INTO membership (person_id, municipality_id, role, valid_from, valid_to)"
                " VALUES (%s, %s, %s, %s, %s)",
                [row[0], town, role, AT - timedelta(days=400), until],
            )
        return row[0]

    def grant(self, to: str, value: int | bool, *, rights: list[str], group: int | None = None, days: int = 1) -> int:
        now = datetime.now(UTC)
        row = self.owner.execute(
            sql.SQL(
                "INSERT INTO access_grant (municipality_id, {}, group_id, rights, valid_from, valid_to, who)"
                " VALUES (2, %s, %s, %s, %s, %s, 'mayor') RETURNING grant_id"
            ).format(sql.Identifier(to)),
            [value, group, rights, now - timedelta(days=9), now + timedelta(days=days)],
        ).fetchone()
        assert row
        return row[0]

    def ask(self, person: int | None, query: str, *, scopes: str = "*", parameters: Any = None) -> list[Any]:
        """What the API's role is given in the name of somebody; nothing is kept."""
        with self.api.transaction(force_rollback=True):
            if person is not None:
                self.api.execute(
                    "SELECT set_config('kraj.principal', %s, true), set_config('kraj.scopes', %s, true)",
                    [str(person), scopes],
                )
            cursor = self.api.execute(query.encode(), parameters)
            return [row[0] for row in cursor.fetchall()] if cursor.description else [cursor.rowcount]

    def assets(self, person: int | None, **more: Any) -> list[Any]:
        return self.ask(person, "SELECT asset_id FROM asset ORDER BY 1", **more)


@pytest.fixture
def region(database_role_url: Callable[[str], str]) -> Iterator[Region]:
    with (
        psycopg.connect(database_role_url(OWNER), autocommit=True) as owner,
        psycopg.connect(database_role_url("kraj_api"), autocommit=True) as api,
    ):
        yield Region(owner, api)


READ = (
    "SELECT asset_id FROM asset ORDER BY 1",
    "SELECT asset_id FROM seen_reading_lamp ORDER BY 1",
    "SELECT asset_id FROM seen_latest_lamp ORDER BY 1",
    "SELECT asset_id FROM installed ORDER BY 1",
    "SELECT device_id FROM device ORDER BY 1",
    "SELECT asset_id FROM alert ORDER BY 1",
)


def test_without_a_principal_nothing_is_seen(region: Region) -> None:
    assert [region.ask(None, query) for query in READ] == [[]] * len(READ)
    assert [region.ask(4711, query) for query in READ] == [[]] * len(READ)


def test_a_town_sees_its_own_and_a_region_sees_all(region: Region) -> None:
    viewer, regional = region.person("viewer", 1), region.person()
    assert [region.ask(viewer, query) for query in READ] == [[1, 2]] * len(READ)
    assert region.assets(regional) == []  # a person without a role
    region.owner.execute(
        "INSERT INTO membership (person_id, role, valid_from) VALUES (%s, 'viewer', %s)", [regional, AT]
    )
    assert [region.ask(regional, query) for query in READ] == [[1, 2, 3, 4]] * len(READ)


def test_a_membership_that_is_over_opens_nothing(region: Region) -> None:
    assert region.assets(region.person("viewer", 1, until=AT - timedelta(days=1))) == []


def test_somebody_disabled_sees_nothing_at_once(region: Region) -> None:
    viewer = region.person("viewer", 1)
    region.owner.execute("UPDATE person SET disabled_at = now() WHERE person_id = %s", [viewer])
    assert region.assets(viewer) == []


@pytest.mark.parametrize("to", ["person_id", "team_id", "to_region"])
def test_a_grant_opens_a_town_to_a_person_a_team_or_the_region_until_it_is_over(region: Region, to: str) -> None:
    guest = region.person("crew", 1)
    value: int | bool = guest
    if to == "team_id":
        region.owner.execute("INSERT INTO team (name) VALUES ('Elektro Novák')")
        region.owner.execute("INSERT INTO team_member (team_id, person_id) VALUES (1, %s)", [guest])
        value = 1
    elif to == "to_region":
        region.owner.execute(
            "INSERT INTO membership (person_id, role, valid_from) VALUES (%s, 'crew', %s)", [guest, AT]
        )
        region.owner.execute("UPDATE membership SET valid_to = now() WHERE municipality_id IS NULL")
        assert region.assets(guest) == [1, 2]
        region.owner.execute("UPDATE membership SET valid_to = NULL WHERE municipality_id IS NULL")
        value = True
    granted = region.grant(to, value, rights=["read", "act"])
    assert region.assets(guest) == [1, 2, 3, 4]
    region.owner.execute("UPDATE access_grant SET valid_to = now() WHERE grant_id = %s", [granted])
    assert region.assets(guest) == ([1, 2, 3, 4] if to == "to_region" else [1, 2])  # the region sees it by its role


def test_a_grant_of_a_group_opens_its_assets_alone(region: Region) -> None:
    guest = region.person("crew", 1)
    region.owner.execute("INSERT INTO asset_group (municipality_id, name) VALUES (2, 'Náměstí')")
    region.owner.execute("INSERT INTO asset_group_member (group_id, asset_id) VALUES (1, 4)")
    region.grant("person_id", guest, rights=["read"], group=1)
    assert [region.ask(guest, query) for query in READ] == [[1, 2, 4]] * len(READ)


def test_a_grant_that_begins_later_or_of_another_right_opens_nothing(region: Region) -> None:
    guest = region.person("crew", 1)
    region.grant("person_id", guest, rights=["act"])
    assert region.assets(guest) == [1, 2]


def test_a_token_does_no_more_than_its_scopes(region: Region) -> None:
    admin = region.person("municipality_admin", 1)
    assert region.assets(admin, scopes="read") == [1, 2]
    assert region.assets(admin, scopes="export") == []
    rename = "UPDATE alert SET state = 'acknowledged'"
    assert region.ask(admin, rename, scopes="read") == [0]
    assert region.ask(admin, rename, scopes="read,act") == [2]


def test_who_may_only_read_changes_nothing(region: Region) -> None:
    viewer, crew = region.person("viewer", 1), region.person("crew", 1)
    acknowledge = "UPDATE alert SET state = 'acknowledged'"
    assert region.ask(viewer, acknowledge) == [0]
    assert region.ask(crew, acknowledge) == [2]
    note = "INSERT INTO alert_event (alert_id, at, step, who) SELECT alert_id, now(), 'noted', 'x' FROM alert"
    assert region.ask(crew, note) == [2]
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        region.ask(viewer, note)


def test_nobody_makes_himself_more_than_he_is(region: Region) -> None:
    crew, admin = region.person("crew", 1), region.person("municipality_admin", 1)
    join = "INSERT INTO membership (person_id, municipality_id, role, valid_from) VALUES (%s, %s, %s, now())"
    for person, town, role in ((crew, 1, "municipality_admin"), (admin, 2, "viewer"), (admin, None, "region_admin")):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            region.ask(person, join, parameters=[person, town, role])
    assert region.ask(admin, join, parameters=[crew, 1, "viewer"]) == [1]


def test_a_region_administrator_cannot_hide_behind_a_session_wide_setting(region: Region) -> None:
    admin, viewer = region.person("region_admin"), region.person("viewer", 1)
    region.ask(admin, "SELECT 1")
    assert region.assets(None) == []
    assert region.assets(viewer) == [1, 2]


def test_passwords_and_second_factors_are_read_by_nobody_of_the_api(region: Region) -> None:
    admin = region.person("region_admin")
    for column in ("password", "totp_secret"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            region.ask(admin, f"SELECT {column} FROM person")


def test_every_table_that_the_api_reads_stands_behind_the_wall(region: Region) -> None:
    """A table or view that is readable without the wall fails here, whoever adds it."""
    rows = region.owner.execute(
        """
        SELECT r.rolname, c.relname, c.relkind, c.relrowsecurity AND c.relforcerowsecurity,
               coalesce('security_barrier=true' = ANY (c.reloptions), false)
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        CROSS JOIN pg_roles r
        WHERE n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast') AND r.rolname = 'kraj_api'
            AND c.relkind IN ('r', 'p', 'v', 'm', 'f') AND has_any_column_privilege(r.rolname, c.oid, 'SELECT')
        """
    ).fetchall()
    derived = {table for kind in KINDS.values() for table in (kind.reading_table, kind.latest_table)}
    derived |= {k.rollup_table(step, group=g) for k in KINDS.values() for step in STEPS for g in (False, True)}
    seen = {f"seen_{table}" for table in derived} | {v for k in KPIS.values() for v in (k.view, k.days_view)}
    seen |= {booked_view(kind) for kind in KINDS.values() if any(m.rolled is Rollup.INCREASE for m in kind.metrics)}
    seen.add("seen_metering_point")
    assert seen <= {name for _, name, *_ in rows}
    open_ones = {
        name
        for _, name, relkind, walled, barrier in rows
        if not (walled if relkind in "rp" else name in seen and barrier)
    }
    assert open_ones <= OPEN | PUBLIC
    assert not {name for _, name, *_ in rows} & derived


OPEN = {"registry_version", "migration"}
"""Readable by everybody on purpose: numbers that say nothing of anybody."""
PUBLIC = {*public_views.VIEWS, *public_quarters.views(), *open_views.VIEWS}
"""For everybody on purpose, past the wall: only what is harmless, of municipalities that are published."""


def test_every_wall_also_stands_for_what_is_written(region: Region) -> None:
    """With the right to write comes a policy with a check for it, or nothing can be written."""
    rows = region.owner.execute(
        """
        SELECT p.tablename, p.policyname, p.cmd, p.with_check, p.qual FROM pg_policies p
        WHERE p.policyname IN ('made', 'changed', 'dropped')
        """
    ).fetchall()
    assert rows
    for table, policy, command, check, condition in rows:
        assert (check or condition) not in (None, "true"), (table, policy, command)
