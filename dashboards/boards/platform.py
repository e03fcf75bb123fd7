"""The platform's own health, from Prometheus: does what arrives get stored, how fast, and does the API answer."""

from grafana_foundation_sdk.builders import prometheus as prom
from grafana_foundation_sdk.builders import timeseries

from dashboards.board import Board, Row, console, prometheus
from dashboards.panels import Panel, series
from dashboards.query import PROMETHEUS
from dashboards.wording import Words

RATE = "[$__rate_interval]"


def board(words: Words) -> Board:
    """For whoever runs the region's platform; a municipality has no use for it."""
    return Board(
        slug="platform",
        title=words("platform.title"),
        about=words("platform.about"),
        rows=[
            Row(
                words("platform.path"),
                [
                    _panel(
                        words("platform.readings"),
                        "short",
                        {
                            words("platform.received"): f"sum(rate(kraj_ingest_received_total{RATE}))",
                            words("platform.committed"): f"sum(rate(kraj_ingest_committed_total{RATE}))",
                            words("platform.duplicate"): f"sum(rate(kraj_ingest_duplicate_total{RATE}))",
                            words("platform.quarantined"): f"sum(rate(kraj_ingest_quarantined_total{RATE}))",
                        },
                        words("platform.readings_about"),
                    ),
                    _panel(
                        words("platform.waiting"),
                        "short",
                        {
                            words("platform.in_flight"): "sum(kraj_ingest_in_flight)",
                            words("platform.undecoded"): "sum(kraj_ingest_messages_waiting)",
                        },
                    ),
                ],
            ),
            Row(
                words("platform.speed"),
                [
                    _panel(
                        words("platform.commit"),
                        "s",
                        {
                            "p50": _quantile(0.5, "kraj_ingest_commit_seconds"),
                            "p95": _quantile(0.95, "kraj_ingest_commit_seconds"),
                        },
                    ),
                    _panel(
                        words("platform.ack"),
                        "s",
                        {
                            "p50": _quantile(0.5, "kraj_ingest_ack_seconds"),
                            "p95": _quantile(0.95, "kraj_ingest_ack_seconds"),
                        },
                        words("platform.ack_about"),
                    ),
                    _panel(
                        words("platform.lag"),
                        "s",
                        {
                            words("platform.lag"): "max(kraj_ingest_broker_lag_seconds)",
                        },
                        words("platform.lag_about"),
                    ),
                ],
            ),
            Row(
                words("platform.up"),
                [
                    _panel(
                        words("platform.up"),
                        "bool_on_off",
                        {
                            words("platform.database"): "min(kraj_ingest_database_up)",
                            words("platform.broker"): "min(kraj_ingest_broker_up)",
                        },
                    ),
                    _panel(
                        words("platform.refused"),
                        "short",
                        {
                            "{{reason}}": f"sum by (reason) (rate(kraj_ingest_quarantined_total{RATE}))",
                        },
                    ),
                    _panel(
                        words("platform.alerts"),
                        "short",
                        {
                            "{{severity}}": f"sum by (severity) (increase(kraj_ingest_alerts_total{RATE}))",
                        },
                    ),
                ],
            ),
            Row(
                words("platform.api"),
                [
                    _panel(
                        words("platform.requests"),
                        "reqps",
                        {
                            "{{status}}": f"sum by (status) (rate(kraj_api_requests_total{RATE}))",
                        },
                    ),
                    _panel(
                        words("platform.answer"),
                        "s",
                        {
                            "p50": _quantile(0.5, "kraj_api_request_seconds"),
                            "p95": _quantile(0.95, "kraj_api_request_seconds"),
                        },
                    ),
                ],
            ),
            Row(
                words("platform.rollups"),
                [
                    _panel(
                        words("platform.rollup_waiting"),
                        "short",
                        {words("platform.rollup_waiting"): "sum(kraj_rollup_waiting_readings)"},
                        words("platform.rollup_waiting_about"),
                    ),
                    _panel(
                        words("platform.rollup_lag"),
                        "s",
                        {
                            words("platform.rollup_lag"): "max(kraj_rollup_lag_seconds)",
                            words("platform.rollup_round"): _quantile(0.95, "kraj_rollup_round_seconds"),
                        },
                        words("platform.rollup_lag_about"),
                    ),
                    _panel(
                        words("platform.rollup_done"),
                        "short",
                        {
                            words("platform.rollup_readings"): f"sum(rate(kraj_rollup_readings_total{RATE}))",
                            words("platform.rollup_quarters"): f"sum(rate(kraj_rollup_quarters_total{RATE}))",
                            words("platform.rollup_working"): "sum(kraj_rollup_up)",
                        },
                    ),
                ],
            ),
        ],
        variables=[prometheus(words), console()],
        since="now-6h",
        tags=["platform"],
    )


def _quantile(share: float, name: str) -> str:
    return f"histogram_quantile({share}, sum by (le) (rate({name}_bucket{RATE})))"


def _panel(title: str, unit: str, asked: dict[str, str], about: str = "") -> Panel:
    panel: timeseries.Panel = series(title, "", unit, about=about, low=0)
    return panel.datasource(PROMETHEUS).targets(
        [
            prom.Dataquery()
            .datasource(PROMETHEUS)
            .expr(expression)
            .legend_format(name)
            .ref_id(chr(ord("A") + place))
            .range()
            for place, (name, expression) in enumerate(asked.items())
        ]
    )
