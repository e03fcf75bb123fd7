"""The pages of light as forms without scripts: what is sent is done, and what is wrong stands beside its field."""

import re
from datetime import timedelta
from typing import Any

import httpx
import pytest

from api.lighting import forms
from kraj import dimming
from tests.api.conftest import NOW, Region
from tests.api.lighting.conftest import LAMPS, PROGRAM, Signed, light, program

HTML = {"accept": "text/html"}


async def page(client: httpx.AsyncClient, path: str, **fields: Any) -> httpx.Response:
    """A page, or what a form there answers."""
    if fields:
        return await client.post(path, data={k: str(v) for k, v in fields.items()}, headers=HTML)
    return await client.get(path, headers=HTML)


def sent(document: Any, name: str = "Noc") -> dict[str, str]:
    """A document as a browser sends it."""
    form = forms.fields(name, document)
    found = {"name": form.name}
    for n, plan in enumerate(form.plans):
        found |= {f"p{n}.from": plan.since, f"p{n}.to": plan.to, f"p{n}.title": plan.title}
        found |= {f"p{n}.on_min": plan.on_min, f"p{n}.off_min": plan.off_min, f"p{n}.dates": plan.dates}
        found |= {f"p{n}.day.{day}": "1" for day in plan.days}
        found |= {f"p{n}.holidays": "1"} if plan.holidays else {}
        for m, step in enumerate(plan.steps):
            for key in ("at", "level_pct", "ramp_s"):
                found[f"p{n}.s{m}.{key}"] = getattr(step, key)
    if form.sensor:
        found["sensor.on"] = "1"
        found |= {f"sensor.{key}": value for key, value in form.sensor.items()}
    return found


FULL = {
    "plans": [
        {"steps": [{"at": "sunset+60", "level_pct": 60, "ramp_s": 60}], "holidays": True},
        {"steps": [{"at": "23:00", "level_pct": 50}], "days": ["fri", "sat"], "from": "11-01", "to": "03-31"},
        {"steps": [{"at": "sunrise-30", "level_pct": 80}], "dates": ["2026-12-24", "2026-12-31"], "on_min": -10},
    ],
    "sensor": {"level_pct": 100, "up_s": 2, "hold_s": 45, "down_s": 20},
}


@pytest.mark.parametrize("document", [PROGRAM, FULL, {"plans": []}])
def test_a_form_says_the_document_that_it_shows(document: Any) -> None:
    assert dimming.read(forms.document(sent(document))) == dimming.read(document)


def test_an_empty_spare_plan_is_no_plan() -> None:
    spare = {"p0.new": "1", "p0.from": "01-01", "p0.to": "12-31"}
    assert forms.document(spare) == {"plans": []}
    assert len(forms.document({**spare, "p0.s0.at": "22:00", "p0.s0.level_pct": "50"})["plans"]) == 1


async def test_the_overview_shows_segments_with_their_state(street: Region, client: httpx.AsyncClient) -> None:
    made = await program(client)
    await light(client, program_id=made["program_id"], designed_class="M3", permitted_class="M5")
    for n in range(1, LAMPS + 1):
        street.reading(f"N-{n}", NOW, power_w=20.0, level_effective_pct=50.0 if n <= 15 else 0.0)
    text = (await page(client, "/lighting")).text
    assert "Nádražní" in text
    assert "Noc" in text
    assert "15 z 20" in text
    assert "400" in text
    assert "zavádí se" in text


async def test_a_program_is_written_shown_and_saved_by_a_form(street: Region, client: httpx.AsyncClient) -> None:
    assert "22:00" in (await page(client, "/lighting/programs/new")).text
    fields = {**sent(PROGRAM), "municipality": "olsinka", "evening": "2026-12-24"}
    shown = await page(client, "/lighting/programs", **fields, do="preview")
    assert shown.status_code == 200
    assert "<svg" in shown.text
    assert "24. 12. 2026" in shown.text
    assert (await client.get("/v1/dimming/programs")).json()["items"] == []
    saved = await page(client, "/lighting/programs", **fields, do="save")
    assert (saved.status_code, saved.headers["location"]) == (303, "/lighting?said=program")
    [kept] = (await client.get("/v1/dimming/programs")).json()["items"]
    assert dimming.read(kept["document"]) == dimming.read(PROGRAM)
    path = f"/lighting/programs/{kept['program_id']}"
    assert "23:30" in (await page(client, path)).text
    changed = await page(client, path, **{**fields, "name": "Jiná"}, version=1, do="save")
    assert changed.status_code == 303
    late = await page(client, path, **fields, version=1, do="save")
    assert late.status_code == 412
    assert (await page(client, f"{path}/drop", x=1)).status_code == 303


async def test_what_is_wrong_in_a_program_stands_beside_its_field(street: Region, client: httpx.AsyncClient) -> None:
    fields = {**sent(PROGRAM), "municipality": "olsinka", "p0.s1.level_pct": "130"}
    answer = await page(client, "/lighting/programs", **fields, do="save")
    assert answer.status_code == 400
    marked = re.findall(r'<input id="([^"]+)"[^>]*aria-invalid="true"', answer.text)
    assert marked == ["p0.s1.level_pct"]
    assert 'value="130"' in answer.text
    twice = await page(
        client, "/lighting/programs", **{**fields, "p0.s1.at": "22:00", "p0.s1.level_pct": "60"}, do="save"
    )
    assert re.findall(r'<input id="([^"]+)"[^>]*aria-invalid="true"', twice.text) == ["p0.s1.at"]


