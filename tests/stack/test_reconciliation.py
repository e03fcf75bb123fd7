"""Whole months of real rollups against a slow twin: clocks going back, a meter that restarts, gaps long and short."""

import asyncio
from collections.abc import Callable, Iterator
from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any

import psycopg
import pytest

from kraj.kinds import CABINET, LAMP, SOLAR
from kraj.meters import ZONE, Comparison, check_digit, midnight
from kraj.metrics import Kind
from kraj.store import meters
from kraj.store.reconciling import compared
from kraj.tariffs import DAY, Direction
from stack import rollup
from stack.database import OWNER
from tests.stack.rollup_town import Town, lamps

FIRST, LAST = date(2026, 10, 1), date(2026, 10, 31)
OCTOBER = (FIRST, LAST)
"""745 hours."""
ROOF, CABINET_, RESTARTED = (
    n + check_digit(n) for n in ("85918240000000001", "85918240000000002", "85918240000000003")
)
HOUSE = "85918240000000004" + check_digit("85918240000000004")
STEP, QUARTER = timedelta(minutes=10), timedelta(minutes=15)
Rows = list[tuple[int, int, dict[str, float]]]
Counters = dict[str, Callable[[datetime], float]]


def local(day: int, hour: int, month: int = 10) -> datetime:
    return datetime(2026, month, day, hour, tzinfo=ZONE)


def told(
    asset: int,
    counters: Counters,
    *,
    span: tuple[date, date],
    silent: tuple[datetime, datetime] | None = None,
    restart: datetime | None = None,
    power_w: float = 0.0,
) -> Rows:
    """Readings a few minutes beside each ten from the day before a span to the day behind it; counters start at a
    kilowatt-hour, and a new meter at 5."""
    found: Rows = []
    since, first = 1000.0, midnight(span[0] - DAY)
    values = dict.fromkeys(counters, since)
    now, end = first.timestamp() + 137, midnight(span[1] + 2 * DAY).timestamp()
    while now < end:
        at = datetime.fromtimestamp(now, ZONE)
        if restart is not None and at >= restart:
            values, restart = dict.fromkeys(counters, 5.0), None
        if silent is None or not silent[0] <= at < silent[1]:
            found.append((asset, round(now * 1000), {"power_w": power_w, **values}))
        for name, watts in counters.items():
            values[name] += round(watts(at) / 6)
        now += STEP.total_seconds()
    return found


def energy(rows: Rows, counter: str, span: tuple[date, date]) -> float:
    """kWh of a span by raw readings: every rise, cut at the span's ends; what a new meter showed first is nobody's."""
    low, high = midnight(span[0]).timestamp() * 1000, midnight(span[1] + DAY).timestamp() * 1000
    total = 0.0
    for (_, before, one), (_, after, other) in pairwise(rows):
        rise, inside = other[counter] - one[counter], min(after, high) - max(before, low)
        if rise >= 0 and inside > 0:
            total += rise * inside / (after - before)
    return total / 1000


class World(Town):
    """The town with a roof, two cabinets and a lamp, each on a meter."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.url = url
        self.ask(
            "INSERT INTO asset (municipality_id, kind, label, metadata) VALUES"
            """ (1, 'solar', 'R', '{"power_rated_w": 8000}'), (1, 'cabinet', 'C1', '{"power_rated_w": 4000}'),"""
            """ (1, 'cabinet', 'C2', '{"power_rated_w": 4000}')"""
        )
        self.ask("INSERT INTO asset_group_member SELECT 1, asset_id FROM asset WHERE label = 'C2' OR kind = 'solar'")
        self.ask("INSERT INTO person (name, title, created_at) VALUES ('j@k.example', 'J', now())")
        self.ask("INSERT INTO membership (person_id, role, valid_from) VALUES (1, 'region_admin', '2020-01-01')")
        self.ask("SELECT set_config('kraj.principal', '1', false)")
        for ean, asset in ((ROOF, 7), (CABINET_, 8), (RESTARTED, 9), (HOUSE, 1)):
            self.ask(
                "INSERT INTO metering_point (ean, municipality_id, title, voltage, at)"
                " VALUES (%s, 1, 'B', 'nn', now())",
                [ean],
            )
            self.ask(
                "INSERT INTO metering_point_asset (ean, municipality_id, asset_id, valid_from, who, at)"
                " VALUES (%s, 1, %s, '2026-01-01', 'J', now())",
                [ean, asset],
            )

    def theirs(self, ean: str, span: tuple[date, date], kwh: float) -> None:
        """The distributor's quarter-hours: the same each, to the watt-hour in sum."""
        self.ask(
            "INSERT INTO meter_quarter (ean, bucket, import_id, municipality_id, status, import_wh)"
            " SELECT %s, b, 1, 1, 'measured', floor(n * %s) - floor((n - 1) * %s) FROM (SELECT b, row_number() OVER"
            " (ORDER BY b) AS n FROM generate_series(%s::timestamptz, %s, interval '15 min') AS b) AS q",
            [ean, *[kwh * 1000 / _quarters(span)] * 2, midnight(span[0]), midnight(span[1] + DAY) - QUARTER],
        )

    def compared(self, ean: str, direction: Direction, *spans: tuple[date, date]) -> list[Comparison]:
        async def ask() -> list[Comparison]:
            async with await psycopg.AsyncConnection[Any].connect(self.url, autocommit=True) as connection:
                await connection.execute("SELECT set_config('kraj.principal', '1', false)")
                point = await meters.point(connection, ean)
                assert point is not None
                bills = await meters.invoices(connection, ean=ean, limit=100)
                return await compared(connection, point, direction, spans, bills)

        return asyncio.run(ask())


