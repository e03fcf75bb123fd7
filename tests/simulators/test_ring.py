"""The device's ring, against a plain model of it."""

from random import Random
from typing import Any

import msgspec
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from simulators.ring import IN_FLIGHT_MAX, Resend, Ring

BOOT = 7
STEADY = Resend(first_ms=1_000, longest_ms=8_000, jitter=0.0)


def ring(*, capacity: int = 100, resend_after: Resend = STEADY) -> Ring:
    return Ring(BOOT, Random(1), capacity=capacity, resend_after=resend_after)


def fill(target: Ring, count: int, *, channels: int = 1) -> None:
    for n in range(count):
        target.append({"ts": n}, n, n % channels)


def seqs(entries: list[Any]) -> list[int]:
    return [e.seq for e in entries]


def test_seq_counts_from_one_and_survives_a_restart() -> None:
    r = ring()
    assert [r.append({}, 0) for _ in range(3)] == [1, 2, 3]
    r.restart()
    assert r.append({}, 0) == 4
    assert [msgspec.json.decode(e.body) for e in r.take(0)] == [
        {"boot": BOOT + 1, "seq": 4},
        {"boot": BOOT, "seq": 1},
        {"boot": BOOT, "seq": 2},
        {"boot": BOOT, "seq": 3},
    ]


def test_at_most_64_readings_are_in_flight() -> None:
    r = ring()
    fill(r, 90)
    assert seqs(r.take(0)) == list(range(1, 65))
    assert r.take(0) == []
    r.acknowledge(BOOT, [(1, 10)])
    assert seqs(r.take(0)) == list(range(65, 75))


def test_live_readings_go_before_the_backlog() -> None:
    r = ring()
    fill(r, 3)
    r.reconnect()
    fill(r, 2)
    assert seqs(r.take(0)) == [4, 5, 1, 2, 3]


def test_a_missing_answer_is_asked_for_again_with_doubling_pauses_up_to_the_longest() -> None:
    r = ring()
    fill(r, 1)
    sendings = [now for now in range(0, 40_000, 500) if r.take(now)]
    assert sendings == [0, 1_000, 3_000, 7_000, 15_000, 23_000, 31_000, 39_000]
    assert r.counters.sent == 8
    assert r.counters.resent == 7


def test_pauses_keep_within_their_jitter() -> None:
    after = Resend()
    random = Random(3)
    delays = [after.delay_ms(1, random) for _ in range(200)]
    assert 24_000 <= min(delays) < 27_000
    assert 33_000 < max(delays) <= 36_000
    assert after.delay_ms(10_000, random) <= 720_000


def test_reconnecting_sends_everything_unacknowledged_at_once() -> None:
    r = ring()
    fill(r, 5)
    r.take(0)
    r.acknowledge(BOOT, [(2, 3)])
    assert r.take(10) == []
    r.reconnect()
    assert seqs(r.take(10)) == [1, 4, 5]


def test_only_what_the_ack_names_is_freed() -> None:
    r = ring()
    fill(r, 6)
    r.take(0)
    assert r.acknowledge(BOOT, [(2, 3), (5, 5)]) == [2, 3, 5]
    assert r.pending == 3
    r.reconnect()
    assert seqs(r.take(0)) == [1, 4, 6]


@pytest.mark.parametrize(
    ("boot", "ranges"),
    [(BOOT + 1, [(1, 6)]), (BOOT, [(7, 2**62)]), (BOOT, [(5, 1)]), (BOOT, [(-(2**62), 0)]), (BOOT, [])],
)
def test_an_ack_for_what_the_ring_does_not_hold_changes_nothing(boot: int, ranges: list[tuple[int, int]]) -> None:
    r = ring()
    fill(r, 6)
    assert r.acknowledge(boot, ranges) == []
    assert r.pending == 6


def test_delivered_readings_stay_until_the_space_is_needed() -> None:
    r = ring(capacity=10)
    fill(r, 10)
    r.acknowledge(BOOT, [(1, 10)])
    assert len(r) == 10
    fill(r, 4)
    assert len(r) == 10
    assert r.counters.dropped == 4
    assert r.counters.thinned == 0
    assert r.resend() == 6


def test_resend_marks_delivered_readings_undelivered_within_its_bounds() -> None:
    r = ring()
    fill(r, 10)
    r.take(0)
    r.acknowledge(BOOT, [(1, 8)])
    assert r.resend(from_seq=3, to_seq=4) == 2
    assert r.resend(from_ts=6, to_ts=7) == 2
    assert seqs(r.take(0)) == [3, 4, 7, 8]
    assert r.pending == 6


def test_a_reading_confirmed_again_after_a_resend_counts_once() -> None:
    r = ring()
    fill(r, 2)
    for _ in range(3):
        r.acknowledge(BOOT, [(1, 2)])
        r.resend()
    assert r.counters.acknowledged == 2


def test_a_full_ring_thins_its_oldest_half_and_counts_what_went() -> None:
    r = ring(capacity=12)
    fill(r, 13)
    assert r.counters.thinned == 3
    assert seqs(r.take(0)) == [1, 3, 5, 7, 8, 9, 10, 11, 12, 13]


