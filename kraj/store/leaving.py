"""A municipality's rows in every table, found by the catalogue; reading them out, and deleting them for good.

A row is the municipality's when it says so (``municipality_id``), or refers to a row that is. So tables of later
versions are found as well; what cannot be told that way stands in ``BESIDES``.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb

Connection = psycopg.Connection[Any]

KEPT = frozenset({"audit_entry", "audit_pending", "departure"})
"""What the law makes us keep: the audit log, which holds pseudonyms and names of columns, and the record of leaving."""
APART = frozenset({"person", "sign_in_session", "access_token", "one_time_code", "recovery_code", "job"})
"""Of people, whose rows go with them if they belong nowhere else."""
READINGS = "reading_"
BESIDES: Mapping[str, str] = {
    "quarantine": "§.topic LIKE 'kraj/' || %(name)s || '/%%' OR"
    " §.source IN (SELECT name FROM device WHERE municipality_id = %(town)s)",
    "quarantine_overflow": "§.source IN (SELECT name FROM device WHERE municipality_id = %(town)s)",
    "desired_left": "§.municipality = %(name)s",
    "import_row": "§.municipality IN (%(name)s, %(title)s)",
    # Answers that are kept for a day, by whoever asked.
    "idempotency_key": "strpos(§.answer::text, to_jsonb(%(name)s::text)::text) > 0",
}
"""Conditions on ``§`` for rows that neither say whose they are nor refer to such a row."""


@dataclass(frozen=True, slots=True)
class Town:
    """Who leaves."""

    municipality_id: int
    name: str
    title: str

    @property
    def parameters(self) -> dict[str, object]:
        return {"town": self.municipality_id, "name": self.name, "title": self.title}


@dataclass(frozen=True, slots=True)
class Table:
    """A table that holds rows of municipalities; ``condition`` is SQL about ``t`` with the parameters of a ``Town``."""

    name: str
    condition: str
    columns: tuple[tuple[str, str], ...]
    """Name and type of each column."""


def town(connection: Connection, name: str) -> Town | None:
    """The municipality of this name."""
    row = connection.execute("SELECT municipality_id, name, title FROM municipality WHERE name = %s", [name]).fetchone()
    return None if row is None else Town(*row)


def tables(connection: Connection) -> list[Table]:
    """Every table that may hold rows of a municipality, those that refer to others before them."""
    columns = _columns(connection)
    every = [one for one in _references(connection) if one[0] != one[2]]
    references = [(of, column, to, key) for of, column, to, key, single in every if single]
    conditions: dict[str, str | None] = {}
    edges = {(of, to) for of, _, to, _, _ in every}

    def condition(name: str) -> str | None:
        if name not in conditions:
            conditions[name] = None  # tables that refer to one another in a circle are told by another way
            parts = [BESIDES[name]] if name in BESIDES else []
            known = {column for column, _ in columns[name]}
            if "municipality_id" in known:
                parts.append("§.municipality_id = %(town)s")
            followed = {column: (to, key) for of, column, to, key in references if of == name}
            if not name.startswith(READINGS):  # a reading stays whose it was when the asset changed hands
                for column, to in (("asset_id", "asset"), ("device_id", "device")):
                    if column in known and name != to:
                        followed.setdefault(column, (to, column))
            for column, (to, key) in sorted(followed.items()):
                if to in APART or to == "municipality" or (inner := condition(to)) is None:
                    continue
                edges.add((name, to))
                inner = inner.replace("§", f"of_{to}")  # on one path no table stands twice
                parts.append(f"§.{column} IN (SELECT of_{to}.{key} FROM {to} of_{to} WHERE {inner})")  # noqa: S608
            conditions[name] = " OR ".join(f"({part})" for part in parts) or None
        return conditions[name]

    found = {name: said for name in columns if name not in APART and (said := condition(name)) is not None}
    # What is told by its words first: it asks for rows that go later.
    order = sorted(_children_first(list(found), edges), key=lambda name: name not in BESIDES)
    return [Table(name, found[name].replace("§", "t"), columns[name]) for name in order]


def _columns(connection: Connection) -> dict[str, tuple[tuple[str, str], ...]]:
    rows = connection.execute(
        "SELECT c.relname, array_agg(a.attname::text ORDER BY attnum),"
        " array_agg(format_type(a.atttypid, NULL) ORDER BY attnum)"
        " FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND attnum > 0 AND NOT attisdropped"
        " WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition"
        " GROUP BY 1 ORDER BY 1"
    ).fetchall()
    return {name: tuple(zip(names, types, strict=True)) for name, names, types in rows}


def _references(connection: Connection) -> list[tuple[str, str, str, str, bool]]:
    """Foreign keys: table, its first column, table referred to, its first column, and whether these are all."""
    return connection.execute(
        "SELECT k.conrelid::regclass::text, a.attname::text, k.confrelid::regclass::text, b.attname::text,"
        " cardinality(k.conkey) = 1"
        " FROM pg_constraint k JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = k.conkey[1]"
        " JOIN pg_attribute b ON b.attrelid = k.confrelid AND b.attnum = k.confkey[1]"
        " WHERE k.contype = 'f' AND k.conparentid = 0"
        " AND k.connamespace = 'public'::regnamespace ORDER BY 1, 2"
    ).fetchall()


def _children_first(names: list[str], edges: set[tuple[str, str]]) -> list[str]:
    order: list[str] = []
    waiting = list(names)
    while waiting:
        free = [n for n in waiting if not any(to == n and of in waiting and of != n for of, to in edges)]
        order += free or waiting
        waiting = [n for n in waiting if n not in order]
    return order


def _query(template: str, table: Table, **more: sql.Composable) -> sql.Composed:
    # The condition is ours: names out of the catalogue and the texts above.
    condition = sql.SQL(table.condition)  # pyright: ignore[reportArgumentType]
    return sql.SQL(template).format(  # pyright: ignore[reportArgumentType]
        table=sql.Identifier(table.name), condition=condition, **more
    )


def count(connection: Connection, table: Table, whose: Town) -> int:
    """How many rows are the municipality's."""
    row = connection.execute(
        _query("SELECT count(*) FROM {table} t WHERE {condition}", table), whose.parameters
    ).fetchone()
    return row[0] if row else 0


