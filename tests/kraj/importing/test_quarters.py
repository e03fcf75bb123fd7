"""Files of quarter-hours as the portals write them become watt-hours by EAN, on every day of the year, or a finding."""

import io
import random
from datetime import UTC, date, datetime, timedelta

import pytest

from kraj.importing import Unreadable
from kraj.importing.quarters import Given, Quarters, parse
from kraj.meters import ZONE, check_digit, is_ean, midnight, quarters

NOW = datetime(2026, 11, 21, tzinfo=UTC)
SOLAR, SCHOOL = (f"85918240012345{n}{check_digit(f'85918240012345{n}')}" for n in ("001", "002"))
SPRING, AUTUMN, PLAIN = date(2026, 3, 29), date(2026, 10, 25), date(2026, 6, 1)


def starts(day: date) -> list[datetime]:
    first = midnight(day).astimezone(UTC)
    return [first + n * timedelta(minutes=15) for n in range(quarters(day, day))]


def edc(day: date, *, end: str = "\r\n") -> str:
    """As the portal of the EDC exports a sharing group: a producer, and a consumer below zero."""
    lines = [f"Datum;Cas od;Cas do;IN-{SOLAR}-D;OUT-{SOLAR}-D;IN-{SCHOOL}-O;OUT-{SCHOOL}-O"]
    for n, start in enumerate(starts(day)):
        here, until = start.astimezone(ZONE), (start + timedelta(minutes=15)).astimezone(ZONE)
        lines.append(f"{here:%d.%m.%Y;%H:%M};{until:%H:%M};1,{n:02};0,5;-0,75;-0,25;")
    return end.join(lines) + end


def pnd(day: date, sign: str = "+A") -> bytes:
    """As the portal of measured data of ČEZ Distribuce: ends of quarter-hours, kilowatts, a status."""
    lines = [f'"Datum";"{sign}/784703 [kW]";"Status";']
    for start in starts(day):
        until = (start + timedelta(minutes=15)).astimezone(ZONE)
        text = f"{until:%d.%m.%Y %H:%M}"
        lines.append(f"{text};2,4;naměřená data OK;")
    return "\n".join(lines).encode("cp1250")


def read(data: bytes | str, given: Given | None = None) -> Quarters:
    raw = data.encode() if isinstance(data, str) else data
    return parse(raw, given or Given(), NOW)


def codes(found: Quarters) -> list[str]:
    return [one.code for one in found.found]


@pytest.mark.parametrize(("day", "count"), [(PLAIN, 96), (SPRING, 92), (AUTUMN, 100)])
def test_a_sharing_groups_day_is_read_whole_whatever_the_clocks_do(day: date, count: int) -> None:
    found = read(edc(day))
    assert (found.layout, codes(found), found.rows) == ("edc", [], count)
    assert set(found.by_ean) == {SOLAR, SCHOOL}
    expected = [int(start.timestamp()) for start in starts(day)]
    assert sorted(found.by_ean[SOLAR]) == expected == sorted(found.by_ean[SCHOOL])
    for n, start in enumerate(expected):
        solar, school = found.by_ean[SOLAR][start], found.by_ean[SCHOOL][start]
        assert (solar.export_wh, solar.shared_wh, solar.import_wh) == (1000 + 10 * n, 500 + 10 * n, None)
        assert (school.import_wh, school.shared_wh, school.export_wh) == (750, 500, None)


@pytest.mark.parametrize(("day", "count"), [(PLAIN, 96), (SPRING, 92), (AUTUMN, 100)])
def test_a_distributors_day_is_kilowatts_at_the_ends_of_quarter_hours(day: date, count: int) -> None:
    found = read(pnd(day), Given(ean=SCHOOL))
    assert (found.layout, found.encoding, codes(found)) == ("distributor", "cp1250", [])
    assert sorted(found.by_ean[SCHOOL]) == [int(start.timestamp()) for start in starts(day)]
    assert sum(one.import_wh or 0 for one in found.by_ean[SCHOOL].values()) == count * 600
    assert read(pnd(day, "-A"), Given(ean=SCHOOL)).by_ean[SCHOOL].popitem()[1].export_wh == 600


@pytest.mark.parametrize("letters", ["", "AB"])
def test_the_doubled_hour_may_be_marked_by_letters_and_stand_in_any_order(letters: str) -> None:
    rows = [f"25.10.2026 {hour}:{minute}" for hour in ("01", "02", "02", "03") for minute in ("00", "15", "30", "45")]
    if letters:
        rows[4:12] = [f"{row}{letters[n // 4]}" for n, row in enumerate(rows[4:12])][::-1]
    text = "čas od;EAN;odběr kWh\n" + "".join(f"{row};{SCHOOL};0,1\n" for row in rows)
    found = read(text)
    assert codes(found) == []
    first = int(datetime(2026, 10, 24, 23, tzinfo=UTC).timestamp())
    assert sorted(found.by_ean[SCHOOL]) == [first + 900 * n for n in range(16)]


