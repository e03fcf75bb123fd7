# The document `desired`: its bounds, and how a program lies in flash: 1.5 kB in place of 4 kB of JSON.
#
# What breaks a bound is a ValueError whose text begins with the reason's word: malformed, channel.

import struct
from array import array

VERSION = 1
INTERVAL_S = (10, 86400)
SHIFT_MIN, RAMP_S, STEPS, PLANS, ZONE, DATES = 360, 3600, 12, 12, 64, 366


def wrong(what):
    return ValueError("malformed: " + what)


def whole(value, low, high, what):
    if type(value) is not int or not low <= value <= high:
        raise wrong(what)
    return value


def listed(value, low, high, what):
    if type(value) is not list or not low <= len(value) <= high:
        raise wrong(what)
    return value


def fields(value, what, needed, more=()):
    if type(value) is not dict:
        raise wrong(what)
    for name in needed:
        if name not in value:
            raise wrong(what + ": no " + name)
    for name in value:
        if name not in needed and name not in more:
            raise wrong(what + ": " + name[:20])
    return value


# The version that a document names; ValueError where it names none.
def version_of(document):
    if type(document) is not dict:
        raise wrong("no object")
    return whole(document.get("version"), 1, 2**31 - 1, "version")


# A document as (interval_s or None, packed program by channel); the version is checked by `version_of`.
def read(document, channels):
    interval = document.get("interval_s")
    if interval is not None:
        whole(interval, INTERVAL_S[0], INTERVAL_S[1], "interval_s")
    programs = document.get("programs")
    if type(programs) is not dict:
        raise wrong("programs")
    packed = {}
    for name in sorted(programs):
        one = pack(programs[name])  # checked before its channel, as what cannot be read has none
        found = [channel for channel in channels if str(channel) == name]
        if not found:
            raise ValueError("channel: there is no lamp on channel " + name[:20])
        for other in packed.values():
            if other == one:
                one = other  # lamps of a segment share a program, in memory too
                break
        packed[found[0]] = one
    return interval, packed


def pack(program):
    fields(program, "program", ("floor_pct", "zone", "sun", "plans"), ("sensor",))
    sun = fields(program["sun"], "sun", ("rise", "set"))
    out = bytearray(struct.pack("<B", whole(program["floor_pct"], 0, 100, "floor_pct")))
    for name in ("rise", "set"):
        for minute in listed(sun[name], 366, 366, name):
            out.extend(struct.pack("<h", whole(minute, -2880, 32002, name)))
    zone = listed(program["zone"], 1, ZONE, "zone")
    out.append(len(zone))
    for change in zone:
        listed(change, 2, 2, "zone")
        whole(change[0], -(2**40), 2**40, "zone")
        out.extend(struct.pack("<qh", change[0], whole(change[1], -1440, 1440, "zone")))
    plans = listed(program["plans"], 0, PLANS, "plans")
    out.append(len(plans))
    for plan in plans:
        pack_plan(plan, out)
    sensor = program.get("sensor")
    out.append(0 if sensor is None else 1)
    if sensor is not None:
        names = ("up_s", "hold_s", "down_s")
        fields(sensor, "sensor", names, ("level_pct",))
        out.append(whole(sensor.get("level_pct"), 0, 100, "sensor"))
        out.extend(struct.pack("<HHH", *[whole(sensor[name], 1, 3600, name) for name in names]))
    return bytes(out)


def pack_plan(plan, out):
    fields(plan, "plan", ("steps",), ("on", "off", "days", "from", "to", "dates"))
    on, off = (whole(plan.get(name, 0), -SHIFT_MIN, SHIFT_MIN, name) for name in ("on", "off"))
    days = whole(plan.get("days", 127), 1, 127, "days")
    first, last = (whole(plan.get(name, at), 101, 1231, name) for name, at in (("from", 101), ("to", 1231)))
    dates = plan.get("dates")
    out.extend(struct.pack("<hhBHHh", on, off, days, first, last, -1 if dates is None else len(dates)))
    for date in () if dates is None else listed(dates, 0, DATES, "dates"):
        out.extend(struct.pack("<I", whole(date, 0, 2**31 - 1, "dates")))
    steps = listed(plan["steps"], 0, STEPS, "steps")
    out.append(len(steps))
    for step in steps:
        listed(step, 4, 4, "step")
        anchor, minute = whole(step[0], 0, 2, "anchor"), whole(step[1], -SHIFT_MIN, 1439, "minute")
        pct, ramp = whole(step[2], 0, 100, "level"), whole(step[3], 0, RAMP_S, "ramp")
        out.extend(struct.pack("<BhBH", anchor, minute, pct, ramp))


class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, form):
        at, self.at = self.at, self.at + struct.calcsize(form)
        if self.at > len(self.data):
            raise ValueError("short")
        return struct.unpack_from(form, self.data, at)

    def minutes(self):
        self.at += 732
        return array("h", self.data[self.at - 732 : self.at])


# What node/program.py follows.
def unpack(data):
    reader = Reader(data)
    floor = reader.take("<B")[0]
    found = {"floor_pct": floor, "sun": {"rise": reader.minutes(), "set": reader.minutes()}}
    found["zone"] = [reader.take("<qh") for _ in range(reader.take("<B")[0])]
    found["plans"] = [unpack_plan(reader) for _ in range(reader.take("<B")[0])]
    if reader.take("<B")[0]:
        level, up, hold, down = reader.take("<BHHH")
        found["sensor"] = {"level_pct": level, "up_s": up, "hold_s": hold, "down_s": down}
    return found


def unpack_plan(reader):
    on, off, days, first, last, dates = reader.take("<hhBHHh")
    plan = {"on": on, "off": off, "days": days, "from": first, "to": last}
    if dates >= 0:
        plan["dates"] = [reader.take("<I")[0] for _ in range(dates)]
    plan["steps"] = [reader.take("<BhBH") for _ in range(reader.take("<B")[0])]
    return plan


# All that is kept, as bytes for flash: version, interval, and each program once with the channels that follow it.
def to_flash(version, interval, packed):
    groups = []
    for channel in sorted(packed):
        for channels, one in groups:
            if one == packed[channel]:
                channels.append(channel)
                break
        else:
            groups.append(([channel], packed[channel]))
    out = bytearray(struct.pack("<BIIB", VERSION, version, interval or 0, len(groups)))
    for channels, one in groups:
        out.append(len(channels))
        out.extend(bytes(channels))
        out.extend(struct.pack("<H", len(one)))
        out.extend(one)
    return bytes(out)


# (version, interval, packed programs by channel); ValueError for what another firmware kept.
def from_flash(data):
    reader = Reader(data)
    form, version, interval, groups = reader.take("<BIIB")
    if form != VERSION:
        raise ValueError("form")
    packed = {}
    for _ in range(groups):
        channels = [reader.take("<B")[0] for _ in range(reader.take("<B")[0])]
        size = reader.take("<H")[0]
        one = bytes(reader.data[reader.at : reader.at + size])
        if len(one) != size:
            raise ValueError("short")
        reader.at += size
        for channel in channels:
            packed[channel] = one
    return version, interval or None, packed
