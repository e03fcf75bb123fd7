"""Topics: what is written can be read back, everything else is refused with its reason."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kraj.errors import PayloadError
from kraj.topics import DOWN, NAME, UP, Channel, Topic, parse, subscriptions

NAMES = st.from_regex(NAME, fullmatch=True)
TOPICS = st.builds(Topic, NAMES, NAMES, st.sampled_from(Channel))


@given(TOPICS)
def test_a_topic_reads_back_as_it_was_written(topic: Topic) -> None:
    assert parse(str(topic)) == topic


@given(st.text() | st.lists(NAMES | st.text(), max_size=5).map(lambda parts: "/".join(("kraj", *parts))))
def test_any_text_is_a_topic_or_a_payload_error(text: str) -> None:
    with contextlib.suppress(PayloadError):
        assert str(parse(text)) == text


def test_the_error_carries_the_reason_that_is_counted() -> None:
    with pytest.raises(PayloadError) as caught:
        parse("nonsense")
    assert caught.value.reason == "topic"


@pytest.mark.parametrize(
    "topic",
    [
        "",
        "/",
        "kraj",
        "kraj/brno/lamp-1",
        "kraj/brno/lamp-1/telemetry/extra",
        "/kraj/brno/lamp-1/telemetry",
        "kraj/brno/lamp-1/telemetry/",
        "region/brno/lamp-1/telemetry",
        "KRAJ/brno/lamp-1/telemetry",
    ],
)
def test_wrong_depth_or_root_is_refused(topic: str) -> None:
    with pytest.raises(PayloadError, match="the topic must be kraj/municipality/device/channel"):
        parse(topic)


@pytest.mark.parametrize(
    "name",
    ["", "a", "-lamp", "Brno", "lamp_1", "slot_0", "lamp 1", "lamp.1", "+", "#", "žďár", "lamp1\n", "٣٣", "a" * 64],
)
def test_bad_names_are_refused_wherever_they_stand(name: str) -> None:
    with pytest.raises(PayloadError, match="the municipality name"):
        parse(f"kraj/{name}/lamp-1/telemetry")
    with pytest.raises(PayloadError, match="the device name"):
        parse(f"kraj/brno/{name}/telemetry")


@pytest.mark.parametrize("name", ["a1", "0a", "10", "a-", "a" * 63])
def test_names_of_two_to_63_characters_are_accepted(name: str) -> None:
    assert parse(f"kraj/{name}/{name}/status") == Topic(name, name, Channel.STATUS)


@pytest.mark.parametrize("channel", ["", "Telemetry", "TELEMETRY", "telemetry ", "+", "#", "data"])
def test_an_unknown_channel_is_refused(channel: str) -> None:
    with pytest.raises(PayloadError, match="unknown channel"):
        parse(f"kraj/brno/lamp-1/{channel}")


def test_an_overlong_topic_is_cut_in_the_message() -> None:
    for topic in ("x" * 65_535, f"kraj/{'x' * 65_000}/lamp-1/telemetry", f"kraj/brno/lamp-1/{'x' * 65_000}"):
        with pytest.raises(PayloadError) as caught:
            parse(topic)
        assert len(str(caught.value)) < 300


def test_every_channel_has_one_direction() -> None:
    assert sorted((*UP, *DOWN)) == sorted(Channel)


def test_a_slot_listens_to_all_that_devices_write_and_nothing_else() -> None:
    assert subscriptions() == tuple(f"kraj/+/+/{channel}" for channel in UP)
