"""``kraj people``: the first administrator, links, the account for emergencies, and the demo's way in."""

import re

import psycopg
import pytest
from pydantic import SecretStr

from kraj.errors import ConfigurationError
from kraj.people import RIGHTS, ROLES
from kraj.settings import Settings
from kraj.store.sign_in import digest
from stack import people

NAME = "jana@kraj.example"


@pytest.fixture
def settings(database_url: str) -> Settings:
    return Settings(database_url=SecretStr(database_url), public_url="https://kraj.example/")


def add(
    settings: Settings, name: str = NAME, title: str = "Jana", role: str = "region_admin", town: str | None = None
) -> str:
    return people.invited(settings, name, title, role, town)


def code(database_url: str, url: str) -> tuple[str, str] | None:
    with psycopg.connect(database_url) as connection:
        return connection.execute(
            "SELECT purpose, name FROM one_time_code JOIN person USING (person_id) WHERE digest = %s",
            [digest(url.rpartition("/")[2])],
        ).fetchone()


def test_the_first_administrator_comes_in_by_a_link(settings: Settings, database_url: str) -> None:
    url = add(settings, " Jana@Kraj.example ")
    assert re.fullmatch(r"https://kraj\.example/links/[\w-]{43}", url)
    assert code(database_url, url) == ("invitation", NAME)
    again = add(settings)
    assert code(database_url, url) is None, "of two links the later one counts"
    assert code(database_url, again) == ("invitation", NAME)
    assert people.lines(settings) == ["jana@kraj.example  Jana  region_admin"]


def test_a_person_who_is_shut_out_may_not_sign_in(settings: Settings, database_url: str) -> None:
    add(settings)
    assert code(database_url, people.reset(settings, NAME)) == ("invitation", NAME), "there is no password yet"
    people.disable(settings, NAME)
    assert people.lines(settings) == ["jana@kraj.example  Jana  region_admin  shut out"]
    with pytest.raises(ConfigurationError, match="kraj people list"):
        people.reset(settings, NAME)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"name": "jana"}, "no e-mail"),
        ({"title": " "}, "--title is empty"),
        ({"role": "king"}, "one of region_admin"),
        ({"role": "municipality_admin"}, "held in a municipality"),
        ({"role": "region_admin", "town": "olsinka"}, "held in no municipality"),
        ({"role": "crew", "town": "nowhere"}, "there is none of the name"),
    ],
)
def test_what_is_wrong_is_named(settings: Settings, given: dict[str, str], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        add(settings, **given)


def test_the_account_for_emergencies_gets_a_new_password_each_time(settings: Settings, database_url: str) -> None:
    first, second = people.break_glass(settings), people.break_glass(settings)
    assert first != second
    assert min(len(first), len(second)) >= 40
    with psycopg.connect(database_url) as connection:
        row = connection.execute("SELECT name, password, break_glass FROM person").fetchall()
    assert [(name, glass) for name, _, glass in row] == [(people.BREAK_GLASS, True)]
    assert row[0][1].startswith("$argon2id$")
    assert second not in row[0][1]
    assert people.lines(settings) == ["break-glass@kraj.local  Nouzový účet  region_admin  emergencies"]


def test_the_demo_prints_a_link_that_says_what_it_is(database_url: str) -> None:
    hint = people.demo_hint(database_url, "http://127.0.0.1:8080/")
    found = re.search(r"http://127\.0\.0\.1:8080/links/[\w-]{43}\b", hint)
    assert found is not None
    assert "without a password" in hint
    assert code(database_url, found[0]) == ("sign_in", people.DEMO)
    people.demo_hint(database_url, "http://127.0.0.1:8080/")
    assert code(database_url, found[0]) is None, "the link of an earlier start has ended"


def test_the_rights_of_roles_are_the_same_in_the_database(database_url: str) -> None:
    with psycopg.connect(database_url) as connection:
        rows = connection.execute("SELECT role, array_agg(right_name) FROM role_right GROUP BY role").fetchall()
    assert {role: sorted(rights) for role, rights in rows} == {role: sorted(rights) for role, rights in ROLES.items()}
    assert set(RIGHTS) == {right for _, rights in rows for right in rights}


def test_nothing_of_a_person_stays_in_plain_text(settings: Settings, database_url: str) -> None:
    url = add(settings)
    secret = url.rpartition("/")[2]
    with psycopg.connect(database_url) as connection:
        assert secret not in str(connection.execute("SELECT * FROM one_time_code").fetchall())


def test_the_operator_erases_a_person_but_not_the_last_administrator(settings: Settings, database_url: str) -> None:
    add(settings)
    with pytest.raises(ConfigurationError, match="last administrator of the region"):
        people.erase(settings, NAME)
    add(settings, "petr@kraj.example", "Petr")
    people.erase(settings, " Jana@Kraj.example ")
    assert people.lines(settings) == ["petr@kraj.example  Petr  region_admin"]
    with pytest.raises(ConfigurationError, match="kraj people list"):
        people.erase(settings, NAME)
    people.break_glass(settings)
    with pytest.raises(ConfigurationError, match="emergencies"):
        people.erase(settings, people.BREAK_GLASS)
    with psycopg.connect(database_url) as connection:
        rows = connection.execute("SELECT subject FROM audit_entry WHERE action = 'person.erase'").fetchall()
        assert NAME not in str(connection.execute("SELECT * FROM audit_entry").fetchall())
    assert len(rows) == 1


def test_who_is_shut_out_can_be_erased(settings: Settings) -> None:
    add(settings)
    people.disable(settings, NAME)
    people.erase(settings, NAME)
    assert people.lines(settings) == []
