"""Nights and days by the sun: nights from noon to noon, days from midnight to midnight, by mean solar time."""

import numpy as np

from kraj import sun
from kraj.readings import DAY_MS, Floats, Ints
from rules.estate import Members, Slots
from rules.inputs.daylight import place_deg
from rules.rule import Per

PLACE_DEG = 0.05
"""Sunrise and sunset are computed for squares of this width: at most 6 s off."""
KEPT = 4


class Calendar:
    """The nights or days of one kind's assets. They are numbered: day *n* is the *n*-th after 1970-01-01, night *n*
    begins on day *n*."""

    def __init__(self, per: Per, members: Members) -> None:
        self.per = per
        latitude, longitude = place_deg(members)
        self._shift_ms = (longitude / 360 * DAY_MS - (DAY_MS / 2 if per is Per.NIGHT else 0)).astype(np.int64)
        squares = np.stack([np.round(latitude / PLACE_DEG), np.round(longitude / PLACE_DEG)])
        self._squares, place = np.unique(squares, axis=1, return_inverse=True)
        self._place = place.reshape(-1)
        self._windows: dict[int, tuple[Floats, Floats]] = {}

    def locate(self, slots: Slots, ts_ms: Ints) -> tuple[Ints, Ints]:
        """The night or day of these moments, and when it begins; it ends ``DAY_MS`` later."""
        shift = self._shift_ms[slots]
        number = (ts_ms + shift) // DAY_MS
        return number, number * DAY_MS - shift

    def begins_ms(self, slots: Slots, number: Ints | int) -> Ints:
        """When it begins; it ends ``DAY_MS`` later."""
        return number * DAY_MS - self._shift_ms[slots]

    def over(self, now_ms: int) -> int | None:
        """The last night or day that is over for every asset; None without assets."""
        return int((now_ms + self._shift_ms.min()) // DAY_MS) - 1 if len(self._shift_ms) else None

    def window_ms(self, slots: Slots, number: Ints) -> tuple[Floats, Floats]:
        """From when to when it is dark (in a night) or light (on a day): what readings are expected to cover."""
        if not len(slots):
            return np.empty(0), np.empty(0)
        first, last = int(number.min()), int(number.max())
        starts, ends = self._window(first)
        place = self._place[slots]
        start, end = starts[place], ends[place]
        for other in range(first + 1, last + 1):
            mine = number == other
            if mine.any():
                starts, ends = self._window(other)
                start[mine], end[mine] = starts[place[mine]], ends[place[mine]]
        return start, end

    def _window(self, number: int) -> tuple[Floats, Floats]:
        """For each square; without a sunrise or sunset (not in Czechia) the whole of it."""
        if number not in self._windows:
            while len(self._windows) >= KEPT:
                del self._windows[next(iter(self._windows))]
            latitude, longitude = self._squares * PLACE_DEG
            rise, set_ = sun.rise_and_set(np.full(len(latitude), number, "datetime64[D]"), latitude, longitude)
            if self.per is Per.NIGHT:
                start, end = (
                    set_,
                    sun.rise_and_set(np.full(len(latitude), number + 1, "datetime64[D]"), latitude, longitude)[0],
                )
            else:
                start, end = rise, set_
            middle = number * DAY_MS + DAY_MS * (1.0 if self.per is Per.NIGHT else 0.5) - longitude / 360 * DAY_MS
            start = np.where(np.isnan(start), middle - DAY_MS / 2, start)
            self._windows[number] = start, np.where(np.isnan(end), middle + DAY_MS / 2, end)
        return self._windows[number]
