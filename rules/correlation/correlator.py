"""The correlator: symptoms in, alerts out; has causes judged, lets time do its part, and can take a step back.

Everything that it remembers is journaled, because a step is part of a transaction that may fail. Whatever it says
carries a moment that is a function of history: that of the symptom, or when something was due. So a replay with other
ticks says the same again.
"""

from collections.abc import Callable, Mapping, Sequence

from kraj.alerts import AlertChange, Repair, SymptomChange
from kraj.assets import DeviceStatus
from rules.correlation import checkpoint
from rules.correlation.agenda import Agenda, Due
from rules.correlation.book import Book
from rules.correlation.causes import Cause
from rules.correlation.intake import Intake
from rules.correlation.journal import Journal
from rules.correlation.judging import Judge
from rules.correlation.places import Places
from rules.correlation.power import UNKNOWN, Returns
from rules.correlation.records import DAY_MS, HOLD_MS, Cell, Symptom, SymptomKey
from rules.correlation.repairs import Newest, Repairs
from rules.correlation.situation import Situation
from rules.correlation.windows import Windows
from rules.estate import Estate
from rules.rule import Rule
from rules.state import Array


class Correlator:
    """``step`` is called in order of time; ``commit`` or ``rollback`` follows each, ``move`` only comes after them."""

    def __init__(self, estate: Estate, rules: Sequence[Rule], causes: Sequence[Cause]) -> None:
        self._causes = tuple(causes)
        self._journal = Journal()
        self._agenda = Agenda()
        self._book = Book(self._journal, self._agenda)
        self._judge = Judge(self._journal, self._book, self._agenda, self._causes)
        self._intake = Intake(self._journal, self._book, self._judge, self._agenda, self._why)
        self._returns = Returns()
        self._repairs = Repairs(self._journal, self._book, self._judge)
        self._passed_ms = self._stepped_ms = 0
        """Up to when everything due has been done and committed; and done."""
        self._when: Mapping[Due, Callable[[int, Cell], None]] = {
            Due.CALM: self._calm,
            Due.JUDGE: self._judge_again,
            Due.LET_GO: self._let_go,
            Due.TELL: self._tell,
            Due.FORGET: self._forget,
        }
        self.move(estate, rules)

    def move(self, estate: Estate, rules: Sequence[Rule]) -> None:
        """Take over another registry version: what is open stays open, and is judged by the new topology from the next
        step on."""
        self._estate = estate
        self._rules = {rule.name: rule for rule in rules}
        self._about_silence = _about_silence(rules, self._causes)
        self._places = Places(estate)
        self._windows = Windows(estate.windows)
        self._returns.move(estate)
        self._moved, self._reconciled = True, False
        self._arrange()

    def step(
        self,
        changes: Sequence[SymptomChange],
        statuses: Sequence[DeviceStatus],
        now_ms: int,
        *,
        repairs: Sequence[Repair] = (),
        newest_ms: Newest | None = None,
    ) -> list[AlertChange]:
        """What becomes of the alerts by these symptoms at this moment; what was due before comes first.

        ``repairs`` are causes that have been called fixed; ``newest_ms`` tells who has reported when.
        """
        self._book.changes = []
        self._pass(now_ms)
        self._repairs.look(now_ms)
        self._repairs.begin(repairs)
        if self._moved and not self._reconciled:
            self._intake.reconcile(now_ms)
            self._reconciled = True
            self._pass(now_ms)
        if statuses:
            self._returns.note(statuses)
        if changes:
            self._intake.take(changes, now_ms)
            self._judge.run(now_ms)
            self._pass(now_ms)
        if newest_ms is not None:
            self._repairs.hear(newest_ms, now_ms)
            self._repairs.look(now_ms)
        self._stepped_ms = max(self._stepped_ms, now_ms)
        return self._book.changes

    def commit(self) -> None:
        """Keep what the steps since the last call have changed."""
        self._journal.commit()
        self._returns.commit()
        self._passed_ms = self._stepped_ms
        self._moved = self._moved and not self._reconciled

    def rollback(self) -> None:
        """Undo what the steps since the last call have changed."""
        self._journal.rollback()
        self._returns.rollback()
        self._stepped_ms = self._passed_ms
        self._reconciled = False
        self._arrange()

    @property
    def active(self) -> dict[str, Cell]:
        """Keys of the alerts whose symptom holds, with rule and scope."""
        return {alert.key: cell for cell, alert in self._book.items() if alert.active}

    def provable(self, cause: str) -> bool:
        """Whether a cause's repair can be proven by what its group reports."""
        return self._repairs.provable(cause)

    @property
    def symptoms(self) -> Mapping[SymptomKey, Symptom]:
        """The symptoms that hold, hidden and silenced ones too."""
        return self._intake.symptoms

    def _arrange(self) -> None:
        """Everything derived, anew."""
        self._agenda.clear(self._passed_ms)
        situation = Situation.of(self._places, self._windows, self._rules, self._causes, self._intake.counting())
        self._explaining = situation.explaining
        self._book.arrange(situation.explaining)
        self._judge.arrange(situation)
        self._intake.arrange(situation)

    def _why(self, symptom: Symptom) -> int:
        if symptom.rule not in self._about_silence:
            return UNKNOWN
        return self._returns.why(self._places.device(symptom.asset_id), symptom.since_ms)

    # Time

    def _pass(self, now_ms: int) -> None:
        """What is due by now, each at its own moment."""
        while (due := self._agenda.take(now_ms)) is not None:
            due_ms, what, subject = due
            if what is Due.RELEASE:
                self._intake.release(due_ms, subject)
            else:
                self._when[what](due_ms, subject)
            if what is not Due.JUDGE or not self._agenda.follows(due_ms, what):  # those that explain others first
                self._judge.run(due_ms)

    def _calm(self, due_ms: int, cell: Cell) -> None:
        alert = self._book.get(cell)
        if alert is None or not alert.active or alert.calm_ms != due_ms:
            return
        if self._judge.known(cell):
            self._judge.end(cell, due_ms, calm=True)
        else:
            self._book.end(cell, due_ms)

    def _judge_again(self, due_ms: int, cell: Cell) -> None:
        del due_ms
        if cell in self._judge.suspected:
            self._judge.put(cell)

    def _let_go(self, due_ms: int, cell: Cell) -> None:
        """A cause was over a while ago: what is left of its children stands for itself, or hangs on another.

        Lamps whose circuit rests cannot say that they are well before it is switched on, and are held until then; who
        reports seldom is held for some reports of its own.
        """
        above = self._book.get(cell)
        if above is None or above.cleared_ms is None or (due_ms - above.cleared_ms) % HOLD_MS:
            return
        if due_ms > above.cleared_ms + HOLD_MS and not self._book.children(cell):
            return
        # What it has hidden may be another cause, which takes them in.
        self._judge.wake(cell[1])
        self._judge.run(due_ms)
        for child in self._book.children(cell):
            alert = self._book[child]
            parent = self._judge.parent(child, alert.since_ms, alert.asset_id, due_ms)
            if parent is not None and parent != cell:
                self._book.attach(child, parent, due_ms)
            elif parent is not None or (
                due_ms < above.cleared_ms + DAY_MS and self._explaining.rests(child, alert.asset_id)
            ):
                self._book.hold(cell, due_ms + HOLD_MS)
            else:
                self._book.detach(child, due_ms)

    def _tell(self, due_ms: int, cell: Cell) -> None:
        """Nothing has explained it so far; what is suspected is waited for."""
        alert = self._book.get(cell)
        if alert is None or not alert.active or alert.tell_ms != due_ms:
            return
        later_ms = self._judge.pending_ms(cell, alert.asset_id, due_ms)
        if later_ms is not None:
            self._book.put_off(cell, later_ms)
        else:
            self._book.tell(cell, due_ms, self._judge.evidence(cell) if self._judge.known(cell) else {})

    def _forget(self, due_ms: int, cell: Cell) -> None:
        alert = self._book.get(cell)
        if alert is not None and alert.cleared_ms is not None and alert.cleared_ms + DAY_MS == due_ms:
            self._book.forget(cell)

    # Checkpoint

    def dump(self) -> dict[str, Array]:
        """Everything remembered, as arrays; after ``commit``."""
        memory = checkpoint.Memory(
            passed_ms=self._passed_ms,
            symptoms=self._intake.symptoms,
            silenced=self._intake.silenced,
            alerts=dict(self._book.items()),
            suspected=self._judge.suspected,
            spent=self._judge.spent,
            repaired=self._repairs.open,
        )
        returns = {f"returns.{name}": array for name, array in self._returns.dump().items()}
        return {"correlation": checkpoint.packed(memory), **returns}

    def load(self, arrays: Mapping[str, Array]) -> None:
        """Take over a dump, into a correlator that has made no step yet; the registry may have changed since."""
        memory = checkpoint.unpacked(arrays["correlation"])
        self._intake.restore(memory.symptoms, memory.silenced)
        self._book.restore(memory.alerts)
        self._judge.restore(memory.suspected, memory.spent)
        self._repairs.restore(memory.repaired)
        theirs = {name.removeprefix("returns."): a for name, a in arrays.items() if name.startswith("returns.")}
        self._returns.load(theirs, self._estate)
        self._journal.commit()
        self._passed_ms = self._stepped_ms = memory.passed_ms
        self._moved, self._reconciled = True, False
        self._arrange()


def _about_silence(rules: Sequence[Rule], causes: Sequence[Cause]) -> frozenset[str]:
    """Rules whose symptom may be mere silence: causes of communication count or explain it."""
    networks = {cause.name: cause for cause in causes if cause.network}
    counted = {rule for cause in networks.values() for rule in cause.symptoms}
    return frozenset(counted | {rule.name for rule in rules if not networks.keys().isdisjoint(rule.explained_by)})
