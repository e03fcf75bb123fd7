"""The reference of rules: the committed page is what the catalogue says."""

import re
from pathlib import Path

import pytest

from rules.catalogue import load
from rules.correlation import causes
from rules.reference import PATH, main, markdown

ROOT = Path(__file__).parents[2]


def test_committed_page_is_up_to_date() -> None:
    assert (ROOT / PATH).read_text("utf-8") == markdown(), "run: kraj reference"


def test_command_writes_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    main()
    assert (tmp_path / PATH).read_text("utf-8") == markdown()


def test_every_rule_and_cause_has_its_place_once() -> None:
    told = re.findall(r"^### `(\w+)`", markdown(), re.MULTILINE)
    assert sorted(told) == sorted([*(rule.name for rule in load()), *(cause.name for cause in causes.load())])


def test_tables_have_four_cells_a_row_and_the_page_one_newline_at_its_end() -> None:
    page = markdown()
    assert {line.count("|") for line in page.splitlines() if line.startswith("|")} == {5}
    assert page.endswith("|\n")
    assert not page.endswith("\n\n")
