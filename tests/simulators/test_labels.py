"""Which faults can be told at all, and on what."""

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from kraj.alerts import Scope
from rules import catalogue
from rules.correlation import causes
from simulators.causes import CAUSES
from simulators.company import Company
from simulators.faults import one
from simulators.labels import EQUIVALENTS, LINGERS_MS, NEEDS, SHOWS, Labels, Need, Witness, needs
from simulators.physics.frame import DAY_MS, GRID_MS, Fault
from simulators.physics.roofs import beside_open
from simulators.physics.weather import Weather
from simulators.region import region
from simulators.score import estate

HOUR_MS, MINUTE_MS = 3_600_000, 60_000
BUILT = region(1, 400)
WEATHER = Weather(1)
RULES = catalogue.load()
ALL_NEEDS = needs(RULES, [cause.name for cause in causes.load()])
WINTER = int(datetime(2026, 12, 14, tzinfo=UTC).timestamp() * 1000)
SUMMER = int(datetime(2026, 6, 15, tzinfo=UTC).timestamp() * 1000)
FAR = SUMMER + 1000 * DAY_MS


COMPANY = Company.of(estate(BUILT), BUILT.assets, (), SUMMER - 60 * DAY_MS)


def labels(
    end_ms: int = FAR,
    shown: dict[Fault, np.ndarray] | None = None,
    lost: dict[Fault, dict[int, float]] | None = None,
) -> Labels:
    witness = Witness(shown_ms=shown or {}, lost=lost or {}, company=COMPANY)
    return Labels(BUILT, WEATHER, ALL_NEEDS, end_ms, witness)


def struck(cause: str, at_ms: int, hours: float) -> Fault:
    return one(cause, BUILT, 1, at_ms, hours=hours)


COMPARED = ("partial_loss", "peer_underperformance", "shading", "irradiance_sensor")
DAY = SUMMER // DAY_MS


def with_peers() -> str:
    """A roof with more than five peers."""
    return max(COMPANY.peers, key=lambda key: len(COMPANY.peers[key]))


def permanent_lamp(fault: Fault) -> Fault:
    """The same on a lamp that has power by day and is lit all night."""
    lamp = next(
        a for a in BUILT.assets if a.kind == "lamp" and not a.number("feeder_switched") and not a.number("part_night")
        and not a.number("report_interval_s")
    )  # fmt: skip
    return replace(fault, targets=(lamp.key,))


def test_the_tables_speak_of_causes_and_rules_that_exist() -> None:
    rules = {rule.name for rule in RULES} | {cause.name for cause in causes.load()}
    for listed in (SHOWS, LINGERS_MS, NEEDS, EQUIVALENTS):
        assert set(listed) <= set(CAUSES), set(listed) - set(CAUSES)
    assert set().union(*EQUIVALENTS.values()) <= rules


def test_every_cause_has_a_rule_or_a_correlated_cause_that_must_tell_of_it() -> None:
    rules = {rule.name for rule in RULES if not rule.hidden} | {cause.name for cause in causes.load()}
    assert set(CAUSES) <= rules


def test_a_lamp_that_fails_by_day_shows_ten_minutes_after_dusk() -> None:
    fault = permanent_lamp(struck("lamp_out", WINTER + 10 * HOUR_MS, 24))
    label = labels().of(fault)
    assert label.excluded is None
    dusk = WINTER + 15 * HOUR_MS + 15 * MINUTE_MS
    assert abs(label.shows_ms - dusk) < 30 * MINUTE_MS


def test_a_lamp_that_fails_at_night_shows_at_once() -> None:
    fault = permanent_lamp(struck("lamp_out", WINTER + 20 * HOUR_MS + 123_456, 5))
    assert labels().of(fault).shows_ms == fault.start_ms


