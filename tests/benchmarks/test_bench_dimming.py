"""The measurement of dimming runs to its end, loses nothing and does nothing twice; its figures are read by people."""

import json
import subprocess

from stack.supervisor import kraj


def test_the_dimming_bench_tells_every_lamp_once_and_gives_every_figure() -> None:
    command = [*kraj("bench"), "dimming", "--lamps", "2000", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=240)
    assert done.returncode == 0, done.stderr[-2000:]
    (line,) = done.stdout.splitlines()
    result = json.loads(line)
    assert (result["lamps"], result["segments"], result["settled"]) == (2000, 40, True)
    assert (result["commands_lost"], result["commands_unanswered"], result["desired_lost"]) == (0, 0, 0)
    assert result["commands_doubled"] == 0
    assert result["commands_per_s"] > 0
    assert result["evaluate_ms"] > 0
