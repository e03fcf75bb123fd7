"""The same register in every form that a town hall has it in reads the same; whatever is wrong is said where it is."""

import datetime as dt
import io
import time
import zipfile
from typing import Any

import openpyxl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj.aoi import AreaOfInterest
from pyproj.transformer import TransformerGroup

from kraj.attributes import ATTRIBUTES
from kraj.importing import FINDINGS, Defaults, Finding, Level, Parsed, Unreadable, columns, parse, places, told
from kraj.importing.table import ROWS_MAX
from kraj.kinds import KINDS
from tests.kraj.importing.samples import ROWS, csv_file, geojson_file, saved, workbook_file

FORMS: dict[str, bytes] = {
    "Windows-1250": csv_file(),
    "UTF-8": csv_file(encoding="utf-8"),
    "UTF-8 with its mark": csv_file(encoding="utf-8-sig"),
    "UTF-16 with tabs": csv_file(encoding="utf-16", delimiter="\t"),
    "ISO 8859-2": csv_file([(*row[:6], "Žižkova", *row[7:]) for row in ROWS], encoding="iso8859-2"),
    "commas": csv_file(encoding="utf-8", delimiter=","),
    "tabs": csv_file(delimiter="\t"),
    "sep=": csv_file(above="sep=;\r\n"),
    "a title above": csv_file(above="Pasport veřejného osvětlení;;;;;;;;\r\n;;;;;;;;\r\n"),
    "empty rows below": csv_file(below=";;;;;;;;\r\n" * 30 + "\r\n\r\n"),
    "XLSX": workbook_file(),
    "GeoJSON": geojson_file(),
}


def codes(parsed: Parsed) -> list[tuple[int, str, str | None]]:
    return [(row.number, found.code, found.column) for row in parsed.rows for found in row.findings]


def one(headings: str, cells: str, kind: str | None = "lamp", town: str | None = "olsinka") -> Parsed:
    return parse(f"Označení;{headings}\nVO-1;{cells}\n".encode(), Defaults(kind, town))


def unreadable(data: bytes) -> Finding:
    with pytest.raises(Unreadable) as caught:
        parse(data, Defaults("lamp", "olsinka"))
    for language in ("cs", "en"):
        assert all(told(caught.value.finding, language))
    return caught.value.finding


@pytest.mark.parametrize("form", FORMS)
def test_a_register_reads_the_same_in_every_form(form: str) -> None:
    parsed = parse(FORMS[form], Defaults())
    assert codes(parsed) == []
    assert parsed.findings == ()
    assert [(r.label, r.device, r.kind, r.latitude, r.longitude) for r in parsed.rows] == [
        ("VO-1", "lamp-1", "lamp", 49.1951, 16.6068),
        ("VO-2", "lamp-2", "lamp", 49.1953, 16.6071),
        ("VO-3", None, "lamp", None, None),
    ]
    assert parsed.rows[0].metadata["power_rated_w"] == 70.5
    assert [row.metadata.get("crossing") for row in parsed.rows] == [1, 0, None]
    street = "Žižkova" if form == "ISO 8859-2" else "Žďárná „náves“"
    assert parsed.rows[2].metadata == {"street": street}
    assert [r.municipality for r in parsed.rows] == ["Olšinka", "olsinka", "OLŠINKA"]


def test_rows_are_numbered_as_excel_shows_them() -> None:
    assert [row.number for row in parse(FORMS["Windows-1250"], Defaults()).rows] == [2, 3, 4]
    assert [row.number for row in parse(FORMS["a title above"], Defaults()).rows] == [4, 5, 6]
    assert [row.number for row in parse(FORMS["XLSX"], Defaults()).rows] == [2, 3, 4]
    assert [row.number for row in parse(FORMS["GeoJSON"], Defaults()).rows] == [1, 2, 3]


def test_every_name_of_a_field_is_understood_and_means_one_thing() -> None:
    for kind, attributes in ATTRIBUTES.items():
        for attribute in attributes:
            for text in (attribute.name, attribute.title.cs, attribute.title.en, attribute.title.cs.upper() + " *"):
                found = columns.recognise(0, text)
                assert found is not None, text
                assert found.field.name == attribute.name, (kind, text)
    for language in ("cs", "en"):
        for kind in KINDS:
            for heading in columns.headings(kind, language):
                found = columns.recognise(0, heading)
                assert found is not None
                assert found.unit_unknown is None, heading
                assert found.scale == 1, heading
    for field in columns.FIELDS.values():
        for synonym in field.synonyms:
            found = columns.recognise(0, synonym)
            assert found is not None
            assert found.field.name == field.name, synonym