def _quarters(span: tuple[date, date]) -> int:
    return round((midnight(span[1] + DAY).timestamp() - midnight(span[0]).timestamp()) / 900)


@pytest.fixture
def world(database_role_url: Callable[[str], str]) -> Iterator[World]:
    found = World(database_role_url(OWNER))
    yield found
    found.connection.close()


def roll(database_role_url: Callable[[str], str], world: World, at: datetime, *parts: tuple[Kind, Rows]) -> None:
    world.write(*(lamps(rows, kind=kind) for kind, rows in parts))
    rollup.catch_up(database_role_url("kraj_rollup"), at)


def test_a_month_agrees_with_raw_readings_whatever_happens_in_it(
    world: World, database_role_url: Callable[[str], str]
) -> None:
    sun: Counters = {
        "energy_wh": lambda at: 5000 if 9 <= at.hour < 16 else 0,
        "export_energy_wh": lambda at: 2100 if 11 <= at.hour < 15 else 0,
        "import_energy_wh": lambda at: 900 if at.hour < 8 else 150,
    }
    night: Counters = {"energy_wh": lambda at: 3000 if at.hour < 6 or at.hour >= 18 else 30}
    # The roof: a new meter on the 12th, five silent hours on the 20th.
    roof = told(7, sun, span=OCTOBER, silent=(local(20, 9), local(20, 14)), restart=local(12, 13))
    # The cabinets: silent for six days and a half, one with a new meter meanwhile.
    silent = (local(8, 6), local(14, 18))
    cabinet = told(8, night, span=OCTOBER, silent=silent, power_w=3000)
    restarted = told(9, night, span=OCTOBER, silent=silent, restart=local(10, 12), power_w=3000)
    roll(database_role_url, world, local(2, 3, 11), (SOLAR, roof), (CABINET, cabinet), (CABINET, restarted))

    world.theirs(ROOF, OCTOBER, energy(roof, "import_energy_wh", OCTOBER))
    week = (date(2026, 10, 22), date(2026, 10, 28))  # with the day of 25 hours
    sides: list[tuple[Direction, str]] = [("import", "import_energy_wh"), ("export", "export_energy_wh")]
    for direction, counter in sides:
        whole = energy(roof, counter, OCTOBER)
        month, part = world.compared(ROOF, direction, OCTOBER, week)
        assert month.ours.kwh == pytest.approx(whole, abs=0.01)
        assert month.ours.completeness == pytest.approx(1 - 4.5 / 745, abs=0.001)  # a value holds for a while
        assert (part.ours.kwh, part.ours.completeness) == (
            pytest.approx(energy(roof, counter, week), abs=0.01),
            pytest.approx(1),
        )
        if direction == "import":
            assert (month.theirs.completeness, month.verdict) == (1, "agrees")
            assert month.difference_pct == pytest.approx(0, abs=0.01)

    # A gap within the span is bridged by the counter itself; where a span begins or ends in it, nobody knows.
    whole = energy(cabinet, "energy_wh", OCTOBER)
    asyncio.run(_billed(world.url, CABINET_, whole))
    heads, tails = (FIRST, date(2026, 10, 11)), (date(2026, 10, 11), LAST)
    month, head, tail, inside = world.compared(
        CABINET_, "import", OCTOBER, heads, tails, (date(2026, 10, 9), date(2026, 10, 13))
    )
    assert month.ours.kwh == pytest.approx(whole, abs=0.01)
    assert month.ours.completeness == pytest.approx(1 - 156 / 745, abs=0.002)
    assert (month.billed.kwh, month.verdict) == (pytest.approx(whole, abs=0.001), "agrees")
    assert [one.ours.kwh for one in (head, tail, inside)] == [None, None, None]
    assert inside.ours.completeness == 0
    (month,) = world.compared(RESTARTED, "import", OCTOBER)
    assert month.ours.kwh is None
    assert month.ours.completeness == pytest.approx(1 - 156 / 745, abs=0.002)


