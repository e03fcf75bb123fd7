"""Communication or power? One network alert for a silent gateway, and never a hidden outage behind it."""

import random

import pytest

from kraj.alerts import Severity, SymptomChange
from kraj.assets import DeviceStatus
from rules.estate import Estate
from tests.rules.correlation.scene import MINUTE, START, Stage, Town, all_of, asset, back, cleared, raised

GATED = Town(cabinets=2, feeders=2, lamps=10, gateway="gw")
"""Forty lamps on four feeders of two cabinets behind one gateway."""


def lamps() -> list[int]:
    return [lamp for c in (1, 2) for f in (1, 2) for lamp in GATED.feeder(c, f)]


def status(
    device: int, minute: float, *, online: bool, boot: int | None = None, reset: str = "power_on"
) -> DeviceStatus:
    return DeviceStatus(device_id=device, online=online, ts_ms=START + round(minute * MINUTE), boot=boot, reset=reset)


@pytest.mark.parametrize("seed", range(10))
def test_a_silent_gateway_is_one_minor_alert_whatever_the_order_of_the_wills(seed: int) -> None:
    chance = random.Random(seed)
    stage = Stage(GATED.estate())
    wills = [raised("lamp_dark", lamp, 1.5 * chance.random(), severity=Severity.INFO) for lamp in lamps()]
    for change in sorted(wills, key=lambda c: c.ts_ms):
        stage.step((change.ts_ms - START) / MINUTE, change)
    stage.step(15, *all_of("comms_lost", lamps()[:7], 15, severity=Severity.INFO))
    stage.tick(60, every=1)
    alert = stage.ledger.only("gateway_silent")
    assert stage.ledger.rules_told() == ["gateway_silent"]
    assert alert.severity is Severity.MINOR
    assert alert.scope.municipality_id is None
    assert {a.rule for a in stage.ledger.open() if a.key != alert.key} == {"comms_lost"}
    assert {a.parent for a in stage.ledger.open("comms_lost")} == {alert.key}


@pytest.mark.parametrize("seed", range(10))
def test_a_gateway_whose_lamps_return_one_by_one_leaves_no_feeder_behind(seed: int) -> None:
    chance = random.Random(seed)
    stage = Stage(GATED.estate())
    stage.step(0, *all_of("lamp_dark", lamps(), 0))
    stage.tick(30, every=1)
    for n, lamp in enumerate(chance.sample(lamps(), len(lamps()))):
        stage.step(30 + 0.1 * n, cleared("lamp_dark", lamp, 30 + 0.1 * n))
    stage.tick(120, every=1)
    assert {a.rule for a in stage.ledger.alerts.values()} == {"gateway_silent"}
    assert stage.ledger.open() == []


@pytest.mark.parametrize(
    "proof",
    [
        raised("load_lost", 1, 1),
        raised("breaker", 1, 1),
        raised("phase_dark", 1, 1),
        raised("cabinet_dark", 1, 1),
        raised("cabinet_dark", 1, 1, supply_gone=True),
    ],
    ids=lambda proof: f"{proof.rule} {dict(proof.evidence)}",
)
def test_what_the_cabinet_tells_makes_it_power_and_no_gateway(proof: SymptomChange) -> None:
    town = Town(lamps=20, gateway="gw")
    stage = Stage(town.estate())
    stage.step(0, *all_of("lamp_dark", town.feeder(), 0))
    stage.step(1, proof)
    stage.tick(60, every=1)
    assert "gateway_silent" not in {a.rule for a in stage.ledger.alerts.values()}
    assert len(stage.ledger.told) == 1
    assert stage.ledger.only("feeder_outage").active


def test_the_last_gasp_of_one_lamp_is_enough() -> None:
    town = Town(lamps=20, gateway="gw")
    stage = Stage(town.estate())
    stage.step(0, raised("lamp_dark", town.feeder()[0], 0, supply_gone=True))
    stage.step(1, *all_of("lamp_dark", town.feeder()[1:], 1))
    stage.tick(30, every=1)
    assert stage.ledger.rules_told() == ["feeder_outage"]
    assert stage.ledger.only("feeder_outage").evidence["last_gasps"] == 1


def test_a_gasp_is_forgotten_with_its_symptom() -> None:
    town = Town(lamps=20, gateway="gw")
    stage = Stage(town.estate())
    lamp = town.feeder()[0]
    stage.step(0, raised("lamp_dark", lamp, 0, supply_gone=True, severity=Severity.INFO))
    stage.step(1, raised("lamp_dark", lamp, 1, supply_gone=True, severity=Severity.MINOR))
    stage.step(2, cleared("lamp_dark", lamp, 2))
    stage.step(60, *all_of("lamp_dark", town.feeder(), 60))
    stage.tick(80, every=1)
    assert stage.ledger.rules_told() == ["gateway_silent"]


def test_a_proof_that_comes_late_turns_the_gateway_into_a_feeder() -> None:
    town = Town(lamps=20, gateway="gw")
    stage = Stage(town.estate())
    stage.step(0, *all_of("lamp_dark", town.feeder(), 0))
    stage.tick(6, every=1)
    assert stage.ledger.only("gateway_silent").active
    stage.step(7, raised("load_lost", 1, 7))
    stage.tick(60, every=1)
    gateway = stage.ledger.only("gateway_silent")
    assert not gateway.active
    assert gateway.evidence["verdict"] == "power"
    assert stage.ledger.rules_told() == ["feeder_outage"]


