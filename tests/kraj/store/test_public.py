"""What anybody may know: of published municipalities alone, nothing personal, no presence, no SOS, no doors."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from kraj.store import open_views, public_quarters, public_views
from kraj.store.registry import NewAsset, NewDevice, register
from stack.database import OWNER

AT = datetime(2026, 11, 21, 18, tzinfo=UTC)
FORBIDDEN = ("sos", "door", "presence", "wifi_clients", "shock", "tilt", "person", "email", "who", "device", "power_w")
DEVICES = [
    NewDevice(
        name=f"{town}-{n}",
        municipality=town,
        assets={
            0: NewAsset(
                kind=kind,
                label=f"{kind} {n}",
                latitude=49.2,
                longitude=16.6,
                metadata={"street": "Nádražní", "feeder": "F-1", "driver_model": "secret", "voice": 1},
            )
        },
    )
    for town in ("brno", "zlin")
    for n, kind in enumerate(("lamp", "lamp", "stop", "solar"))
]


@pytest.fixture
def owner(database_role_url: Callable[[str], str]) -> Iterator[psycopg.Connection[Any]]:
    """Two towns with two lamps on a feeder, a stop and a roof each; one lamp of each is dark."""
    with psycopg.connect(database_role_url(OWNER), autocommit=True) as connection:
        register(connection, {"brno": "Brno", "zlin": "Zlín"}, DEVICES, AT - timedelta(days=30))
        connection.execute(
            "INSERT INTO latest_stop (asset_id, municipality_id, ts, seq, batch_id, implausible, light_level_pct,"
            " wifi_up, display_refresh_ok, display_content_age_s, usb1_state, usb2_state, presence_bucket, sos_pressed,"
            " door_open, voice_selftest_ok, voice_receiver_ok) SELECT asset_id, municipality_id, %s, 1, 1, 0, 30, true,"
            " true, 90, 3, 1, 0, true, true, true, false FROM asset WHERE kind = 'stop'",
            [AT],
        )
        alert(connection, "lamp_out", "asset")
        yield connection


def alert(connection: psycopg.Connection[Any], rule: str, scope_type: str, scope_name: str | None = None) -> None:
    """On the first lamp of each town."""
    connection.execute(
        "INSERT INTO alert (key, rule, scope_type, scope_name, municipality_id, asset_id, severity, active, notify,"
        " since, opened_at, changed_at, assignee) SELECT %(rule)s || asset_id, %(rule)s, %(type)s,"
        " coalesce(%(name)s, asset_id::text), municipality_id, CASE WHEN %(name)s IS NULL THEN asset_id END, 'major',"
        " true, true, %(at)s, %(at)s, %(at)s, 'Karel' FROM asset WHERE label = 'lamp 0'",
        {"rule": rule, "type": scope_type, "name": scope_name, "at": AT},
    )


@pytest.fixture
def api(database_role_url: Callable[[str], str], owner: psycopg.Connection[Any]) -> Iterator[psycopg.Connection[Any]]:
    """The API's role with nobody signed in."""
    with psycopg.connect(database_role_url("kraj_api"), autocommit=True) as connection:
        yield connection


def rows(connection: psycopg.Connection[Any], query: str) -> list[Any]:
    return connection.execute(query.encode()).fetchall()


def test_no_view_has_a_column_of_what_is_nobodys_business(api: psycopg.Connection[Any]) -> None:
    for view in public_views.VIEWS:
        names = {column.name for column in api.execute(f"SELECT * FROM {view} LIMIT 0".encode()).description or ()}
        assert names
        assert {name for name in names if any(word in name for word in FORBIDDEN)} == set(), view
        whole = str(rows(api, f"SELECT row_to_json(v) FROM {view} v"))
        assert "secret" not in whole
        assert "Karel" not in whole, "nobody's name"


def test_a_stop_tells_passengers_what_works(api: psycopg.Connection[Any]) -> None:
    found = rows(api, "SELECT municipality, lit, wifi_up, display_truthful, charging, voice, heard_at FROM public_stop")
    assert sorted(found) == [(town, True, True, True, True, False, AT) for town in ("brno", "zlin")]


def test_what_a_stop_has_not_told_is_unknown(api: psycopg.Connection[Any], owner: psycopg.Connection[Any]) -> None:
    owner.execute(
        "UPDATE latest_stop SET usb1_state = NULL, usb2_state = NULL, wifi_up = NULL, display_content_age_s = 601;"
        "UPDATE asset SET metadata = metadata - 'voice'"
    )
    assert set(rows(api, "SELECT wifi_up, display_truthful, charging, voice FROM public_stop")) == {
        (None, False, None, None)
    }
    owner.execute("UPDATE latest_stop SET municipality_id = 3 - municipality_id")
    assert set(rows(api, "SELECT heard_at FROM public_stop")) == {(None,)}, (
        "another owner's readings are not this one's"
    )


