"""Who and what there is: assets with their devices, at a glance with their newest value, and municipalities."""

import unicodedata
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import class_row

from kraj.kinds import KINDS
from kraj.store.queries.history import shown

Connection = psycopg.AsyncConnection[Any]

ACCENTED = "ÁÄČĎÉĚËÍĹĽŇÓÔÖŘŔŠŤÚŮÜÝŽáäčďéěëíĺľňóôöřŕšťúůüýž"


def folded(text: str) -> str:
    """Without accents and capitals, so that ``nadrazni`` finds ``Nádražní``; a database in the C locale cannot."""
    if text.isascii():
        return text.lower()
    return "".join(c for c in unicodedata.normalize("NFD", text) if not unicodedata.combining(c)).lower()


def _folded(column: sql.Composable) -> sql.Composed:
    """``folded`` in SQL."""
    plain = "".join(folded(c).upper() if c.isupper() else folded(c) for c in ACCENTED)
    return sql.SQL("lower(translate({}, {}, {}))").format(column, sql.Literal(ACCENTED), sql.Literal(plain))


def literally(text: str) -> str:
    """A text as LIKE looks for it as it stands."""
    for special in "\\%_":
        text = text.replace(special, "\\" + special)
    return text


def folded_sql(column: str) -> str:
    """``folded`` of a column, as SQL in which nothing is left to be filled in."""
    return _folded(sql.SQL(column)).as_string(None).replace("%", "%%")  # pyright: ignore[reportArgumentType]


@dataclass(frozen=True, slots=True, kw_only=True)
class AssetFilter:
    """Which assets: of a municipality (its name), of a kind, with a text in the label (an old one, too) or the device's
    name; assets that are retired are none of them."""

    municipality: str | None = None
    kind: str | None = None
    text: str | None = None
    group_id: int | None = None

    @property
    def parameters(self) -> dict[str, str | int]:
        """What was asked for and nothing else: of statements with conditions that do not apply PostgreSQL makes a new
        plan each time."""
        text = None if self.text is None else folded(self.text)
        for special in "\\%_":
            text = text and text.replace(special, "\\" + special)
        given = {
            "municipality": self.municipality,
            "kind": self.kind,
            "group_id": self.group_id,
            "text": None if text is None else f"%{text}%",
        }
        return {name: value for name, value in given.items() if value is not None}


@dataclass(frozen=True, slots=True, kw_only=True)
class AssetRow:
    """An asset with the device that serves it now."""

    asset_id: int
    kind: str
    label: str
    latitude: float | None
    longitude: float | None
    metadata: dict[str, Any]
    municipality: str
    municipality_title: str
    device: str | None
    channel: int | None
    online: bool | None
    retired_at: datetime | None
    version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadlineRow:
    """An asset with the one metric that is shown where there is room for one; ``headline`` is PostgreSQL's text."""

    asset_id: int
    kind: str
    label: str
    latitude: float | None
    longitude: float | None
    municipality: str
    municipality_title: str
    device: str | None
    online: bool | None
    ts: datetime | None
    headline: str | None
    implausible: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceRow:
    """A device, what it last said of itself, and what it serves now (``assets``: id, channel, kind, label)."""

    device_id: int
    name: str
    municipality: str
    municipality_title: str
    state: str
    version: int
    online: bool | None
    boot: int | None
    firmware: str | None
    reset: str | None
    safe_mode: bool | None
    changed_at: datetime | None
    assets: list[dict[str, Any]]
    unknown_keys: list[str]


@dataclass(frozen=True, slots=True)
class MunicipalityRow:
    """A municipality and how many assets it has."""

    name: str
    title: str
    assets: int


_ASSETS = sql.SQL("""
    FROM asset a
    JOIN municipality m USING (municipality_id)
    LEFT JOIN installed i ON i.asset_id = a.asset_id AND i.valid_to IS NULL
    LEFT JOIN device d ON d.device_id = i.device_id
    LEFT JOIN device_status s ON s.device_id = i.device_id
""")