def test_one_dark_feeder_of_four_behind_a_gateway_is_a_feeder() -> None:
    stage = Stage(GATED.estate())
    stage.step(0, *all_of("lamp_dark", GATED.feeder(1, 1), 0))
    stage.tick(30, every=1)
    assert stage.ledger.rules_told() == ["feeder_outage"]


def test_an_outage_does_not_hide_the_other_half_of_a_gateway() -> None:
    stage = Stage(GATED.estate())
    stage.step(0, raised("cabinet_dark", 1, 0, supply_gone=True), *all_of("lamp_dark", lamps(), 0))
    stage.tick(30, every=1)
    assert sorted(stage.ledger.rules_told()) == ["cabinet_outage", "gateway_silent"]
    assert stage.ledger.only("gateway_silent").evidence["lost"] == 20


def test_a_feeder_that_stays_silent_when_the_gateway_is_back_is_found_after_the_hold() -> None:
    stage = Stage(GATED.estate())
    stage.step(0, *all_of("lamp_dark", lamps(), 0))
    stage.tick(20, every=1)
    stage.step(20, *back("lamp_dark", [lamp for lamp in lamps() if lamp not in GATED.feeder(2, 2)], 20))
    assert stage.ledger.only("gateway_silent").active  # a quarter is still silent
    stage.step(21, *back("lamp_dark", GATED.feeder(2, 2)[:3], 21))
    assert not stage.ledger.only("gateway_silent").active
    stage.tick(35.5)
    assert "feeder_outage" not in stage.ledger.rules_told()
    stage.tick(60, every=1)
    assert stage.ledger.rules_told() == ["gateway_silent", "feeder_outage"]


def test_cabinets_behind_the_same_silent_gateway_prove_nothing() -> None:
    town = Town(lamps=20, gateway="gw")
    lamps_only = [r for r in town.rows() if r.kind == "lamp"]
    cabinet = asset(1, "cabinet", "R1", supply_area="A", gateway="gw")
    stage = Stage(Estate.of(1, [*lamps_only, cabinet]))
    stage.step(0, raised("cabinet_dark", 1, 0), *all_of("lamp_dark", town.feeder(), 0))
    stage.tick(60, every=1)
    assert stage.ledger.rules_told() == ["gateway_silent"]


@pytest.mark.parametrize("speaks", [True, False])
def test_a_cabinet_that_speaks_through_the_gateway_shows_that_it_lives(speaks: bool) -> None:
    """By day no meter tells a dark feeder from a silent one; its cabinet behind the same gateway does."""
    town = Town(lamps=20, gateway="gw")
    lamps_only = [r for r in town.rows() if r.kind == "lamp"]
    stage = Stage(Estate.of(1, [*lamps_only, asset(1, "cabinet", "R1", supply_area="A", gateway="gw")]))
    silent = [] if speaks else [raised("cabinet_dark", 1, 0.5)]
    stage.step(0, *all_of("lamp_dark", town.feeder(), 0), *silent)
    stage.tick(60, every=1)
    assert stage.ledger.rules_told() == ["feeder_outage" if speaks else "gateway_silent"]


def test_afterwards_the_boot_tells_communication_from_power() -> None:
    town = Town(lamps=4)
    stage = Stage(town.estate())
    first, second, third = town.feeder()[:3]
    stage.step(0, statuses=[status(lamp, 0, online=True, boot=7) for lamp in town.feeder()])
    stage.step(20, *all_of("comms_lost", (first, second, third), 20))
    stage.step(
        40,
        statuses=[
            status(first, 40, online=True, boot=7),
            status(second, 40, online=True, boot=8, reset="power_on"),
            status(third, 40, online=True, boot=8, reset="watchdog"),
        ],
    )
    stage.step(41, *back("comms_lost", (first, second, third), 41))
    verdicts = {a.asset_id: a.evidence.get("verdict") for a in stage.ledger.alerts.values()}
    assert verdicts == {first: "communication", second: "power", third: "restart"}


def test_a_device_never_heard_of_before_gives_no_verdict() -> None:
    town = Town(lamps=4)
    stage = Stage(town.estate())
    stage.step(20, raised("comms_lost", town.feeder()[0], 20))
    stage.step(40, statuses=[status(town.feeder()[0], 40, online=True, boot=8)])
    stage.step(41, cleared("comms_lost", town.feeder()[0], 41))
    assert "verdict" not in stage.ledger.only("comms_lost").evidence


@pytest.mark.parametrize(("boot", "verdict"), [(7, "communication"), (8, "power")])
def test_a_feeder_hears_afterwards_what_it_was(boot: int, verdict: str) -> None:
    town = Town(lamps=10)
    stage = Stage(town.estate())
    stage.step(0, statuses=[status(lamp, 0, online=True, boot=7) for lamp in town.feeder()])
    stage.step(1, *all_of("lamp_dark", town.feeder(), 1), statuses=[status(n, 1, online=False) for n in town.feeder()])
    stage.tick(20, every=1)
    stage.step(20, statuses=[status(lamp, 20, online=True, boot=boot) for lamp in town.feeder()])
    stage.step(21, *back("lamp_dark", town.feeder(), 21))
    assert stage.ledger.only("feeder_outage").evidence["verdict"] == verdict
    assert not stage.ledger.only("feeder_outage").active