def test_lamps_are_dark_by_their_own_alert_or_by_that_of_their_feeder(
    api: psycopg.Connection[Any], owner: psycopg.Connection[Any]
) -> None:
    dark = "SELECT municipality, lamps, lamps_dark FROM public_lighting ORDER BY 1"
    assert rows(api, dark) == [("brno", 2, 1), ("zlin", 2, 1)]
    alert(owner, "feeder_outage", "feeder", "F-1")
    assert rows(api, dark) == [("brno", 2, 2), ("zlin", 2, 2)]
    assert rows(api, "SELECT place, lamps, progress FROM public_outage WHERE municipality = 'brno' ORDER BY lamps") == [
        ("lamp 0", 1, "known"),
        ("F-1", 2, "known"),
    ]
    owner.execute("UPDATE alert SET state = 'fixed' WHERE rule = 'feeder_outage'")
    owner.execute("UPDATE alert SET notify = false WHERE rule = 'lamp_out'")
    assert rows(api, "SELECT DISTINCT progress FROM public_outage") == [("repaired",)]


def test_a_repair_is_foretold_from_a_years_repairs_and_from_no_fewer_than_five(
    api: psycopg.Connection[Any], owner: psycopg.Connection[Any]
) -> None:
    assert set(rows(api, "SELECT expected_at FROM public_outage")) == {(None,)}
    owner.execute(
        "INSERT INTO alert (key, rule, scope_type, scope_name, municipality_id, severity, state, active, notify, since,"
        " opened_at, changed_at, fixed_at) SELECT 'old' || n, 'lamp_out', 'asset', n::text, 1, 'major', 'closed',"
        " false, true, t, t, t, t + n * interval '1 day' FROM generate_series(1, 6) n,"
        " LATERAL (SELECT now() - interval '90 days' AS t) m"
    )
    found = dict(rows(api, "SELECT municipality, expected_at - since FROM public_outage"))
    assert found == {"brno": timedelta(days=5), "zlin": None}


def test_a_roof_tells_its_newest_day_with_the_factor_of_that_day(
    api: psycopg.Connection[Any], owner: psycopg.Connection[Any]
) -> None:
    midnight = datetime(2026, 11, 20, 23, tzinfo=UTC)
    owner.execute("SELECT ensure_rollup_partition('solar', '1d', '2026-11-20')")
    owner.execute(
        "INSERT INTO rollup_solar_1d (bucket, asset_id, municipality_id, readings, covered_s, energy_wh)"
        " SELECT b, asset_id, municipality_id, 10, 3600, 12000 FROM asset, unnest(ARRAY[%s, %s]::timestamptz[]) b"
        " WHERE kind = 'solar' AND municipality_id = 1",
        [midnight, midnight - timedelta(days=1)],
    )
    roofs = "SELECT municipality, day::text, energy_kwh, avoided_co2_kg FROM public_roof ORDER BY 1"
    assert rows(api, roofs) == [("brno", "2026-11-21", 12.0, None), ("zlin", None, None, None)]
    owner.execute(
        "INSERT INTO co2_factor (municipality_id, g_per_kwh, valid_from, source, who, at) VALUES"
        " (NULL, 500, '2020-01-01', 's', 'w', now()), (1, 400, '2026-01-01', 's', 'w', now()),"
        " (1, 1, '2026-11-22', 's', 'w', now())"
    )
    assert rows(api, roofs)[0] == ("brno", "2026-11-21", 12.0, 4.8)


def test_a_municipality_that_is_not_published_is_in_no_view(
    api: psycopg.Connection[Any], owner: psycopg.Connection[Any]
) -> None:
    owner.execute("UPDATE municipality SET published = false WHERE name = 'zlin'")
    owner.execute("UPDATE asset SET retired_at = now() WHERE municipality_id = 1 AND kind = 'stop'")
    for view, name in [(v, "name" if v == "public_town" else "municipality") for v in public_views.VIEWS]:
        found = {row[0] for row in rows(api, f"SELECT {name} FROM {view}")}
        assert found == (set() if view == "public_stop" else {"brno"}), view


def test_without_an_account_nothing_else_is_seen(api: psycopg.Connection[Any]) -> None:
    found = rows(
        api,
        "SELECT relname FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace WHERE nspname = 'public'"
        " AND relkind IN ('r', 'v', 'p') AND has_table_privilege(c.oid, 'SELECT')",
    )
    filled = {name for (name,) in found if rows(api, f"SELECT 1 FROM {name} LIMIT 1")}
    others = filled - {*public_views.VIEWS, *public_quarters.views(), *open_views.VIEWS}
    assert others <= {"municipality", "migration", "registry_version", "role_right"}
    assert set(public_views.VIEWS) <= filled


def test_a_town_decides_and_nobody_else(api: psycopg.Connection[Any], owner: psycopg.Connection[Any]) -> None:
    owner.execute(
        "INSERT INTO person (name, title, created_at) VALUES ('a@b.cz', 'A', now()), ('c@b.cz', 'C', now());"
        "INSERT INTO membership (person_id, municipality_id, role, valid_from) VALUES"
        " (1, 2, 'municipality_admin', now() - interval '1 day'), (2, 2, 'crew', now() - interval '1 day')"
    )
    for person, town, changed in ((None, "zlin", False), (2, "zlin", False), (1, "brno", False), (1, "zlin", True)):
        with api.transaction():
            api.execute("SELECT set_config('kraj.principal', %s, true)", ["" if person is None else str(person)])
            done = api.execute("SELECT publish_town(%s, false, 1)", [town]).fetchone()
        assert done == ((2,) if changed else (None,)), (person, town)
    assert rows(api, "SELECT name FROM public_town") == [("brno",)]
