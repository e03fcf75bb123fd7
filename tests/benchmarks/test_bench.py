"""The measurements run to their end and lose nothing; their figures are read by people, not by tests."""

import json
import subprocess

from stack.supervisor import kraj

INGEST_KEYS = {
    *("readings_per_s", "readings_per_s_acked", "readings_per_s_lists", "ceiling_per_s", "ratio"),
    *("latency_ms_p50", "latency_ms_p99", "rss_mb", "cpu_us_ingest", "cpu_us_database", "lost", "duplicates"),
}


def bench(*arguments: str) -> dict[str, float]:
    command = [*kraj("bench"), *arguments, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=240)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_the_ingest_bench_stores_every_reading_once_and_gives_every_figure() -> None:
    result = bench("ingest", "--seconds", "1")
    assert result.keys() >= INGEST_KEYS
    assert (result["lost"], result["duplicates"], result["wrong_values"]) == (0, 0, 0)
    assert result["readings"] > 0
    assert result["ratio"] > 0


def test_killing_broker_ingest_and_database_loses_nothing_that_was_acknowledged() -> None:
    result = bench("chaos", "--seconds", "8", "--kills", "3", "--seed", "7")
    assert result["kills"] == 3
    assert result["acknowledged"] > 0
    assert (result["acknowledged_lost"], result["duplicates"], result["lost"], result["undelivered"]) == (0, 0, 0, 0)
    assert result["never_recovered"] == 0
    assert (result["commands_lost"], result["commands_applied_twice"], result["levels_wrong"]) == (0, 0, 0)
    assert (result["desired_lost"], result["desired_not_retained"]) == (0, 0)
    assert min(result["commands_applied"], result["desired"]) > 0
