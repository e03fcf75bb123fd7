"""The distributor's and EDC's quarter-hours: what metering points took from the grid, gave to it, and shared."""

from dashboards import sql
from dashboards.board import Board, Row, console, municipality, point, source, step
from dashboards.boards import figures
from dashboards.wording import Words

GRID_KPIS = ("ean_import_kwh", "ean_export_kwh")
SHARING_KPIS = ("ean_shared_kwh", "ean_unshared_kwh")
POINTS = f"{sql.TOWN} AND ('0' IN (${{point}}) OR ean IN (${{point}}))"
POINT_LIST = f"SELECT ean, title || ' (' || ean || ')' AS point FROM seen_metering_point WHERE {POINTS}"  # noqa: S608


def board(words: Words) -> Board:
    """By municipality and metering point; they belong to no group and no device."""
    both = (*GRID_KPIS, *SHARING_KPIS)
    return Board(
        slug="metering",
        title=words("metering.title"),
        about=words("metering.about"),
        rows=[
            *figures.figures(words, words("kpi.row"), both, POINTS),
            Row(
                words("metering.by_time"),
                [
                    figures.days(words, words("metering.grid"), GRID_KPIS, POINTS, draw="bars"),
                    figures.days(words, words("metering.sharing"), SHARING_KPIS, POINTS, draw="stacked"),
                ],
                height=10,
            ),
            Row(
                words("metering.points"),
                [figures.compared(words, words("metering.points"), both, POINTS, "ean", POINT_LIST)],
                height=12,
            ),
        ],
        variables=[source(words), console(), municipality(words), point(words), step()],
        since="now-30d",
        tags=["metering"],
    )