def rows(
    connection: Connection, table: Table, whose: Town, expressions: Sequence[str], batch: int
) -> Iterator[list[tuple[Any, ...]]]:
    """The municipality's rows in batches, as these SQL expressions of ``t``; within the caller's transaction."""
    chosen = sql.SQL(", ".join(expressions))  # pyright: ignore[reportArgumentType]
    with connection.cursor("leaving") as cursor:
        cursor.execute(
            _query("SELECT {chosen} FROM {table} t WHERE {condition}", table, chosen=chosen), whose.parameters
        )
        while found := cursor.fetchmany(batch):
            yield found


def live(connection: Connection, whose: Town, since: datetime) -> list[str]:
    """Devices that may still send: online, or heard since, and not suspended; at most 20 by name."""
    latest = [table.name for table in tables(connection) if table.name.startswith("latest_")]
    heard = " UNION ".join(f"SELECT asset_id FROM {name} WHERE ts >= %(since)s" for name in latest)  # noqa: S608
    statement = (
        "SELECT d.name FROM device d LEFT JOIN device_status s USING (device_id)"  # noqa: S608
        " WHERE d.municipality_id = %(town)s AND d.state NOT IN ('suspended', 'decommissioned') AND (s.online"
        " OR EXISTS (SELECT FROM installed i WHERE i.device_id = d.device_id AND i.valid_to IS NULL"
        f" AND i.asset_id IN ({heard}))) ORDER BY 1 LIMIT 20"
    )
    found = connection.execute(statement.encode(), {**whose.parameters, "since": since}).fetchall()
    return [name for (name,) in found]


def devices(connection: Connection, whose: Town) -> list[str]:
    """Its devices by name."""
    found = connection.execute(
        "SELECT name FROM device WHERE municipality_id = %s ORDER BY 1", [whose.municipality_id]
    ).fetchall()
    return [name for (name,) in found]


def lent(connection: Connection, whose: Town) -> list[str]:
    """Its devices that serve, or served, another municipality's assets: their history would go with them."""
    found = connection.execute(
        "SELECT DISTINCT d.name FROM device d JOIN installed i USING (device_id)"
        " WHERE d.municipality_id = %(town)s AND i.municipality_id <> %(town)s ORDER BY 1 LIMIT 20",
        whose.parameters,
    ).fetchall()
    return [name for (name,) in found]


def people(connection: Connection, whose: Town) -> list[int]:
    """Who belongs to this municipality and never to another one or the region; not the account for emergencies."""
    found = connection.execute(
        "SELECT person_id FROM person p WHERE NOT break_glass AND person_id IN ("
        "  SELECT person_id FROM membership WHERE municipality_id = %(town)s"
        "  UNION SELECT person_id FROM access_grant WHERE municipality_id = %(town)s AND person_id IS NOT NULL"
        "  UNION SELECT person_id FROM team_member JOIN team USING (team_id) WHERE municipality_id = %(town)s)"
        " AND NOT EXISTS (SELECT FROM membership m WHERE m.person_id = p.person_id"
        "  AND m.municipality_id IS DISTINCT FROM %(town)s)"
        " AND NOT EXISTS (SELECT FROM access_grant g WHERE g.person_id = p.person_id AND g.municipality_id <> %(town)s)"
        " AND NOT EXISTS (SELECT FROM team_member JOIN team t USING (team_id)"
        "  WHERE team_member.person_id = p.person_id AND t.municipality_id IS DISTINCT FROM %(town)s) ORDER BY 1",
        whose.parameters,
    ).fetchall()
    return [number for (number,) in found]


