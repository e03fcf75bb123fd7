"""The tables of rollups, derived from the kinds: DDL, and the views through which people read."""

from collections.abc import Sequence
from typing import Final

from kraj.errors import ConfigurationError
from kraj.metrics import Kind, Rollup
from kraj.rollups import CORE, GROUP_CORE, STEPS, Column, group_columns, value_columns

__all__ = ["STEPS", "booked_view", "create_statements", "missing_columns", "table_columns", "view_statements"]

BOOKED: Final = frozenset({"bucket", "asset_id", "municipality_id", "covered_s"})
"""Columns of ``booked_view`` besides the counters."""


def table_columns(kind: Kind, *, group: bool) -> tuple[Column, ...]:
    """Of ``rollup_group_<kind>_<step>`` or ``rollup_<kind>_<step>``."""
    return GROUP_CORE + group_columns(kind) if group else CORE + value_columns(kind)


def create_statements(kind: Kind, step: str, *, group: bool) -> list[str]:
    """DDL of a table of rollups. Rows are replaced while their hour lasts, so it is vacuumed before a fifth is dead."""
    table = kind.rollup_table(step, group=group)
    body = ",\n    ".join(
        f"{c.name} {c.sql}{'' if c.metric else ' NOT NULL'}" for c in table_columns(kind, group=group)
    )
    key = "group_id, bucket" if group else "asset_id, bucket, municipality_id"
    return [
        f"CREATE TABLE {table} (\n    {body}\n) PARTITION BY RANGE (bucket)",
        f"CREATE UNIQUE INDEX {table}_key ON {table} ({key})",
        f"CREATE INDEX {table}_town ON {table} (municipality_id, bucket)",
        f"GRANT SELECT, INSERT, DELETE ON {table} TO kraj_rollup",
        f"GRANT SELECT ON {kind.reading_table}, {kind.latest_table} TO kraj_rollup",
    ]


def view_statements(kind: Kind, step: str, found: Sequence[str], *, group: bool) -> list[str]:
    """The view through which people read it, without what counters rose by while nothing was heard; ``found`` are the
    table's columns in their order, in which new ones are last: so the view is replaced in place, and what builds on it
    stays."""
    table = kind.rollup_table(step, group=group)
    granted = (
        "group_id IN (SELECT g.group_id FROM kraj_grants('read') g)"
        if group
        else "asset_id = ANY ((SELECT kraj_assets('read'))::integer[])"
    )
    counts = {m.name for m in kind.metrics if m.rolled is Rollup.INCREASE and not group}
    shown = ", ".join(f"CASE WHEN covered_s > 0 THEN {n} END AS {n}" if n in counts else n for n in found)
    wall = f" FROM {table} WHERE municipality_id = ANY ((SELECT kraj_municipalities('read'))::integer[]) OR {granted}"
    made = [
        f"CREATE OR REPLACE VIEW seen_{table} WITH (security_barrier) AS SELECT {shown}{wall}",
        f"GRANT SELECT ON seen_{table} TO kraj_api",
    ]
    if step == STEPS[-1] and counts:
        booked = ", ".join(n for n in found if n in counts | BOOKED)
        made += [
            f"CREATE OR REPLACE VIEW {booked_view(kind)} WITH (security_barrier) AS SELECT {booked}{wall}",
            f"GRANT SELECT ON {booked_view(kind)} TO kraj_api",
        ]
    return made


def booked_view(kind: Kind) -> str:
    """Days of a kind's counters with what is booked on days of which nothing is covered: right in sums over whole gaps,
    and for nothing else (``seen_rollup_<kind>_1d`` shows what was measured)."""
    return f"seen_booked_{kind.name}_1d"


def missing_columns(kind: Kind, table: str, found: dict[str, str], *, group: bool) -> list[Column]:
    """Columns that the table lacks; refuse what cannot be mended by adding."""
    declared = {column.name: column for column in table_columns(kind, group=group)}
    for name, sql in found.items():
        if name not in declared or declared[name].sql != sql:
            raise ConfigurationError(
                f"{table}.{name} ({sql}) is not what kraj/kinds/{kind.name}.py declares: a metric, its type and its "
                "rollup are kept, and only new ones are added"
            )
    return [column for name, column in declared.items() if name not in found]
