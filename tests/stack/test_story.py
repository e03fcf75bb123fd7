"""When a demo begins, by whose clock, and that a later start goes on with it."""

import json
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from kraj.clock import real
from kraj.errors import ConfigurationError
from simulators.region import Region, region
from stack.story import ZONE, Story

NEAR = timedelta(minutes=5)


@pytest.fixture(scope="module")
def small() -> Region:
    return region(1, 8)


def begins(story: Story) -> datetime:
    return datetime.fromtimestamp(story.start_ms / 1000, ZONE)


def test_a_demo_begins_at_the_hour_that_was_asked_for_and_its_clock_goes_on_from_there(
    tmp_path: Path, small: Region
) -> None:
    story = Story.of(tmp_path, small, "16:30", 2)
    assert f"{begins(story):%H:%M}" == "16:30"
    assert timedelta() <= story.now() - begins(story) < NEAR
    assert not story.resumed
    assert 0 <= story.start_ms - story.history_start_ms - 2 * 86_400_000 < 86_400_000, "two whole days before"


def test_now_is_now(tmp_path: Path, small: Region) -> None:
    story = Story.of(tmp_path, small, "now", 0)
    assert abs(real() - begins(story)) < NEAR
    assert abs(story.offset_s) < NEAR.total_seconds()
    assert story.history_start_ms == story.start_ms


@pytest.mark.parametrize("start", ["25:00", "půlnoc", "16.30", ""])
def test_what_is_no_hour_is_refused_with_what_to_write_and_nothing_is_kept(
    tmp_path: Path, small: Region, start: str
) -> None:
    with pytest.raises(ConfigurationError, match=f"--start {start}: write a local time like 16:30, or now"):
        Story.of(tmp_path, small, start, 2)
    assert list(tmp_path.iterdir()) == []


def test_a_later_start_goes_on_whatever_hour_and_history_it_asks_for(tmp_path: Path, small: Region) -> None:
    first = Story.of(tmp_path, small, "16:30", 2)
    later = Story.of(tmp_path, small, "08:00", 30)
    assert later.resumed
    assert (later.start_ms, later.offset_s, later.history_days) == (first.start_ms, first.offset_s, 2)
    assert later.faults == first.faults


def test_the_faults_of_the_first_hour_are_announced_and_told_to_the_fleet(tmp_path: Path, small: Region) -> None:
    story = Story.of(tmp_path, small, "16:30", 2)
    told = {fault["cause"] for fault in json.loads(story.fault_file.read_text())}
    announced = {line.split()[1] for line in story.announce().splitlines()}
    assert announced
    assert announced <= told
