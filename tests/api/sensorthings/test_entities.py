"""SensorThings over HTTP: the eight entities, their links, properties, options, and what is wrong with a question."""

import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from api.sensorthings import routes
from kraj.kinds import KINDS
from kraj.sensorthings.model import ENTITIES, PLURALS
from kraj.sensorthings.options import FIELDS
from kraj.store.sensorthings import reading
from tests.api.sensorthings.conftest import BEGIN, HOURS, ROOT, Served

QUARTERS = HOURS * 4 + 1
"""Those that have ended by 6:15."""


def test_the_root_lists_the_eight_sets_and_what_is_conformed_to(served: Served) -> None:
    root = served.get("")
    assert [one["name"] for one in root["value"]] == list(PLURALS)
    assert all(one["url"] == f"{served.base}/{one['name']}" for one in root["value"])
    conformance = root["serverSettings"]["conformance"]
    assert "http://www.opengis.net/spec/iot_sensing/1.1/req/datamodel" in conformance
    assert not [one for one in conformance if "create" in one or "built-in-filter-functions" in one]


@pytest.mark.parametrize("plural", PLURALS)
def test_every_entity_says_all_of_itself_and_its_links_lead_there_and_back(served: Served, plural: str) -> None:
    entity = PLURALS[plural]
    whole = served.get(plural, top="3", orderby="id desc")["value"]
    assert whole
    for one in whole:
        assert one["@iot.selfLink"] == f"{served.base}/{plural}({one['@iot.id']})"
        assert served.get(one["@iot.selfLink"].removeprefix(served.base + "/")) == one
        assert set(FIELDS[entity.name]) - {"observedArea", "resultTime"} <= set(one)
        for link in entity.links:
            there = served.get(one[f"{link.name}@iot.navigationLink"].removeprefix(served.base + "/"))
            found = there["value"] if link.many else [there]
            target = ENTITIES[link.target]
            for other in found[:1]:
                assert other["@iot.selfLink"].startswith(f"{served.base}/{target.plural}(")
                back = next(way for way in target.links if way.target == entity.name)
                # Among those to which it leads back is the one from which we came.
                path = f"{target.plural}({other['@iot.id']})/{back.name}"
                returned = served.get(path, 200, **({"filter": f"id eq {one['@iot.id']}"} if back.many else {}))
                assert (returned["value"][0] if back.many else returned)["@iot.id"] == one["@iot.id"]


def test_only_public_metrics_of_published_towns_are_told(served: Served) -> None:
    names = served.names("ObservedProperties", top="1000")
    assert names == [metric.name for kind in KINDS.values() for metric in kind.public]
    assert "Tajné" not in served.names("Things")
    hidden = served.asset("Tajné")
    for path in (f"Things({hidden})", f"Datastreams({hidden << 6 | 6})", f"FeaturesOfInterest({hidden})/Observations"):
        served.get(path, 404)
    for metric in ("presence_bucket", "sos_pressed", "wifi_clients"):
        served.get(f"Datastreams({served.stream('Náměstí', metric)})", 404)
    everything = served.get("Observations", count="true", top="0")
    assert everything["@iot.count"] == (4 + 1) * QUARTERS
    assert everything["value"] == []


def test_observations_are_the_quarter_hours_that_have_ended(served: Served) -> None:
    stream = served.stream("Náměstí", "air_temp_degc")
    newest = served.get(f"Datastreams({stream})/Observations", orderby="phenomenonTime desc", top="1")["value"][0]
    assert newest["phenomenonTime"] == "2026-11-21T06:00:00.000Z/2026-11-21T06:15:00.000Z"
    assert newest["result"] == pytest.approx(QUARTERS / 10 - 3.1)
    charger = served.get(f"Datastreams({served.stream('Náměstí', 'charger_state')})", expand="Observations($top=2)")
    assert [one["result"] for one in charger["Observations"]] == ["off", "bulk"]
    assert charger["unitOfMeasurement"] == {"name": None, "symbol": None, "definition": None}
    share = served.get(f"Datastreams({served.stream('Náměstí', 'wifi_up')})")
    assert share["unitOfMeasurement"]["definition"] == "ucum:1"
    assert share["properties"] == {"metric": "wifi_up", "aggregation": "share", "interval": "PT15M"}


def test_pages_follow_one_another_and_miss_nothing(served: Served) -> None:
    stream = served.stream("Náměstí", "air_temp_degc")
    for order in ("phenomenonTime desc", "resultTime asc", "result desc", "id", ""):
        url: str | None = f"{served.base}/Datastreams({stream})/Observations?$top=50&$count=true"
        url += f"&$orderby={order}" if order else ""
        found: list[Any] = []
        while url:
            page = served.client.get(url).json()
            assert page["@iot.count"] == QUARTERS
            found += page["value"]
            url = page.get("@iot.nextLink")
        results = [one["result"] for one in found]
        assert len({one["@iot.id"] for one in found}) == QUARTERS
        assert results == sorted(results, reverse="desc" in order)
    assert len(served.get(f"Datastreams({stream})/Observations", skip=str(QUARTERS - 5))["value"]) == 5


