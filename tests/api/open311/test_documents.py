"""Open311's documents: as the standard has them, in XML and JSON, read by a client that is not ours."""

import asyncio
from datetime import timedelta
from typing import Any
from xml.etree import ElementTree

import httpx
from georeport import GeoReport

from api.open311.forms import document
from kraj.service_requests import SERVICES
from tests.api.conftest import NOW
from tests.api.open311.conftest import OTHER_LAMP, Town

REQUEST = {
    *("service_request_id", "status", "status_notes", "service_name", "service_code", "description"),
    *("agency_responsible", "service_notice", "requested_datetime", "updated_datetime", "expected_datetime"),
    *("address", "address_id", "zipcode", "lat", "long", "media_url"),
}
"""Every field that GeoReport v2 lists of a request."""


def parsed(answer: httpx.Response) -> ElementTree.Element:
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/xml; charset=utf-8"
    assert answer.content.startswith(b"<?xml version='1.0' encoding='utf-8'?>")
    return ElementTree.fromstring(answer.content)  # noqa: S314  # our own


def plain(element: ElementTree.Element) -> Any:
    """What a document in XML says, as JSON would say it."""
    return {child.tag: child.text for child in element}


def test_xml_is_well_formed_whatever_the_words_hold() -> None:
    words = "<script>&amp;\x00\x0b\ud800 ]]> „žluťoučký“ 💡"
    body = bytes(document("xml", "errors", [{"code": 400, "description": words}]).body)
    found = ElementTree.fromstring(body).findtext("error/description")  # noqa: S314  # our own
    assert found == "<script>&amp; ]]> „žluťoučký“ 💡"


async def test_discovery_and_services_are_as_the_standard_has_them(town: Town) -> None:
    said = (await town.client.get("/open311/v2/discovery.json")).json()
    (endpoint,) = said["endpoints"]
    assert {"changeset", "contact", "key_service"} < said.keys()
    assert endpoint["url"] == "https://kraj.test/open311/v2"
    assert endpoint["formats"] == ["text/xml", "application/json"]
    xml = parsed(await town.client.get("/open311/v2/discovery.xml"))
    assert [one.text for one in xml.findall("endpoints/endpoint/formats/format")] == endpoint["formats"]
    services = (await town.client.get("/open311/v2/services.json?jurisdiction_id=olsinka&lang=en")).json()
    assert [one["service_code"] for one in services] == list(SERVICES)
    assert all(one["type"] == "realtime" and one["metadata"] is False for one in services)
    xml = parsed(await town.client.get("/open311/v2/services.xml?lang=en"))
    assert [plain(one) for one in xml.findall("service")] == [one | {"metadata": "false"} for one in services]
    definition = parsed(await town.client.get("/open311/v2/services/dark_lamp.xml"))
    assert (definition.findtext("service_code"), list(definition.find("attributes") or ())) == ("dark_lamp", [])
    wrong = await town.client.get("/open311/v2/services.xml?jurisdiction_id=praha")
    assert (wrong.status_code, ElementTree.fromstring(wrong.content).findtext("error/code")) == (404, "404")  # noqa: S314


async def test_requests_are_filtered_and_say_nothing_personal(town: Town) -> None:
    sent = {"service_code": "dark_lamp", "address_id": town.lamp(), "email": "jana@example.cz", "first_name": "Jana"}
    made = parsed(await town.client.post("/open311/v2/requests.xml?lang=en", data={**sent, "api_key": "xyz"}))
    token = made.findtext("request/service_request_id") or ""
    assert made.find("request/account_id") is not None
    town.at[0] = NOW + timedelta(days=1)
    other = await town.token(
        address_id=town.lamp(OTHER_LAMP), service_code="damage", description="Jana Nováková, 777 1"
    )
    place = await town.token(lat="49.5005", long="15.601", service_code="other")

    async def listed(query: str) -> list[str]:
        answer = await town.client.get(f"/open311/v2/requests.json?{query}")
        assert answer.status_code == 200, answer.text
        assert "Nov" not in answer.text
        assert "jana@" not in answer.text
        return [one["service_request_id"] for one in answer.json()]

    assert await listed("") == [place, other, token]
    assert await listed("service_code=dark_lamp,other") == [place, token]
    assert await listed("service_code=dark_lamp&service_code=damage&status=open") == [other, token]
    assert await listed("status=closed") == []
    assert await listed(f"service_request_id={token},nobody&status=closed") == [token]
    assert await listed("page=2&page_size=2") == [token]
    assert await listed("end_date=2026-11-21T23:59:59%2B01:00") == [token]
    assert await listed("start_date=2026-11-22T00:00:00Z&jurisdiction_id=olsinka") == [place, other]
    assert await listed("jurisdiction_id=zdarna") == []
    refused = (
        *("start_date=yesterday", "start_date=2026-11-21", "status=lost", "service_code=pothole", "page=0", "page=x"),
        *("start_date=2026-01-01T00:00:00Z&end_date=2026-11-01T00:00:00Z", "page_size=201"),
    )
    for query in refused:
        assert (await town.client.get(f"/open311/v2/requests.xml?{query}")).status_code == 400, query
    xml = parsed(await town.client.get(f"/open311/v2/requests/{token}.xml?lang=en"))
    (one,) = (await town.client.get(f"/open311/v2/requests/{token}.json?lang=en")).json()
    assert one.keys() == REQUEST
    told = plain(xml[0])
    assert told == {key: None if value is None else str(value) for key, value in one.items()}
    assert (one["address"], one["lat"], one["requested_datetime"]) == (
        "VO-9 Nádražní, Olšinka",
        49.5,
        "2026-11-21T06:15:00.000Z",
    )
    (elsewhere,) = (await town.client.get(f"/open311/v2/requests/{place}.json")).json()
    assert (elsewhere["lat"], elsewhere["address"]) == (None, "Olšinka")  # where somebody stood is theirs
    resolved = parsed(await town.client.get(f"/open311/v2/tokens/{token}.xml"))
    assert plain(resolved[0]) == {"service_request_id": token, "token": token}


async def test_an_independent_client_reads_both_forms(town: Town, georeport_url: str) -> None:
    token = await town.token(address_id=town.lamp())

    def ask(form: str) -> tuple[Any, ...]:
        client: Any = GeoReport(georeport_url, jurisdiction="olsinka", output_format=form)
        return (
            [one["service_code"] for one in client.get_service_list()],
            client.get_service_definition("dark_lamp")["service_code"],
            client.get_service_request(token)["service_code"],
            client.get_service_requests(service_code="dark_lamp", start_date="2026-11-01T00:00:00Z"),
        )

    for form in ("json", "xml"):
        codes, defined, code, found = await asyncio.to_thread(ask, form)
        assert (codes, defined, code) == (list(SERVICES), "dark_lamp", "dark_lamp")
        assert len(found) == 1 if form == "json" else found["service_request_id"] == token
