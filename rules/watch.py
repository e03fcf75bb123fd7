"""The whole engine: readings, statuses and time in, changes of alerts out; a step is kept or taken back as one."""

from collections.abc import Collection, Mapping, Sequence

from kraj.alerts import AlertChange, Repair, Severity, Step
from kraj.assets import DeviceStatus
from kraj.errors import ConfigurationError
from kraj.readings import Ints, Readings
from rules import archive
from rules.correlation import Cause, Correlator
from rules.correlation import load as causes_of_the_project
from rules.correlation.records import Cell
from rules.estate import Estate
from rules.observer import Observer
from rules.rule import Rule
from rules.state import Array

FORMAT = 1
"""Of checkpoints; of another one, nothing is taken over."""


class Watch:
    """See the module. After each ``step`` comes ``commit`` or ``rollback``; several steps may be kept together."""

    def __init__(self, estate: Estate, catalogue: Sequence[Rule], causes: Sequence[Cause] | None = None) -> None:
        self._observer = Observer(estate, catalogue)
        self._rules = {rule.name: rule for rule in catalogue}
        self._correlator = Correlator(estate, catalogue, causes_of_the_project() if causes is None else causes)

    def step(
        self,
        readings: Sequence[Readings],
        statuses: Sequence[DeviceStatus],
        now_ms: int,
        *,
        attentive: bool = True,
        repairs: Sequence[Repair] = (),
    ) -> list[AlertChange]:
        """Take in what has come, and time; gives what becomes of the alerts.

        ``readings`` are those newly inserted. ``attentive`` is False where we ourselves were away since the last step:
        that time is nobody's silence. Without readings and statuses this is a tick. ``repairs`` are those of which we
        have heard since the last step: each is told as ``proving``, so that a replay hears of it with the same batch.
        """
        known = [repair for repair in repairs if self.provable(repair)]
        assets = [repair for repair in known if repair.rule in self._rules]
        symptoms = self._observer.step(readings, statuses, now_ms, attentive=attentive, repairs=assets)
        told = [self._proving(repair) for repair in known]
        causes = [repair for repair in known if repair.rule not in self._rules]
        return [
            *self._observer.tell_failures(),
            *told,
            *self._correlator.step(symptoms, statuses, now_ms, repairs=causes, newest_ms=self._observer.newest_ms),
        ]

    def provable(self, repair: Repair) -> bool:
        """Whether telemetry can show this repair by itself; others are left to time."""
        rule = self._rules.get(repair.rule)
        if rule is not None:
            return rule.proof_when is not None and repair.scope.type == "asset"
        return self._correlator.provable(repair.rule)

    def _proving(self, repair: Repair) -> AlertChange:
        return AlertChange(
            key=repair.key,
            step=Step.PROVING,
            at_ms=repair.fixed_ms,
            rule=repair.rule,
            scope=repair.scope,
            severity=Severity.INFO,
            since_ms=repair.fixed_ms,
            municipality_id=repair.scope.municipality_id,
        )

    def commit(self) -> None:
        """Keep what was done since the last commit."""
        self._observer.commit()
        self._correlator.commit()

    def rollback(self) -> None:
        """Take back what was done since the last commit, as if it had never been."""
        self._observer.rollback()
        self._correlator.rollback()

    def move(self, estate: Estate, catalogue: Sequence[Rule]) -> None:
        """The registry has changed: what is remembered goes with the assets, what is open stays open. Between steps."""
        self._rules = {rule.name: rule for rule in catalogue}
        self._observer.move(estate, catalogue)
        self._correlator.move(estate, catalogue)

    def checkpoint(self) -> bytes:
        """Everything remembered, as ``restore`` reads it. Between steps: what is not committed would be in it."""
        document, arrays = self._observer.dump()
        arrays |= {f"correlation/{name}": array for name, array in self._correlator.dump().items()}
        return archive.pack({"format": FORMAT, **document}, arrays)

    @classmethod
    def restore(
        cls, data: bytes, estate: Estate, catalogue: Sequence[Rule], causes: Sequence[Cause] | None = None
    ) -> "Watch":
        """The watch that wrote a checkpoint, on this registry and catalogue; of rules that judge otherwise now nothing
        is remembered. Raises ``ConfigurationError`` where it is no checkpoint of this version of the engine."""
        document, arrays = archive.unpack(data)
        if document.get("format") != FORMAT:
            raise ConfigurationError("the checkpoint of the rules has another format: delete it, and it is made anew")
        watch = cls(estate, catalogue, causes)
        watch._observer.load(document, arrays)
        prefix = "correlation/"
        watch._correlator.load({n.removeprefix(prefix): a for n, a in arrays.items() if n.startswith(prefix)})
        return watch

    def remembered(self, kind: str, name: str) -> tuple[Ints, Array] | None:
        """As ``Observer.remembered``."""
        return self._observer.remembered(kind, name)

    @property
    def active(self) -> Mapping[str, Cell]:
        """Keys of the alerts whose symptom holds now, with rule (or cause) and scope; also of what failed."""
        return {**self._correlator.active, **self._observer.active}

    @property
    def failures(self) -> dict[str, str]:
        """Rules that are switched off because they raised an exception, or could not be compiled, and how."""
        return self._observer.failures

    def retry(self, still_off: Collection[str]) -> bool:
        """Ask what has failed and was told of again, but for what is ``still_off``: whether there was any.

        Between steps, and before ``move``, which compiles anew what could not be compiled.
        """
        told = {scope.name for _, scope in self._observer.active.values()}
        again = sorted((told & self.failures.keys()) - set(still_off))
        for name in again:
            self._observer.retry(name)
        return bool(again)
