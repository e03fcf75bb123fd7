"""Communication or power? What proves that a supply is gone, and what devices say of it when they are back."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from kraj.assets import DeviceStatus
from kraj.readings import Ints
from rules.correlation.causes import Cause
from rules.correlation.losses import Losses
from rules.correlation.places import Places
from rules.correlation.records import CIRCUIT_RESTS, Cell, Symptom
from rules.estate import Estate, Slots
from rules.state import Array, State

RESTARTED = frozenset({"power_on", "brownout"})
"""Causes of a reset that prove that the supply was gone."""
GONE_V = 50.0
NEVER = -1
UNKNOWN, POWER, COMMUNICATION, RESTART = range(4)
WORDS = ("", "power", "communication", "restart")
SECONDED_SHARE = 0.5
"""Of the lamps at a silent cabinet that speak through another network: what takes both at once is the supply."""


class Power:
    """What is known of the supply of an asset, or of what suffers under a cause."""

    def __init__(self, places: Places, losses: Losses, causes: Sequence[Cause]) -> None:
        self._places = places
        self._losses = losses
        self._by_name = {cause.name: cause for cause in causes}

    def gone(self, asset_id: int, network: Cause) -> bool:
        """Whether it is proven that an asset, which a cause of communication counts as lost, has lost its supply.

        By its own last gasp, by that of a neighbour on its feeder, or by what its cabinet tells of itself; a cabinet
        that is silent behind the same gateway tells nothing.
        """
        feeder = self._places.scopes(asset_id).get("feeder")
        if feeder is not None and self._losses.gasped(feeder):
            return True
        if any(symptom.proves_loss for symptom in self._losses.on(asset_id).values()):
            return True
        cabinet = self._places.cabinet(asset_id)
        if cabinet is None or cabinet == asset_id:
            return False
        told = self._losses.on(cabinet)
        if network.proofs.isdisjoint(told):
            return False
        neighbours = self._share(network, asset_id, cabinet)
        return any(
            symptom.proves_loss or not (neighbours and rule in network.symptoms)
            for rule, symptom in told.items()
            if rule in network.proofs
        )

    def rests(self, asset_id: int) -> bool:
        """Whether an asset hangs on a switched circuit that is off by habit: it can prove nothing before dusk."""
        cabinet = self._places.cabinet(asset_id) if self._places.switched(asset_id) else None
        return cabinet is not None and CIRCUIT_RESTS in self._losses.on(cabinet)

    def unproven(self, cause: Cause, cell: Cell) -> bool:
        """Whether those who suffer are merely silent, and nobody else confirms that it is more."""
        if not cause.silence or any(s.rule not in cause.silence or s.proves_loss for s in self._losses.symptoms(cell)):
            return False
        return not self._seconded(cause, cell)

    def shadowed(self, cause: Cause, lost: Mapping[int, Symptom]) -> bool:
        """Whether a silent network explains these losses better."""
        return any(self._shadowed(self._by_name[name], lost) for name in cause.explained_by)

    def witnessed(self, network: Cause, lost: Mapping[int, Symptom]) -> bool:
        """Whether most of the lost hang on cabinets that still speak through the same network: it is their feeder that
        is dead, as what carries a cabinet's word would carry theirs."""
        cabinets = {asset_id: self._places.cabinet(asset_id) for asset_id in lost}
        speaks = {
            asset_id: cabinet not in lost and self._share(network, asset_id, cabinet)
            for asset_id, cabinet in cabinets.items()
            if cabinet is not None
        }
        return 2 * sum(speaks.values()) > len(lost)

    def _seconded(self, cause: Cause, cell: Cell) -> bool:
        if cause.seconded_by is None:
            return False
        networks = [other for other in self._by_name.values() if other.network]
        silent = self._losses.of(cell)
        lamps = [
            lamp
            for lamp in self._places.members_of(cell[1], ("lamp",))
            if not any(self._share(network, lamp, asset_id) for network in networks for asset_id in silent)
        ]
        dark = sum(cause.seconded_by in self._losses.on(lamp) for lamp in lamps)
        return dark > 0 and dark >= SECONDED_SHARE * len(lamps)

    def _share(self, network: Cause, one: int, other: int) -> bool:
        """Whether both speak through the same network."""
        kinds = self._places.estate.kind_by_asset
        if not {kinds.get(one), kinds.get(other)} <= set(network.kinds):
            return False
        scope = self._places.scopes(one).get(network.group)
        return scope is not None and scope == self._places.scopes(other).get(network.group)

    def _shadowed(self, other: Cause, lost: Mapping[int, Symptom]) -> bool:
        """Whether most of the lost hang on one group that is silent as a whole, and nothing proves a loss of supply."""
        if not other.network or any(self.gone(asset_id, other) for asset_id in lost):
            return False
        for scope in {s for asset_id in lost for s in self._places.above(asset_id, other.group)}:
            theirs, members = self.suffering(other, (other.name, scope))
            silent = len(theirs) >= other.needs(members) and not self.witnessed(other, theirs)
            if silent and 2 * len(lost.keys() & theirs.keys()) > len(lost):
                return True
        return False

    def suffering(self, cause: Cause, cell: Cell) -> tuple[dict[int, Symptom], int]:
        """Who suffers under a cause, and out of how many; a cause of communication has nothing to do with those of whom
        it is proven that they lost their supply."""
        lost, members = self._losses.of(cell), self._places.members(cell[1], cause.kinds)
        if not cause.network:
            return lost, members
        silent = {a: s for a, s in lost.items() if not self.gone(a, cause)}
        return silent, members - len(lost) + len(silent)


