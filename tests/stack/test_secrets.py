"""Passwords are random, stay the same, and are readable for us alone."""

from pathlib import Path

import pytest

from kraj.errors import ConfigurationError
from stack.secrets import load_or_create
from stack.services import push_keys


def test_passwords_are_distinct_stay_and_are_ours_alone(tmp_path: Path) -> None:
    file = tmp_path / "secrets.json"
    first = load_or_create(file, [f"lamp-{number}" for number in range(1000)])
    assert len(set(first.values())) == 1000
    assert min(map(len, first.values())) >= 32
    more = load_or_create(file, ["slot_0"])
    assert {name: more[name] for name in first} == first
    assert file.stat().st_mode & 0o777 == 0o600
    assert [entry.name for entry in tmp_path.iterdir()] == ["secrets.json"]


def test_a_damaged_file_is_named_and_not_replaced(tmp_path: Path) -> None:
    file = tmp_path / "secrets.json"
    file.write_text("{")
    with pytest.raises(ConfigurationError, match=r"secrets\.json"):
        load_or_create(file, ["slot_0"])
    assert file.read_text() == "{"


def test_the_key_that_signs_pushed_messages_is_made_once_and_readable_for_its_owner_alone(tmp_path: Path) -> None:
    file, public = push_keys(tmp_path / "secrets")
    assert file.stat().st_mode & 0o777 == 0o600
    before = file.read_bytes()
    assert push_keys(tmp_path / "secrets") == (file, public)
    assert file.read_bytes() == before