@pytest.mark.parametrize(
    ("path", "wish", "expected"),
    [
        ("Things", "name eq 'Náměstí'", ["Náměstí"]),
        ("Things", "properties/kind eq 'solar' and not endswith(name,'2')", ["Střídač 1"]),
        ("Things", "startswith(tolower(name),'vo-') or id eq 3", ["VO-9 Nádražní", "VO-10 Školní", "Náměstí"]),
        ("Things", "substringof('Nádraž',name)", ["VO-9 Nádražní"]),
        ("Things", "indexof(name,'-') eq 2 and length(name) gt 12", ["VO-9 Nádražní"]),
        ("Things", "Datastreams/ObservedProperty/name eq 'air_temp_degc'", ["Náměstí"]),
        ("Things", "Locations/location/type eq null", ["Střídač 1", "Střídač 2"]),
        (
            "Things",
            "geo.distance(Locations/location,geography'POINT(15.6 49.5)') lt 0.01",
            ["VO-9 Nádražní", "VO-10 Školní"],
        ),
        (
            "Locations",
            "st_within(location,geography'POLYGON((15.2 49.2,15.4 49.2,15.4 49.4,15.2 49.4,15.2 49.2))')",
            ["Náměstí"],
        ),
        (
            "Locations",
            "geo.intersects(location, geography'Polygon ((15 49,16 49,16 49.4,15 49.4,15 49))')",
            ["Náměstí"],
        ),
        (
            "Locations",
            "location/type eq 'Point' and year(HistoricalLocations/time) eq 2026 and name lt 'O'",
            ["Náměstí"],
        ),
        ("Datastreams", "Thing/name eq 'VO-9 Nádražní' and unitOfMeasurement/symbol eq 'V'", ["VO-9 Nádražní: Napětí"]),
        ("Sensors", "Datastreams/Thing/properties/municipality eq 'olsinka'", ["lamp"]),
        ("ObservedProperties", "Datastreams/Thing/name eq 'VO-10 Školní'", ["voltage_v", "illuminance_lx"]),
        ("Things", "name eq 'it''s; DROP TABLE asset --'", []),
        ("Things", "concat(name,'%s') eq 'Náměstí%s' and substring(name,1,2) eq 'ám'", ["Náměstí"]),
    ],
)
def test_filters_find_what_they_say(served: Served, path: str, wish: str, expected: list[str]) -> None:
    assert served.names(path, filter=wish, top="1000") == expected


@pytest.mark.parametrize(
    ("wish", "count"),
    [
        ("result gt 0 and result le 1", 10),
        ("result add 3 mod 2 eq -1 add 4.0", 1),
        ("result mul 10 mod 10 eq 0", 13),
        ("-result gt 2.85", 2),
        ("phenomenonTime ge 2026-11-20T01:00:00Z and phenomenonTime lt 2026-11-20T02:00:00Z", 4),
        ("phenomenonTime ge 2026-11-20T02:00:00+01:00 and phenomenonTime lt 2026-11-20T03:00:00 01:00", 4),
        ("resultTime gt 2026-11-20T01:00:00Z sub duration'PT30M' and resultTime le 2026-11-20T01:00:00Z", 2),
        ("date(resultTime) eq 2026-11-21", QUARTERS - 95),
        ("hour(phenomenonTime) eq 5 and minute(phenomenonTime) eq 45", 2),
        ("round(result) eq 1 or floor(result) eq 2 or ceiling(result) eq -2", 10 + 10 + 10),
        ("Datastream/Thing/name eq 'Náměstí' and parameters/covered_s eq 900 and resultTime lt now()", QUARTERS),
        ("result eq 'bulk'", 0),
        ("result ne null and 1 eq 1", QUARTERS),
    ],
)
def test_filters_compute(served: Served, wish: str, count: int) -> None:
    stream = served.stream("Náměstí", "air_temp_degc")
    page = served.get(f"Datastreams({stream})/Observations", filter=wish, count="true", top="1000")
    assert page["@iot.count"] == len(page["value"]) == count


