"""One device from close by: every metric of its kind, derived from the kind, and its alerts down to the work order."""

from collections.abc import Iterator, Sequence

from dashboards import sql
from dashboards.board import Board, Row, asset, console, municipality, source, step
from dashboards.boards import alerts
from dashboards.panels import Panel, figure, series, states
from dashboards.units import SHARE, UNITS
from dashboards.wording import Words
from kraj.metrics import Kind, Metric, Rollup, Type
from kraj.units import Unit

LINES_MAX = 8
"""More lines than that in one panel nobody tells apart."""
ABREAST = 2


def board(kind: Kind, words: Words) -> Board:
    """The dashboard of one asset of the kind."""
    title = words.of(kind.title)
    return Board(
        slug=kind.name,
        title=f"{title}: {words('device.title')}",
        about=words("device.about"),
        rows=[
            Row(words("device.now"), _now(kind, words), height=4),
            Row(words("device.alerts"), [alerts.listed(words, sql.ASSET, about=words("alerts.list_about"))], height=6),
            *_measured(kind, words),
            *_counted(kind, words),
            *_told(kind, words),
        ],
        variables=[source(words), console(), municipality(words), asset(words, kind.name, title), step()],
        alerts="a." + sql.ASSET,
        tags=[kind.name],
    )


def _now(kind: Kind, words: Words) -> list[Panel]:
    metric = kind.by_name[kind.headline]
    none = words("board.none")
    value, heard = (
        f"SELECT {said} FROM {kind.latest_view} WHERE {sql.ASSET}"  # noqa: S608
        for said in (metric.name, "extract(epoch FROM ts) * 1000")
    )
    return [
        figure(words.of(metric.title), value, UNITS[metric.unit], none=none),
        figure(words("device.heard"), heard, "dateTimeFromNow", none=none),
        figure(
            words("device.online"),
            f"SELECT online::integer FROM seen_device WHERE {sql.ASSET}",  # noqa: S608
            "bool_on_off",
            none=none,
            about=words("device.online_about"),
            steps=((None, "red"), (1, "green")),
        ),
        figure(
            words("board.completeness"),
            _known(kind),
            SHARE,
            none=none,
            about=words("board.completeness_about"),
            steps=((None, "red"), (0.7, "yellow"), (0.95, "green")),
        ),
    ]


def _known(kind: Kind) -> str:
    return f"""
SELECT CASE WHEN {sql.SPAN_S} > 0 THEN least(1, coalesce(sum(r.covered_s), 0) / {sql.SPAN_S}) END
FROM (SELECT asset_id FROM seen_asset WHERE {sql.ASSET}) AS a
LEFT JOIN (SELECT asset_id, covered_s FROM {sql.rollup(kind.name)} WHERE {sql.ASSET} AND {sql.TIME}) AS r
    USING (asset_id)
GROUP BY a.asset_id
"""  # noqa: S608


def _measured(kind: Kind, words: Words) -> Iterator[Row]:
    """Means, one panel a unit; what belongs together (power, voltage) is declared side by side in the kind."""
    panels: list[Panel] = []
    found = [metric for metric in kind.metrics if metric.rolled is Rollup.MEAN]
    for unit in dict.fromkeys(metric.unit for metric in found):
        alike = [metric for metric in found if metric.unit is unit]
        panels += [_series(kind, some, words, _title(some, words), UNITS[unit]) for some in _split(alike)]
    yield from _rows(words("device.measured"), panels)


def _counted(kind: Kind, words: Words) -> Iterator[Row]:
    panels: list[Panel] = []
    found = [metric for metric in kind.metrics if metric.rolled is Rollup.INCREASE]
    for unit in dict.fromkeys(metric.unit for metric in found):
        alike = [metric for metric in found if metric.unit is unit]
        panels += [_series(kind, some, words, _title(some, words), UNITS[unit], bars=True) for some in _split(alike)]
    yield from _rows(words("device.counted"), panels)


def _told(kind: Kind, words: Words) -> Iterator[Row]:
    """Flags as shares of the time, states and bits as bands."""
    shares = [metric for metric in kind.metrics if metric.rolled is Rollup.SHARE]
    panels: list[Panel] = [_series(kind, some, words, words("device.shares"), SHARE) for some in _split(shares)]
    for metric in kind.metrics:
        title = words.of(metric.title)
        if metric.rolled in {Rollup.LAST, Rollup.BITS}:
            named = dict(enumerate(metric.states)) if metric.type is Type.STATE else {}
            shown = _bits(metric) if metric.type is Type.FLAGS else f"max({metric.name})"
            view, none = sql.rollup(kind.name), words("board.none")
            asked = sql.lines(view, sql.ASSET, {title: shown})
            panels.append(states(title, asked, none=none, words={str(code): word for code, word in named.items()}))
    yield from _rows(words("device.told"), panels)


def _bits(metric: Metric) -> str:
    """The names of the bits that were set."""
    each = ", ".join(
        f"CASE WHEN bit_or({metric.name}) & {1 << place} <> 0 THEN '{name}' END"
        for place, name in enumerate(metric.bits)
    )
    return (
        f"CASE WHEN bit_or({metric.name}) <> 0 THEN concat_ws(', ', {each}) WHEN bit_or({metric.name}) = 0 THEN '–' END"
    )


def _series(kind: Kind, some: Sequence[Metric], words: Words, title: str, unit: str, *, bars: bool = False) -> Panel:
    asked = sql.lines(
        sql.rollup(kind.name), sql.ASSET, {words.of(metric.title): f"max({metric.name})" for metric in some}
    )
    return series(title, asked, unit, draw="bars" if bars else "lines")


def _title(some: Sequence[Metric], words: Words) -> str:
    first = words.of(some[0].title)
    if len(some) == 1:
        return first
    unit = some[0].unit
    return f"{first} … ({unit.symbol})" if unit not in {Unit.NONE, Unit.COUNT, Unit.RATIO} else f"{first} …"


def _split(found: Sequence[Metric]) -> Iterator[Sequence[Metric]]:
    for begin in range(0, len(found), LINES_MAX):
        yield found[begin : begin + LINES_MAX]


def _rows(title: str, panels: Sequence[Panel]) -> Iterator[Row]:
    for begin in range(0, len(panels), ABREAST):
        yield Row(title if begin == 0 else "", panels[begin : begin + ABREAST])
