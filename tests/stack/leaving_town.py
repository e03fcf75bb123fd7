"""Two municipalities that have a row in nearly every table, each with words that stand nowhere else."""

import hashlib
import re
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from kraj.store import leaving
from kraj.store.registry import NewAsset, NewDevice, register

Connection = psycopg.Connection[Any]
ROWS = Path(__file__).with_suffix(".sql")


def word(town: str) -> str:
    """What stands in the town's rows and nowhere else."""
    return f"Slovo{town.capitalize()}"


def plant(connection: Connection, town: str, at: datetime) -> None:
    """A lamp that was heard and renumbered, an alert with work on it, rules, people, an import, what was refused."""
    w = word(town)
    lamp = NewDevice(name=f"{town}-lamp", municipality=town, assets={0: NewAsset(kind="lamp", label=f"{w} 1")})
    register(connection, {town: f"{w} obec"}, [lamp], at - timedelta(days=30))
    row = connection.execute(
        "SELECT municipality_id, asset_id, device_id FROM municipality JOIN asset USING (municipality_id)"
        " JOIN installed USING (municipality_id, asset_id) WHERE name = %s",
        [town],
    ).fetchone()
    assert row is not None
    given: dict[str, Any] = dict(zip(("town", "asset", "device"), row, strict=True))
    given |= {
        "name": town,
        "w": w,
        "at": at,
        "digest": hashlib.sha256(w.encode()).digest(),
        "mail": f"{town}@x.example",
    }
    for statement, name in re.findall(r"^(\w[^;]*);(?: -- -> (\w+))?$", ROWS.read_text(), re.MULTILINE):
        found = connection.execute(statement.encode(), given)
        if name:
            given[name] = (found.fetchone() or (None,))[0]
    for week in (at, at - timedelta(days=7)):
        monday = (week - timedelta(days=week.weekday())).date()
        connection.execute("SELECT ensure_partition('lamp', %s)", [monday])
        for table in ("reading_lamp", *(("latest_lamp",) if week == at else ())):
            statement = sql.SQL(
                "INSERT INTO {} (asset_id, municipality_id, ts, seq, boot, batch_id, implausible, power_w)"
                " SELECT %s, %s, %s, n, 7, 1, 0, n FROM generate_series(1, %s) AS n"
            ).format(sql.Identifier(table))
            many = 1 if table == "latest_lamp" else 50
            connection.execute(statement, [given["asset"], given["town"], week, many])


def fingerprint(connection: Connection, town: str) -> dict[str, tuple[int, str]]:
    """Table → rows of a municipality and the checksum of all that stands in them."""
    whose = leaving.town(connection, town)
    assert whose is not None
    found: dict[str, tuple[int, str]] = {}
    for table in leaving.tables(connection):
        statement = (
            f"SELECT count(*), coalesce(md5(string_agg(t::text, E'\\n' ORDER BY t::text)), '') FROM {table.name} t"
            f" WHERE {table.condition}"
        )
        row = connection.execute(statement.encode(), whose.parameters).fetchone()
        assert row is not None
        found[table.name] = row[0], row[1]
    return found


def traces(connection: Connection, numbers: dict[str, int], words: tuple[str, ...]) -> list[str]:
    """Tables in which a column names the town, its asset or its device, or in which one of the words stands.

    Read from the catalogue, so that whoever adds a table is looked through as well.
    """
    columns = connection.execute(
        "SELECT c.relname, a.attname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND attnum > 0"
        " AND NOT attisdropped WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')"
    ).fetchall()
    found: list[str] = []
    for table in sorted({name for name, _ in columns} - leaving.KEPT):
        own = {column for name, column in columns if name == table}
        tests = [f"t.{column} = {number}" for column, number in numbers.items() if column in own]
        tests += [f"strpos(lower(t::text), lower('{one}')) > 0" for one in words]
        row = connection.execute(f"SELECT count(*) FROM {table} t WHERE {' OR '.join(tests)}".encode()).fetchone()
        assert row is not None
        if row[0]:
            found.append(table)
    return found
