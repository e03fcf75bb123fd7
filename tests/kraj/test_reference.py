"""The reference of metrics: the committed page is what the kinds say."""

from pathlib import Path

import pytest

from kraj.kinds import KINDS
from kraj.metrics import Kind, Metric, Title
from kraj.reference import PATH, main, markdown
from kraj.units import Unit

ROOT = Path(__file__).parents[2]
TITLE = Title(cs="Věc", en="Thing")


def test_committed_page_is_up_to_date() -> None:
    page = (ROOT / PATH).read_text(encoding="utf-8")
    assert page == markdown(KINDS.values()), "run: python -m kraj.reference"


def test_command_writes_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    main()
    assert (tmp_path / PATH).read_text(encoding="utf-8") == markdown(KINDS.values())


def test_every_metric_has_one_row_of_eleven_cells() -> None:
    page = markdown(KINDS.values())
    rows = [line for line in page.splitlines() if line.startswith("| `")]
    assert [row.split("`")[1] for row in rows] == [m.name for kind in KINDS.values() for m in kind.metrics]
    assert all(row.count("|") == 12 for row in rows)


def test_numbers_read_as_people_write_them() -> None:
    metric = Metric(
        "power_w",
        Unit.WATT,
        TITLE,
        possible=(-20_000, 1.5),
        plausible=(-0.25, 1),
        deadband=2,
        deadband_pct=3,
        source="a|b",
    )
    page = markdown([Kind("thing", TITLE, (metric,), 300, 3600, "power_w")])
    expected = "| `power_w` | Věc | Thing | W | real | −20\u202f000 … 1.5 | −0.25 … 1 | 2 W, 3 % |  | a\\|b |  |"
    assert page.splitlines()[-1] == expected


def test_page_ends_with_one_newline() -> None:
    page = markdown(KINDS.values())
    assert page.endswith("|\n")
    assert not page.endswith("\n\n")
