"""The committed dashboards are what the kinds make, and nothing in them overlaps, repeats itself or leads nowhere."""

import itertools
import json
import re
from typing import Any

import pytest

from dashboards.source import PROMETHEUS_TYPE, TYPE
from dashboards.stored import FOLDER
from dashboards.units import MEASURES, UNITS
from dashboards.wording import LANGUAGES, texts
from ingest.counters import Counters
from kraj.kinds import KINDS
from kraj.kpis import KPIS, Measure
from kraj.units import Unit
from stack.rollup_service import Figures
from tests.dashboards.asked import DASHBOARDS, asked, panels

BOTH = sorted(name.partition("/")[2] for name in DASHBOARDS if name.startswith("cs/"))


@pytest.mark.filterwarnings("ignore:Prefer using dashboardv2:DeprecationWarning")  # classic JSON is meant
def test_the_files_are_what_kinds_and_texts_make() -> None:
    from dashboards import build

    found = {name: (FOLDER / name).read_text("utf-8") for name in DASHBOARDS}
    assert found == build.documents(), "run `kraj dashboards build`"


def test_a_metric_that_comes_to_a_kind_is_on_its_page() -> None:
    for kind in KINDS.values():
        statements = " ".join(one.sql for one in asked(f"cs/{kind.name}.json"))
        assert [metric.name for metric in kind.metrics if metric.name not in statements] == []
    assert set(UNITS) == set(Unit)


def test_every_kpi_is_on_a_page_with_its_meaning_and_completeness() -> None:
    for language in LANGUAGES:
        shown: set[str] = set()
        for name, document in DASHBOARDS.items():
            for panel in panels(document) if name.startswith(language) else ():
                asked_for = {
                    kpi
                    for target in panel.get("targets") or ()
                    for kpi in KPIS
                    if re.search(rf"\bkpi_{kpi}\b", target.get("rawSql", ""))
                }
                shown |= asked_for
                for kpi in asked_for:
                    meaning = KPIS[kpi].meaning
                    assert (meaning.cs if language == "cs" else meaning.en) in panel["description"], panel["title"]
                    assert "sum(covered" in str(panel["targets"]) or ".completeness" in str(panel["targets"]), panel
        assert shown == set(KPIS)
    assert set(MEASURES) == set(Measure)


@pytest.mark.parametrize("name", DASHBOARDS)
def test_panels_have_ids_of_their_own_and_room_of_their_own(name: str) -> None:
    found = list(panels(DASHBOARDS[name]))
    assert len({panel["id"] for panel in found}) == len(found)
    taken: set[tuple[int, int]] = set()
    for panel in found:
        place = panel["gridPos"]
        cells = set(
            itertools.product(range(place["x"], place["x"] + place["w"]), range(place["y"], place["y"] + place["h"]))
        )
        assert place["x"] + place["w"] <= 24
        assert not cells & taken, panel["title"]
        taken |= cells


@pytest.mark.parametrize("name", DASHBOARDS)
def test_every_query_goes_through_the_chosen_data_source_and_known_variables(name: str) -> None:
    document = DASHBOARDS[name]
    declared = {variable["name"] for variable in document["templating"]["list"]}
    for source in _sources(document):
        assert source in ({"type": TYPE, "uid": "${ds}"}, {"type": PROMETHEUS_TYPE, "uid": "${prometheus}"}), source
    used = set(re.findall(r"\$\{(\w+)(?::\w+)?\}", str(document))) - {"__url_time_range"}
    assert {variable for variable in used if not variable.startswith("__")} <= declared


def test_links_lead_to_dashboards_that_are_there() -> None:
    uids = {document["uid"] for document in DASHBOARDS.values()}
    assert len(uids) == len(DASHBOARDS)
    linked = {uid for document in DASHBOARDS.values() for uid in re.findall(r"/d/([\w-]+)", str(document))}
    assert linked
    assert linked <= uids
    assert "${kraj_url}/alerts/${__data.fields.alert_id}" in str(DASHBOARDS["cs/overview.json"])
    assert "/d/kraj-cs-lamp?" in str(DASHBOARDS["cs/lighting.json"])


@pytest.mark.parametrize("name", BOTH)
def test_both_languages_ask_the_same_and_say_it_in_their_own_words(name: str) -> None:
    czech, english = (DASHBOARDS[f"{language}/{name}"] for language in LANGUAGES)
    shape = [(panel["type"], panel["id"], panel["gridPos"]) for panel in panels(czech)]
    assert shape == [(panel["type"], panel["id"], panel["gridPos"]) for panel in panels(english)]
    assert czech["title"] != english["title"] or name == "platform.json"
    assert [_bare(one.sql) for one in asked(f"cs/{name}")] == [_bare(one.sql) for one in asked(f"en/{name}")]


def test_every_text_is_in_both_languages_and_in_use() -> None:
    for key, said in texts().items():
        assert set(said) == set(LANGUAGES), key
        assert all(said.values()), key
    source = " ".join(file.read_text("utf-8") for file in FOLDER.parent.rglob("*.py"))
    made_up = ("severity.", "state.", "overview.power_")
    assert [key for key in texts() if not re.search(f"[\"']{key}[\"']", source) and not key.startswith(made_up)] == []


def test_prometheus_is_asked_for_what_the_services_tell() -> None:
    for service, registry in (("ingest", Counters().registry), ("rollup", Figures().registry)):
        told = {f"{sample.name}" for family in registry.collect() for sample in family.samples}
        told |= {family.name for family in registry.collect()}
        statements = re.findall(rf"kraj_{service}_\w+", str(DASHBOARDS["cs/platform.json"]))
        assert statements
        bases = {re.sub(r"_(total|bucket)$", "", name) for name in told}
        assert {re.sub(r"_(total|bucket)$", "", name) for name in statements} <= bases


def _sources(document: dict[str, Any]) -> list[Any]:
    return [
        json.loads(found) for found in re.findall(r'"datasource": (\{[^{}]*(?:\{\w+\}[^{}]*)?\})', json.dumps(document))
    ]


def _bare(sql: str) -> str:
    """Without titles and words."""
    return re.sub(r"'[^']*'|\"[^\"]*\"", "", sql)