def test_a_lamp_that_fails_while_it_warms_up_shows_when_it_would_be_warm() -> None:
    """As it would have if it had failed by day; what was lit long ago shows at once."""
    by_day = labels().of(permanent_lamp(struck("lamp_out", WINTER + 10 * HOUR_MS, 24))).shows_ms
    for before_min, waits_min in ((9, 9), (2, 2), (0, 0), (-5, 0)):
        fault = permanent_lamp(struck("lamp_out", by_day - before_min * MINUTE_MS, 12))
        assert labels().of(fault).shows_ms - fault.start_ms == waits_min * MINUTE_MS


def test_what_happens_wholly_by_day_or_too_shortly_is_excluded_with_its_reason() -> None:
    by_day = permanent_lamp(struck("lamp_out", WINTER + 9 * HOUR_MS, 4))
    assert "by night" in (labels().of(by_day).excluded or "")
    short = permanent_lamp(struck("lamp_out", WINTER + 20 * HOUR_MS, 0.4))
    assert "35 min" in (labels().of(short).excluded or "")
    long_enough = permanent_lamp(struck("lamp_out", WINTER + 20 * HOUR_MS, 0.7))
    assert labels().of(long_enough).excluded is None


def test_what_the_run_does_not_see_to_its_end_is_excluded() -> None:
    fault = permanent_lamp(struck("lamp_out", WINTER + 20 * HOUR_MS, 30))
    assert labels(end_ms=fault.start_ms + 2 * HOUR_MS).of(fault).excluded is None
    assert labels(end_ms=fault.start_ms + 10 * MINUTE_MS).of(fault).excluded
    assert labels(end_ms=fault.start_ms).of(fault).excluded == "after the end of the run"


def test_rules_over_nights_need_whole_nights() -> None:
    two = permanent_lamp(struck("cycling", WINTER + 10 * HOUR_MS, 51))
    assert labels().of(two).excluded is None
    one_and_a_bit = permanent_lamp(struck("cycling", WINTER + 20 * HOUR_MS, 50))
    assert labels().of(one_and_a_bit).excluded == "fewer than 2 nights"


def test_a_burner_shows_by_day_and_a_roof_in_the_sun() -> None:
    night = permanent_lamp(struck("day_burner", SUMMER + 21 * HOUR_MS, 4))
    assert "by day" in (labels().of(night).excluded or "")
    roof = struck("inverter_fault", SUMMER + 21 * HOUR_MS, 4)
    assert "in the sun" in (labels().of(roof).excluded or "")
    assert labels().of(struck("inverter_fault", SUMMER + 21 * HOUR_MS, 14)).excluded is None


def test_a_switched_lamp_cannot_be_missed_by_day() -> None:
    lamp = next(a for a in BUILT.assets if a.number("feeder_switched") and a.kind == "lamp")
    fault = replace(struck("comms_lost", SUMMER + 8 * HOUR_MS, 6), targets=(lamp.key,))
    assert labels().of(fault).excluded
    assert labels().of(permanent_lamp(fault)).excluded is None


def test_a_slow_reporter_needs_longer() -> None:
    slow = next(a for a in BUILT.assets if a.number("report_interval_s") == 3600 and not a.number("feeder_switched"))
    fault = struck("lamp_out", WINTER + 17 * HOUR_MS, 2)
    assert labels().of(replace(fault, targets=(slow.key,))).excluded
    assert labels().of(permanent_lamp(fault)).excluded is None
    assert Need(for_ms=HOUR_MS).of(slow).for_ms == HOUR_MS + 3 * 55 * MINUTE_MS


def test_shading_needs_clear_days_and_a_derating_that_it_cost_something() -> None:
    long = replace(struck("shading", SUMMER, 20 * 24), targets=(with_peers(),))
    assert labels().of(long).excluded is None
    short = replace(long, end_ms=long.start_ms + 4 * DAY_MS)
    assert labels().of(short).excluded == "fewer than 5 clear days with peers"
    derated = struck("voltage_derating", SUMMER, 48)
    assert labels().of(derated).excluded
    noon = SUMMER + 11 * HOUR_MS + np.arange(24) * GRID_MS
    assert labels(shown={derated: noon}).of(derated).shows_ms == noon[0]


