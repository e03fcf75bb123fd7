"""No bytes, no damage and no value crash the reader, and ten thousand rows are read quickly."""

import random
import time
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from kraj.importing import Defaults, Format, Unreadable, parse, told
from tests.kraj.importing.samples import HEADINGS, ROWS, csv_file, geojson_file, workbook_file
from tests.kraj.importing.test_importing import FORMS

SEEDS = [*FORMS.values(), workbook_file(ROWS[:1])]


@given(st.binary(max_size=400))
@settings(max_examples=300, deadline=None)
@example(b"\xff\xfe\x00")
@example(
    b'{"type":"FeatureCollection","features":[{"geometry":{"type":"Point","coordinates":[1e999,2]},"properties":{"a":[]}}]}'
)
def test_no_bytes_crash_the_reader(data: bytes) -> None:
    harmless(data)


@given(st.sampled_from(SEEDS), st.integers(0, 2**32), st.integers(1, 40))
@settings(max_examples=300, deadline=None)
def test_no_damage_to_a_file_crashes_the_reader(data: bytes, seed: int, hits: int) -> None:
    dice = random.Random(seed)
    damaged = bytearray(data)
    for _ in range(hits):
        damaged[dice.randrange(len(damaged))] = dice.randrange(256)
    harmless(bytes(damaged[: dice.randrange(len(damaged)) if hits % 5 == 0 else None]))


cells = st.one_of(
    st.none(), st.text(max_size=12), st.floats(), st.integers(), st.booleans(), st.lists(st.integers(), max_size=2)
)


@given(st.lists(st.lists(cells, min_size=9, max_size=9), min_size=1, max_size=4))
@settings(max_examples=200, deadline=None)
def test_no_value_in_a_known_column_crashes_the_reader(rows: list[list[Any]]) -> None:
    harmless(geojson_file(rows, HEADINGS))


def harmless(data: bytes) -> None:
    try:
        parsed = parse(data, Defaults("lamp", "olsinka"))
    except Unreadable as error:
        told(error.finding, "cs")
        return
    assert parsed.format in Format
    for row in parsed.rows:
        for finding in row.findings:
            assert all(told(finding, "en"))
        for value in row.metadata.values():
            assert isinstance(value, str | int | float)


def test_ten_thousand_rows_are_read_in_three_seconds() -> None:
    rows = [
        (f"VO-{n}", f"lamp-{n}", "lampa", "Olšinka", 49.19 + n / 1e6, 16.6, "Nádražní", 70.5, "ano")
        for n in range(10_000)
    ]
    for data in (csv_file(rows), workbook_file(rows), geojson_file(rows)):
        started = time.process_time()
        parsed = parse(data, Defaults())
        print(f"{len(parsed.rows)} rows of {parsed.format} in {time.process_time() - started:.2f} s of a core")  # noqa: T201
        assert len(parsed.rows) == 10_000
        assert time.process_time() - started < 6
