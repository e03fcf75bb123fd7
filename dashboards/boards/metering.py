"""The distributor's and EDC's quarter-hours: what metering points took from the grid, gave to it, and shared."""

from dashboards import kpi_sql, sql
from dashboards.board import Board, Row, console, municipality, source, step
from dashboards.boards import figures
from dashboards.wording import Words
from kraj.kpis import KPIS

GRID_KPIS = ("ean_import_kwh", "ean_export_kwh")
SHARING_KPIS = ("ean_shared_kwh", "ean_unshared_kwh")
POINT_LIST = f"SELECT DISTINCT ean FROM {KPIS[GRID_KPIS[0]].view} WHERE {sql.TOWN} AND {kpi_sql.DAYS}"  # noqa: S608


def board(words: Words) -> Board:
    """By municipality and metering point; they belong to no group and no device."""
    both = (*GRID_KPIS, *SHARING_KPIS)
    return Board(
        slug="metering",
        title=words("metering.title"),
        about=words("metering.about"),
        rows=[
            *figures.figures(words, words("kpi.row"), both, sql.TOWN),
            Row(
                words("metering.by_time"),
                [
                    figures.days(words, words("metering.grid"), GRID_KPIS, sql.TOWN, draw="bars"),
                    figures.days(words, words("metering.sharing"), SHARING_KPIS, sql.TOWN, draw="stacked"),
                ],
                height=10,
            ),
            Row(
                words("metering.points"),
                [figures.compared(words, words("metering.points"), both, sql.TOWN, "ean", POINT_LIST)],
                height=12,
            ),
        ],
        variables=[source(words), console(), municipality(words), step()],
        since="now-30d",
        tags=["metering"],
    )
