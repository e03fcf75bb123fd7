"""A cause that was called fixed is proven by enough of its group, after a minute without it, and never by silence."""

from collections.abc import Sequence

from kraj.alerts import AlertChange, Repair, Scope, Step, SymptomChange
from rules.correlation import Correlator
from tests.rules.correlation.scene import CAUSES, MINUTE, RULES, START, Town, cleared, raised

FEEDER = Scope(type="feeder", name="R1/1", municipality_id=1)
TOWN = Town(lamps=10)
LAMPS = TOWN.feeder()


class Repairing:
    """A feeder that tripped at minute 0 and was called fixed at minute 20; lamps report as they are told to."""

    def __init__(self) -> None:
        self.estate = TOWN.estate()
        self.correlator = Correlator(self.estate, RULES, CAUSES)
        self.newest = dict.fromkeys(LAMPS, 0)
        self.told: list[AlertChange] = []
        self.step(0, *(raised("lamp_dark", lamp, 0) for lamp in LAMPS))
        self.step(5)
        assert [change.step for change in self.told] == [Step.OPENED]
        self.step(20, repairs=[Repair(key=self.told[0].key, rule="feeder_outage", scope=FEEDER, fixed_ms=at(20))])
        self.told.clear()

    def step(self, minute: float, *changes: SymptomChange, repairs: Sequence[Repair] = ()) -> list[Step]:
        found = self.correlator.step(changes, [], at(minute), repairs=repairs, newest_ms=self.newest_ms)
        self.correlator.commit()
        self.told += found
        return [change.step for change in found]

    def newest_ms(self, kinds: Sequence[str], assets: Sequence[int]) -> list[int]:
        assert kinds == ("lamp",)
        return [self.newest[asset_id] for asset_id in assets]

    def back(self, minute: float, count: int, *, heard: bool = True) -> list[Step]:
        """Some lamps have power again, and say so."""
        if heard:
            self.newest |= dict.fromkeys(LAMPS[:count], at(minute))
        return self.step(minute, *(cleared("lamp_dark", lamp, minute) for lamp in LAMPS[:count]))


def at(minute: float) -> int:
    return START + round(minute * MINUTE)


def test_eight_of_ten_lamps_back_for_a_minute_prove_a_feeder() -> None:
    scene = Repairing()
    assert scene.back(21, 7) == []
    assert scene.step(22.5) == []
    scene.newest |= {LAMPS[7]: at(23)}
    assert scene.step(23, cleared("lamp_dark", LAMPS[7], 23)) == [Step.CLEARED]
    assert scene.step(23.9) == []
    assert scene.step(24.5) == [Step.VERIFIED]
    assert (scene.told[-1].at_ms, scene.told[-1].rule) == (at(24), "feeder_outage")
    assert scene.step(30) == []


def test_a_replay_with_other_ticks_says_the_same() -> None:
    calm, troubled = Repairing(), Repairing()
    calm.back(21, 9)
    for minute in (21.2, 21.7, 22.1, 23):
        calm.step(minute)
    troubled.back(21, 9)
    again = Correlator(troubled.estate, RULES, CAUSES)
    again.load(troubled.correlator.dump())
    troubled.correlator = again
    troubled.correlator.step([raised("door_open", 1, 40)], [], at(40), newest_ms=troubled.newest_ms)
    troubled.correlator.rollback()
    troubled.step(40)
    assert troubled.told == calm.told
    assert [change.step for change in calm.told] == [Step.CLEARED, Step.VERIFIED]


def test_lamps_that_have_not_reported_since_prove_nothing() -> None:
    scene = Repairing()
    assert scene.back(21, 9, heard=False) == [Step.CLEARED]
    assert scene.step(25) == []
    scene.newest |= dict.fromkeys(LAMPS[:7], at(26))
    assert scene.step(26) == scene.step(30) == [], "seven of ten"
    scene.newest |= dict.fromkeys(LAMPS, at(31))
    assert scene.step(31) == []
    assert scene.step(32) == [Step.VERIFIED]


def test_a_feeder_that_trips_again_within_the_minute_is_not_proven() -> None:
    scene = Repairing()
    scene.back(21, 10)
    scene.step(21.5, *(raised("lamp_dark", lamp, 21.5) for lamp in LAMPS))
    steps = [step for minute in (22, 23.5, 24, 30) for step in scene.step(minute)]
    assert steps == [Step.RAISED_AGAIN]
    scene.back(31, 10)
    assert scene.step(40) == [], "until somebody calls it fixed again"


def test_only_causes_that_say_so_are_proven() -> None:
    correlator = Repairing().correlator
    assert correlator.provable("feeder_outage")
    assert not correlator.provable("contactor_stuck")
    assert not correlator.provable("no_such_cause")
