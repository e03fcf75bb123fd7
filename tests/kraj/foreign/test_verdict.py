"""What a trial says of a value is what ingest says of it."""

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.decode import decode
from ingest.routes import Routes
from kraj.foreign import verdict
from kraj.kinds import KINDS
from kraj.store.registry import Installation
from tests.kraj.foreign.saying import NOW_MS

ROUTES = Routes(1, [Installation("lhota", "lamp-1", 1, 1, "active", 0, 1, "lamp", 1)])
VALUES = (
    st.none()
    | st.booleans()
    | st.sampled_from(["program", "other", "12"])
    | st.integers(-300, 3000)
    | st.floats(-300, 3000)
    | st.lists(st.integers(), max_size=2)
)
READINGS = st.dictionaries(
    st.sampled_from(["power_w", "voltage_v", "level_reason", "energy_wh", "lamp_starts", "power_factor", "other_key"]),
    VALUES,
)
TIMES = st.sampled_from([NOW_MS, NOW_MS - 500 * 86_400_000, NOW_MS + 3_600_000])


@settings(max_examples=300, deadline=None)
@given(READINGS, TIMES)
def test_a_trial_and_ingest_agree(values: dict[str, Any], ts: int) -> None:
    reading = {"ts": ts, "seq": 1, **values}
    (judged,) = verdict.judge([reading], lambda _: KINDS["lamp"], NOW_MS)
    decoded = decode([("kraj/lhota/lamp-1/telemetry", json.dumps(reading).encode(), 1)], ROUTES, {}, NOW_MS)
    whole = [r.reason for r in decoded.rejections if not r.of_value]
    assert whole == ([judged.reason] if judged.reason else [])
    if not whole:
        ingest_refused = {(r.metric, r.reason, r.detail) for r in decoded.rejections}
        refused = [v for v in judged.values if v.verdict == verdict.REFUSED and v.reason != "unknown_key"]
        assert {(v.metric, v.reason, v.detail) for v in refused} == ingest_refused
        flagged = {v.metric for v in judged.values if v.verdict == verdict.FLAGGED}
        (found,) = decoded.readings
        mask = int(found.implausible[0])
        assert flagged == {m.name for i, m in enumerate(found.kind.metrics) if mask >> i & 1}
