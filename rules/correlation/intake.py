"""Symptoms taken in: each opens its own alert unless it is hidden, silenced by a window, or history already."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

from kraj.alerts import AlertChange, Step, SymptomChange
from rules.correlation.agenda import Agenda, Due
from rules.correlation.book import Book
from rules.correlation.journal import Journal, Journaled
from rules.correlation.judging import Judge
from rules.correlation.power import COMMUNICATION, POWER, WORDS
from rules.correlation.records import EXPLAIN_MS, SETTLE_MS, Found, Symptom, SymptomKey, key_of
from rules.correlation.situation import Situation

Why = Callable[[Symptom], int]
"""Afterwards, why what has this symptom was silent, by its own word."""


class Intake:
    """The symptoms that hold; ``arrange`` gives it the registry version that it goes by."""

    def __init__(self, journal: Journal, book: Book, judge: Judge, agenda: Agenda, why: Why) -> None:
        self.symptoms: Journaled[SymptomKey, Symptom] = Journaled(journal)
        self.silenced: Journaled[SymptomKey, int] = Journaled(journal)
        """Symptoms in a window, which count for nothing, and until when."""
        self._book = book
        self._judge = judge
        self._agenda = agenda
        self._why = why

    def counting(self) -> Iterator[Symptom]:
        """The symptoms that no window silences."""
        return (symptom for key, symptom in self.symptoms.items() if key not in self.silenced)

    def arrange(self, situation: Situation) -> None:
        """Take over another registry version, or plan anew after a rollback."""
        self._now = situation
        for key, until_ms in self.silenced.items():
            self._plan(key, until_ms)

    def _plan(self, key: SymptomKey, until_ms: int) -> None:
        self._agenda.put(until_ms, Due.RELEASE, f"{key[0]}@{key[1]}", key)

    # What has come and gone

    def take(self, changes: Sequence[SymptomChange], now_ms: int) -> None:
        """Take the changes of one step, in order of their times."""
        over = set(self._over_already(changes, now_ms))
        for place, change in sorted(enumerate(changes), key=lambda c: (c[1].ts_ms, c[1].rule, c[1].asset_id)):
            if place not in over:
                self._take(change, now_ms)

    def _over_already(self, changes: Sequence[SymptomChange], now_ms: int) -> Iterator[int]:
        """Places of what is history: late readings, and what came and went long before we heard of either."""
        raised: dict[SymptomKey, int] = {}
        for place, change in enumerate(changes):
            key = (change.rule, change.asset_id)
            if change.raised:
                raised[key] = place
            elif key in raised:
                begun = raised.pop(key)
                stale = change.ts_ms < now_ms - EXPLAIN_MS and key not in self.symptoms
                if change.late or stale:
                    self._record(changes[begun], change)
                    yield from (begun, place)
            elif change.late:
                yield place
        for place in raised.values():
            if changes[place].late:
                self._record(changes[place], None)
                yield place

    def _record(self, begun: SymptomChange, ended: SymptomChange | None) -> None:
        """History: nobody is called, but it is written down."""
        scope = self._now.places.scopes(begun.asset_id).get("asset")
        if scope is None or self._now.hidden(begun.rule):
            return
        last = ended or begun
        self._book.changes.append(
            AlertChange(
                key=key_of((begun.rule, scope), begun.since_ms),
                step=Step.RECORDED,
                at_ms=last.ts_ms,
                rule=begun.rule,
                scope=scope,
                severity=begun.severity,
                since_ms=begun.since_ms,
                asset_id=begun.asset_id,
                municipality_id=scope.municipality_id,
                evidence=begun.evidence,
                lost_wh=last.lost_wh,
            )
        )

    def _take(self, change: SymptomChange, now_ms: int) -> None:
        """Note one symptom's coming, getting worse, or going."""
        key = (change.rule, change.asset_id)
        known = self.symptoms.get(key)
        if change.proven is not None:
            self._prove(known, change)
        elif not change.raised:
            if known is not None:
                self._remove(known, change)
        elif known is not None:
            if change.severity.rank > known.severity.rank:
                self._worsen(known, change)
        elif self._now.places.scopes(change.asset_id):
            symptom = Symptom(*key, change.since_ms, change.ts_ms, now_ms, change.severity, dict(change.evidence))
            self.symptoms[key] = symptom
            if not self._silence(key, now_ms):
                self._admit(symptom, symptom.raised_ms, now_ms)

    def _silence(self, key: SymptomKey, at_ms: int) -> bool:
        """Whether a window covers it; it counts when that is over, if it still holds."""
        scopes = self._now.places.scopes(key[1])
        until_ms = self._now.windows.until_ms(key[0], scopes, scopes["asset"].municipality_id, at_ms)
        if until_ms is None:
            return False
        self.silenced[key] = until_ms
        self._plan(key, until_ms)
        return True

    def release(self, due_ms: int, key: SymptomKey) -> None:
        """A window is over: what still holds counts from now on."""
        if self.silenced.get(key) != due_ms or not self._now.known(self.symptoms[key]):
            return
        if not self._silence(key, due_ms):
            del self.silenced[key]
            self._admit(self.symptoms[key], due_ms, due_ms)

    def _admit(self, symptom: Symptom, at_ms: int, now_ms: int) -> None:
        self._now.losses.add(symptom)
        self._judge.touch(symptom)
        if not self._now.hidden(symptom.rule):
            self._open(symptom, at_ms, now_ms)

    def _open(self, symptom: Symptom, at_ms: int, now_ms: int) -> None:
        cell = self._now.cell(symptom)
        parent = self._judge.parent(cell, symptom.since_ms, symptom.asset_id, now_ms)
        tell_ms = None
        if parent is None and (parents := self._book.parents(cell, symptom.asset_id)):
            # What came late has waited already; its neighbours may come as late, though.
            tell_ms = max(at_ms + self._now.explaining.wait_ms(cell[0], parents), now_ms + SETTLE_MS)
        found = Found(
            since_ms=symptom.since_ms,
            at_ms=at_ms,
            severity=symptom.severity,
            asset_id=symptom.asset_id,
            evidence=symptom.evidence,
        )
        self._book.open(cell, found, parent, tell_ms)
        self._judge.gather(cell, now_ms)

    def _worsen(self, known: Symptom, change: SymptomChange) -> None:
        symptom = replace(known, severity=change.severity, evidence={**known.evidence, **change.evidence})
        self.symptoms[symptom.key] = symptom
        if symptom.key in self.silenced:
            return
        self._now.losses.add(symptom)
        self._judge.touch(symptom)
        cell = self._now.cell(symptom)
        if self._book.active(cell):
            self._book.worsen(cell, change.severity, change.ts_ms, change.evidence)

    def _remove(self, symptom: Symptom, change: SymptomChange) -> None:
        why = self._why(symptom)
        self._drop(symptom)
        cell = self._now.cell(symptom)
        for cause in self._now.losses.cells(symptom) if why in {POWER, COMMUNICATION} else ():
            if self._book.active(cause) and not self._now.losses.counts(cause, symptom.asset_id):
                self._book.tally(cause, power=int(why == POWER), silence=int(why == COMMUNICATION))
        if self._book.active(cell):
            verdict = {"verdict": WORDS[why]} if why else None
            self._book.clear(cell, change.ts_ms, lost_wh=change.lost_wh, verdict=verdict)

    def _prove(self, known: Symptom | None, change: SymptomChange) -> None:
        """A repair is shown, and then the symptom is gone; or it is refuted. What flaps proves nothing by itself."""
        scopes = self._now.places.scopes(change.asset_id)
        if not scopes:
            return
        cell = (change.rule, scopes["asset"])
        if change.proven and known is not None:
            self._remove(known, change)
        alert = self._book.get(cell)
        if alert is None or alert.flaps or alert.active == change.proven:
            return
        self._book.note(cell, Step.VERIFIED if change.proven else Step.REOPENED, change.ts_ms, change.evidence)

    def _drop(self, symptom: Symptom) -> None:
        del self.symptoms[symptom.key]
        if self.silenced.pop(symptom.key, None) is None:
            self._now.losses.remove(symptom)
            self._judge.touch(symptom)

    # Another registry version

    def reconcile(self, now_ms: int) -> None:
        """What is gone is cleared, what changed hands begins anew with its owner, windows are looked at again."""
        for symptom in self._sorted():
            if not self._now.known(symptom):
                self._drop(symptom)
        for key in list(self.silenced):
            if not self._silence(key, now_ms):
                del self.silenced[key]
                self._now.losses.add(self.symptoms[key])
        here = {self._now.cell(symptom) for symptom in self.symptoms.values()}
        for cell, alert in self._book.items():
            if alert.active and alert.calm_ms is None and not self._judge.known(cell) and cell not in here:
                self._book.end(cell, now_ms)
        self._judge.everything(now_ms)
        for symptom in self._sorted():
            shown = not self._now.hidden(symptom.rule) and symptom.key not in self.silenced
            if shown and not self._book.active(self._now.cell(symptom)):
                self._open(symptom, now_ms, now_ms)

    def _sorted(self) -> list[Symptom]:
        return sorted(self.symptoms.values(), key=lambda s: (s.since_ms, s.rule, s.asset_id))

    def restore(self, symptoms: Mapping[SymptomKey, Symptom], silenced: Mapping[SymptomKey, int]) -> None:
        """Back from a checkpoint."""
        self.symptoms.update(symptoms)
        self.silenced.update(silenced)
