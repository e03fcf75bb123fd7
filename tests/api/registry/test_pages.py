"""Everything in the registry is done by forms that work without a script."""

import re

import httpx

from tests.api.conftest import Region
from tests.api.registry.conftest import Clerks

HTML = {"accept": "text/html"}


async def page(client: httpx.AsyncClient, url: str, status: int = 200) -> str:
    answer = await client.get(url, headers=HTML)
    assert answer.status_code == status, answer.text
    assert re.search(r"<script(?![^>]*src=)", answer.text) is None
    return answer.text


async def sent(client: httpx.AsyncClient, text: str, action: str, fields: dict[str, str]) -> httpx.Response:
    """Fill in the form of a page: its hidden fields as they stand, and these."""
    form = next(part for part in text.split("<form") if f'action="{action}"' in part.split(">")[0]).split("</form>")[0]
    hidden = dict(re.findall(r'type="hidden" name="([^"]+)" value="([^"]*)"', form))
    return await client.post(action, data=hidden | fields, headers=HTML)


def waiting(region: Region) -> None:
    region.connection.execute(
        "INSERT INTO quarantine (digest, first_at, last_at, topic, source, reason, detail, payload, payload_bytes,"
        " batch_id) VALUES ('x', now(), now(), 'kraj/olsinka/lamp-new/telemetry', 'lamp-new', 'unknown_device', '',"
        " %s, 40, 1)",
        [b'{"ts":1,"seq":1,"power_w":41,"level_commanded_pct":60}'],
    )


async def test_a_lamp_is_added_with_its_device_once(clerks: Clerks) -> None:
    assert "Co přidáváte?" in await page(clerks.olsinka, "/registry/new?lang=cs")
    text = await page(clerks.olsinka, "/registry/new?kind=lamp&municipality=olsinka&lang=en")
    fields = {"municipality": "olsinka", "label": "VO-500", "device": "lamp-500", "latitude": "49,51"}
    fields |= {"longitude": "15.6", "m.power_rated_w": "41,5", "m.crossing": "1", "m.street": "Nová"}
    answer = await sent(clerks.olsinka, text, "/registry/new", fields)
    assert answer.status_code == 303, answer.text
    again = await sent(clerks.olsinka, text, "/registry/new", fields)
    assert again.headers["location"] == answer.headers["location"]
    url = answer.headers["location"].partition("?")[0]
    asset = (await clerks.olsinka.get(f"/v1{url}")).json()
    assert asset["metadata"] == {"street": "Nová", "power_rated_w": 41.5, "crossing": 1}
    assert (asset["latitude"], asset["device"]) == (49.51, "lamp-500")
    text = await page(clerks.olsinka, f"{url}/edit")
    answer = await sent(clerks.olsinka, text, f"{url}/edit", {"municipality": "olsinka", "label": "VO-501"})
    assert answer.status_code == 303, answer.text
    asset = (await clerks.olsinka.get(f"/v1{url}")).json()
    assert (asset["label"], asset["metadata"], asset["latitude"]) == ("VO-501", {}, None)
    stale = await sent(clerks.olsinka, text, f"{url}/edit", {"municipality": "olsinka", "label": "VO-502"})
    assert stale.status_code in (412, 422), stale.text
    assert (
        await sent(clerks.olsinka, await page(clerks.olsinka, f"{url}/edit"), f"{url}/retire", {})
    ).status_code == 303


