"""Roles and rights are declared once; the database holds the same."""

from typing import Any

import psycopg

from kraj import people


def test_the_database_gives_each_role_the_rights_that_are_declared(database_url: str) -> None:
    with psycopg.connect(database_url) as connection:
        found: set[tuple[str, str]] = set(connection.execute("SELECT role, right_name FROM role_right").fetchall())
    assert found == {(role, right) for role, rights in people.ROLES.items() for right in rights}


def test_the_database_takes_the_declared_roles_and_grantable_rights_alone(database_url: str) -> None:
    def words(connection: psycopg.Connection[Any], constraint: str) -> set[str]:
        row = connection.execute(
            "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = %s", [constraint]
        ).fetchone()
        assert row
        return set(row[0].split("'")[1::2])

    with psycopg.connect(database_url) as connection:
        assert words(connection, "membership_role") == set(people.ROLES)
        assert words(connection, "access_grant_rights") == set(people.GRANTABLE)


def test_only_administrators_let_others_in_and_need_a_second_factor() -> None:
    may_let_in = {role for role, rights in people.ROLES.items() if "people" in rights}
    assert may_let_in == set(people.SECOND_FACTOR)
