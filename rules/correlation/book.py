"""The book of alerts: each entry opened, attached, let go, told, cleared, and the change that says so."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from kraj.alerts import AlertChange, Severity, Step
from rules.correlation.agenda import Agenda, Due
from rules.correlation.explaining import Explaining
from rules.correlation.journal import Journal, Journaled
from rules.correlation.records import CALM_MS, DAY_MS, FLAP_MS, HOLD_MS, RAISED_KEPT, Cell, Found, Open, key_of


class Book:
    """Alerts by cell, and the changes of the step that runs.

    Besides, derived and therefore made again after a rollback: who waits for a cause, and who hangs on one.
    """

    def __init__(self, journal: Journal, agenda: Agenda) -> None:
        self._alerts: Journaled[Cell, Open] = Journaled(journal)
        self._agenda = agenda
        self._waiting: dict[Cell, dict[Cell, None]] = {}
        self._children: dict[Cell, dict[Cell, None]] = {}
        self._explaining: Explaining | None = None
        self.changes: list[AlertChange] = []

    def __getitem__(self, cell: Cell) -> Open:
        return self._alerts[cell]

    def __len__(self) -> int:
        return len(self._alerts)

    def get(self, cell: Cell) -> Open | None:
        """The alert of the cell, also one that was over within the last day."""
        return self._alerts.get(cell)

    def active(self, cell: Cell) -> bool:
        """Whether the cell's alert is open."""
        alert = self._alerts.get(cell)
        return alert is not None and alert.active

    def items(self) -> list[tuple[Cell, Open]]:
        """Every entry, in an order that is a function of history."""
        return sorted(self._alerts.items(), key=lambda item: item[1].key)

    def restore(self, alerts: Mapping[Cell, Open]) -> None:
        """Back from a checkpoint."""
        self._alerts.update(alerts)

    # Who hangs on whom

    def arrange(self, explaining: Explaining) -> None:
        """Find out anew who waits and who hangs on what, and plan what time will bring; after a rollback, or when the
        registry is another."""
        self._explaining = explaining
        self._waiting.clear()
        self._children.clear()
        for cell, alert in self.items():
            self._tie(cell, alert)
            self._plan(cell, alert)

    def waiting(self, parent: Cell) -> list[Cell]:
        """Open alerts that nothing explains yet, and that this cause might."""
        return sorted(self._waiting.get(parent, ()), key=lambda cell: self._alerts[cell].key)

    def children(self, parent: Cell) -> list[Cell]:
        """Open alerts that this one explains."""
        return sorted(self._children.get(parent, ()), key=lambda cell: self._alerts[cell].key)

    def parents(self, cell: Cell, asset_id: int | None) -> tuple[Cell, ...]:
        """Where what explains it could be."""
        return () if self._explaining is None else self._explaining.parents(cell, asset_id)

    def _tie(self, cell: Cell, alert: Open) -> None:
        if alert.active and alert.parent is not None:
            self._children.setdefault(alert.parent, {})[cell] = None
        elif alert.active:
            for parent in self.parents(cell, alert.asset_id):
                self._waiting.setdefault(parent, {})[cell] = None

    def _untie(self, cell: Cell, alert: Open) -> None:
        if alert.active and alert.parent is not None:
            _leave(self._children, alert.parent, cell)
        elif alert.active:
            for parent in self.parents(cell, alert.asset_id):
                _leave(self._waiting, parent, cell)

    def _plan(self, cell: Cell, alert: Open) -> None:
        if alert.cleared_ms is not None:
            self.hold(cell, self._agenda.next_ms(alert.cleared_ms, HOLD_MS))
            self._agenda.put(alert.cleared_ms + DAY_MS, Due.FORGET, alert.key, cell)
        else:
            if alert.calm_ms is not None:
                self._agenda.put(alert.calm_ms, Due.CALM, alert.key, cell)
            if alert.tell_ms is not None:
                self._agenda.put(alert.tell_ms, Due.TELL, alert.key, cell)

    def hold(self, cell: Cell, until_ms: int) -> None:
        """What hangs on an alert that is over is not let go before."""
        self._agenda.put(until_ms, Due.LET_GO, self._alerts[cell].key, cell)

    def _hang_on(self, parent: Cell | None, at_ms: int) -> None:
        """What an alert explains that is over already is let go as its other children are."""
        above = None if parent is None else self._alerts[parent]
        if parent is not None and above is not None and above.cleared_ms is not None:
            turns = max(0, (at_ms - above.cleared_ms) // HOLD_MS) + 1
            self.hold(parent, above.cleared_ms + turns * HOLD_MS)

    def _put(self, cell: Cell, alert: Open) -> Open:
        before = self._alerts.get(cell)
        if before is not None:
            self._untie(cell, before)
        self._alerts[cell] = alert
        self._tie(cell, alert)
        return alert

    # Steps

    def open(self, cell: Cell, found: Found, parent: Cell | None, tell_ms: int | None) -> None:
        """Open an alert, or raise the one again that was cleared a moment ago.

        People are told at ``tell_ms``; without it at once, unless there is a parent.
        """
        before = self._alerts.get(cell)
        if before is not None and before.active:
            self.stir(cell, found.at_ms)
            return
        raised = (*(before.raised if before else ()), found.at_ms)
        day = tuple(t for t in raised if t > found.at_ms - DAY_MS)[-RAISED_KEPT:]
        if before is not None and before.cleared_ms is not None:
            again = found.at_ms - before.cleared_ms <= FLAP_MS or before.key == key_of(cell, found.since_ms)
            if again:
                self._raise_again(cell, replace(before, raised=day), found, parent, tell_ms)
                return
        alert = Open(
            key_of(cell, found.since_ms),
            found.severity,
            found.since_ms,
            found.asset_id,
            parent,
            self._key(parent),
            parent is None and tell_ms is None,
            day,
            tell_ms,
            peak=found.peak,
        )
        self._plan(cell, self._put(cell, alert))
        self._hang_on(parent, found.at_ms)
        self._say(cell, alert, Step.OPENED, found.at_ms, found.evidence)
        for child in self.children(cell):  # those that rest, held by the alert before
            self.attach(child, cell, found.at_ms)

    def _raise_again(self, cell: Cell, before: Open, found: Found, parent: Cell | None, tell_ms: int | None) -> None:
        """It goes on where it was; what it hangs on may be another by now."""
        told = before.notify and parent is None
        alert = replace(
            before,
            severity=found.severity,
            cleared_ms=None,
            calm_ms=None,
            tell_ms=None if told else tell_ms,
            peak=found.peak,
        )
        self._plan(cell, self._put(cell, alert))
        self._hang_on(parent, found.at_ms)
        self._say(cell, alert, Step.RAISED_AGAIN, found.at_ms, found.evidence)
        if parent is not None:
            if self._key(parent) != alert.parent_key:
                self.attach(cell, parent, found.at_ms)
        elif alert.parent is not None:
            self.detach(cell, found.at_ms, tell_ms)
        elif not told and tell_ms is None:
            self.tell(cell, found.at_ms, {})

    def stir(self, cell: Cell, at_ms: int) -> None:
        """A flapping alert was calm, but not for long enough."""
        alert = self._alerts[cell]
        if alert.calm_ms is not None:
            self._put(cell, replace(alert, calm_ms=None, raised=(*alert.raised, at_ms)[-RAISED_KEPT:]))

    def clear(
        self, cell: Cell, at_ms: int, *, lost_wh: float | None = None, verdict: Mapping[str, Any] | None = None
    ) -> bool:
        """The symptom is gone; what flaps is over only after a calm time. Whether it is over now."""
        alert = self._alerts[cell]
        if not alert.active:
            return False
        if alert.flaps and alert.calm_ms is None:
            calm = self._put(cell, replace(alert, calm_ms=at_ms + CALM_MS, lost_wh=lost_wh))
            self._agenda.put(at_ms + CALM_MS, Due.CALM, alert.key, cell)
            self._verdict(cell, calm, at_ms, verdict)
            return False
        if alert.calm_ms is None or at_ms >= alert.calm_ms:
            self.end(cell, at_ms, lost_wh=lost_wh, verdict=verdict)
            return True
        return False

    def end(
        self, cell: Cell, at_ms: int, *, lost_wh: float | None = None, verdict: Mapping[str, Any] | None = None
    ) -> None:
        """The alert is over."""
        alert = self._alerts[cell]
        self._verdict(cell, alert, at_ms, verdict)
        kept = alert.lost_wh if lost_wh is None else lost_wh
        over = self._put(cell, replace(alert, cleared_ms=at_ms, calm_ms=None, tell_ms=None, lost_wh=kept))
        self._plan(cell, over)
        self._say(cell, over, Step.CLEARED, at_ms, {})

    def _verdict(self, cell: Cell, alert: Open, at_ms: int, verdict: Mapping[str, Any] | None) -> None:
        if verdict:
            self._say(cell, alert, Step.CHANGED, at_ms, verdict)

    def attach(self, cell: Cell, parent: Cell, at_ms: int) -> None:
        """It is explained by another alert now."""
        alert = self._put(
            cell, replace(self._alerts[cell], parent=parent, parent_key=self._key(parent), notify=False, tell_ms=None)
        )
        self._hang_on(parent, at_ms)
        self._say(cell, alert, Step.ATTACHED, at_ms, {})

    def detach(self, cell: Cell, at_ms: int, tell_ms: int | None = None) -> None:
        """It stands for itself again; people are told now or at ``tell_ms``."""
        alert = replace(self._alerts[cell], parent=None, parent_key=None, notify=tell_ms is None, tell_ms=tell_ms)
        self._plan(cell, self._put(cell, alert))
        self._say(cell, alert, Step.DETACHED, at_ms, {})

    def tell(self, cell: Cell, at_ms: int, evidence: Mapping[str, Any]) -> None:
        """Nothing has explained it: people are told."""
        alert = self._put(cell, replace(self._alerts[cell], notify=True, tell_ms=None))
        self._say(cell, alert, Step.CHANGED, at_ms, evidence)

    def put_off(self, cell: Cell, tell_ms: int) -> None:
        """What may explain it is about to be judged."""
        self._plan(cell, self._put(cell, replace(self._alerts[cell], tell_ms=tell_ms)))

    def worsen(self, cell: Cell, severity: Severity, at_ms: int, evidence: Mapping[str, Any]) -> None:
        """It matters more than it did."""
        alert = self._put(cell, replace(self._alerts[cell], severity=severity))
        self._say(cell, alert, Step.CHANGED, at_ms, evidence)

    def tally(self, cell: Cell, *, peak: int | None = None, power: int = 0, silence: int = 0) -> None:
        """Count who suffers under a cause, and what those say who are back."""
        alert = self._alerts[cell]
        most = alert.peak if peak is None else max(alert.peak, peak)
        if most != alert.peak or power or silence:
            self._alerts[cell] = replace(alert, peak=most, power=alert.power + power, silence=alert.silence + silence)

    def note(self, cell: Cell, step: Step, at_ms: int, evidence: Mapping[str, Any]) -> None:
        """Say what telemetry thinks of a repair; the alert itself is as it was."""
        self._say(cell, self._alerts[cell], step, at_ms, evidence)

    def _key(self, parent: Cell | None) -> str | None:
        return None if parent is None else self._alerts[parent].key

    def forget(self, cell: Cell) -> None:
        """It was over so long ago that nothing depends on it."""
        if self._explaining is not None:
            self._explaining.forget(cell)
        del self._alerts[cell]

    def _say(self, cell: Cell, alert: Open, step: Step, at_ms: int, evidence: Mapping[str, Any]) -> None:
        self.changes.append(
            AlertChange(
                key=alert.key,
                step=step,
                at_ms=at_ms,
                rule=cell[0],
                scope=cell[1],
                severity=alert.severity,
                since_ms=alert.since_ms,
                asset_id=alert.asset_id,
                municipality_id=cell[1].municipality_id,
                parent=alert.parent_key,
                notify=alert.notify,
                evidence=evidence,
                lost_wh=alert.lost_wh,
            )
        )


def _leave(of: dict[Cell, dict[Cell, None]], parent: Cell, cell: Cell) -> None:
    cells = of.get(parent, {})
    cells.pop(cell, None)
    if not cells:
        of.pop(parent, None)
