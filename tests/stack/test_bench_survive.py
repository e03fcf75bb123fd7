"""What ``kraj bench survive`` counts, each part with small numbers on real servers; and that its oracle can say no."""

from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import mqtt5
import pytest

from kraj.errors import ConfigurationError
from kraj.store.migrate import migrate
from stack.bench import (
    survive,
    survive_acknowledging,
    survive_clock,
    survive_disk,
    survive_drain,
    survive_inputs,
    survive_mutants,
    survive_partition,
    survive_poison,
    survive_storm,
)
from stack.bench.survive_clients import complete
from stack.bench.survive_oracle import judge, percentile, waits_ms
from stack.bench.survive_site import Site
from stack.broker import Broker
from stack.database import EmbeddedPostgres

A, B, C = ("lamp-1", 1, 1), ("lamp-1", 1, 2), ("lamp-2", 1, 1)


@pytest.fixture(scope="module")
def site(module_folder: Path) -> Iterator[Site]:
    """Servers that parts may kill; each has lamps of its own."""
    with (
        EmbeddedPostgres(module_folder / "database", shared_buffers="64MB") as database,
        Broker(module_folder / "broker", open=True) as broker,
    ):
        migrate(database.url())
        yield Site(module_folder, database, broker)


def none_of(result: dict[str, Any], names: tuple[str, ...]) -> None:
    """The part was measured, and what must be none is."""
    assert {name: result[name] for name in names} == dict.fromkeys(names, 0), result


def test_the_oracle_tells_a_false_acknowledgement_from_a_loss_and_a_duplicate() -> None:
    whole = judge([A, B, C], [A, B], {A: 1, B: 1, C: 1})
    assert (whole.lost, whole.acknowledged_falsely, whole.duplicates) == (0, 0, 0)
    false = judge([A, B, C], [A, B], {A: 1, C: 1})
    assert (false.lost, false.acknowledged_falsely, false.duplicates) == (1, 1, 0)
    waiting = judge([A, B, C], [A], {A: 3})
    assert (waiting.lost, waiting.acknowledged_falsely, waiting.duplicates) == (2, 0, 2)
    quarantined = judge([A, B], [A, B], {A: 1}, kept=[B])
    assert (quarantined.lost, quarantined.acknowledged_falsely) == (0, 0)
    assert false.figures("disk_full")["disk_full_acknowledged_falsely"] == 1
    assert survive.failed(false.figures("disk_full")) == ["disk_full_lost", "disk_full_acknowledged_falsely"]
    assert not survive.failed(whole.figures("disk_full"))


def test_who_never_hears_of_a_reading_waits_to_the_end() -> None:
    assert waits_ms({A: 1.0, B: 2.0}, {A: 1.25}, until=5.0) == [250, 3000]
    assert percentile([1.0, 2.0, 3.0], 50) == 2


def test_parts_are_chosen_by_name_in_their_order() -> None:
    assert survive.chosen("storm, disk") == ["disk", "storm"]
    assert survive.chosen("") == list(survive.PARTS)
    with pytest.raises(ConfigurationError, match="there is no part strom"):
        survive.chosen("strom")


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_on_a_full_disk_nothing_is_acknowledged_that_is_not_stored(open_folder: Path) -> None:
    numbers = {"lamps": 10, "full_s": 1.0, "rounds": 2, "calm_s": 0.5}
    found = survive_disk.measure(open_folder, lambda _: None, numbers)
    if found["disk_full_by"] is None:
        pytest.skip(found["disk_full_not_measured"])
    none_of(found, survive_disk.MUST_BE_NONE)
    assert found["disk_full_commits_refused"] > 0


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
async def test_after_a_partition_everything_is_delivered(site: Site) -> None:
    found = await survive_partition.run(site, lambda _: None, lamps=10, parted_s=1.5, mute=False, calm_s=0.5)
    none_of(found, survive_partition.MUST_BE_NONE)
    assert found["partition_held_back"] > 0


async def test_poison_is_set_apart_and_good_readings_pass_it(site: Site) -> None:
    found = await survive_poison.run(site, lambda _: None, lamps=40, seconds=1.5, late_s=60.0)
    none_of(found, survive_poison.MUST_BE_NONE)
    assert found["poison_refused_by_database"] > 0


async def test_clocks_that_jump_lose_no_reading(site: Site) -> None:
    found = await survive_clock.run(site, lambda _: None, lamps=6, span_s=0.5)
    none_of(found, survive_clock.MUST_BE_NONE)
    assert found["clock_jump_quarantined"] > 0


async def test_a_backlog_is_stored_and_acknowledged_to_the_last_reading(site: Site) -> None:
    found = await survive_drain.run(site, lambda _: None, readings=20_000, lamps=200, connections=10)
    none_of(found, survive_drain.MUST_BE_NONE)
    assert found["drain_readings"] >= 20_000


async def test_bad_inputs_end_neither_broker_nor_ingest(site: Site) -> None:
    found = await survive_inputs.run(site, lambda _: None, inputs=2000, seconds=2.0)
    assert found["bad_inputs_crashes"] == found["bad_inputs_broker_crashes"] == found["bad_inputs_unanswered"] == 0
    assert min(found["bad_inputs"], found["bad_inputs_broker_messages"], found["bad_inputs_broker_connections"]) > 0


def test_bad_inputs_are_bad_in_many_ways_and_a_fault_of_the_decoder_is_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert len({body for body, _ in zip(survive_mutants.payloads(Random(1)), range(1000), strict=False)}) > 900
    assert survive_mutants.feed(1000, 1, 60.0)["crashes"] == 0

    def broken(*_: object) -> None:
        raise RecursionError

    monkeypatch.setattr(survive_mutants, "decode", broken)
    assert survive_mutants.feed(1000, 1, 60.0)["crashes"] == 5


def test_everybody_is_back_after_the_broker_has_died(open_folder: Path) -> None:
    found = survive_storm.measure(open_folder, lambda _: None, plain=300, mutual=30)
    none_of(found, survive_storm.MUST_BE_NONE)
    assert 0 < found["storm_plain_half_s"] <= found["storm_plain_300_s"]
    assert found["storm_tls_30_s"] > 0


def test_a_device_is_back_only_when_the_broker_has_answered_everything() -> None:
    answers = [
        mqtt5.ConnAckPacket(session_present=False, reason_code=mqtt5.ConnAckReasonCode.SUCCESS).write(),
        mqtt5.SubAckPacket(1, [mqtt5.SubAckReasonCode.GRANTED_QOS_AT_MOST_ONCE]).write(),
        mqtt5.PubAckPacket(2).write(),
    ]
    assert complete(b"".join(answers))
    assert not complete(b"".join(answers)[:-1])
    assert not complete(answers[0] + answers[2])
    with pytest.raises(ValueError, match="refuses"):
        complete(mqtt5.ConnAckPacket(reason_code=mqtt5.ConnAckReasonCode.NOT_AUTHORIZED).write())


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
async def test_waits_for_acknowledgements_are_measured_calm_and_while_servers_die(site: Site) -> None:
    found = await survive_acknowledging.run(site, lambda _: None, lamps=10, calm_s=1.0, chaos_s=2.0, kills=2)
    none_of(found, survive_acknowledging.MUST_BE_NONE)
    assert 0 < found["ack_ms_p50"] <= found["ack_ms_p99"]
    assert found["ack_kills"] == 2
