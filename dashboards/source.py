"""The data sources of an organisation: PostgreSQL as a role of its own, and Prometheus for the region's platform."""

from dataclasses import dataclass
from typing import Any

TYPE = "grafana-postgresql-datasource"
PROMETHEUS_TYPE = "prometheus"
POSTGRES_UID, PROMETHEUS_UID = "kraj-postgres", "kraj-prometheus"
CONNECTIONS_MAX = 10
LIFETIME_S = 4 * 3600
VERSION = 1500
"""The oldest PostgreSQL that we support, as Grafana counts."""


@dataclass(frozen=True, slots=True)
class Postgres:
    """Where Grafana finds the database and as whom; ``tls`` is libpq's sslmode."""

    address: str
    database: str
    role: str
    password: str
    tls: str


def source(postgres: Postgres, digest: str | None = None, password: str | None = None) -> dict[str, Any]:
    """The data source as Grafana's API and its provisioning want it. ``digest`` tells a later push which password the
    server has, as it never gives one back; ``password`` stands in for the real one in a file."""
    return {
        "name": "Kraj",
        "uid": POSTGRES_UID,
        "type": TYPE,
        "access": "proxy",
        "url": postgres.address,
        "user": postgres.role,
        "isDefault": True,
        "jsonData": {
            "database": postgres.database,
            "sslmode": postgres.tls,
            "postgresVersion": VERSION,
            "timescaledb": False,
            "maxOpenConns": CONNECTIONS_MAX,
            "maxIdleConns": CONNECTIONS_MAX // 2,
            "connMaxLifetime": LIFETIME_S,
            **({"krajPassword": digest} if digest else {}),
        },
        "secureJsonData": {"password": postgres.password if password is None else password},
    }


def prometheus_source(url: str) -> dict[str, Any]:
    """Prometheus that scrapes ingest and the API."""
    return {
        "name": "Kraj Prometheus",
        "uid": PROMETHEUS_UID,
        "type": PROMETHEUS_TYPE,
        "access": "proxy",
        "url": url,
        "jsonData": {"httpMethod": "POST"},
    }