def test_a_label_names_the_scopes_that_the_rules_name() -> None:
    feeder = labels().of(struck("feeder_outage", SUMMER, 5))
    (scope,) = feeder.scopes
    assert (scope.type, scope.municipality_id is not None) == ("feeder", True)
    assert labels().members(scope) >= feeder.asset_ids
    area = labels().of(struck("grid_outage", SUMMER, 5))
    assert {(s.type, s.municipality_id) for s in area.scopes} == {("supply_area", None)}
    assert labels().of(struck("snow", WINTER, 48)).scopes == {Scope(type="region", name="region", municipality_id=None)}
    lamp = struck("lamp_out", WINTER, 48)
    (own,) = labels().of(lamp).scopes
    assert BUILT.assets[int(own.name) - 1].key == lamp.targets[0]


@pytest.mark.parametrize("cause", [name for name in CAUSES if name != "snow"])
def test_every_cause_can_show_in_a_month_of_summer(cause: str) -> None:
    fault = struck(cause, SUMMER, 30 * 24)
    if cause in COMPARED:
        fault = replace(fault, targets=(with_peers(),))
    days = SUMMER + np.arange(30 * 288) * GRID_MS
    lost = dict.fromkeys(range(SUMMER // DAY_MS, SUMMER // DAY_MS + 30), 0.3)
    assert labels(shown={fault: days}, lost={fault: lost}).of(fault).excluded is None


def test_what_a_roof_lacks_shows_from_the_first_of_three_days_in_five_on_which_it_lacks_enough() -> None:
    fault = replace(struck("peer_underperformance", SUMMER, 20 * 24), targets=(with_peers(),))
    grown = {DAY + n: min(0.04 * n, 0.4) for n in range(20)}
    label = labels(lost={fault: grown}).of(fault)
    assert label.excluded is None
    assert label.shows_ms >= (DAY + 4) * DAY_MS
    assert labels(lost={fault: dict.fromkeys(grown, 0.14)}).of(fault).excluded
    seldom = {DAY + n: 0.4 if n % 4 == 0 else 0.0 for n in range(20)}
    assert labels(lost={fault: seldom}).of(fault).excluded


def test_a_roof_without_five_peers_or_a_twin_lacks_nothing_that_anybody_could_tell() -> None:
    alone = next(key for key in COMPANY.peers if len(COMPANY.peers[key]) < 5 and not COMPANY.twins[key])
    for cause in ("partial_loss", "peer_underperformance"):
        fault = replace(struck(cause, SUMMER, 20 * 24), targets=(alone,))
        lost = {DAY + n: 0.3 for n in range(20)}
        assert labels(lost={fault: lost}).of(fault).excluded == "too little, too dark or nobody to compare with"
    shaded = replace(struck("shading", SUMMER, 20 * 24), targets=(alone,))
    assert labels().of(shaded).excluded == "fewer than 5 clear days with peers"


def test_a_low_isolation_shows_by_day_below_its_limit_and_above_it_on_three_mornings() -> None:
    afternoon = SUMMER + 15 * HOUR_MS
    fault = replace(struck("isolation", afternoon, 5 * 24), size=0.75)
    noon = SUMMER + DAY_MS + 10 * HOUR_MS
    assert labels(shown={fault: noon + np.arange(24) * GRID_MS}).of(fault).shows_ms == noon
    assert labels().of(fault).shows_ms == SUMMER + DAY_MS  # the next morning is the first that was low
    assert labels(end_ms=SUMMER + 4 * DAY_MS).of(fault).excluded is None
    assert labels(end_ms=SUMMER + 4 * DAY_MS - HOUR_MS).of(fault).excluded  # the third was not judged any more
    early = replace(fault, start_ms=SUMMER + HOUR_MS)
    assert labels(end_ms=SUMMER + 3 * DAY_MS).of(early).excluded is None  # before the inverter has woken up
    new = replace(fault, start_ms=fault.start_ms - 50 * DAY_MS, end_ms=fault.end_ms - 50 * DAY_MS)
    assert labels().of(new).excluded  # nobody knows what it has been before


def test_what_a_stop_has_switched_off_is_missed_by_nobody() -> None:
    for cause in ("wifi_down", "display_stale"):
        fault = struck(cause, WINTER, 24)
        assert "missed" in (labels().of(fault).excluded or "")
        on_again = WINTER + 9 * HOUR_MS + np.arange(24) * GRID_MS
        assert labels(shown={fault: on_again}).of(fault).shows_ms == on_again[0]


@pytest.mark.parametrize(
    ("cause", "lacking"), [("autonomy_low", "never short of energy for 75 min"), ("pv_dead", "fewer than 2 whole days")]
)
def test_a_lack_of_energy_and_a_dead_panel_show_by_what_the_stop_suffers(cause: str, lacking: str) -> None:
    """A full battery lasts for a while, and under snow all panels are dead."""
    fault = struck(cause, WINTER, 4 * 24)
    assert lacking in (labels().of(fault).excluded or "")
    noons = np.concatenate([WINTER + day * DAY_MS + 10 * HOUR_MS + np.arange(24) * GRID_MS for day in (1, 2)])
    assert labels(shown={fault: noons}).of(fault).shows_ms == noons[0]


@pytest.mark.parametrize(("plane", "compared"), [(1, True), (2, False)])
def test_an_open_string_alone_on_its_plane_has_none_to_be_compared_with(plane: int, compared: bool) -> None:
    roof = next(a for a in BUILT.assets if a.kind == "solar" and a.number("strings") == 2)
    split = replace(roof, metadata={**roof.metadata, "string2_plane": plane})
    assert beside_open(split, 1, 1.0) is compared
    assert not beside_open(split, 1, 2.0)


def test_of_a_string_without_another_on_its_plane_the_missing_energy_tells() -> None:
    whole_roof = replace(struck("string_open", SUMMER, 20 * 24), targets=(with_peers(),), size=8.0)
    label = labels(lost={whole_roof: {DAY + n: 0.3 for n in range(20)}}).of(whole_roof)
    assert label.excluded is None
    assert label.also == {"partial_loss", "peer_underperformance"}
    assert labels(lost={whole_roof: {DAY + n: 0.02 for n in range(20)}}).of(whole_roof).excluded


@pytest.mark.parametrize(("kind_of_outage", "waits"), [("feeder_outage", True), ("door_open", False)])
def test_a_lamp_that_breaks_during_an_outage_shows_when_it_has_power_again(kind_of_outage: str, waits: bool) -> None:
    night = WINTER + 18 * HOUR_MS
    broken = permanent_lamp(struck("lamp_out", night, 40))
    outage = replace(broken, cause=kind_of_outage, start_ms=night - HOUR_MS, end_ms=night + 3 * HOUR_MS)
    witness = Witness(shown_ms={}, lost={}, company=COMPANY)
    found = Labels(BUILT, WEATHER, ALL_NEEDS, FAR, witness, [broken, outage]).of(broken)
    assert found.excluded is None
    assert found.shows_ms - night == (3 * HOUR_MS + 10 * MINUTE_MS if waits else 0)


def test_latency_of_a_slow_device_begins_when_its_reports_could_have_come() -> None:
    night = WINTER + 18 * HOUR_MS
    quick = permanent_lamp(struck("lamp_out", night, 40))
    slow = next(a for a in BUILT.assets if a.kind == "lamp" and a.number("report_interval_s") == 900)
    found = labels().of(replace(quick, targets=(slow.key,), municipality=slow.municipality, name=slow.label))
    assert labels().of(quick).shows_ms == night
    assert found.shows_ms - night == 2 * (900 - 300) * 1000


def test_a_sensor_is_compared_with_five_others_that_have_seen_a_clear_sky_too() -> None:
    fault = replace(struck("irradiance_sensor", SUMMER, 30 * 24), targets=(with_peers(),))
    assert labels().of(fault).excluded is None
    alone = replace(COMPANY, peers={with_peers(): COMPANY.peers[with_peers()]})
    found = Labels(BUILT, WEATHER, ALL_NEEDS, FAR, Witness(company=alone)).of(fault)
    assert found.excluded == "fewer than 3 clear days with peers"
