"""The log in the real database: it only grows, every change of the registry is in it, and tampering is told."""

import json
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from psycopg.types.json import Jsonb

from kraj.audit import Tampering, sign, verify
from kraj.store import audit
from kraj.store.registry import NewAsset, NewDevice, register
from tests.waiting import best

Owner = psycopg.Connection[Any]
AT = datetime(2026, 11, 21, tzinfo=UTC)
KEY = Ed25519PrivateKey.generate()
FREE = "ALTER TABLE audit_entry DISABLE TRIGGER USER"


def person(owner: Owner, name: str = "jana@olsinka.cz", *, municipality: int | None = None) -> int:
    row = owner.execute(
        "INSERT INTO person (name, title, created_at) VALUES (%s, 'Jana', %s) RETURNING person_id", [name, AT]
    ).fetchone()
    assert row is not None
    owner.execute(
        "INSERT INTO membership (person_id, municipality_id, role, valid_from) VALUES (%s, %s, %s, %s)",
        [row[0], municipality, "region_admin" if municipality is None else "municipality_admin", AT],
    )
    return row[0]


def entries(owner: Owner) -> list[tuple[Any, ...]]:
    return owner.execute(
        "SELECT action, subject, detail - 'role', municipality_id, pseudonym FROM audit_entry ORDER BY entry_id"
    ).fetchall()


def fill(owner: Owner, count: int = 20) -> None:
    for number in range(count):
        owner.execute("SELECT audit('read_personal', %s, %s)", [f"person {number}", Jsonb({"žluťoučký": number / 3})])


def found(owner: Owner) -> Tampering | None:
    broken = verify(audit.chain(owner))
    return broken and broken.kind


def towns(owner: Owner) -> None:
    devices = [
        NewDevice(name=f"lamp-{n}", municipality=town, assets={0: NewAsset(kind="lamp", label=f"L{n}")})
        for n, town in ((1, "olsinka"), (2, "olsinka"), (3, "zdarna"))
    ]
    register(owner, {"olsinka": "Olšinka", "zdarna": "Žďárná"}, devices, AT)


def test_database_and_python_digest_the_same_bytes(owner: Owner) -> None:
    fill(owner)
    owner.execute(
        "SELECT audit('export', 'žluťoučký kůň', '{\"x\": [1.50, null, \"\\u0000a\"]}')".replace("\\u0000", "\\u0001")
    )
    assert found(owner) is None
    assert audit.end(owner)[0] == 21


def test_what_is_rolled_back_leaves_no_gap(owner: Owner) -> None:
    fill(owner, 2)
    with owner.transaction():
        fill(owner, 3)
        raise psycopg.Rollback
    fill(owner, 1)
    assert audit.end(owner)[0] == 3
    assert found(owner) is None
    assert owner.execute("SELECT count(*) FROM audit_pending").fetchone() == (0,)


@pytest.mark.parametrize(
    "what", ["UPDATE audit_entry SET subject = ''", "DELETE FROM audit_entry", "TRUNCATE audit_entry"]
)
def test_not_even_the_owner_changes_the_log_in_passing(owner: Owner, what: str) -> None:
    fill(owner, 2)
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="only grows"):
        owner.execute(what.encode())


@pytest.mark.parametrize("role", ["kraj_api", "kraj_ingest", "kraj_notify"])
def test_services_cannot_touch_the_log(owner: Owner, database_role_url: Callable[[str], str], role: str) -> None:
    fill(owner, 2)
    with psycopg.connect(database_role_url(role), autocommit=True) as connection:
        for table in ("audit_entry", "audit_pending", "audit_head"):
            for statement in (
                f"UPDATE {table} SET {'digest' if table != 'audit_pending' else 'subject'} = NULL",
                f"DELETE FROM {table}",
                f"TRUNCATE {table}",
                f"INSERT INTO {table} DEFAULT VALUES",
            ):
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    connection.execute(statement.encode())


def test_every_entry_that_is_altered_deleted_or_moved_is_told(owner: Owner) -> None:
    fill(owner, 12)
    number, digest = audit.end(owner)
    head = sign(KEY, number, digest, AT)
    owner.execute(FREE)
    attacks: list[tuple[str, set[Tampering]]] = [
        *(
            (f"UPDATE audit_entry SET {change} WHERE entry_id = {n}", {Tampering.ALTERED})
            for n in range(1, 13)
            for change in (
                "subject = 'nobody'",
                "detail = '{}'",
                "at = at + interval '1 microsecond'",
                "action = 'removed'",
                "municipality_id = 1",
                "pseudonym = gen_random_uuid()",
                "digest = sha256('x')",
                "previous = sha256('x')",
            )
        ),
        *((f"DELETE FROM audit_entry WHERE entry_id = {n}", {Tampering.DELETED}) for n in range(1, 12)),
        *(
            (
                f"UPDATE audit_entry SET entry_id = -entry_id WHERE entry_id IN ({n}, {n + 1});"
                f"UPDATE audit_entry SET entry_id = {2 * n + 1} + entry_id WHERE entry_id < 0",
                {Tampering.REORDERED},
            )
            for n in range(1, 12)
        ),
        *((f"DELETE FROM audit_entry WHERE entry_id > {n}", {Tampering.TRUNCATED}) for n in range(12)),
        ("TRUNCATE audit_entry", {Tampering.TRUNCATED}),
    ]
    for attack, kinds in attacks:
        with owner.transaction():
            owner.execute(attack.encode())
            broken = verify(audit.chain(owner), [head], KEY.public_key())
            assert broken is not None, attack
            assert broken.kind in kinds, attack
            raise psycopg.Rollback
    assert verify(audit.chain(owner), [head], KEY.public_key()) is None