@pytest.mark.parametrize("channels", [2, 3, 4])
def test_thinning_keeps_readings_of_every_channel(channels: int) -> None:
    r = ring(capacity=48)
    fill(r, 49, channels=channels)
    kept = {e.channel for e in r.take(0) if e.at_ms < 24}
    assert kept == set(range(channels))


def test_a_ring_that_never_connects_stays_within_its_capacity() -> None:
    r = ring(capacity=32)
    fill(r, 5_000)
    assert len(r) <= 32
    assert r.counters.produced == 5_000 == r.pending + r.counters.thinned
    assert seqs(r.take(0))[-1] == 5_000


def test_what_is_acknowledged_unsent_and_asked_for_again_is_sent_once() -> None:
    """An answer to the run before may come while the reading still waits; a `resend` then queues it a second time."""
    r = ring()
    fill(r, 1)
    r.restart()
    r.acknowledge(BOOT, [(1, 1)])
    assert r.resend() == 1
    assert seqs(r.take(0)) == [1]


class RingModel(RuleBasedStateMachine):
    """The ring against three plain dictionaries: what is unacknowledged, in flight, delivered."""

    def __init__(self) -> None:
        super().__init__()
        self.capacity = 20
        self.ring = ring(capacity=self.capacity)
        self.now = 0
        self.boots: dict[int, int] = {}
        self.pending: set[int] = set()
        self.flying: dict[int, int] = {}
        self.confirmed: set[int] = set()

    def held(self) -> set[int]:
        return set(self.ring._entries)  # pyright: ignore[reportPrivateUsage]

    @rule(count=st.integers(1, 15), channels=st.integers(1, 3))
    def append(self, count: int, channels: int) -> None:
        for n in range(count):
            before, delivered = self.held(), self.held() - self.pending
            seq = self.ring.append({}, self.now, n % channels)
            assert seq == len(self.boots) + 1
            self.boots[seq] = self.ring.boot
            self.pending.add(seq)
            gone = before - self.held()
            if len(before) < self.capacity:
                assert not gone
            elif delivered:
                assert gone == {min(delivered)}
            else:
                assert gone
                assert max(gone) <= sorted(before)[self.capacity // 2 - 1]
                self.pending -= gone
                for lost in gone:
                    self.flying.pop(lost, None)

    @rule(ms=st.integers(0, 3_000))
    def wait(self, ms: int) -> None:
        self.now += ms

    @rule(limit=st.integers(0, IN_FLIGHT_MAX))
    def take(self, limit: int) -> None:
        due = self.ring.due_ms(self.now, limit)
        taken = self.ring.take(self.now, limit)
        assert bool(taken) == (due is not None and due <= self.now)
        assert len(set(seqs(taken))) == len(taken)
        for entry in taken:
            assert entry.seq in self.pending
            assert entry.boot == self.boots[entry.seq]
            assert entry.seq not in self.flying or self.now - self.flying[entry.seq] >= STEADY.first_ms
            self.flying[entry.seq] = self.now
        fresh = self.pending - set(self.flying)
        assert not fresh or len(self.flying) >= limit, "there was room and something to send"

    @rule(low=st.integers(-5, 120), length=st.integers(-1, 30), back=st.integers(0, 2))
    def acknowledge(self, low: int, length: int, back: int) -> None:
        boot = self.ring.boot - back
        named = {s for s in self.pending if low <= s <= low + length and self.boots[s] == boot}
        assert set(self.ring.acknowledge(boot, [(low, low + length)])) == named - self.confirmed
        self.pending -= named
        self.confirmed |= named
        for seq in named:
            self.flying.pop(seq, None)

    @rule(from_seq=st.none() | st.integers(0, 120), from_ts=st.none() | st.integers(0, 20_000))
    def resend(self, from_seq: int | None, from_ts: int | None) -> None:
        again = {
            e.seq
            for e in self.ring._entries.values()  # pyright: ignore[reportPrivateUsage]
            if e.seq not in self.pending
            and (from_seq is None or e.seq >= from_seq)
            and (from_ts is None or e.at_ms >= from_ts)
        }
        assert self.ring.resend(from_seq=from_seq, from_ts=from_ts) == len(again)
        self.pending |= again

    @rule()
    def reconnect(self) -> None:
        self.ring.reconnect()
        self.flying.clear()

    @precondition(lambda self: self.ring.boot < BOOT + 5)
    @rule()
    def restart(self) -> None:
        self.ring.restart()
        self.flying.clear()

    @invariant()
    def nothing_unacknowledged_is_gone_uncounted(self) -> None:
        counters = self.ring.counters
        assert self.pending <= self.held()
        assert self.ring.pending == len(self.pending)
        assert self.ring.in_flight == len(self.flying)
        assert len(self.ring) <= self.capacity
        assert counters.produced == len(self.ring) + counters.dropped + counters.thinned
        assert counters.acknowledged == len(self.confirmed)


TestRingModel = RingModel.TestCase
TestRingModel.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