def test_an_unknown_column_is_left_out_with_a_guess() -> None:
    parsed = one("Poznámka;Uliec", "něco;Nádražní")
    assert [(f.code, f.column) for f in parsed.findings] == [
        ("column_ignored", "Poznámka"),
        ("column_ignored_like", "Uliec"),
    ]
    assert "„Ulice“" in told(parsed.findings[1], "cs")[1]
    assert '"Street"' in told(parsed.findings[1], "en")[1]


@pytest.mark.parametrize(
    ("heading", "cell", "name", "value"),
    [
        ("Jmenovitý výkon (kW)", "0,07", "power_rated_w", 70),
        ("Výkon W", "70", "power_rated_w", 70),
        ("power_rated_w", "70 W", "power_rated_w", 70),
        ("Příkon [W]", "1 250,5", "power_rated_w", 1250.5),
        ("Příkon", "1.250,5", "power_rated_w", 1250.5),
        ("Příkon", "1,250.5", "power_rated_w", 1250.5),
        ("Příkon", "\xa070\xa0", "power_rated_w", 70),
        ("Životnost L80 (h)", "100 000", "lifetime_l80_s", 360_000_000),
        ("Fáze", "2", "phase", 2),
        ("U přechodu", "ANO", "crossing", 1),
        ("přechod", "x", "crossing", 1),
        ("Typ svítidla", "  Philips   Luma ", "lamp_model", "Philips Luma"),
    ],
)
def test_values_are_taken_as_people_write_them(heading: str, cell: str, name: str, value: object) -> None:
    parsed = one(heading, cell)
    assert codes(parsed) == []
    assert parsed.rows[0].metadata == {name: value}


@pytest.mark.parametrize(
    ("heading", "cell", "code"),
    [
        ("Jmenovitý výkon", "asi 70", "number"),
        ("Jmenovitý výkon", "1e300", "number_size"),
        ("Jmenovitý výkon", "７０", "number"),
        ("U přechodu", "možná", "flag"),
        ("Ulice", "a" * 201, "too_long"),
        ("Zařízení", "Lampa č. 1", "device_name"),
        ("Zařízení", "x", "device_name"),
        ("Kanál", "-1", "channel"),
        ("Kanál", "1,5", "channel"),
        ("Druh", "raketa", "kind"),
        ("Azimut", "180", "other_kind"),
        ("Zeměpisná šířka", "49,1", "half_place"),
        ("GPS", "někde", "coordinate"),
    ],
)
def test_a_wrong_value_is_named_with_its_column_and_a_remedy(heading: str, cell: str, code: str) -> None:
    parsed = one(heading, cell)
    assert codes(parsed) == [(2, code, heading)]
    for language in ("cs", "en"):
        assert all(told(parsed.rows[0].findings[0], language))


def test_what_is_missing_is_said_once_for_a_column_and_by_row_for_a_cell() -> None:
    parsed = parse("Ulice\nNádražní\nŠkolní\n".encode(), Defaults())
    assert [f.code for f in parsed.findings] == ["missing_column"] * 3
    assert codes(parsed) == []
    parsed = parse("Označení;Druh;Obec;Ulice\n;;;Nádražní\n".encode(), Defaults())
    assert codes(parsed) == [(2, "missing", "Označení"), (2, "missing", "Obec"), (2, "missing", "Druh")]


BRNO = (49.1951, 16.6068)
CZECHIA: Any = AreaOfInterest(12.09, 48.58, 18.85, 51.02)
TO_JTSK = TransformerGroup(4326, 5514, always_xy=True, area_of_interest=CZECHIA).transformers[0]
EASTING, NORTHING = TO_JTSK.transform(BRNO[1], BRNO[0])


