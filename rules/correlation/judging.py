"""Causes judged: suspected, opened, ended; and what they explain taken in.

A cause is suspected when enough of a group suffer at once, opened when the rest have had time to show, and ended when
enough are back.
"""

import heapq
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from kraj.alerts import Scope, Severity
from rules.correlation.agenda import Agenda, Due
from rules.correlation.book import Book
from rules.correlation.causes import Cause
from rules.correlation.journal import Journal, Journaled
from rules.correlation.losses import together
from rules.correlation.power import majority
from rules.correlation.records import ASSETS_NAMED, SETTLE_MS, Cell, Found, Suspicion, Symptom, key_of
from rules.correlation.situation import Situation


class Judge:
    """Decides on causes; ``arrange`` gives it the registry version that it decides by."""

    def __init__(self, journal: Journal, book: Book, agenda: Agenda, causes: tuple[Cause, ...]) -> None:
        self.suspected: Journaled[Cell, Suspicion] = Journaled(journal)
        self.spent: Journaled[Cell, int] = Journaled(journal)
        """When a cause was over although some still suffered: these do not bring it back."""
        self._book = book
        self._agenda = agenda
        self._by_name = {cause.name: cause for cause in causes}
        self._order = {cause.name: place for place, cause in enumerate(causes)}
        self._followers: dict[str, list[Cause]] = {}
        for cause in causes:
            for name in cause.follows:
                self._followers.setdefault(name, []).append(cause)
        self._watching: dict[Scope, dict[Cell, None]] = {}
        self._watched: dict[Cell, set[Scope]] = {}
        counted = (cause.symptoms | cause.proofs | {cause.seconded_by} for cause in causes)
        self._deciding: frozenset[str | None] = frozenset().union(*counted)
        """Rules whose symptoms can change what is thought of a cause."""
        self._touched: set[Scope] = set()
        self._todo: list[tuple[int, str, Cell]] = []
        self._queued: set[Cell] = set()

    def arrange(self, situation: Situation) -> None:
        """Take over another registry version, or find out anew after a rollback what is derived."""
        self._places, self._losses, self._power = situation.places, situation.losses, situation.power
        self._explaining, self._windows = situation.explaining, situation.windows
        self._watching.clear()
        self._watched.clear()
        for cell in [*self.suspected, *filter(self._is_network, self._losses.cells_of_all())]:
            self._watch(cell)
        for cell, suspicion in self.suspected.items():
            self._plan(cell, suspicion.judge_ms)
            self._plan(cell, suspicion.muted_ms)

    def _plan(self, cell: Cell, due_ms: int | None) -> None:
        if due_ms is not None:
            self._agenda.put(due_ms, Due.JUDGE, key_of(cell, 0), cell)

    def restore(self, suspected: Mapping[Cell, Suspicion], spent: Mapping[Cell, int]) -> None:
        """Back from a checkpoint."""
        self.suspected.update(suspected)
        self.spent.update(spent)

    def everything(self, at_ms: int) -> None:
        """Judge every cause that is open, suspected or could be: the registry has changed."""
        open_causes = (cell for cell, alert in self._book.items() if alert.active and self.known(cell))
        for cell in {*open_causes, *self._losses.cells_of_all(), *self.suspected}:
            self.put(cell)
        self.run(at_ms)

    def _is_network(self, cell: Cell) -> bool:
        return self._by_name[cell[0]].network

    def known(self, cell: Cell) -> bool:
        """Whether the cell is a cause's."""
        return cell[0] in self._by_name

    def cause(self, name: str) -> Cause | None:
        """The cause of this name."""
        return self._by_name.get(name)

    def group(self, cell: Cell) -> list[int]:
        """The assets that a cause is counted in."""
        return self._places.members_of(cell[1], self._by_name[cell[0]].kinds)

    # What is to be judged

    def touch(self, symptom: Symptom) -> None:
        """A symptom has come or gone: judge where it counts, and where it decides between power and communication."""
        if symptom.rule in self._deciding or symptom.proves_loss:
            for cell in self._losses.cells(symptom):
                self.put(cell)
            self._touched |= self._places.around(symptom.asset_id)

    def put(self, cell: Cell) -> None:
        """Judge this cause in this group."""
        if cell not in self._queued:
            self._queued.add(cell)
            heapq.heappush(self._todo, (self._order[cell[0]], key_of(cell, 0), cell))

    def wake(self, scope: Scope) -> None:
        """Something has changed in this group: judge what it decides."""
        self._touched.add(scope)

    def _wake(self) -> None:
        for scope in self._touched:
            for cell in self._watching.get(scope, ()):
                self.put(cell)
        self._touched.clear()

    def run(self, at_ms: int) -> None:
        """Judge what has been put and what follows from it, causes that explain others first."""
        while self._todo or self._touched:
            self._wake()
            if not self._todo:
                break
            cell = heapq.heappop(self._todo)[2]
            self._queued.discard(cell)
            self._judge(self._by_name[cell[0]], cell, at_ms)

    # One cause in one group

    def _judge(self, cause: Cause, cell: Cell, at_ms: int) -> None:
        lost, members = self._power.suffering(cause, cell)
        alert = self._book.get(cell)
        above = self._followed(cause, cell)
        if not self._losses.any(cell):
            self.spent.pop(cell, None)
        if cause.network:
            self._watch(cell)
        if alert is not None and alert.active:
            if above is None and cause.over(len(lost), alert.peak):
                self.end(cell, at_ms)
            else:
                self._go_on(cause, cell, len(lost), at_ms)
        elif above is not None and members >= cause.count:
            self._open(cause, cell, lost, at_ms, above, self._book[above].since_ms)
        else:
            self._suspect(cause, cell, lost, members, at_ms)

    def _followed(self, cause: Cause, cell: Cell) -> Cell | None:
        """The open cause above this one that brings it with it."""
        for name in cause.follows:
            above = self._by_name[name]
            for scope in self._places.over(cell[1], cause.kinds, above.group):
                if self._book.active((name, scope)) and self._covers((name, scope), cause, cell):
                    return name, scope
        return None

    def _covers(self, above: Cell, cause: Cause, cell: Cell) -> bool:
        """Whether enough of the group hang on what is dead: all of it for a cabinet, for a phase those on it."""
        if not self._by_name[above[0]].by_phase:
            return True
        dead = self._explaining.dead(above)
        lamps = self._places.members_of(cell[1], cause.kinds)
        return sum(self._places.phase(lamp) in dead for lamp in lamps) >= cause.needs(len(lamps))

    def _go_on(self, cause: Cause, cell: Cell, lost: int, at_ms: int) -> None:
        alert = self._book[cell]
        if alert.calm_ms is not None:
            self._book.stir(cell, at_ms)
        self._book.tally(cell, peak=lost)
        worst = self._worst(cause, cell)
        if worst.rank > alert.severity.rank:
            self._book.worsen(cell, worst, at_ms, self.evidence(cell))

    def _suspect(self, cause: Cause, cell: Cell, lost: Mapping[int, Symptom], members: int, at_ms: int) -> None:
        spent_ms = self.spent.get(cell)
        fresh = {a: s for a, s in lost.items() if spent_ms is None or s.noted_ms > spent_ms}
        needed = cause.needs(members)
        began = None
        if members >= cause.count and len(fresh) >= needed:
            began = together((s.since_ms for s in fresh.values()), needed, cause.window_ms)
        if began is None:
            self._give_up(cell)
            return
        suspicion = self.suspected.get(cell)
        if suspicion is None:
            # Who is alone in its group has nobody to wait for.
            suspicion = Suspicion(at_ms, at_ms + (SETTLE_MS if cause.count > 1 else 0))
            self.suspected[cell] = suspicion
            self._plan(cell, suspicion.judge_ms)
        self._watch(cell)
        if at_ms >= suspicion.judge_ms:
            self._decide(cause, cell, lost, began, at_ms)

    def _decide(self, cause: Cause, cell: Cell, lost: Mapping[int, Symptom], began: int, at_ms: int) -> None:
        first = min(lost, key=lambda asset_id: (lost[asset_id].since_ms, asset_id))
        goes_to = self._places.go_to(cell[1], first)
        if cause.network and self._power.witnessed(cause, lost):
            return
        parent = self.parent(cell, began, goes_to, at_ms)
        if (parent is not None and self._by_name[parent[0]].network) or self._power.shadowed(cause, lost):
            return
        if self._power.unproven(cause, cell) and not self._confirmed(cause, parent):
            return
        until_ms = self._windows.until_ms(cause.name, self._scopes(cell, goes_to), cell[1].municipality_id, at_ms)
        if until_ms is not None:
            self.suspected[cell] = replace(self.suspected[cell], muted_ms=until_ms)
            self._plan(cell, until_ms)
            return
        self._open(cause, cell, lost, at_ms, parent, began)

    def _confirmed(self, cause: Cause, parent: Cell | None) -> bool:
        """Whether what stands above has judged the very same silence."""
        above = None if parent is None else self._by_name.get(parent[0])
        return above is not None and bool(above.symptoms & cause.silence)

    def _scopes(self, cell: Cell, goes_to: int | None) -> dict[str, Scope]:
        """What a mute of this cause may name: its group, or the asset that its alert is shown at. Windows without a
        rule have silenced the symptoms already."""
        asset = {} if goes_to is None else {"asset": self._places.scopes(goes_to)["asset"]}
        return {cell[1].type: cell[1], **asset}

    def _give_up(self, cell: Cell) -> None:
        if self.suspected.pop(cell, None) is not None and not self._is_network(cell):
            self._unwatch(cell)

    def _open(  # noqa: PLR0917 - who, where, when, why
        self,
        cause: Cause,
        cell: Cell,
        lost: Mapping[int, Symptom],
        at_ms: int,
        parent: Cell | None,
        began: int,
    ) -> None:
        suspicion = self.suspected.pop(cell, None)
        if not cause.network:
            self._unwatch(cell)
        first = min(lost, key=lambda asset_id: (lost[asset_id].since_ms, asset_id), default=None)
        asset_id = self._places.go_to(cell[1], first)
        tell_ms = None
        if parent is None and (parents := self._book.parents(cell, asset_id)):
            since_ms = at_ms if suspicion is None else suspicion.since_ms
            tell_ms = max(since_ms + self._explaining.wait_ms(cell[0], parents), at_ms)
        members = self._places.members(cell[1], cause.kinds)
        found = Found(
            since_ms=began,
            at_ms=at_ms,
            severity=self._worst(cause, cell),
            asset_id=asset_id,
            evidence=self._evidence(cell, lost, members),
            peak=len(lost),
        )
        self._book.open(cell, found, parent, tell_ms)
        self.spent.pop(cell, None)
        self.gather(cell, at_ms)
        self._spread(cell)

    def gather(self, cell: Cell, at_ms: int) -> None:
        """Take in what waits and is explained by this alert."""
        alert = self._book[cell]
        for child in self._book.waiting(cell):
            other = self._book[child]
            explained = self._explaining.explains((cell, alert), child, other.since_ms, other.asset_id, at_ms)
            if explained and not self._is_above(child, cell):
                self._book.attach(child, cell, at_ms)

    def _is_above(self, cell: Cell, below: Cell) -> bool:
        """Whether ``below`` hangs on ``cell``, however far: rules that explain each other must not hide each other."""
        seen: set[Cell] = set()
        while below not in seen and (alert := self._book.get(below)) is not None and alert.parent is not None:
            seen.add(below)
            below = alert.parent
            if below == cell:
                return True
        return below == cell

    def parent(self, cell: Cell, since_ms: int, asset_id: int | None, at_ms: int) -> Cell | None:
        """What explains an alert now, or did until so recently that it still holds it down."""
        for parent in self._book.parents(cell, asset_id):
            alert = self._book.get(parent)
            if (
                alert is not None
                and self._explaining.explains((parent, alert), cell, since_ms, asset_id, at_ms)
                and not self._is_above(cell, parent)
            ):
                return parent
        return None

    def end(self, cell: Cell, at_ms: int, *, calm: bool = False) -> None:
        """Enough are back; after a calm time if it flaps."""
        alert, lost = self._book[cell], self._losses.of(cell)
        proven = len(lost) - len(self._power.suffering(self._by_name[cell[0]], cell)[0])
        verdict = majority(alert.power + proven, alert.silence)
        if calm:
            self._book.end(cell, at_ms, verdict=verdict)
        elif not self._book.clear(cell, at_ms, verdict=verdict):
            return
        if lost:
            self.spent[cell] = at_ms
        self._spread(cell)

    def _spread(self, cell: Cell) -> None:
        """What a cause that opens or ends means for others."""
        self.wake(cell[1])
        for other in self._followers.get(cell[0], ()):
            for scope in self._places.feeders(cell[1]) if other.group == "feeder" else ():
                self.put((other.name, scope))

    def pending_ms(self, cell: Cell, asset_id: int | None, at_ms: int) -> int | None:
        """When what may explain this alert will be judged, if it is suspected and will be later than now."""
        suspicions = (self.suspected.get(parent) for parent in self._book.parents(cell, asset_id))
        return max((s.judge_ms for s in suspicions if s is not None and s.judge_ms > at_ms), default=None)

    def evidence(self, cell: Cell) -> dict[str, Any]:
        """Who suffers under a cause now, as its alert tells it."""
        lost = self._losses.of(cell)
        return self._evidence(cell, lost, self._places.members(cell[1], self._by_name[cell[0]].kinds))

    def _evidence(self, cell: Cell, lost: Mapping[int, Symptom], members: int) -> dict[str, Any]:
        found: dict[str, Any] = {"name": cell[1].name, "lost": len(lost), "members": members}
        gasps = len({s.asset_id for s in self._losses.symptoms(cell) if s.proves_loss})
        if gasps:
            found["last_gasps"] = gasps
        dead = self._explaining.dead(cell)
        if dead:
            found["phases"] = sorted(dead)
        owners = {self._places.scopes(asset_id)["municipality"] for asset_id in lost}
        if len(owners) <= 1:  # a municipality sees its own assets and nobody else's
            found["assets"] = sorted(lost)[:ASSETS_NAMED]
        return found

    def _worst(self, cause: Cause, cell: Cell) -> Severity:
        theirs = {symptom.severity for symptom in self._losses.symptoms(cell)}
        return max({cause.severity, *theirs}, key=lambda severity: severity.rank)

    # Groups whose symptoms decide

    def _watch(self, cell: Cell) -> None:
        """A suspicion is decided, and a network cleared of it, by what else is told of those who suffer."""
        around = set(map(self._places.around, self._losses.assets(cell)))  # most have the same
        scopes = {cell[1]}.union(*around) if around else set[Scope]()
        if self._watched.get(cell) != scopes:
            self._unwatch(cell)
            self._watched[cell] = scopes
            for scope in scopes:
                self._watching.setdefault(scope, {})[cell] = None

    def _unwatch(self, cell: Cell) -> None:
        for scope in self._watched.pop(cell, ()):
            self._watching[scope].pop(cell, None)
            if not self._watching[scope]:
                del self._watching[scope]
