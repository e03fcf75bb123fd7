# What a lamp does by itself: its level at any second, from the program in `desired`.
# Integers only, as floats of a controller have 24 bits and a second of our century needs 31. Imports nothing.
# The server's twin for many lamps is rules/dimming.py; shared vectors hold the two together.
#
# A program has `floor_pct`; `zone`, a list of [utc_s, offset_min]; `sun`, with `rise` and `set`: 366 minutes from 00:00
# UTC of the date, 29 February too; `plans`, each with `days` (bits, Monday is 1), `from` and `to` (MMDD) or `dates`
# (YYYYMMDD), `on` and `off` (minutes after sunset and sunrise) and `steps`: [anchor, minutes, level_pct, ramp_s]; and
# perhaps a `sensor`. rules/dimming.py makes it.

DAY_S = 86400
NOON_S = 43200
SUNSET, CLOCK, SUNRISE = 0, 1, 2
# In place of a minute: on that date the sun does not rise or set, as it stays above or below the horizon.
LIGHT, DARK = 32001, 32002
BEFORE_MONTH = (0, 31, 60, 91, 121, 152, 182, 213, 244, 274, 305, 335)
FULL_PCT = 100


# The civil date of a day counted from 1970-01-01: (year, month, day). By eras of 400 years from 1 March of year 0.
def date(day):
    day += 719468
    era = day // 146097
    of_era = day - era * 146097
    year = (of_era - of_era // 1460 + of_era // 36524 - of_era // 146096) // 365
    of_year = of_era - (365 * year + year // 4 - year // 100)
    month = (5 * of_year + 2) // 153
    of_month = of_year - (153 * month + 2) // 5 + 1
    month = month + 3 if month < 10 else month - 9
    return year + era * 400 + (1 if month <= 2 else 0), month, of_month


# The minutes by which the clock on the wall is ahead of UTC.
def offset_min(zone, utc_s):
    found = zone[0][1]
    for from_s, minutes in zone:
        if utc_s >= from_s:
            found = minutes
    return found


# When the clock on the wall shows this (in seconds from 1970 on the wall). Twice: the first time. Never (the hour that
# is left out): the moment at which it is left out.
def to_utc_s(zone, wall_s):
    before = zone[0][1]
    for from_s, after in zone[1:]:
        if wall_s - before * 60 < from_s:
            break
        if wall_s - after * 60 < from_s:
            return from_s
        before = after
    return wall_s - before * 60


def of_sun(table, day):
    _, month, of_month = date(day)
    return table[BEFORE_MONTH[month - 1] + of_month - 1]


# The night of an evening's date: (from, to) in UTC seconds, or None where it does not get dark. `on` and `off` are
# minutes after sunset and sunrise.
def night(program, day, on=0, off=0):
    sets, rises = of_sun(program["sun"]["set"], day), of_sun(program["sun"]["rise"], day + 1)
    if LIGHT in (sets, rises):
        return None
    zone = program["zone"]
    begin = to_utc_s(zone, day * DAY_S + NOON_S) if sets == DARK else day * DAY_S + (sets + on) * 60
    end = to_utc_s(zone, (day + 1) * DAY_S + NOON_S) if rises == DARK else (day + 1) * DAY_S + (rises + off) * 60
    return (begin, end) if begin < end else None


# The plan for an evening: the first that names the date, or whose weekdays and dates of the year hold it.
def plan_of(program, day):
    year, month, of_month = date(day)
    named, of_year = (year * 100 + month) * 100 + of_month, month * 100 + of_month
    weekday = 1 << (day + 3) % 7  # 1 is Monday; day 0 was a Thursday
    for plan in program["plans"]:
        dates = plan.get("dates")
        if dates is not None:
            if named in dates:
                return plan
            continue
        first, last = plan.get("from", 101), plan.get("to", 1231)
        within = first <= of_year <= last if first <= last else of_year >= first or of_year <= last
        if within and plan.get("days", 127) & weekday:
            return plan
    return None


def step_s(program, day, step):
    anchor, minutes = step[0], step[1]
    if anchor == CLOCK:
        return to_utc_s(program["zone"], (day + (1 if minutes < 720 else 0)) * DAY_S + minutes * 60)
    at = of_sun(program["sun"]["set"], day) if anchor == SUNSET else of_sun(program["sun"]["rise"], day + 1)
    if at >= LIGHT:
        return None  # nothing to count from: the step does not take place
    return (day + (1 if anchor == SUNRISE else 0)) * DAY_S + (at + minutes) * 60


# The level in per cent at a UTC second: 0 outside the night, never below the floor within it.
def level_pct(program, utc_s):
    day = (utc_s + offset_min(program["zone"], utc_s) * 60 - NOON_S) // DAY_S
    plan = plan_of(program, day)
    dark = night(program, day, plan.get("on", 0), plan.get("off", 0)) if plan else night(program, day)
    if dark is None or not dark[0] <= utc_s < dark[1]:
        return 0
    level, since, before, ramp = FULL_PCT, -1, FULL_PCT, 0
    # The last step that has come, by its time and then by its place in the list; `before` is the level it came from.
    come = []
    for step in plan["steps"] if plan else ():
        at = step_s(program, day, step)
        if at is not None and at <= utc_s:
            place = len(come)
            while place and come[place - 1][0] > at:
                place -= 1
            come.insert(place, (at, step[2], step[3]))
    if come:
        since, level, ramp = come[-1]
        before = come[-2][1] if len(come) > 1 else FULL_PCT
    if ramp and utc_s < since + ramp and since > dark[0]:
        level = before + (level - before) * (utc_s - since) // ramp
    return max(min(level, FULL_PCT), program["floor_pct"])


# Which order holds: (level in per cent, reason). `orders` has what was commanded, None where nothing was:
#   emergency, manual: (level, until) in seconds of `uptime_s`; local: whether the cabinet's switch is on;
#   motion_s: seconds since the last motion, here or announced by a neighbour.
# `utc_s` None is a lost clock: then the photocell tells (`dark` True or False), and where there is none it is night.
def decide(program, utc_s, uptime_s, orders, dark=None):
    order = orders.get("emergency")
    if order is not None and uptime_s < order[1]:
        return FULL_PCT, "emergency"
    if orders.get("local"):
        return FULL_PCT, "cabinet"
    order = orders.get("manual")
    if order is not None and uptime_s < order[1]:
        return order[0], "manual"
    if program is None or utc_s is None:
        return (0 if dark is False else FULL_PCT), "fallback"
    level = level_pct(program, utc_s)
    raised = raised_pct(program, level, orders.get("motion_s"))
    return (raised, "sensor") if raised > level else (level, "program")


# Motion raises the level, by night only: up in `up_s`, held, and down again.
def raised_pct(program, level, motion_s):
    sensor = program.get("sensor")
    if sensor is None or motion_s is None or not level or sensor["level_pct"] <= level:
        return level
    gain, up, hold, down = sensor["level_pct"] - level, sensor["up_s"], sensor["hold_s"], sensor["down_s"]
    if motion_s < up:
        return level + gain * motion_s // up
    if motion_s < up + hold:
        return level + gain
    left = up + hold + down - motion_s
    return level + (gain * left // down if left > 0 else 0)
