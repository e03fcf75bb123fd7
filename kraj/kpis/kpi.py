"""What a KPI is: its name, its words, and the rows of parts and wholes that it is summed and divided from.

A figure is ``scale * sum(part) / sum(whole)``, or ``scale * sum(part)`` where there is no whole, over whatever is
asked: a day, a month, a street, a municipality. Sums are divided once, so that no mean of means is ever taken. Beside
it stands ``completeness = sum(covered) / sum(due)``. What is not known has no part, no whole and nothing covered, but
is due.
"""

from dataclasses import dataclass
from enum import Enum, StrEnum

from kraj.errors import ConfigurationError
from kraj.metrics import NAME, Title


class Measure(Enum):
    """The unit of a figure: the suffix that ends its name, and the symbol that people read."""

    KWH = ("kwh", "kWh")
    KWH_PER_KWP = ("kwh_per_kwp", "kWh/kWp")
    CZK = ("czk", "Kč")
    CO2_KG = ("co2_kg", "kg CO₂")
    PERCENT = ("pct", "%")
    HOUR = ("h", "h")
    DAY = ("d", "d")

    @property
    def suffix(self) -> str:
        return self.value[0]

    @property
    def symbol(self) -> str:
        return self.value[1]


class Domain(StrEnum):
    """Which page a KPI stands on."""

    LIGHTING = "lighting"
    ROOFS = "roofs"
    STOPS = "stops"
    FAULTS = "faults"
    METERING = "metering"


class Grain(StrEnum):
    """What one row of the view is about; ``bucket`` is its beginning."""

    ASSET_DAY = "asset-day"
    ALERT = "alert"
    """``bucket`` is the midnight before it was opened or, of losses, before it ended."""
    EAN_QUARTER = "EAN quarter-hour"
    """With a column ``ean`` besides."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kpi:
    """One KPI. ``rows`` is SQL that gives ``bucket``, ``municipality_id``, ``asset_id``, ``group_id``, ``part``,
    ``whole`` (NULL for a sum), ``covered`` and ``due``; the view ``kpi_<name>`` is made of it, behind the wall.

    ``meaning`` says it in plain words, ``formula`` as it is computed, ``source`` who defines it so. Where ``rows`` are
    finer than days, ``by_day`` gives the same summed by day: the view ``kpi_<name>_day``.
    """

    name: str
    measure: Measure
    domain: Domain
    grain: Grain
    title: Title
    meaning: Title
    formula: str
    source: str
    rows: str
    by_day: str = ""
    unknown: Title | None = None
    """Why there may be no figure at all, where that is no fault of the data; said in its place."""
    ratio: bool = False
    scale: float = 1.0

    def __post_init__(self) -> None:
        if not NAME.fullmatch(self.name) or not self.name.endswith("_" + self.measure.suffix):
            raise ConfigurationError(
                f"KPI {self.name!r}: a name is lower-case words and ends with {self.measure.suffix}"
            )

    @property
    def view(self) -> str:
        """What a principal may see of it."""
        return f"kpi_{self.name}"

    @property
    def days_view(self) -> str:
        """The same with no more than a row a day: what sums over days read."""
        return f"{self.view}_day" if self.by_day else self.view

    @property
    def key(self) -> tuple[str, ...]:
        """Columns that tell rows of one bucket apart, besides the municipality."""
        return {Grain.ASSET_DAY: ("asset_id",), Grain.ALERT: ("alert_id",), Grain.EAN_QUARTER: ("ean",)}[self.grain]


ON_DAY = "{0}.asset_id = d.asset_id AND {0}.bucket = d.bucket AND {0}.municipality_id = d.municipality_id"
"""Of a row of the calendar ``d``."""


def days(kind: str, part: str, *, whole: str = "NULL", known: str = "TRUE", more: str = "") -> str:
    """Rows of a kind's days: ``d`` is the calendar, ``r`` the day's rollup (NULL where nothing was heard, whatever a
    counter rose by meanwhile), ``a`` the asset, ``k`` what the day step has computed (``more`` joins it). What is not
    ``known`` has neither part nor whole."""
    return f"""
SELECT d.bucket, d.municipality_id, d.asset_id, NULL::integer AS group_id, v.part, v.whole,
    CASE WHEN v.part IS NOT NULL THEN least(coalesce(r.covered_s, 0), d.due_s) ELSE 0 END AS covered, d.due_s AS due
FROM asset_day d JOIN asset a ON a.asset_id = d.asset_id
LEFT JOIN rollup_{kind}_1d r ON {ON_DAY.format("r")} AND r.covered_s > 0{more}
CROSS JOIN LATERAL (SELECT ({part})::double precision AS part, ({whole})::double precision AS whole) w
CROSS JOIN LATERAL (SELECT CASE WHEN {known} THEN w.part END AS part, CASE WHEN {known} THEN w.whole END AS whole) v
WHERE d.kind = '{kind}'"""  # noqa: S608 - our own words


def number(attribute: str) -> str:
    """A number of the asset's metadata; NULL where there is none."""
    return f"CASE jsonb_typeof(a.metadata->'{attribute}') WHEN 'number' THEN (a.metadata->>'{attribute}')::float8 END"


DAY = "({}.bucket AT TIME ZONE 'Europe/Prague')::date"
FACTOR = f"""
LEFT JOIN LATERAL (SELECT co2_g_per_kwh({{0}}.municipality_id, {DAY.format("{0}")}) AS g LIMIT 1) f ON true"""
"""Joins the emission factor ``f.g`` of a row's day. The subquery is memoized: asked once a day, not once an asset."""
PRICE = f"""
CROSS JOIN LATERAL (SELECT CASE WHEN d.asset_id IN (
    SELECT t.asset_id FROM tariff t WHERE t.asset_id IS NOT NULL UNION ALL
    SELECT m.asset_id FROM tariff t JOIN asset_group_member m USING (group_id)) THEN d.asset_id END AS narrow
    OFFSET 0) s
LEFT JOIN LATERAL (SELECT price_czk_per_kwh(d.municipality_id, s.narrow, {DAY.format("d")}, '{{0}}') AS czk
    LIMIT 1) p
    ON true"""  # noqa: S608 - our own words
"""Joins the price ``p.czk`` of a row's day; asked once a day for all assets without a tariff of their own or of a
group."""
