"""The measurement of the rules runs to its end and gives every figure; the figures are read by people, not by tests."""

import json
import subprocess

from stack.supervisor import kraj


def test_the_rules_bench_gives_every_figure() -> None:
    command = [*kraj("bench"), "rules", "--devices", "1000", "--curve", "500,1000", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=240)
    assert done.returncode == 0, done.stderr[-2000:]
    (line,) = done.stdout.splitlines()
    result = json.loads(line)
    assert result["devices"] == 1000
    assert {"readings_per_s", "batch_ms", "speedup", "rss_mb", "rules", "ns_per_reading_noon"} <= result.keys()
    assert [point["devices"] for point in result["curve"]] == [500, 1000]
    # Arrays that are no faster than a loop over assets would be a mistake somewhere.
    assert result["speedup"] > 10
