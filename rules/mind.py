"""What the watch remembers besides the state of its assets: time, what has failed, what is still to be told."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any


@dataclass(frozen=True, slots=True)
class Clock:
    """Where we are in time, in milliseconds; ``now_ms`` never goes back.

    ``tick_ms`` and ``quick_ms`` are when rules per time and the quick ones among them were asked last, and
    ``ticked_attentive_ms`` and ``quick_attentive_ms`` the same without our absences.

    ``away_ms`` is how long we ourselves have been away in all, ``back_ms`` when we came back last; ``judged`` holds the
    number of the last night or day that was judged, by kind and ``Per``.
    """

    now_ms: int
    away_ms: int = 0
    back_ms: int | None = None
    tick_ms: int | None = None
    refresh_ms: int | None = None
    ticked_attentive_ms: int = 0
    quick_ms: int | None = None
    quick_attentive_ms: int = 0
    judged: Mapping[str, int | None] = field(default_factory=dict[str, "int | None"])

    @property
    def attentive_ms(self) -> int:
        return self.now_ms - self.away_ms

    def has_settled(self, grace_ms: int) -> bool:
        """After an absence of ours devices first send what they have kept."""
        return self.back_ms is None or self.now_ms - self.back_ms >= grace_ms

    def at(self, now_ms: int, *, attentive: bool) -> "Clock":
        """The clock at this moment."""
        now_ms = max(now_ms, self.now_ms)
        if attentive:
            return replace(self, now_ms=now_ms)
        return replace(self, now_ms=now_ms, away_ms=self.away_ms + now_ms - self.now_ms, back_ms=now_ms)


@dataclass(frozen=True, slots=True)
class Failure:
    """What is switched off, and why; ``since_ms`` is None until it has been told.

    ``municipality_id`` is the owner of a rule of one's own, ``fingerprint`` the rule's; None of what is no rule.
    """

    error: str
    since_ms: int | None = None
    municipality_id: int | None = None
    fingerprint: str | None = None


@dataclass(frozen=True, slots=True)
class Mending:
    """What was called fixed at ``fixed_ms``: since when readings show that it is, and since when that it is not."""

    rule: str
    asset_id: int
    fixed_ms: int
    good_ms: int | None = None
    bad_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Mind:
    """What is remembered besides the states; replaced as a whole, so that a step can be taken back.

    ``orphans`` are active symptoms of rules that are gone, and ``retried`` failures that somebody has looked at: they
    end with the next step. ``mending`` holds repairs that readings have neither shown nor refuted yet.
    """

    clock: Clock | None = None
    failed: Mapping[str, Failure] = field(default_factory=dict[str, Failure])
    retried: tuple[tuple[str, Failure], ...] = ()
    orphans: tuple[tuple[str, int], ...] = ()
    mending: tuple[Mending, ...] = ()

    def to_plain(self) -> dict[str, Any]:
        """As JSON can hold it."""
        return asdict(self)

    @staticmethod
    def from_plain(
        told: Mapping[str, Any],
        failed: Mapping[str, Failure],
        orphans: Sequence[tuple[str, int]],
        fingerprints: Mapping[str, str],
    ) -> "Mind":
        """What a checkpoint says, with what has failed and who has been orphaned since.

        Failures of rules that judge otherwise now, by their ``fingerprints``, are over.
        """
        before = {name: Failure(**failure) for name, failure in told["failed"].items()}
        ended = {n: f for n, f in before.items() if f.fingerprint not in (None, fingerprints.get(n))}
        before = {name: failure for name, failure in before.items() if name not in ended}
        return Mind(
            clock=None if told["clock"] is None else Clock(**told["clock"]),
            failed={**failed, **before},
            retried=(*((name, Failure(**failure)) for name, failure in told["retried"]), *ended.items()),
            orphans=(*((rule, asset_id) for rule, asset_id in told["orphans"]), *orphans),
            mending=tuple(Mending(**one) for one in told.get("mending", ())),
        )