_ASSET_COLUMNS = sql.SQL("""
    SELECT a.asset_id, a.kind, a.label, a.latitude, a.longitude, a.metadata, m.name AS municipality,
           m.title AS municipality_title, d.name AS device, i.channel, s.online, a.retired_at, a.version
""")


_OF_TOWN = "p.municipality_id = (SELECT m.municipality_id FROM municipality m WHERE m.name = %(municipality)s)"
_ASSET_WHERE = {
    "municipality": sql.SQL(_OF_TOWN),
    "kind": sql.SQL("p.kind = %(kind)s"),
    "group_id": sql.SQL("p.asset_id IN (SELECT o.asset_id FROM asset_group_member o WHERE o.group_id = %(group_id)s)"),
    "text": sql.SQL("""({label} LIKE %(text)s
        OR p.asset_id IN (SELECT o.asset_id FROM asset_label o WHERE {old} LIKE %(text)s)
        OR p.asset_id IN (SELECT i.asset_id FROM installed i JOIN device d USING (device_id)
                          WHERE i.valid_to IS NULL AND d.name LIKE %(text)s))""").format(
        label=_folded(sql.SQL("p.label")), old=_folded(sql.SQL("o.label"))
    ),
}


def _page(given: frozenset[str]) -> sql.Composed:
    """The page is found first: joined before, everything about all assets would be looked up for fifty of them."""
    conditions = [sql.SQL("p.asset_id > %(after)s AND p.retired_at IS NULL")]
    return sql.SQL(
        "WITH page AS MATERIALIZED (SELECT p.asset_id FROM asset p WHERE {} ORDER BY p.asset_id LIMIT %(limit)s)"
    ).format(sql.SQL(" AND ").join([*conditions, *(_ASSET_WHERE[name] for name in sorted(given))]))


_OF_PAGE = sql.SQL(" JOIN page ON page.asset_id = a.asset_id ")
_IN_ORDER = sql.SQL(" ORDER BY a.asset_id")


@cache
def _assets_statement(given: frozenset[str]) -> bytes:
    return (_page(given) + _ASSET_COLUMNS + _ASSETS + _OF_PAGE + _IN_ORDER).as_bytes()


@cache
def _headlines_statement(given: frozenset[str]) -> bytes:
    newest = sql.SQL(" UNION ALL ").join(
        sql.SQL("SELECT ts, {}::text AS headline, implausible FROM {} WHERE asset_id = a.asset_id").format(
            shown(kind.by_name[kind.headline]), sql.Identifier(kind.latest_view)
        )
        for kind in KINDS.values()
    )
    columns = sql.SQL("""
        SELECT a.asset_id, a.kind, a.label, a.latitude, a.longitude, m.name AS municipality,
               m.title AS municipality_title, d.name AS device, s.online, l.ts, l.headline, l.implausible
    """)
    join = sql.SQL("LEFT JOIN LATERAL ({}) l ON true").format(newest)  # by key: nothing else goes into a barrier view
    return (_page(given) + columns + _ASSETS + _OF_PAGE + join + _IN_ORDER).as_bytes()


async def assets(connection: Connection, which: AssetFilter, *, after: int, limit: int) -> list[AssetRow]:
    """Assets by id, behind ``after``."""
    async with connection.cursor(row_factory=class_row(AssetRow)) as cursor:
        given = which.parameters
        await cursor.execute(_assets_statement(frozenset(given)), {**given, "after": after, "limit": limit})
        return await cursor.fetchall()


async def asset(connection: Connection, asset_id: int) -> AssetRow | None:
    """One asset."""
    async with connection.cursor(row_factory=class_row(AssetRow)) as cursor:
        await cursor.execute(_ASSET_COLUMNS + _ASSETS + sql.SQL("WHERE a.asset_id = %s"), [asset_id])
        return await cursor.fetchone()