@pytest.mark.parametrize(
    ("headings", "cells"),
    [
        ("lat;lon", "49,1951;16,6068"),
        ("N;E", "49.1951;16.6068"),
        ("Šířka;Délka", '49°11\'42.36""N;16°36\'24.48""E'.replace('""', "″")),
        ("lat;lon", "49°11,706'N;16°36,408'E"),
        ("GPS", "49.1951N, 16.6068E"),
        ("GPS", "49,1951 16,6068"),
        ("Souřadnice", "49.1951,16.6068"),
        ("X;Y", "16,6068;49,1951"),
        ("X;Y", f"{EASTING};{NORTHING}"),
        ("X;Y", f"{-NORTHING:.2f};{-EASTING:.2f}".replace(".", ",")),
        ("Y (S-JTSK);X (S-JTSK)", f"{-EASTING:.2f};{-NORTHING:.2f}"),
        ("X;Y", f"{NORTHING};{EASTING}"),
        ("X;Y", f"{-EASTING};{NORTHING}"),
        ("Zeměpisná šířka;Zeměpisná délka", f"{-NORTHING};{-EASTING}"),
        ("GPS", f"{-NORTHING:.2f} {-EASTING:.2f}"),
    ],
)
def test_a_place_is_understood_in_both_systems_signs_and_orders(headings: str, cells: str) -> None:
    parsed = one(headings, cells)
    assert codes(parsed) == []
    row = parsed.rows[0]
    assert row.latitude == pytest.approx(BRNO[0], abs=1e-6)
    assert row.longitude == pytest.approx(BRNO[1], abs=1e-6)


def test_swapped_coordinates_come_with_the_swap() -> None:
    parsed = one("lat;lon", "16,6068;49,1951")
    assert codes(parsed) == [(2, "swapped", "lat")]
    assert "šířka 49,1951, délka 16,6068" in told(parsed.rows[0].findings[0], "cs")[1]


@pytest.mark.parametrize(
    ("cells", "code"),
    [
        ("4,91951;16,6068", "outside"),
        ("48,2;16,37", "outside"),
        ("0;0", "outside"),
        ("1848000;6304000", "system"),
        ("-600000;-60000", "system"),
    ],
)
def test_a_place_outside_czechia_is_refused(cells: str, code: str) -> None:
    assert codes(one("lat;lon", cells)) == [(2, code, "lat")]


@given(
    st.floats(48.8, 50.5), st.floats(12.6, 18.5), st.booleans(), st.sampled_from([(1, 1), (1, -1), (-1, 1), (-1, -1)])
)
@settings(max_examples=200, deadline=None)
def test_metres_come_back_to_the_same_degrees(
    latitude: float, longitude: float, swap: bool, signs: tuple[int, int]
) -> None:
    easting, northing = TO_JTSK.transform(longitude, latitude)
    pair = (signs[0] * easting, signs[1] * northing)
    found = places.place(*(pair[::-1] if swap else pair), latitude_first=swap)
    assert isinstance(found, places.Place)
    assert found.latitude == pytest.approx(latitude, abs=1e-5)
    assert found.longitude == pytest.approx(longitude, abs=1e-5)


def test_a_place_far_from_its_town_is_noted() -> None:
    rows = [*((f"VO-{n}", 49.2 + n / 1000, 16.6) for n in range(5)), ("VO-9", 49.9, 16.6)]
    parsed = parse(csv_file(rows, ("Označení", "lat", "lon")), Defaults("lamp", "olsinka"))
    assert codes(parsed) == [(7, "far", "lat")]
    assert parsed.rows[-1].findings[0].level is Level.NOTE


def test_excel_dates_formulas_and_errors_are_told_apart() -> None:
    book = openpyxl.Workbook()
    sheet: Any = book.active
    sheet.append(["Označení", "Výkon", "Ulice"])
    sheet.append([dt.date(2026, 5, 1), "=1+1", "#REF!"])
    sheet["C2"].data_type = "e"
    parsed = parse(saved(book), Defaults("lamp", "olsinka"))
    assert codes(parsed) == [(2, "date", "Označení"), (2, "formula", "Výkon"), (2, "cell_error", "Ulice")]


def test_a_formula_counts_by_its_stored_result() -> None:
    book = openpyxl.Workbook()
    sheet: Any = book.active
    sheet.append(["Označení", "Výkon"])
    sheet.append(["VO-1", "=35*2"])
    data = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(saved(book))) as old, zipfile.ZipFile(data, "w") as new:
        for name in old.namelist():
            content = (
                old.read(name)
                .replace(b"<f>35*2</f><v />", b"<f>35*2</f><v>70</v>")
                .replace(b"<f>35*2</f><v></v>", b"<f>35*2</f><v>70</v>")
            )
            new.writestr(name, content)
    parsed = parse(data.getvalue(), Defaults("lamp", "olsinka"))
    assert codes(parsed) == []
    assert parsed.rows[0].metadata == {"power_rated_w": 70}