def test_expansion_brings_what_the_links_lead_to(served: Served) -> None:
    page = served.get(
        "Things",
        filter="properties/kind eq 'stop' or properties/kind eq 'lamp'",
        select="name,Locations",
        expand="Locations($select=location),Datastreams($select=name;$count=true;$top=2;$orderby=name desc;"
        "$expand=ObservedProperty($select=name),Observations($orderby=phenomenonTime desc;$top=1;$select=result))",
    )
    lamp, dark, stop = page["value"]
    assert set(lamp) == {"name", "Locations", "Datastreams", "Datastreams@iot.count"}
    assert lamp["Locations"] == [{"location": {"type": "Point", "coordinates": [15.6, 49.5]}}]
    assert [one["ObservedProperty"]["name"] for one in lamp["Datastreams"]] == ["illuminance_lx", "voltage_v"]
    assert [one["Observations"] for one in lamp["Datastreams"]] == [[], [{"result": 230.1}]]
    assert [one["Observations"] for one in dark["Datastreams"]] == [[], []]
    assert stop["Datastreams@iot.count"] == len(KINDS["stop"].public)
    rest = served.get(stop["Datastreams@iot.nextLink"].removeprefix(served.base + "/"))
    both = [one["name"] for one in stop["Datastreams"] + rest["value"]]
    assert both == sorted(both, reverse=True)
    assert "ObservedProperty" in rest["value"][0]
    paths = served.get("Things(3)", expand="Datastreams/Sensor,Datastreams/ObservedProperty")
    assert {"Sensor", "ObservedProperty"} <= set(paths["Datastreams"][0])


def test_properties_values_and_references_have_addresses(served: Served) -> None:
    thing, stream = served.asset("Náměstí"), served.stream("Náměstí", "air_temp_degc")
    assert served.get(f"Things({thing})/name") == {"name": "Náměstí"}
    assert served.get(f"Things({thing})/properties/kind") == {"kind": "stop"}
    for path, text in (
        (f"Things({thing})/name/$value", "Náměstí"),
        (f"Datastreams({stream})/unitOfMeasurement/symbol/$value", "°C"),
    ):
        answer = served.client.get(f"{served.base}/{path}")
        assert (answer.text, answer.headers["content-type"]) == (text, "text/plain; charset=utf-8")
    references = served.get(f"Things({thing})/Datastreams/$ref", top="1")
    assert references["value"] == [{"@iot.selfLink": f"{served.base}/Datastreams({thing << 6})"}]
    assert "@iot.nextLink" in references
    assert served.get(f"Things({thing})/Datastreams({stream})/Thing/Locations({thing})")["name"] == "Náměstí"
    state = served.stream("Náměstí", "charger_state")
    assert served.client.get(f"{served.base}/Datastreams({state})/unitOfMeasurement/symbol").status_code == 204


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        ("$filter=name eq", "sta_end", ""),
        ("$filter=name eq 'a", "sta_syntax", "9"),
        ("$filter=(name eq 'a'", "sta_end", ""),
        ("$filter=nome eq 'a'", "sta_name", "nome"),
        ("$filter=Datastreams/Observations/result gt 1", "sta_name", "Observations"),
        ("$filter=lower(name) eq 'a'", "sta_name", "lower"),
        ("$filter=name gt 5", "sta_type", "9"),
        ("$filter=name", "sta_type", "name"),
        ("$filter=length(name,name) eq 1", "sta_type", "length"),
        ("$filter=st_within(Locations/location,geography'POINT(1 2)')", "sta_type", "st_within"),
        ("$filter=id eq 99999999999999999999", "sta_syntax", "7"),
        ("$filter=id mul 9223372036854775807 eq 1", "sta_data", ""),
        ("$filter=substring(name,0,-1) eq 'a'", "sta_data", ""),
        ("$filter=" + "(" * 40 + "1 eq 1" + ")" * 40, "sta_limit", "25"),
        ("$filter=" + "1 eq 1 and " * 60 + "1 eq 1", "sta_limit", "200"),
        ("$top=-1", "sta_value", "-1"),
        ("$top=a", "sta_value", "a"),
        ("$skip=100001", "sta_limit", "100000"),
        ("$count=yes", "sta_value", "yes"),
        ("$orderby=name sideways", "sta_value", "sideways"),
        ("$orderby=nome", "sta_name", "nome"),
        ("$orderby=id&$skiptoken=x", "sta_value", "x"),
        ("$select=nome", "sta_name", "nome"),
        ("$expand=Nothing", "sta_name", "Nothing"),
        ("$expand=Datastreams($top=1", "sta_end", ""),
        ("$expand=Datastreams($wish=1)", "sta_option", "$wish"),
        ("$expand=Datastreams/Thing/Datastreams/Thing", "sta_limit", "3"),
        ("$resultFormat=dataArray", "sta_option", "resultFormat"),
        ("$top=1&$top=2", "sta_option", "$top"),
        ("%24filter=%ff", "sta_value", ""),
    ],
)
def test_what_is_wrong_is_named_with_its_place(served: Served, options: str, code: str, said: str) -> None:
    answer = served.client.get(f"{served.base}/Things?{options}", headers={"accept-language": "cs"})
    assert answer.status_code == 400, answer.text
    problem = answer.json()
    assert problem["type"] == f"/problems/{code}"
    assert said in problem["detail"] + problem["hint"]