async def test_a_segment_is_lit_from_its_page(street: Region, client: httpx.AsyncClient) -> None:
    made = await program(client)
    first = await page(client, "/lighting/1")
    assert "<svg" in first.text
    assert "kWh" in first.text
    fields = {"designed_class": "M3", "program_id": made["program_id"], "reason": "Noc", "share_pct": 10}
    below = await page(client, "/lighting/1/light", **fields, permitted_class="M4", version=0)
    assert below.status_code == 400
    assert "75 %" in below.text
    answer = await page(client, "/lighting/1/light", **fields, permitted_class="M5", version=0)
    assert answer.status_code == 303, answer.text
    shown = await page(client, "/lighting/1?evening=2026-10-24")
    assert "dostalo 2 z 20" in shown.text
    assert "pozadu" in shown.text
    number = (await client.get("/v1/lighting/segments/1")).json()["rollout_id"]
    assert (await page(client, f"/lighting/rollouts/{number}/steps", step="go_on")).status_code == 303
    assert "dostalo 20 z 20" in (await page(client, "/lighting/1")).text
    assert (await page(client, "/lighting/1/light", **fields, permitted_class="M5", version=0)).status_code == 412


async def test_a_crew_orders_light_now_and_ends_it_on_the_pages(street: Region, as_person: Signed) -> None:
    async with as_person("crew") as client:
        text = (await page(client, "/lighting/1")).text
        assert 'value="light_now"' in text
        assert 'value="manual"' not in text
        assert '/light"' not in text
        answer = await page(client, "/lighting/1/order", kind="light_now", reason="Hledáme závadu")
        assert answer.headers["location"] == "/lighting/orders?said=order"
        orders = (await page(client, "/lighting/orders")).text
        assert "Hledáme závadu" in orders
        assert f"čeká {LAMPS}" in orders
        assert "N-7" in (await page(client, "/lighting/orders/1")).text
        assert (await page(client, "/lighting/orders/1/end", x=1)).status_code == 303
        assert "skončil" in (await page(client, "/lighting/orders")).text
        wrong = await page(client, "/lighting/1/order", kind="light_now", reason="x", minutes=99999)
        assert wrong.status_code == 400
        assert "24 h" in wrong.text


async def test_a_lock_is_taken_and_released_on_the_pages_which_say_what_it_is_not(
    street: Region, client: httpx.AsyncClient, as_person: Signed
) -> None:
    async with as_person("crew") as crew:
        taken = await page(crew, "/lighting/1/lock", place="feeder:F1", reason="Stožár")
        assert taken.status_code == 303, taken.text
        text = (await page(crew, "/lighting/1")).text
        assert "nikdy nenahrazuje mechanické odpojení" in text
        assert "Vývod F1: crew" in text
        locked = await page(crew, "/lighting/1/lock", place="cabinet:R1", reason="Stožár")
        assert locked.status_code == 303
        refused = await page(client, "/lighting/1/order", kind="light_now", reason="x")
        assert refused.status_code == 423
        assert "crew" in refused.text
        assert "Vývod F1" in (await page(client, "/lighting")).text
        assert (await page(crew, "/lighting/locks/1/release", x=1)).status_code == 303
    assert (await page(client, "/lighting/locks/2/release", x=1)).status_code == 303


async def test_an_emergency_asks_before_it_lights(street: Region, client: httpx.AsyncClient) -> None:
    fields = {"municipality": "olsinka", "hours": 2, "reason": "Povodeň"}
    asked = await page(client, "/lighting/emergency", **fields)
    assert asked.status_code == 200
    assert "Opravdu" in asked.text
    assert str(LAMPS + 2) in asked.text
    assert (await client.get("/v1/lighting/orders")).json()["items"] == []
    done = await page(client, "/lighting/emergency", **fields, confirm="yes")
    assert done.headers["location"] == "/lighting/orders/1"
    [order] = (await client.get("/v1/lighting/orders")).json()["items"]
    assert (order["kind"], order["valid_until"]) == ("emergency", (NOW + timedelta(hours=2)).isoformat()[:19] + ".000Z")
    nowhere = await page(client, "/lighting/emergency", hours=2, reason="x", confirm="yes")
    assert nowhere.status_code == 400  # a field that is missing never means the whole region
    empty = await page(client, "/lighting/emergency", **{**fields, "reason": ""}, confirm="yes")
    assert empty.status_code == 400
    region = await page(client, "/lighting/emergency", **{**fields, "municipality": "@region"})
    assert "celý kraj" in region.text
    assert (await page(client, "/lighting/emergency", hours=999, reason="x", confirm="yes")).status_code == 400


async def test_who_may_only_read_sees_light_and_no_buttons(street: Region, as_person: Signed) -> None:
    async with as_person("viewer") as client:
        for path in ("/lighting", "/lighting/1", "/lighting/orders", "/lighting/emergency"):
            answer = await page(client, path)
            assert answer.status_code == 200, path
            assert 'class="big"' not in answer.text, path
        assert (await page(client, "/lighting/2")).status_code == 404
        assert (await page(client, "/lighting/nothing")).status_code == 404
        assert (await page(client, "/lighting/1?evening=yesterday")).status_code == 400