async def test_what_is_wrong_stands_beside_the_form_and_nothing_typed_is_lost(clerks: Clerks) -> None:
    new = "/registry/new?kind=lamp&municipality=olsinka&lang=cs"
    text = await page(clerks.olsinka, new)
    fields = {"municipality": "olsinka", "label": "vo-9 nádražní", "device": "lamp-600", "latitude": "15,6"}
    fields |= {"longitude": "49,5", "m.street": "Nová", "m.power_rated_w": "41 W", "m.crossing": "1"}
    right = {"latitude": "49.5N, 15.6E", "longitude": "", "label": "VO-600", "m.power_rated_w": "41,5"}
    said = {
        "latitude": "Do šířky patří 49,5, do délky 15,6.",
        "label": "už prvek téhož druhu s označením vo-9 nádražní je",
        "m.power_rated_w": "V poli „Jmenovitý výkon“ stojí „41 W“",
    }
    for name, what in said.items():
        answer = await sent(clerks.olsinka, text, "/registry/new", fields)
        assert answer.status_code in (400, 409), answer.text
        assert what in answer.text
        assert 'id="mistake" role="alert" tabindex="-1" autofocus' in answer.text
        for kept in ("lamp-600", "Nová", fields["label"], fields["latitude"]):
            assert f'value="{kept}"' in answer.text
        assert re.search(r'name="m.crossing" value="1" checked', answer.text)
        text = answer.text
        fields |= {one: right[one] for one in (name, *(["longitude"] if name == "latitude" else []))}
    answer = await sent(clerks.olsinka, text, "/registry/new", fields)
    assert answer.status_code == 303, answer.text
    url = answer.headers["location"]
    text = await page(clerks.olsinka, url)
    for onward in (
        'href="/devices/lamp-600#act"',
        'href="/registry/new?kind=lamp&amp;municipality=olsinka"',
        "Jmenovitý výkon",
    ):
        assert onward in text
    asset = (await clerks.olsinka.get(f"/v1{url.partition('?')[0]}")).json()
    assert (asset["latitude"], asset["longitude"], asset["metadata"]["power_rated_w"]) == (49.5, 15.6, 41.5)
    edit = f"{url.partition('?')[0]}/edit"
    answer = await sent(
        clerks.olsinka, await page(clerks.olsinka, edit), edit, {"label": "VO-9 Nádražní", "m.street": "Jiná"}
    )
    assert (answer.status_code, 'value="Jiná"' in answer.text) == (409, True)
    half = {"municipality": "olsinka", "label": "VO-601", "latitude": "49,5"}
    answer = await sent(clerks.olsinka, await page(clerks.olsinka, new), "/registry/new", half)
    assert "Z dvojice souřadnic je vyplněna jen jedna." in answer.text


async def test_a_device_is_replaced_suspended_and_given_a_code(clerks: Clerks) -> None:
    text = await page(clerks.olsinka, "/devices/lamp-1?lang=en")
    answer = await sent(clerks.olsinka, text, "/devices/lamp-1/replace", {"new": "lamp-1b", "reason": "blesk"})
    assert answer.headers["location"] == "/devices/lamp-1b?said=replaced", answer.text
    text = await page(clerks.olsinka, answer.headers["location"])
    assert "VO-9 Nádražní" in text
    coded = await sent(clerks.olsinka, text, "/devices/lamp-1b/provision", {})
    assert re.search(r"<code>[0-9A-Z]{5}(-[0-9A-Z]{5}){3}</code>", coded.text), coded.text
    answer = await sent(clerks.olsinka, text, "/devices/lamp-1b/steps", {"step": "suspended"})
    assert answer.status_code == 303
    assert "suspended" in await page(clerks.olsinka, "/devices/lamp-1b")
    for sure, status in (("", 400), ("yes", 303)):
        gone = await sent(clerks.olsinka, text, "/devices/lamp-1b/steps", {"step": "decommissioned", "confirm": sure})
        assert gone.status_code == status, "what cannot be taken back is confirmed"
    await page(clerks.zdarna, "/devices/lamp-1b", 404)
    assert '<form class="act"' not in await page(clerks.viewer, "/devices/lamp-1b"), "who only reads sees no buttons"


