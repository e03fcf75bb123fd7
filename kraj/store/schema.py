"""The reading tables, derived from the kinds: columns in stored order, DDL, and what an older table still lacks."""

from dataclasses import dataclass

from kraj.errors import ConfigurationError
from kraj.metrics import Kind, Metric

WIDTH_BYTES = {"bigint": 8, "timestamptz": 8, "integer": 4, "real": 4, "smallint": 2, "boolean": 1}


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a reading table; ``metric`` is None for those that every kind has."""

    name: str
    sql: str
    nullable: bool = False
    metric: Metric | None = None

    @property
    def ddl(self) -> str:
        return f"{self.name} {self.sql}{'' if self.nullable else ' NOT NULL'}"


CORE_COLUMNS = (
    Column("ts", "timestamptz"),
    Column("seq", "bigint"),
    Column("batch_id", "bigint"),
    Column("implausible", "bigint"),
    Column("asset_id", "integer"),
    Column("municipality_id", "integer"),
    Column("boot", "integer", nullable=True),
)


def columns(kind: Kind) -> tuple[Column, ...]:
    """Core columns, then the metrics, widest first: PostgreSQL pads to alignment, and years of rows are kept."""
    metrics = [Column(m.name, m.type.sql, nullable=True, metric=m) for m in kind.metrics]
    return CORE_COLUMNS + tuple(sorted(metrics, key=lambda column: -WIDTH_BYTES[column.sql]))


def create_statements(kind: Kind, *, hypertable: bool) -> list[str]:
    """DDL of ``reading_<kind>`` and ``latest_<kind>``."""
    body = ",\n    ".join(column.ddl for column in columns(kind))
    reading, latest = kind.reading_table, kind.latest_table
    return [
        f"CREATE TABLE {reading} (\n    {body}\n)" + ("" if hypertable else " PARTITION BY RANGE (ts)"),
        *([f"SELECT create_hypertable('{reading}', by_range('ts', INTERVAL '7 days'))"] if hypertable else []),
        f"CREATE UNIQUE INDEX {reading}_key ON {reading} (asset_id, ts, seq)",
        f"CREATE INDEX {reading}_batch ON {reading} USING brin (batch_id) WITH (pages_per_range = 32)",
        f"GRANT SELECT, INSERT ON {reading} TO kraj_ingest",
        # Half-empty pages: the row of an asset is rewritten in place again and again.
        f"CREATE TABLE {latest} (\n    {body},\n    PRIMARY KEY (asset_id)\n) WITH (fillfactor = 50)",
        f"GRANT SELECT, INSERT, UPDATE ON {latest} TO kraj_ingest",
        *(_columnstore(reading) if hypertable else []),
    ]


def _columnstore(reading: str) -> list[str]:
    """Chunks of a month ago become columns (TimescaleDB 2.18 or later; never run against a real one). What the unique
    key holds must be told; ``batch_id``, so that looking for new batches opens no old ones."""
    return [
        f"ALTER TABLE {reading} SET (timescaledb.enable_columnstore, timescaledb.segmentby = 'asset_id',"
        " timescaledb.orderby = 'ts DESC, seq DESC, batch_id')",
        f"CALL add_columnstore_policy('{reading}', after => INTERVAL '30 days')",
    ]


def view_statements(kind: Kind) -> list[str]:
    """The views through which the API reads: rows of the principal's municipalities and of assets granted to it.

    Made anew when a metric is new.
    """
    statements: list[str] = []
    for table, view in ((kind.reading_table, kind.reading_view), (kind.latest_table, kind.latest_view)):
        names = ", ".join(column.name for column in columns(kind))
        statements += [
            f"DROP VIEW IF EXISTS {view}",
            f"CREATE VIEW {view} WITH (security_barrier) AS SELECT {names} FROM {table}"  # noqa: S608
            " WHERE municipality_id = ANY ((SELECT kraj_municipalities('read'))::integer[])"
            " OR asset_id = ANY ((SELECT kraj_assets('read'))::integer[])",
            f"GRANT SELECT ON {view} TO kraj_api",
        ]
    return statements


def missing_columns(kind: Kind, found: dict[str, str]) -> list[Column]:
    """Columns that a table with ``found`` (name to SQL type) lacks; refuse what cannot be mended by adding."""
    declared = {column.name: column for column in columns(kind)}
    for name, sql in found.items():
        if name not in declared:
            raise ConfigurationError(
                f"{kind.reading_table}.{name} is in the database but not in the kind: metrics are only added; "
                f"put {name!r} back into kraj/kinds/{kind.name}.py"
            )
        if declared[name].sql != sql:
            raise ConfigurationError(
                f"{kind.reading_table}.{name} is {sql} in the database and {declared[name].sql} in the kind: "
                "a metric keeps its type; declare a new one"
            )
    return [column for name, column in declared.items() if name not in found]