def test_twenty_writers_at_once_make_one_whole_chain(owner: Owner, database_url: str) -> None:
    failed: list[Exception] = []

    def write(who: int) -> None:
        try:
            with psycopg.connect(database_url, autocommit=True) as connection:
                for number in range(25):
                    with connection.transaction():
                        connection.execute("SELECT audit('export', %s)", [f"writer {who} {number}"])
                        connection.execute("SELECT audit('export', %s)", [f"writer {who} {number} again"])
        except Exception as error:
            failed.append(error)

    writers = [threading.Thread(target=write, args=[who]) for who in range(20)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
    assert failed == []
    assert audit.end(owner)[0] == 1000
    assert found(owner) is None


def test_a_change_of_the_registry_is_noted_with_its_keys_and_columns_but_no_values(owner: Owner) -> None:
    towns(owner)
    owner.execute("UPDATE asset SET label = 'TAJNÉ', latitude = 49 WHERE label <> 'L2'")
    owner.execute("UPDATE asset SET label = label")
    owner.execute("DELETE FROM installed WHERE device_id = 2")
    noted = [(action, subject, detail, town) for action, subject, detail, town, _ in entries(owner)]
    assert noted == [
        ("created", "municipality", {"keys": [1]}, 1),
        ("created", "municipality", {"keys": [2]}, 2),
        ("created", "device", {"keys": [1, 2]}, 1),
        ("created", "device", {"keys": [3]}, 2),
        ("created", "asset", {"keys": [1, 2]}, 1),
        ("created", "asset", {"keys": [3]}, 2),
        *noted[6:8],
        ("changed", "asset", {"keys": [1], "columns": ["label", "latitude"]}, 1),
        ("changed", "asset", {"keys": [3], "columns": ["label", "latitude"]}, 2),
        *noted[10:],
    ]
    assert [entry[1] for entry in (*noted[6:8], *noted[10:])] == ["installed", "installed", "installed"]
    assert "TAJNÉ" not in json.dumps(noted)
    assert found(owner) is None


def test_many_rows_of_one_statement_are_few_entries(owner: Owner) -> None:
    owner.execute("INSERT INTO municipality (name, title) VALUES ('olsinka', 'Olšinka')")
    owner.execute(
        "INSERT INTO asset (municipality_id, kind, label) SELECT 1, 'lamp', 'L' || n FROM generate_series(1, 1200) n"
    )
    noted = [detail["keys"] for _, subject, detail, _, _ in entries(owner) if subject == "asset"]
    assert [len(keys) for keys in noted] == [500, 500, 200]
    assert sorted(key for keys in noted for key in keys) == list(range(1, 1201))


def test_secrets_of_people_stay_out_and_a_sign_in_elsewhere_is_no_change(owner: Owner) -> None:
    who = person(owner)
    owner.execute("UPDATE person SET password = 'argon2', totp_last_step = 7 WHERE person_id = %s", [who])
    owner.execute("UPDATE person SET totp_last_step = 8, version = version + 1 WHERE person_id = %s", [who])
    (_, _, last) = entries(owner)
    assert last[:3] == ("changed", "person", {"keys": [who], "columns": ["password"]})
    assert "argon2" not in str(entries(owner))


def test_who_it_was_is_the_principal_and_nobody_else_can_be_put_forward(owner: Owner) -> None:
    jana, petr = person(owner), person(owner, "petr@olsinka.cz")
    pseudonyms = dict(owner.execute("SELECT person_id, pseudonym FROM person").fetchall())
    with owner.transaction():
        owner.execute("SELECT audit('sign_in', 'session 1', doer => %s)", [jana])
        owner.execute("SELECT set_config('kraj.principal', %s, true)", [str(petr)])
        owner.execute("SELECT audit('export', 'readings', doer => %s)", [jana])
    assert [entry[4] for entry in entries(owner)[-2:]] == [pseudonyms[jana], pseudonyms[petr]]


def test_erasure_leaves_the_chain_whole_and_the_entries_nobodys(owner: Owner) -> None:
    who = person(owner)
    with owner.transaction():
        owner.execute("SELECT set_config('kraj.principal', %s, true)", [str(who)])
        owner.execute("SELECT audit('export', 'readings')")
    known = "SELECT count(*) FROM audit_entry JOIN person USING (pseudonym)"
    assert owner.execute(known).fetchone() == (1,)
    owner.execute("SELECT audit_forget(%s)", [who])
    assert owner.execute(known).fetchone() == (0,)
    assert found(owner) is None


async def test_a_town_sees_its_own_entries_and_the_region_all(
    owner: Owner, database_role_url: Callable[[str], str]
) -> None:
    towns(owner)
    clerk, admin = person(owner, municipality=1), person(owner, "kraj@kraj.cz")
    (everything,) = owner.execute("SELECT count(*) FROM audit_entry").fetchone() or (0,)
    seen: dict[int | None, list[audit.AuditRow]] = {}
    async with await psycopg.AsyncConnection.connect(database_role_url("kraj_api")) as connection:
        for who in (None, clerk, admin):
            async with connection.transaction():
                await connection.execute(
                    "SELECT set_config('kraj.principal', %s, true)", ["" if who is None else str(who)]
                )
                seen[who] = await audit.page(connection, audit.AuditFilter(), before=2**62, limit=1000)
    assert seen[None] == []
    assert {row.municipality for row in seen[clerk]} == {"olsinka"}
    assert len(seen[admin]) == everything


def test_an_entry_costs_less_than_two_milliseconds(owner: Owner) -> None:
    fill(owner, 10)

    def each_s() -> float:
        started = time.perf_counter()
        with owner.transaction():
            for number in range(500):
                owner.execute("SELECT audit('export', %s)", [f"readings {number}"])
        return (time.perf_counter() - started) / 500

    assert best(each_s, 0.002) < 0.002
