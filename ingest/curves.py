"""What the rules have learnt of lamps' power goes to the database, for people's previews; only what has moved."""

import numpy as np

from kraj.readings import Floats, Ints
from rules.lighting.learning import FULL, HOURS, LOW, RATED
from rules.lighting.power import COMMISSION_H

STATE = "power_curve"
ROWS_MAX = 2000
"""In one go, beside a checkpoint; a hundred thousand lamps that are all new take some ten minutes."""
MOVED_SHARE = 0.005
"""What has moved by less of the power is told by its neighbours in a sum."""


class Curves:
    """Which curves the database knows, as far as we do: after a start none."""

    def __init__(self) -> None:
        self._asset_id: Ints = np.zeros(0, np.int64)
        self._known: Floats = np.zeros((0, 3))
        self._telling: Ints = np.zeros(0, np.int64)

    def news(self, asset_id: Ints, curve: Floats) -> tuple[Ints, Floats]:
        """Assets and their ``(low, full, hours, rated)`` that are to be written; ``told`` when they are.

        Args:
            asset_id: of each lamp, shape ``(n,)``, each once.
            curve: ``power_curve`` of the rules' state, shape ``(n, 6)``.
        """
        if not np.array_equal(asset_id, self._asset_id):
            known = np.full((len(asset_id), 3), np.nan)
            _, new, old = np.intersect1d(asset_id, self._asset_id, assume_unique=True, return_indices=True)
            known[new] = self._known[old]
            self._asset_id, self._known = asset_id.copy(), known
        now = curve[:, [LOW, FULL, RATED]]
        near = (np.abs(now - self._known) <= (MOVED_SHARE, MOVED_SHARE, 0)).all(axis=1)
        self._telling = np.flatnonzero((curve[:, HOURS] >= COMMISSION_H) & (curve[:, RATED] > 0) & ~near)[:ROWS_MAX]
        return asset_id[self._telling], curve[self._telling][:, [LOW, FULL, HOURS, RATED]]

    def told(self, curve: Floats) -> None:
        """The database has what was last news."""
        self._known[self._telling] = curve[self._telling][:, [LOW, FULL, RATED]]
