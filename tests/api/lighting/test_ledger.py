"""The ledger by the API: who declares what old lamps took, and a month's figures for whoever may read them."""

import csv
import io
from datetime import timedelta

import httpx

from api.lighting import ledger_routes
from tests.api.conftest import NOW, Region
from tests.api.lighting.conftest import LAMPS, Signed

PATH = "/v1/lighting/segments/1/ledger"
BASELINE = {"valid_from": "2026-01-01", "power_w": 115, "source": "Pasport 2025"}


def test_examples_are_true() -> None:
    made = ledger_routes.SegmentLedger.model_validate(ledger_routes.EXAMPLE)
    assert made.model_dump(mode="json") == ledger_routes.EXAMPLE


def burn(street: Region) -> None:
    """Two hours of all lamps before now, each five minutes, at 30 W and 70 %."""
    street.connection.execute("SELECT ensure_partition('lamp', date_trunc('week', %s::timestamptz)::date)", [NOW])
    street.connection.execute(
        "INSERT INTO reading_lamp (asset_id, municipality_id, ts, seq, batch_id, implausible, power_w, energy_wh,"
        " level_commanded_pct) SELECT asset_id, municipality_id, %s + n * interval '5 minutes', 1000 + n, 1, 0, 30,"
        " round(n * 2.5), 70 FROM asset, generate_series(0, 24) n WHERE metadata->>'cabinet' = 'R1'",
        [NOW - timedelta(hours=2)],
    )


async def test_a_declared_baseline_and_a_month_in_figures(street: Region, client: httpx.AsyncClient) -> None:
    burn(street)
    before = (await client.get(PATH)).json()
    assert (before["baselines"], before["led_kwh"]) == ([], 0), "nobody has said what there was before"
    made = await client.post("/v1/lighting/segments/1/baselines", json=BASELINE)
    assert made.status_code == 201, made.text
    assert made.json()["version"] == 1
    found = (await client.get(PATH, params={"month": "2026-11"})).json()
    assert found["lamps"] == LAMPS
    assert found["measured_kwh"] > 0.9 * LAMPS * 0.06 * 0.9
    assert 0 < found["completeness_pct"] < 5, "two hours of three weeks"
    assert found["led_kwh"] > 0
    total = found["measured_kwh"] - found["outside_kwh"] + found["led_kwh"] + found["dimming_kwh"] + found["outage_kwh"]
    assert abs(found["baseline_kwh"] - total) < 1e-4
    assert found["baselines"][0]["source"] == "Pasport 2025"

    answer = await client.get(PATH, headers={"accept": "text/csv"})
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert [row["label"] for row in rows[:2]] == ["N-1", "N-2"]
    assert abs(sum(float(row["measured_kwh"]) for row in rows) - found["measured_kwh"]) < 1e-4


async def test_what_is_refused(street: Region, client: httpx.AsyncClient, as_person: Signed) -> None:
    for month, status in (("2026-12", 400), ("2026-13", 400), ("october", 400)):
        assert (await client.get(PATH, params={"month": month})).status_code == status
    assert (await client.get("/v1/lighting/segments/99/ledger")).status_code == 404
    for wrong in ({"power_w": 0}, {"power_w": 1e9}, {"source": ""}, {"valid_from": "yesterday"}):
        answer = await client.post("/v1/lighting/segments/1/baselines", json=BASELINE | wrong)
        assert answer.status_code == 400, wrong
    async with as_person("viewer") as viewer:
        assert (await viewer.get(PATH)).status_code == 200
        assert (await viewer.post("/v1/lighting/segments/1/baselines", json=BASELINE)).status_code == 403
    async with as_person("energy_manager") as manager:
        assert (await manager.post("/v1/lighting/segments/1/baselines", json=BASELINE)).status_code == 201
    assert street.connection.execute("SELECT count(*) FROM lighting_baseline").fetchone() == (1,)