async def test_safe_mode_is_asked_for_with_a_reason_and_on_purpose_where_the_firmware_knows_it(clerks: Clerks) -> None:
    url = "/devices/lamp-1/safe-mode"
    assert url not in await page(clerks.olsinka, "/devices/lamp-1")
    clerks.database.connection.execute(
        "INSERT INTO device_status (device_id, online, firmware, safe_mode, changed_at) SELECT device_id, true, '1.0',"
        " false, now() FROM device ON CONFLICT (device_id) DO UPDATE SET firmware = '1.0', safe_mode = false"
    )
    text = await page(clerks.olsinka, "/devices/lamp-1?lang=en")
    assert url in text
    assert url not in await page(clerks.viewer, "/devices/lamp-1")
    for fields in ({"reason": "loops"}, {"reason": "", "confirm": "yes"}):
        assert (await sent(clerks.olsinka, text, url, fields)).status_code == 400
    answer = await sent(clerks.olsinka, text, url, {"reason": "loops", "confirm": "yes"})
    assert answer.headers["location"] == "/devices/lamp-1?said=safe_mode", answer.text
    text = await page(clerks.olsinka, answer.headers["location"])
    assert "The command waits for the device" in text
    assert "told to start in safe mode" in text
    assert "runs in safe mode" not in text
    clerks.database.connection.execute("UPDATE device_status SET safe_mode = true")
    assert "runs in safe mode" in await page(clerks.olsinka, "/devices/lamp-1")


async def test_a_device_that_is_sending_is_claimed(clerks: Clerks) -> None:
    assert "No unregistered device is sending" in await page(clerks.olsinka, "/unregistered?lang=en")
    waiting(clerks.database)
    assert "lamp-new" not in await page(clerks.zdarna, "/unregistered")
    listed = (await clerks.olsinka.get("/v1/unregistered")).json()["items"]
    assert [(item["name"], item["kind"], item["messages"]) for item in listed] == [("lamp-new", "lamp", 1)]
    text = await page(clerks.olsinka, "/unregistered")
    answer = await sent(clerks.olsinka, text, "/unregistered/lamp-new/claim", {"kind": "lamp", "label": "VO-77"})
    assert answer.headers["location"] == "/devices/lamp-new?said=claimed", answer.text
    assert (await clerks.olsinka.get("/v1/unregistered")).json()["items"] == []
    device = (await clerks.olsinka.get("/v1/devices/lamp-new")).json()
    assert [served["label"] for served in device["assets"]] == ["VO-77"]


async def test_groups_are_made_from_what_hangs_together(clerks: Clerks) -> None:
    text = await page(clerks.olsinka, "/groups?lang=en")
    assert "There is no group yet" in text
    clerks.database.connection.execute("UPDATE asset SET metadata = '{\"feeder\": \"F1\"}' WHERE kind = 'lamp'")
    fields = {"municipality": "olsinka", "name": "Vývod 1", "attribute": "feeder", "value": "F1"}
    assert (await sent(clerks.olsinka, text, "/groups", fields)).status_code == 303
    (group,) = (await clerks.olsinka.get("/v1/groups")).json()["items"]
    assert (group["name"], group["kind"], group["assets"]) == ("Vývod 1", "feeder", 2)
    found = (await clerks.olsinka.get("/v1/topology?attribute=feeder")).json()["items"]
    assert found == [{"municipality": "olsinka", "name": "F1", "assets": 2}]
    assert (await clerks.zdarna.get("/v1/groups")).json()["items"] == []
    text = await page(clerks.olsinka, "/groups")
    assert (await sent(clerks.olsinka, text, f"/groups/{group['group_id']}/remove", {})).status_code == 303
    assert "Vývod 1" not in await page(clerks.olsinka, "/groups")


async def test_the_registry_lists_and_finds_devices(clerks: Clerks) -> None:
    text = await page(clerks.olsinka, "/registry?lang=cs")
    assert "lamp-1" in text
    assert "stop-1" not in text
    assert "Nic takového tu není" in await page(clerks.olsinka, "/registry?q=nikde")
