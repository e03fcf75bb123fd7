"""The desk counts what waits for a person, offers what they may do, and no more of either."""

import math
import re
import time
from collections.abc import Callable
from datetime import timedelta

import psycopg

from api.desk import declared
from kraj.store import desk as store
from tests.api.conftest import NOW, Region
from tests.api.registry.conftest import Clerks, clerks
from tests.api.registry.test_pages import page, sent, waiting
from tests.waiting import ATTEMPTS

__all__ = ["clerks"]
FAST_MS = 30


def waits(text: str) -> dict[str, int]:
    """Where something waits, and how much."""
    listed = text.partition('class="rows waits"')[2].partition("</ul>")[0]
    return {
        href: int(count)
        for href, count in re.findall(
            r'<a href="([^"]+)"><b>[^<]+</b>.*?<b class="number">(\d+)</b>', listed, re.DOTALL
        )
    }


def busy(region: Region) -> None:
    """Something of everything that can wait in Olšinka."""
    waiting(region)
    region.connection.execute(
        "INSERT INTO enrolment_code (digest, device_id, expires_at) SELECT sha256(name::bytea), device_id, %(soon)s"
        " FROM device WHERE name = 'lamp-1'",
        {"soon": NOW + timedelta(days=3)},
    )
    region.connection.execute(
        "INSERT INTO import (person_id, municipality_id, file_name, file_digest, format, columns, findings, rows_all,"
        " rows_new, rows_known, rows_wrong, uploaded_at)"
        " SELECT NULL, 1, name, 'x', 'csv', '[]', '[]', 3, 1, 0, wrong, %s"
        " FROM (VALUES ('a.csv', 2), ('b.csv', 2), ('b.csv', 0)) AS f(name, wrong)",
        [NOW],
    )
    region.connection.execute(
        "INSERT INTO access_grant (municipality_id, to_region, rights, valid_from, valid_to, who) SELECT 1, true,"
        " ARRAY['read'], now() - interval '1 day', now() + days, 'x'"
        " FROM unnest(ARRAY[interval '3 days', '30 days']) AS days"
    )
    region.connection.execute(
        "INSERT INTO tariff (municipality_id, name, direction, czk_per_kwh, valid_from, valid_until, source, who, at)"
        " SELECT 1, 'x', way, 3, begins::date, ends::date, 'x', 'x', %s FROM (VALUES"
        " ('import', '2026-01-01', '2026-03-31'), ('import', '2026-04-02', NULL),"
        " ('export', '2026-01-01', NULL)) AS t(way, begins, ends)",
        [NOW],
    )
    region.connection.execute(
        "INSERT INTO service_request (service_request_id, service_code, municipality_id, asset_id, description,"
        " language, explained_by, requested_at, updated_at, source)"
        " SELECT 'token-of-a-report', 'dark_lamp', 1, asset_id, 'Nesvítí <b>nic</b>', 'cs', '{}', %s, %s, 'page'"
        " FROM asset WHERE label LIKE 'VO-9%%'",
        [NOW, NOW],
    )


async def test_what_waits_is_counted_through_the_wall(clerks: Clerks) -> None:
    nothing = await page(clerks.nobody, "/desk?lang=en")
    assert "Nothing waits." in nothing
    busy(clerks.database)
    everything = {"/unregistered": 1, "/labels": 1, "/imports": 1, "/grants": 1, "/tariffs": 1, "/requests": 1}
    assert waits(await page(clerks.olsinka, "/desk")) == everything
    elsewhere = waits(await page(clerks.zdarna, "/desk"))
    assert elsewhere == {"/labels": 2}, "two devices of its own were never heard"
    assert waits(await page(clerks.viewer, "/desk")) == {"/requests": 1}, "who only reads can do nothing of the rest"
    assert waits(await page(clerks.nobody, "/desk")) == {}


async def test_one_list_is_the_desk_and_the_menu(clerks: Clerks) -> None:
    hrefs = [place.href for group in declared.GROUPS for place in group.places]
    assert len(set(hrefs)) == len(hrefs)
    for client, rights in (
        (clerks.region, {"read", "act", "register", "control", "rules", "people"}),
        (clerks.viewer, {"read"}),
    ):
        text = await page(client, "/desk?lang=en")
        told = re.findall(r'<a href="([^"]+)"', text.partition('class="kpis"')[2].partition("</main>")[0])
        allowed = [place.href for group in declared.desk(rights) for place in group.places]
        assert told == allowed
        menu = re.findall(r'<a href="([^"]+)"', text.partition('class="more"')[2].partition("</details>")[0])
        assert menu == [href for href, _ in declared.menu(rights)]
        for href in allowed:
            await page(client, href)


async def test_a_first_day_ends_once_its_steps_are_done(clerks: Clerks) -> None:
    text = await page(clerks.zdarna, "/desk?lang=en")
    first = text.partition('aria-labelledby="first"')[2].partition("</section>")[0]
    assert re.findall(r'class="badge (\w+)"', first) == ["reporting", "unusual", "unusual", "reporting"]
    clerks.database.connection.execute(
        "INSERT INTO membership (person_id, municipality_id, role, valid_from)"
        " SELECT person_id, 2, 'crew', now() FROM person WHERE name LIKE 'nobody%'"
    )
    clerks.database.connection.execute(
        "INSERT INTO notification_target (municipality_id, name, url) VALUES (2, 'x', 'json://127.0.0.1')"
    )
    assert 'aria-labelledby="first"' not in await page(clerks.zdarna, "/desk")
    assert 'aria-labelledby="first"' not in await page(clerks.region, "/desk"), "the region is no new town"


