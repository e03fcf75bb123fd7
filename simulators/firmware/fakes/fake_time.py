"""A board's ``time``: the epoch is 2000, and the clock stands at its beginning until somebody sets it."""

import time as _time

import _host

EPOCH_S = 946684800
"""2000-01-01 in Unix seconds."""
sleep, sleep_ms, sleep_us = _time.sleep, _time.sleep_ms, _time.sleep_us
ticks_ms, ticks_us, ticks_cpu = _time.ticks_ms, _time.ticks_us, _time.ticks_cpu
ticks_add, ticks_diff = _time.ticks_add, _time.ticks_diff
_rtc = _host.rtc_s


def time():
    """Seconds since 2000, by the board's clock."""
    return int(_rtc()) - EPOCH_S


def time_ns():
    """Nanoseconds since 2000; whole seconds, as good as a board's."""
    return time() * 1_000_000_000


def gmtime(seconds=None):
    """(year, month, day, hour, minute, second, weekday, day of the year)."""
    return _time.gmtime((time() if seconds is None else int(seconds)) + EPOCH_S)


def mktime(parts):
    """Seconds since 2000."""
    return _time.mktime(parts) - EPOCH_S


localtime = gmtime