async def headlines(connection: Connection, which: AssetFilter, *, after: int, limit: int) -> list[HeadlineRow]:
    """Assets by id with the headline of their newest reading, whether they ever sent one or not."""
    async with connection.cursor(row_factory=class_row(HeadlineRow)) as cursor:
        given = which.parameters
        await cursor.execute(_headlines_statement(frozenset(given)), {**given, "after": after, "limit": limit})
        return await cursor.fetchall()


_DEVICES = sql.SQL("""
    SELECT d.device_id, d.name, m.name AS municipality, m.title AS municipality_title, d.state, d.version,
           s.online, s.boot, s.firmware, s.reset, s.safe_mode, s.changed_at,
           coalesce((SELECT jsonb_agg(jsonb_build_object('asset_id', a.asset_id, 'channel', i.channel, 'kind', a.kind,
                                                         'label', a.label) ORDER BY i.channel)
                     FROM installed i JOIN asset a USING (asset_id)
                     WHERE i.device_id = d.device_id AND i.valid_to IS NULL), '[]') AS assets,
           ARRAY(SELECT key FROM unknown_key u WHERE u.device_id = d.device_id ORDER BY key LIMIT 50) AS unknown_keys
    FROM device d
    JOIN municipality m USING (municipality_id)
    LEFT JOIN device_status s USING (device_id)
""")


@cache
def _devices_statement(given: frozenset[str]) -> bytes:
    serves: list[sql.Composable] = [sql.SQL("i.device_id = p.device_id AND i.valid_to IS NULL")]
    if "kind" in given:
        serves.append(sql.SQL("a.kind = %(kind)s"))
    if "text" in given:
        label = _folded(sql.SQL("a.label"))
        serves.append(sql.SQL("({} LIKE %(text)s OR p.name LIKE %(text)s)").format(label))
    conditions: list[sql.Composable] = [sql.SQL("p.name > %(after)s")]
    if "municipality" in given:
        conditions.append(sql.SQL(_OF_TOWN))
    if len(serves) > 1:
        one = sql.SQL("EXISTS (SELECT FROM installed i JOIN asset a USING (asset_id) WHERE {})").format(
            sql.SQL(" AND ").join(serves)
        )
        conditions.append(one if "kind" in given else sql.SQL("(p.name LIKE %(text)s OR {})").format(one))
    page = sql.SQL(
        "WITH page AS MATERIALIZED (SELECT p.device_id FROM device p WHERE {} ORDER BY p.name LIMIT %(limit)s)"
    ).format(sql.SQL(" AND ").join(conditions))
    return (page + _DEVICES + sql.SQL("JOIN page ON page.device_id = d.device_id ORDER BY d.name")).as_bytes()


async def devices(connection: Connection, which: AssetFilter, *, after: str, limit: int) -> list[DeviceRow]:
    """Devices by name, behind ``after``; the text is looked for in their names and in the labels they serve."""
    async with connection.cursor(row_factory=class_row(DeviceRow)) as cursor:
        given = which.parameters
        await cursor.execute(_devices_statement(frozenset(given)), {**given, "after": after, "limit": limit})
        return await cursor.fetchall()


async def device(connection: Connection, name: str) -> DeviceRow | None:
    """One device."""
    async with connection.cursor(row_factory=class_row(DeviceRow)) as cursor:
        await cursor.execute(_DEVICES + sql.SQL("WHERE d.name = %s"), [name])
        return await cursor.fetchone()


async def municipalities(connection: Connection) -> list[MunicipalityRow]:
    """Every municipality."""
    async with connection.cursor(row_factory=class_row(MunicipalityRow)) as cursor:
        await cursor.execute(
            "SELECT m.name, m.title, count(a.asset_id) AS assets FROM municipality m LEFT JOIN asset a"
            " ON a.municipality_id = m.municipality_id AND a.retired_at IS NULL"
            " GROUP BY m.municipality_id ORDER BY m.name"
        )
        return await cursor.fetchall()