def test_the_first_sheet_with_content_is_taken_and_others_are_mentioned() -> None:
    book = openpyxl.Workbook()
    for title in ("Lampy", "Jiné"):
        sheet: Any = book.create_sheet(title)
        sheet.append(["Označení"])
        sheet.append([title])
    parsed = parse(saved(book), Defaults("lamp", "olsinka"))
    assert [row.label for row in parsed.rows] == ["Lampy"]
    assert [f.code for f in parsed.findings] == ["sheet_chosen"]


def packed(**members: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return stream.getvalue()


def with_entities(xml: bytes) -> bytes:
    return b'<!DOCTYPE x [<!ENTITY a "b">]>' + xml


def halved(xml: bytes) -> bytes:
    return xml[: len(xml) // 2]


def renamed(data: bytes, name: str, change: Any) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as new:
        for member in old.namelist():
            new.writestr(member, change(old.read(member)) if member == name else old.read(member))
    return stream.getvalue()


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "empty"),
        (b"\xef\xbb\xbf \r\n", "empty"),
        (b";;;\r\n;;;\r\n", "empty"),
        (b"\xd0\xcf\x11\xe0" + bytes(600), "old_excel"),
        (b"PK\x03\x04 but no archive", "not_a_table"),
        (packed(mimetype=b"application/vnd.oasis", **{"content.xml": b"<x/>"}), "open_document"),
        (packed(readme=b"x"), "not_a_table"),
        (packed(**{"[Content_Types].xml": b"", "xl/bomb.xml": bytes(129 * 1024 * 1024)}), "too_big_inside"),
        (packed(**{"[Content_Types].xml": b"", "xl/sharedStrings.xml": bytes(33 * 1024 * 1024)}), "too_big_inside"),
        (renamed(workbook_file(), "xl/workbook.xml", with_entities), "not_a_table"),
        (renamed(workbook_file(), "xl/worksheets/sheet1.xml", halved), "not_a_table"),
        (b"%PDF-1.7 \x00\x01", "not_a_table"),
        (b"{", "not_a_table"),
        (b"[" * 100_000, "not_a_table"),
        (b'{"type": "Topology"}', "not_a_table"),
        (b"jedna;dva\n1;2\n", "no_headings"),
        ("Označení;Ulice\n".encode(), "no_rows"),
        ("Označení\n".encode() + b"VO\n" * (ROWS_MAX + 20), "too_many_rows"),
        (b";".join([b"label"] * 300), "too_many_columns"),
        (b'label;street\nVO-1;"' + b"x" * 200_000, "quote"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_no_table_is_refused_with_a_remedy(data: bytes, code: str) -> None:
    assert unreadable(data).code == code


def test_a_sheet_that_lies_about_its_size_costs_nothing() -> None:
    def far(sheet: bytes) -> bytes:
        return sheet.replace(b'<dimension ref="A1:I4"', b'<dimension ref="A1:XFD1048576"').replace(
            b"</sheetData>", b'<row r="1048576"><c r="XFD1048576"><v>1</v></c></row></sheetData>'
        )

    started = time.process_time()
    parsed = parse(renamed(workbook_file(), "xl/worksheets/sheet1.xml", far), Defaults())
    assert [row.label for row in parsed.rows] == ["VO-1", "VO-2", "VO-3"]
    assert time.process_time() - started < 5


def test_a_geometry_that_is_no_point_is_named() -> None:
    data = geojson_file().replace(b'"Point", "coordinates": [16.6068, 49.1951]', b'"LineString", "coordinates": []')
    assert codes(parse(data, Defaults())) == [(1, "geometry", "x")]


def test_two_columns_of_one_meaning_are_an_error_of_the_file() -> None:
    assert [f.code for f in one("Ulice;street", "a;b").findings] == ["heading_twice"]
    assert [f.code for f in one("Výkon (koně)", "1").findings] == []
    assert [f.code for f in one("Výkon (kWh)", "1").findings] == ["unit_unknown"]


def test_every_finding_has_sentences_that_need_no_more_than_it_brings() -> None:
    for code, kept in FINDINGS.items():
        for title in (kept.sentence, kept.remedy):
            assert title.cs
            assert title.en
        assert code.islower()
