"""What holds for every device kind, and the stored order that a deployed database depends on."""

import re
from itertools import pairwise
from pathlib import Path

import pytest

from kraj.kinds import KINDS
from kraj.kinds.health import HEALTH
from kraj.metrics import METRICS_MAX, Kind, Metric, Type
from kraj.units import Unit

CORE = {"ts", "boot", "seq", "uptime_ms", "event", "channel"}
"""Keys of a reading that are not metrics."""
COLUMNS = {"asset_id", "municipality_id", "batch_id"}
"""What the store adds to each row."""
INT32_MAX = 2**31 - 1
ORDER = Path(__file__).with_name("order.txt")
PUBLIC = Path(__file__).with_name("public.txt")

each_kind = pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.name)
each_metric = pytest.mark.parametrize(
    "metric", [pytest.param(m, id=f"{kind.name}.{m.name}") for kind in KINDS.values() for m in kind.metrics]
)


def order() -> list[str]:
    """The stored order as the file writes it: a line a metric, followed by a line a state or bit."""
    return [
        " ".join((kind.name, metric.name, *word))
        for kind in KINDS.values()
        for metric in kind.metrics
        for word in ((), *((word,) for word in metric.states or metric.bits))
    ]


def test_the_four_kinds_are_there() -> None:
    assert list(KINDS) == ["lamp", "cabinet", "stop", "solar"]


def test_stored_order_only_grows_at_its_end() -> None:
    """Places in rows, masks and state codes never move: what is new comes last in its kind or list.

    When this fails for a new metric or state, append its line to order.txt; never move or delete a line.
    """
    stored = ORDER.read_text(encoding="utf-8").splitlines()
    assert sorted(stored) == sorted(order())
    for kind in KINDS.values():
        lines = [line.split() for line in stored if line.startswith(f"{kind.name} ")]
        assert [parts[1] for parts in lines if len(parts) == 2] == [metric.name for metric in kind.metrics]
        for metric in kind.metrics:
            words = tuple(parts[2] for parts in lines if parts[1] == metric.name and len(parts) == 3)
            assert words == metric.states + metric.bits


@each_kind
def test_kind_leaves_room_in_the_mask(kind: Kind) -> None:
    assert len(kind.metrics) <= METRICS_MAX


@each_kind
def test_names_are_unique(kind: Kind) -> None:
    assert len({metric.name for metric in kind.metrics}) == len(kind.metrics)


@each_kind
def test_titles_tell_metrics_apart(kind: Kind) -> None:
    assert len({metric.title.cs for metric in kind.metrics}) == len(kind.metrics)
    assert len({metric.title.en for metric in kind.metrics}) == len(kind.metrics)


@each_kind
def test_no_metric_takes_a_name_of_the_reading_itself(kind: Kind) -> None:
    assert not (CORE | COLUMNS) & kind.by_name.keys()


@each_kind
def test_kind_reports_the_health_of_its_device(kind: Kind) -> None:
    start = kind.metrics.index(HEALTH[0])
    assert kind.metrics[start : start + len(HEALTH)] == HEALTH


@each_kind
def test_headline_is_a_number(kind: Kind) -> None:
    assert kind.by_name[kind.headline] in kind.numeric


@each_kind
def test_idle_devices_speak_no_more_often_than_active_ones(kind: Kind) -> None:
    assert 0 < kind.heartbeat_s <= kind.heartbeat_idle_s


@each_kind
def test_kind_has_a_title_in_both_languages(kind: Kind) -> None:
    assert kind.title.cs
    assert kind.title.en


@each_metric
def test_name_ends_with_the_unit_and_no_other(metric: Metric) -> None:
    endings = [unit.suffix for unit in Unit if unit.suffix and metric.name.endswith("_" + unit.suffix)]
    assert endings == [metric.unit.suffix][: bool(metric.unit.suffix)]


@each_metric
def test_title_and_source_are_written(metric: Metric) -> None:
    for text in (metric.title.cs, metric.title.en, metric.source):
        assert text
        assert text == text.strip()
        assert text[0].isupper()


@each_metric
def test_words_are_fit_for_the_wire(metric: Metric) -> None:
    words = metric.states + metric.bits
    assert len(set(words)) == len(words)
    assert all(word == word.lower() and word.replace("_", "").isalnum() and word.isascii() for word in words)


@each_metric
def test_span_fits_the_column(metric: Metric) -> None:
    if metric.type in (Type.INTEGER, Type.FLAGS):
        assert max(abs(bound) for bound in metric.possible) <= INT32_MAX


@each_metric
def test_deadband_is_smaller_than_the_ordinary_span(metric: Metric) -> None:
    low, high = metric.plausible or metric.possible
    assert (metric.deadband or 0) < high - low


def test_lamp_keeps_its_first_metrics() -> None:
    assert [metric.name for metric in KINDS["lamp"].metrics[:7]] == [
        "level_commanded_pct",
        "level_effective_pct",
        "level_measured_pct",
        "level_reason",
        "power_w",
        "energy_wh",
        "voltage_v",
    ]


@pytest.mark.parametrize("quantity", ["voltage_v", "current_a", "power_w", "power_factor"])
def test_cabinet_measures_every_phase_alike(quantity: str) -> None:
    by_name = KINDS["cabinet"].by_name
    spans = {by_name[f"l{phase}_{quantity}"].possible for phase in (1, 2, 3)}
    assert len(spans) == 1


def test_solar_has_eight_strings_side_by_side() -> None:
    names = [metric.name for metric in KINDS["solar"].metrics]
    places = [names.index(f"string{number}_current_a") for number in range(1, 9)]
    assert all(b - a == 2 for a, b in pairwise(places))
    assert all(names[place + 1] == f"string{number}_voltage_v" for number, place in enumerate(places, 1))


def test_stop_has_four_usb_ports() -> None:
    by_name = KINDS["stop"].by_name
    assert all({f"usb{n}_current_a", f"usb{n}_state", f"usb{n}_faults"} <= by_name.keys() for n in (1, 2, 3, 4))
    assert "usb5_state" not in by_name


def test_what_is_public_was_decided_metric_by_metric() -> None:
    """A new metric is not public. Before adding a line to public.txt: does it tell that somebody is there, or serve
    a thief, or show how the device is reached?
    """
    declared = [f"{kind.name} {metric.name}" for kind in KINDS.values() for metric in kind.public]
    assert declared == PUBLIC.read_text(encoding="utf-8").splitlines()


PRIVATE = re.compile(
    r"sos|door|presence|shock|tilt|wifi_clients|usb|level|water|uplink|rssi|uptime|reset_cause|clock|"
    r"breaker|local_switch|isolation|leakage|string\d|import_|export_|load_|event_flags|failure_flags"
)


@each_metric
def test_what_tells_of_people_thieves_or_connections_is_never_public(metric: Metric) -> None:
    assert not (metric.public and PRIVATE.search(metric.name))


def test_a_lamp_shows_nothing_that_follows_motion() -> None:
    assert {metric.name for metric in KINDS["lamp"].public} == {"voltage_v", "illuminance_lx"}


def test_single_arrivals_do_not_show() -> None:
    stop = KINDS["stop"].by_name
    assert stop["wifi_clients"].deadband is None
    assert stop["presence_bucket"].states[0] == "under_5"