async def test_labels_give_out_codes_for_the_chosen_only(clerks: Clerks) -> None:
    text = await page(clerks.olsinka, "/labels?lang=en")
    assert re.findall(r'name="device\.([^"]+)"', text) == ["lamp-1", "lamp-2"]
    made = await sent(clerks.olsinka, text, "/labels", {"device.lamp-2": "1"})
    assert made.status_code == 200, made.text
    assert made.headers["cache-control"] == "no-store"
    assert len(re.findall(r'<svg[^>]*class="qr"', made.text)) == 1
    assert re.search(r"<code class=\"number\">[0-9A-Z]{5}(-[0-9A-Z]{5}){3}</code>", made.text)
    assert re.findall(r'name="device\.([^"]+)" value="1" checked', await page(clerks.olsinka, "/labels")) == ["lamp-1"]
    assert (await sent(clerks.olsinka, text, "/labels", {})).status_code == 422
    assert (await sent(clerks.zdarna, text, "/labels", {"device.lamp-2": "1"})).status_code == 404
    await page(clerks.viewer, "/labels", 403)


async def test_the_region_founds_renames_and_drops_a_town_and_its_terms_are_told(clerks: Clerks) -> None:
    text = await page(clerks.region, "/towns?lang=en")
    answer = await sent(clerks.region, text, "/towns", {"name": "nova", "title": "Nová"})
    assert answer.headers["location"] == "/towns?said=founded", answer.text
    twice = await sent(clerks.region, text, "/towns", {"name": "nova", "title": "Nová"})
    assert twice.status_code == 409
    assert 'value="nova"' in twice.text, "what was written stays"
    text = await page(clerks.region, "/towns")
    answer = await sent(clerks.region, text, "/towns/nova/title", {"title": "Nová Ves"})
    assert answer.status_code == 303, answer.text
    stale = await sent(clerks.region, text, "/towns/nova/title", {"title": "Stará Ves"})
    assert stale.status_code == 412
    answer = await sent(clerks.region, await page(clerks.region, "/towns"), "/towns/nova/drop", {})
    assert answer.status_code == 303, answer.text
    mine = await page(clerks.olsinka, "/towns?lang=en")
    assert "400 days" in mine
    assert "for ever" in mine
    assert "Žďárná" not in mine
    assert "<form" not in mine.partition("<main")[2], "a town does not rename itself"
    assert (await clerks.olsinka.post("/towns", data={"name": "x1", "title": "X"})).status_code == 403


async def test_the_log_is_read_by_who_manages_people(clerks: Clerks) -> None:
    text = await page(clerks.olsinka, "/registry/new?kind=lamp&municipality=olsinka")
    await sent(clerks.olsinka, text, "/registry/new", {"municipality": "olsinka", "label": "VO-77"})
    assert "<code>asset</code>" in await page(clerks.olsinka, "/audit?subject=asset")
    assert ">olsinka</span>" not in await page(clerks.zdarna, "/audit?subject=asset")
    await page(clerks.viewer, "/audit", 403)


async def test_counting_is_cheap_in_a_town_where_much_waits(
    clerks: Clerks, database_role_url: Callable[[str], str]
) -> None:
    connection = clerks.database.connection
    busy(clerks.database)
    connection.execute(
        "INSERT INTO quarantine (digest, first_at, last_at, topic, source, reason, detail, payload, payload_bytes,"
        " batch_id) SELECT sha256(n::text::bytea), now(), now(), 'kraj/olsinka/new-' || n % 200 || '/telemetry',"
        " 'new-' || n % 200, 'unknown_device', '', '{}', 2, 1 FROM generate_series(1, 5000) n"
    )
    connection.execute(
        "INSERT INTO device (municipality_id, name, state) SELECT 1, 'stock-' || n, 'registered'"
        " FROM generate_series(1, 5000) n"
    )
    connection.execute("ANALYZE")
    row = connection.execute("SELECT person_id FROM person WHERE name LIKE 'olsinka%'").fetchone()
    assert row is not None
    best = math.inf
    for _ in range(5 * ATTEMPTS):  # a busy machine can only make it look slower
        if best < FAST_MS:
            break
        best = min(best, await timed(database_role_url("kraj_api"), row[0]))
    assert best < FAST_MS, f"{best:.1f} ms"


async def timed(api_url: str, person_id: int) -> float:
    """How long the counting takes, in ms, as kraj_api in the name of a person; a second time, as the plans are made."""
    rights = {"register", "people", "read", "rules", "control"}
    async with await psycopg.AsyncConnection.connect(api_url) as connection:
        await connection.execute("SET TRANSACTION READ ONLY")
        await connection.execute("SELECT set_config('kraj.principal', %s, true)", [str(person_id)])
        await store.waiting(connection, rights, NOW)
        begin = time.perf_counter()
        await store.waiting(connection, rights, NOW)
        return (time.perf_counter() - begin) * 1000
