"""The declarations of KPIs are complete, and the committed page is what they say."""

from pathlib import Path

import psycopg
import pytest

from kraj.errors import ConfigurationError
from kraj.kpis import KPIS, Domain, Grain, Kpi, Measure
from kraj.kpis.reference import DOMAINS, PATH, markdown
from kraj.metrics import Title
from kraj.store import kpi_views

ROOT = Path(__file__).parents[3]
TITLE = Title(cs="Věc", en="Thing")


def test_the_committed_page_is_up_to_date() -> None:
    page = (ROOT / PATH).read_text(encoding="utf-8")
    assert page == markdown(KPIS.values()), "run: python -m kraj.kpis.reference"


def test_every_kpi_says_in_both_languages_what_it_is() -> None:
    for kpi in KPIS.values():
        assert kpi.formula
        assert kpi.source
        assert all(text.strip() for one in (kpi.title, kpi.meaning) for text in (one.cs, one.en))
    assert {kpi.domain for kpi in KPIS.values()} == set(DOMAINS) == set(Domain)


def test_a_name_ends_with_its_unit() -> None:
    given = {
        "domain": Domain.ROOFS,
        "grain": Grain.ALERT,
        "title": TITLE,
        "meaning": TITLE,
        "formula": "",
        "source": "",
    }
    with pytest.raises(ConfigurationError, match="ends with kwh"):
        Kpi(name="pv_energy", measure=Measure.KWH, rows="", **given)  # pyright: ignore[reportArgumentType]


def test_views_are_made_once_and_anew_when_the_declaration_changes(database_url: str) -> None:
    with psycopg.connect(database_url) as connection:
        assert kpi_views.make(connection) == []
        connection.execute("COMMENT ON VIEW kpi_pv_energy_kwh IS 'another'")
        assert kpi_views.make(connection) == ["kpi_pv_energy_kwh"]


@pytest.mark.parametrize("url", ["database_url", "database15_url"])
def test_every_view_has_its_columns_on_both_servers(request: pytest.FixtureRequest, url: str) -> None:
    with psycopg.connect(request.getfixturevalue(url)) as connection:
        for kpi in KPIS.values():
            cursor = connection.execute(f"SELECT * FROM {kpi.view}".encode())
            assert tuple(column.name for column in cursor.description or ()) == kpi_views.columns(kpi)
