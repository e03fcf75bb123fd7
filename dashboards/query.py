"""A query to PostgreSQL and a reference to its data source, which the foundation SDK lacks."""

from typing import Any, Literal

from grafana_foundation_sdk.cog import builder, variants
from grafana_foundation_sdk.models.common import DataSourceRef

from dashboards.source import PROMETHEUS_TYPE, TYPE

SOURCE = DataSourceRef(type_val=TYPE, uid="${ds}")
"""Chosen by a variable: the same dashboard serves the region's organisation and a municipality's."""
PROMETHEUS = DataSourceRef(type_val=PROMETHEUS_TYPE, uid="${prometheus}")


class Query(variants.Dataquery):
    """One statement of a panel, as the data source's code editor keeps it."""

    def __init__(self, sql: str, result: Literal["table", "time_series"], ref: str = "A") -> None:
        self.sql, self.result, self.ref = sql, result, ref

    def to_json(self) -> dict[str, Any]:
        return {
            "refId": self.ref,
            "datasource": SOURCE.to_json(),
            "editorMode": "code",
            "format": self.result,
            "rawQuery": True,
            "rawSql": self.sql,
        }


class Ask(builder.Builder[variants.Dataquery]):
    """Builds a ``Query``, as panels of the SDK want to be given it."""

    def __init__(self, sql: str, result: Literal["table", "time_series"] = "table", ref: str = "A") -> None:
        self._query = Query(sql.strip(), result, ref)

    def build(self) -> variants.Dataquery:
        return self._query