def dead_phases(evidence: Mapping[str, object]) -> frozenset[int]:
    """Which phases a cabinet's evidence names as dead; none where it does not say."""
    volts = {n: evidence.get(f"l{n}_voltage_v") for n in (1, 2, 3)}
    return frozenset(n for n, volt in volts.items() if isinstance(volt, int | float) and volt < GONE_V)


class Returns:
    """What devices say when they are back: by device, the number of its last start and why it was away."""

    def __init__(self) -> None:
        self._device: Ints = np.empty(0, np.int64)
        self._state = State(0)

    def move(self, estate: Estate) -> None:
        """Take over another registry version; between steps only."""
        device = np.array(sorted(estate.assets_by_device), np.int64)
        old: Slots = np.searchsorted(self._device, device)
        known = old < len(self._device)
        known[known] = self._device[old[known]] == device[known]
        self._state = self._state.moved(len(device), np.where(known, old, -1))
        self._device = device

    def note(self, statuses: Iterable[DeviceStatus]) -> None:
        """A device that comes back in the same run was silent; one that was started anew says why."""
        for status in statuses:
            place = self._place(status.device_id)
            if place is None:
                continue
            boots, _ = self._boots(), self._why()  # made before they are written to
            if status.online and status.boot is not None:
                before = int(boots[place])
                if before == NEVER:
                    verdict = UNKNOWN
                elif before == status.boot:
                    verdict = COMMUNICATION
                else:
                    verdict = POWER if status.reset in RESTARTED else RESTART
                self._back_ms()
                self._state.put("why", (place,), verdict)
                self._state.put("back_ms", (place,), status.ts_ms)
            if status.boot is not None and status.boot != boots[place]:
                self._state.put("boot", (place,), status.boot)

    def why(self, device: int | None, since_ms: int) -> int:
        """Why the device was away, if it has come back since then: POWER, COMMUNICATION, RESTART or UNKNOWN."""
        place = None if device is None else self._place(device)
        if place is None or self._back_ms()[place] < since_ms:
            return UNKNOWN
        return int(self._why()[place])

    def commit(self) -> None:
        self._state.commit()

    def rollback(self) -> None:
        self._state.rollback()

    def dump(self) -> dict[str, Array]:
        """Arrays of shape ``(devices,)``."""
        return {"device": self._device, "boot": self._boots(), "why": self._why(), "back_ms": self._back_ms()}

    def load(self, arrays: Mapping[str, Array], estate: Estate) -> None:
        """Take over a dump, also one of other devices."""
        self._device = arrays["device"].astype(np.int64)
        self._state = State(len(self._device))
        fills = {"boot": NEVER, "why": UNKNOWN, "back_ms": NEVER}
        self._state.load({name: arrays[name] for name in fills}, fills)
        self.move(estate)

    def _place(self, device: int) -> int | None:
        place = int(self._device.searchsorted(device))
        return place if place < len(self._device) and self._device[place] == device else None

    def _boots(self) -> Array:
        return self._state.array("boot", dtype=np.int64, fill=NEVER)

    def _why(self) -> Array:
        return self._state.array("why", dtype=np.int8, fill=UNKNOWN)

    def _back_ms(self) -> Array:
        return self._state.array("back_ms", dtype=np.int64, fill=NEVER)


def majority(power: int, silence: int) -> dict[str, object]:
    """What those who came back say together, as evidence; nothing where nobody said anything."""
    if not power + silence:
        return {}
    verdict = WORDS[POWER if power >= silence else COMMUNICATION]
    return {"verdict": verdict, "returned_power": power, "returned_communication": silence}