def test_a_doubled_hour_that_is_given_once_is_left_out_and_a_missing_one_that_is_given_too() -> None:
    rows = [f"25.10.2026 {hour}:{minute};1" for hour in ("01", "02", "03") for minute in ("00", "15", "30", "45")]
    found = read("od;odběr [kWh]\n" + "\n".join(rows), Given(ean=SCHOOL))
    assert (codes(found), found.wrong, len(found.by_ean[SCHOOL])) == (["hour_unclear"], 0, 8)
    rows = [f"29.03.2026 {hour}:00;1" for hour in ("01", "02", "03")]
    found = read("od;odběr [kWh]\n" + "\n".join(rows), Given(ean=SCHOOL))
    assert (codes(found), found.wrong, len(found.by_ean[SCHOOL])) == (["no_such_hour"], 0, 2)


def test_a_plain_workbook_with_exact_or_local_times_is_read() -> None:
    from openpyxl import Workbook

    book = Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.append(["Od", "EAN", "kWh"])
    sheet.append([datetime(2026, 6, 1, 0, 14, 59, 999000), SCHOOL, 0.25])  # noqa: DTZ001 (Excel knows no zones)
    sheet.append(["2026-06-01T00:00:00+02:00", SCHOOL, 0.5])
    file = io.BytesIO()
    book.save(file)
    found = read(file.getvalue(), Given(direction="export"))
    assert (found.format, codes(found)) == ("xlsx", [])
    first = int(midnight(PLAIN).timestamp())
    assert {at: one.export_wh for at, one in found.by_ean[SCHOOL].items()} == {first: 500, first + 900: 250}


@pytest.mark.parametrize(
    ("text", "given", "code"),
    [
        ("od;odběr kWh\n01.06.2026 00:00;1", Given(), "no_ean"),
        ("od;ean;odběr kWh\n01.06.2026 00:00;859182400123450019;1", Given(), "ean"),
        ("datum;odběr kWh\n01.06.2026 10:00;1", Given(ean=SCHOOL), "times_unclear"),
        ("od;odběr kWh\n01.06.2026 10:07;1", Given(ean=SCHOOL), "grid"),
        ("od;odběr kWh\n31.06.2026 10:00;1", Given(ean=SCHOOL), "time"),
        ("od;odběr kWh\n01.06.2027 10:00;1", Given(ean=SCHOOL), "future"),
        ("od;odběr kWh\n01.06.2026 10:00;x", Given(ean=SCHOOL), "number"),
        ("od;odběr kWh\n01.06.2026 10:00;-1", Given(ean=SCHOOL), "negative"),
        ("od;odběr kWh\n01.06.2026 10:00;1e9", Given(ean=SCHOOL), "large"),
        ("od;odběr\n01.06.2026 10:00;1", Given(ean=SCHOOL), "unit"),
        ("od;odběr kWh\n01.06.2026 10:00;1\n01.06.2026 10:00;2", Given(ean=SCHOOL), "doubled"),
        (f"Datum;Cas od;Cas do;IN-{SOLAR}-D;OUT-{SOLAR}-D\n01.06.2026;10:00;10:15;1;2", Given(), "shared"),
    ],
)
def test_what_is_wrong_is_said_with_its_row(text: str, given: Given, code: str) -> None:
    found = read(text, given)
    assert codes(found) == [code]
    assert found.wrong == 1


def test_the_same_value_twice_is_only_said() -> None:
    found = read("od;odběr kWh\n01.06.2026 10:00;1\n01.06.2026 10:00;1,0", Given(ean=SCHOOL))
    assert (codes(found), found.wrong, found.doubled) == (["doubled_same"], 0, {SCHOOL: 1})


def test_a_substitute_value_is_marked_as_one() -> None:
    found = read("od;odběr kWh;status\n01.06.2026 10:00;1;náhradní hodnota\n01.06.2026 10:15;1;OK", Given(ean=SCHOOL))
    assert [one.status for one in found.by_ean[SCHOOL].values()] == ["substitute", "measured"]


def test_a_broken_file_is_refused_or_judged_and_never_trips() -> None:
    chance = random.Random(7)
    good = edc(AUTUMN).encode()[:3000]
    for _ in range(300):
        broken = bytearray(good)
        for _ in range(chance.choice((1, 5, 50))):
            place = chance.randrange(len(broken))
            if chance.random() < 0.3:
                del broken[place : place + chance.randrange(40)]
            elif chance.random() < 0.5:
                broken[place] = chance.randrange(256)
            else:
                broken[place:place] = chance.choice((b";", b"\n", b'"', b"99999999999", b"\xe1", b"NaN", b"-", b"."))
        try:
            found = parse(bytes(broken), Given(), NOW)
        except Unreadable:
            continue
        assert all(is_ean(ean) and all(at % 900 == 0 for at in held) for ean, held in found.by_ean.items())


def test_check_digits_are_those_of_gs1() -> None:
    assert is_ean("859182400123456789") is True
    assert not any(map(is_ean, ("859182400123456784", "85918240012345678", "85918240012345678９", "")))
