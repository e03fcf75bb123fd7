"""The document of the API is made from the kinds, and its examples are true."""

import json
import re
from typing import Any

import httpx
import pytest
from pydantic import TypeAdapter

from api import alert_schemas, examples, schemas
from kraj.kinds import KINDS
from kraj.metrics import Type
from tests.api.conftest import NOW, Region


async def test_the_document_describes_every_metric_and_error(client: httpx.AsyncClient) -> None:
    document: dict[str, Any] = (await client.get("/openapi.json")).json()
    assert document["openapi"].startswith("3.1")
    components = document["components"]["schemas"]
    for kind in KINDS.values():
        properties = components[f"{kind.name.capitalize()}Values"]["properties"]
        assert list(properties) == [metric.name for metric in kind.metrics]
        for metric in kind.metrics:
            assert metric.title.cs in properties[metric.name]["description"]
            assert properties[metric.name].get("x-unit", "") == metric.unit.symbol
            if metric.type is Type.STATE:
                assert properties[metric.name]["enum"] == [*metric.states, None]
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            answers = operation["responses"]
            if path.startswith("/v1/"):
                assert answers["503"] == {"$ref": "#/components/responses/Problem503"}, path
                for status in answers:
                    content = answers[status].get("content", {})
                    assert status < "4" or "$ref" in answers[status] or "application/problem+json" in content, path
                content = next(answer for status, answer in answers.items() if status < "3").get("content", {})
                assert bool(content) == ("204" not in answers), (method, path)
                assert "example" in content.get("application/json", {"example": None}), (method, path)
            if method in {"get", "delete"}:
                assert "requestBody" not in operation, (method, path)
    for shared in document["components"]["responses"].values():
        assert shared["content"]["application/problem+json"]["schema"]["$ref"].endswith("ProblemDetails")


async def test_every_reference_of_the_document_leads_somewhere(client: httpx.AsyncClient) -> None:
    document: dict[str, Any] = (await client.get("/openapi.json")).json()

    references = set(re.findall(r'"\$ref": "#/([^"]+)"', json.dumps(document)))
    assert len(references) > 50
    for reference in references:
        place: Any = document
        for part in reference.split("/"):
            place = place[part]


async def test_another_method_is_told_those_that_there_are(client: httpx.AsyncClient) -> None:
    for path, allowed in (
        ("/v1/assets/4711", "DELETE, GET, PATCH"),
        ("/v1/teams", "GET, POST"),
        ("/healthz", "GET"),
        ("/v1/imports/template.csv", "GET"),
        ("/rules", "GET"),
    ):
        answer = await client.request("PUT", path)
        assert (answer.status_code, answer.headers["allow"]) == (405, allowed), path


@pytest.mark.parametrize("number", ["0", "-1", str(2**31), str(2**63), "9" * 5000, "a%00b", "%ED%A0%80", "1.5"])
async def test_what_no_number_is_names_nothing(client: httpx.AsyncClient, number: str) -> None:
    document: dict[str, Any] = (await client.get("/openapi.json")).json()
    asked = 0
    for path, operations in document["paths"].items():
        if "get" in operations and "{" in path:
            answer = await client.get(re.sub(r"\{[^}]+\}", number, path))
            assert answer.status_code == 404, (path, answer.text)
            assert answer.headers["content-type"] == "application/problem+json", path
            assert answer.json()["hint"]
            asked += 1
    assert asked > 20


@pytest.mark.parametrize(
    ("model", "example"),
    [
        (schemas.AssetPage, examples.ASSETS),
        (schemas.DevicePage, examples.DEVICES),
        (schemas.GlancePage, examples.GLANCES),
        (schemas.QuarantinePage, examples.QUARANTINE),
        (schemas.Totals, examples.TOTALS),
        (alert_schemas.AlertPage, examples.ALERTS),
        (alert_schemas.AlertDetail, examples.ALERT_DETAIL),
        (alert_schemas.Rules, examples.RULES),
        (alert_schemas.AssetRules, examples.ASSET_RULES),
        (schemas.union(0), examples.LATEST),
        (schemas.union(1), examples.READINGS),
    ],
)
def test_an_example_fits_its_model(model: Any, example: Any) -> None:
    adapter = TypeAdapter[Any](model)
    dumped = adapter.dump_python(adapter.validate_python(example), mode="json", exclude_unset=True)
    assert dumped == example


async def test_answers_about_readings_fit_the_models(region: Region, client: httpx.AsyncClient) -> None:
    region.reading("VO-9 Nádražní", NOW, power_w=41.2)
    region.reading("Náměstí", NOW, door_open=True)
    for label in ("VO-9 Nádražní", "Náměstí", "Střídač 1"):
        path = f"/v1/assets/{region.asset_id(label)}"
        for which, url in ((0, f"{path}/latest"), (1, f"{path}/readings")):
            TypeAdapter[Any](schemas.union(which)).validate_python((await client.get(url)).json())