async def _billed(url: str, ean: str, kwh: float) -> None:
    async with await psycopg.AsyncConnection[Any].connect(url, autocommit=True) as connection:
        await connection.execute("SELECT set_config('kraj.principal', '1', false)")
        fields = {
            "number": "1",
            "direction": "import",
            "period_from": FIRST,
            "period_until": LAST,
            "kwh": Decimal(str(round(kwh, 3))),
            "czk": Decimal(1),
        }
        await meters.add_invoice(connection, ean, fields, "J", local(1, 12, 11))


def test_a_silent_months_energy_is_nobodys_figure_and_is_not_lost(
    world: World, database_role_url: Callable[[str], str]
) -> None:
    span = (date(2026, 8, 30), date(2026, 10, 2))
    lamp: Counters = {"energy_wh": lambda _: 30}
    rows = told(1, lamp, span=span, silent=(local(31, 18, 8), local(1, 9)), power_w=30)
    beside = told(2, lamp, span=(date(2026, 9, 1), date(2026, 9, 1)), power_w=30)
    roll(database_role_url, world, local(4, 12), (LAMP, rows), (LAMP, beside))
    world.ask(
        "INSERT INTO asset_day (bucket, asset_id, municipality_id, kind, due_s) SELECT day::timestamp AT TIME ZONE"
        " 'Europe/Prague', 1, 1, 'lamp', 86400 FROM generate_series('2026-08-30'::date, '2026-10-02', '1 day') AS day"
    )
    figures = {
        day: (kwh, complete)
        for day, kwh, complete in world.ask(
            "SELECT day, lighting_energy_kwh, completeness FROM kpi_lighting_energy_kwh WHERE asset_id = 1 ORDER BY 1"
        )
    }
    september = [figures[date(2026, 9, n)] for n in range(1, 31)]
    assert september == [(None, 0)] * 30
    for day in (date(2026, 8, 30), date(2026, 10, 2)):
        assert figures[day] == (pytest.approx(0.72, abs=0.001), pytest.approx(1, abs=0.001))
    # The days around the gap hold what was measured, not a part of what is booked on those between.
    assert figures[date(2026, 8, 31)][0] == pytest.approx(0.03 * 18, abs=0.006)
    assert figures[date(2026, 10, 1)][0] == pytest.approx(0.03 * 15, abs=0.006)
    within = "bucket >= '2026-09-01 00:00 Europe/Prague' AND bucket < '2026-10-01 00:00 Europe/Prague'"
    for step in ("15m", "1h", "1d"):
        shown = world.ask(
            f"SELECT count(*), count(energy_wh), sum(readings) FROM seen_rollup_lamp_{step}"
            f" WHERE asset_id = 1 AND {within}"
        )[0]
        assert shown[1:] == (0, 0)
    # Of their group, the one who was heard.
    group = world.ask(f"SELECT sum(energy_wh) FROM seen_rollup_group_lamp_1d WHERE {within}")[0][0]
    assert group == pytest.approx(2 * 720, abs=10)
    # What is booked on those days stands behind the wall as all else does.
    assert world.ask("SELECT sum(energy_wh) FROM seen_booked_lamp_1d WHERE covered_s = 0")[0][0] > 20_000
    world.ask("INSERT INTO person (name, title, created_at) VALUES ('p@z.example', 'P', now())")
    world.ask(
        "INSERT INTO membership (person_id, municipality_id, role, valid_from) VALUES (2, 2, 'viewer', '2020-01-01')"
    )
    world.ask("SELECT set_config('kraj.principal', '2', false)")
    assert world.ask("SELECT count(*) FROM seen_booked_lamp_1d") == [(0,)]
    total = energy(rows, "energy_wh", span)
    month, around = world.compared(HOUSE, "import", (date(2026, 9, 1), date(2026, 9, 30)), span)
    assert (month.ours.kwh, month.ours.completeness) == (None, 0)
    assert around.ours.kwh == pytest.approx(total, abs=0.001)
    assert around.ours.completeness == pytest.approx(1 - (30 * 24 + 15) / (34 * 24), abs=0.01)
