"""The measurement of the dashboards asks every panel and gives every figure; the figures are read by people."""

import json
import subprocess

from stack.bench.queries_panels import SPANS, statements
from stack.supervisor import kraj


def test_the_queries_bench_asks_every_panel_and_gives_every_figure() -> None:
    command = [*kraj("bench"), "queries", "--readings", "1700", "--devices", "100", "--times", "1", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=240)
    assert done.returncode == 0, done.stderr[-2000:]
    (line,) = done.stdout.splitlines()
    result = json.loads(line)
    assert result["panels"] == len(statements()) > 100
    assert result["spans"].keys() == SPANS.keys() == {"24h", "30d", "1y"}
    assert result["slowest"][0].keys() == {"title", "span", "ms", "sql"}
    assert 0 < result["p50_ms"] <= result["p95_ms"] <= result["slowest"][0]["ms"]
    assert (result["rollup_hour_devices"], result["timescaledb"]) == (100, False)
    measured = (
        "readings",
        "rollup_hour_s",
        "bytes_per_reading",
        "rollup_bytes_per_reading",
        "parquet_bytes_per_reading",
    )
    assert all(result[name] > 0 for name in measured)
    # What would be measured on nothing would be worth nothing.
    assert result["empty"] < result["panels"] / 10


def test_the_rollups_bench_gives_seconds_processor_time_and_rows_of_one_new_hour() -> None:
    command = [*kraj("bench"), "rollups", "--devices", "100", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=240)
    assert done.returncode == 0, done.stderr[-2000:]
    result = json.loads(done.stdout)
    assert result.keys() == {"devices", "hour_s", "cpu_s", "readings", "rows"}
    # At night a lamp tells twelve readings an hour, and each device has quarter-hours, an hour and a day.
    assert (result["devices"], result["readings"] > 900, result["rows"] >= 6 * 100) == (100, True, True)
    assert result["hour_s"] > 0 < result["cpu_s"]
