"""The map and the chart as pure drawings."""

from datetime import timedelta
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from api import chart, maps
from api.freshness import Condition, condition
from kraj.kinds import KINDS, LAMP
from kraj.store.queries import Span
from tests.api.conftest import NOW


def place(asset_id: int, latitude: float | None, longitude: float | None, town: str = "a") -> maps.Place:
    return maps.Place(
        asset_id=asset_id,
        kind="lamp",
        label=f"VO-{asset_id}",
        municipality=town,
        title=town * 5,
        latitude=latitude,
        longitude=longitude,
        condition=Condition.REPORTING,
    )


def test_every_kind_has_its_own_shape() -> None:
    assert len({maps.shape(kind) for kind in KINDS}) == len(KINDS)


def test_north_is_up_and_east_is_right() -> None:
    south_west, north_east = maps.draw([place(1, 49.0, 15.0), place(2, 49.1, 15.1)]).markers
    assert south_west.x < north_east.x
    assert south_west.y > north_east.y


@given(st.lists(st.tuples(st.floats(-85, 85), st.floats(-180, 180), st.sampled_from("abcd")), min_size=1, max_size=30))
def test_everything_with_coordinates_is_in_view_and_counted(spots: list[tuple[float, float, str]]) -> None:
    drawing = maps.draw([place(n, *spot) for n, spot in enumerate(spots)] + [place(99, None, 15.0)])
    assert drawing.not_placed == 1
    drawn = [*drawing.markers, *drawing.clusters]
    assert all(0 <= spot.x <= maps.WIDTH and 0 <= spot.y <= maps.HEIGHT for spot in drawn)
    assert len(drawing.markers) + sum(cluster.count for cluster in drawing.clusters) == len(spots)


def test_names_of_neighbouring_towns_do_not_overlap() -> None:
    towns = [place(n, 49.3 + n * 0.02, 15.1 + n * 0.1, "abcdef"[n]) for n in range(6)]
    drawing = maps.draw(towns)
    spots = [(round(c.x + c.name_x), round(c.y + c.name_y)) for c in drawing.clusters]
    assert len(set(spots)) == 6


def test_a_ring_shows_each_condition_in_its_share() -> None:
    ring = maps.shares([Condition.REPORTING] * 3 + [Condition.SILENT])
    assert [(share.condition, share.start, share.length) for share in ring if share.length] == [
        (Condition.REPORTING, 0, 75),
        (Condition.SILENT, 75, 25),
    ]


def test_a_chart_breaks_where_nothing_came() -> None:
    start = NOW - timedelta(hours=24)
    spans = [Span(start + timedelta(minutes=5 * n), n, n, n, 1) for n in (*range(10), *range(100, 110))]
    drawn = chart.chart(spans, start, ZoneInfo("UTC"), gap_s=900)
    assert drawn is not None
    assert drawn.line.count("M") == drawn.band.count("M") == 2
    assert (drawn.low, drawn.high) == (0, 109)
    assert [hour.readings for hour in drawn.table] == [9, 1, 5, 5]
    assert chart.chart([], start, ZoneInfo("UTC"), gap_s=900) is None


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=20))
def test_a_chart_holds_every_value_between_a_few_levels(values: list[float]) -> None:
    start = NOW - timedelta(hours=24)
    spans = [Span(start + timedelta(minutes=5 * n), value, value, value, 1) for n, value in enumerate(values)]
    drawn = chart.chart(spans, start, ZoneInfo("UTC"), gap_s=900)
    assert drawn is not None
    assert 2 <= len(drawn.levels) <= 8
    assert drawn.levels[0].value - 1e-6 <= min(values)
    assert max(values) <= drawn.levels[-1].value + 1e-6


def test_conditions_follow_the_last_reading_and_the_word_of_the_device() -> None:
    silent = 3 * timedelta(seconds=LAMP.heartbeat_idle_s)

    def of(online: bool | None, age: timedelta | None, *, implausible: bool = False) -> Condition:
        last = None if age is None else NOW - age
        return condition(LAMP, online=online, last=last, implausible=implausible, at=NOW)

    assert of(True, timedelta(0)) is Condition.REPORTING
    assert of(None, silent) is Condition.REPORTING
    assert of(True, silent + timedelta(seconds=1), implausible=True) is Condition.SILENT
    assert of(True, timedelta(0), implausible=True) is Condition.UNUSUAL
    assert of(False, timedelta(0)) is Condition.OFFLINE
    assert of(True, None) is Condition.NEVER