def partitions(connection: Connection) -> list[str]:
    """Where readings lie: partitions by name, or the table itself where it has none."""
    found = connection.execute(
        "SELECT relname::text FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'"
        " AND relname ~ '^reading_[a-z]+' ORDER BY 1"
    ).fetchall()
    return [name for (name,) in found]


@dataclass(frozen=True, slots=True)
class Departure:
    """How far the erasure is."""

    departure_id: int
    former_id: int
    manifest_sha256: str
    counts: dict[str, int]
    erased_at: datetime | None
    certificate: dict[str, Any] | None


def departure(connection: Connection, name: str) -> Departure | None:
    """The last erasure of a municipality of this name, done or begun."""
    row = connection.execute(
        "SELECT departure_id, former_id, manifest_sha256, counts, erased_at, certificate FROM departure"
        " WHERE name = %s ORDER BY departure_id DESC LIMIT 1",
        [name],
    ).fetchone()
    return None if row is None else Departure(*row)


def begin(connection: Connection, whose: Town, manifest_sha256: str, at: datetime) -> None:
    """From COMMIT on ingest takes nothing more of it: what still comes goes to quarantine. Safe to do again."""
    connection.execute(
        "INSERT INTO departure (former_id, name, manifest_sha256, began_at) VALUES (%s, %s, %s, %s)"
        " ON CONFLICT (former_id) DO NOTHING",
        [whose.municipality_id, whose.name, manifest_sha256, at],
    )
    connection.execute(
        "UPDATE device SET state = 'decommissioned' WHERE municipality_id = %s AND state <> 'decommissioned'",
        [whose.municipality_id],
    )


def erase_readings(connection: Connection, whose: Town, partition: str) -> int:
    """Delete what a partition holds of it; how many rows."""
    statement = sql.SQL("DELETE FROM {} WHERE municipality_id = %(town)s").format(sql.Identifier(partition))
    gone = connection.execute(statement, whose.parameters).rowcount
    _counted(connection, whose, {"_".join(partition.split("_")[:2]): gone})
    return gone


def erase_rest(connection: Connection, whose: Town, at: datetime) -> None:
    """Delete everything else, people who belong nowhere else, and the municipality: one transaction, the caller's."""
    # Before people go, who take their roles and what was answered to them along.
    found = [table for table in tables(connection) if table.name not in KEPT]
    counts = {table.name: count(connection, table, whose) for table in found} | {"person": 0}
    for person_id in people(connection, whose):
        connection.execute("SELECT erase_person(%s)", [person_id])
        counts["person"] += 1
    connection.execute(
        "UPDATE alert SET parent_id = NULL WHERE municipality_id IS DISTINCT FROM %(town)s"
        " AND parent_id IN (SELECT alert_id FROM alert WHERE municipality_id = %(town)s)",
        whose.parameters,
    )
    for table in found:
        statement = _query("DELETE FROM {table} t WHERE {condition}", table)
        gone = connection.execute(statement, whose.parameters).rowcount
        counts[table.name] = max(counts[table.name], gone)
    _counted(connection, whose, counts)
    connection.execute("UPDATE departure SET erased_at = %s WHERE former_id = %s", [at, whose.municipality_id])
    connection.execute(
        "SELECT audit('municipality.erase', 'municipality ' || %(town)s::text, '{}', %(town)s)", whose.parameters
    )


def _counted(connection: Connection, whose: Town, counts: Mapping[str, int]) -> None:
    connection.execute(
        "UPDATE departure d SET counts = d.counts || (SELECT coalesce(jsonb_object_agg(key, value::bigint"
        " + coalesce((d.counts ->> key)::bigint, 0)), '{}') FROM jsonb_each_text(%s)) WHERE former_id = %s",
        [Jsonb({name: number for name, number in counts.items() if number}), whose.municipality_id],
    )


def keep_certificate(connection: Connection, departure_id: int, certificate: Mapping[str, Any]) -> None:
    """Keep the certificate, so that a lost file can be written again."""
    connection.execute(
        "UPDATE departure SET certificate = %s WHERE departure_id = %s", [Jsonb(dict(certificate)), departure_id]
    )


def note(connection: Connection, action: str, whose: Town, detail: Mapping[str, Any]) -> None:
    """An entry in the audit log about the municipality."""
    connection.execute(
        "SELECT audit(%s, 'municipality ' || %s::text, %s, %s)",
        [action, whose.municipality_id, Jsonb(dict(detail)), whose.municipality_id],
    )