@pytest.mark.parametrize(
    "path",
    [
        *("Nothing", "Things(0)", "Things(4711)", "Things(99999999999999999999)", "Things(1)/Nothing", "Things('a')"),
        *("Sensors(9)", "ObservedProperties(1)", "Things(1)/Datastreams(192)", "Things/name", "Things(1)/name/first"),
        *("Things(1)/Locations(2)", "Observations(1)", "Things(1)//name", "Things(1)/Datastreams/$value", "$ref"),
        *("Datastreams(70)/Thing(1)", "Things(1)/properties/nothing", "/".join(["Things(1)/Locations(1)"] * 9)),
    ],
)
def test_what_is_not_there_is_404(served: Served, path: str) -> None:
    assert served.get(path, 404)["type"] == "/problems/sta_path"


def test_nobody_writes_and_anybody_keeps_answers_a_while(served: Served) -> None:
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        answer = served.client.request(method, f"{served.base}/Things", json={"name": "Má"})
        assert answer.status_code == 405, method
        assert "GET" in answer.headers["allow"]
    answer = served.client.get(f"{served.base}/Things")
    assert answer.headers["cache-control"] == "public, max-age=60"
    assert answer.headers["access-control-allow-origin"] == "*"
    again = served.client.get(f"{served.base}/Things", headers={"if-none-match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert served.client.head(f"{served.base}/Things").status_code == 200


def test_names_of_options_come_escaped_and_spaces_as_plus_signs(served: Served) -> None:
    answer = served.client.get(f"{served.base}/Things?%24filter=name+eq+%27N%C3%A1m%C4%9Bst%C3%AD%27&%24top=5")
    assert [one["name"] for one in answer.json()["value"]] == ["Náměstí"]


def test_a_page_has_a_thousand_entities_at_most(served: Served) -> None:
    page = served.get("Observations", top="5000")
    assert len(page["value"]) == min(1000, 5 * QUARTERS)
    assert page["value"][0]["phenomenonTime"].startswith(BEGIN.isoformat()[:16])
    assert BEGIN + QUARTERS * timedelta(minutes=15) < BEGIN + timedelta(days=2)


def test_the_examples_of_the_page_are_answered(served: Served) -> None:
    page = (Path(__file__).parents[3] / "docs" / "sensorthings.md").read_text("utf-8")
    examples = re.findall(r"^GET (/sensorthings/\S+.*)$", page, re.MULTILINE)
    assert len(examples) >= 8
    for example in examples:
        answer = served.client.get(served.base.removesuffix(ROOT) + example)
        assert answer.status_code == 200, (example, answer.text)
        if answer.headers["content-type"] == "application/json":
            assert answer.json().get("value") != [], example
    assert "Datastreams(231)" in page
    assert served.stream("Náměstí", "air_temp_degc") == 231


def test_a_town_that_no_longer_publishes_is_gone_at_once_with_its_past(served: Served) -> None:
    def publish(town: str, wanted: bool) -> None:
        served.owner.execute("UPDATE municipality SET published = %s WHERE name = %s", [wanted, town])

    def own(town: str) -> None:
        served.owner.execute(
            "UPDATE asset SET municipality_id = (SELECT municipality_id FROM municipality WHERE name = %s)"
            " WHERE label = 'Tajné'",
            [town],
        )

    stream = served.stream("Náměstí", "air_temp_degc")
    publish("zdarna", False)
    assert "Náměstí" not in served.names("Things")
    served.get(f"Datastreams({stream})/Observations", 404)
    publish("zdarna", True)
    own("olsinka")  # what was measured while it belonged to a town that publishes nothing stays there
    assert served.get(f"Things({served.asset('Tajné')})")["properties"]["municipality"] == "olsinka"
    assert served.get(f"Datastreams({served.stream('Tajné', 'voltage_v')})/Observations")["value"] == []
    own("tajna")


def test_one_who_asks_too_much_is_told_so_and_others_wait_for_few(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(reading, "STATEMENT_MS_MAX", 1)
        assert served.get("Observations", 400, count="true")["type"] == "/problems/sta_broad"
    with monkeypatch.context() as patched:
        patched.setattr(routes, "WAITING_S_MAX", 0)
        answer = served.client.get(f"{served.base}/Things")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert answer.json()["type"] == "/problems/sta_busy"
    assert served.names("Sensors") == list(KINDS)
