"""What a file of several municipalities says in sum loses the share of one that leaves, and keeps the others'."""

from datetime import UTC, datetime

import psycopg
from psycopg.types.json import Jsonb

from kraj.store import leaving

EANS = ("859182400200000003", "859182400200000010")


def test_an_import_of_two_towns_forgets_the_one_that_has_left(database_url: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as owner:
        owner.execute("INSERT INTO municipality (name, title) VALUES ('brno', 'Brno'), ('zlin', 'Zlín')")
        for town, ean in enumerate(EANS, 1):
            owner.execute(
                "INSERT INTO metering_point (ean, municipality_id, title, at) VALUES (%s, %s, %s, now())",
                [ean, town, f"Point {town}"],
            )
        said = [{"ean": ean, "title": f"Point {n}", "import_kwh": n} for n, ean in enumerate(EANS, 1)]
        found = [{"code": "unknown_ean", "row": None, "values": {"ean": ean}} for ean in EANS]
        owner.execute(
            "INSERT INTO meter_import (content, file_name, file_digest, format, findings, summary, invoices, rows_all,"
            " rows_wrong, uploaded_at) VALUES ('quarters', 'x.csv', '', 'csv', %s, %s, %s, 2, 0, now())",
            [Jsonb(found), Jsonb(said), Jsonb([{"ean": ean, "czk": 1} for ean in EANS])],
        )
        whose = leaving.town(owner, "brno")
        assert whose is not None
        with owner.transaction():
            leaving.erase_rest(owner, whose, datetime.now(UTC))
        row = owner.execute("SELECT summary, invoices, findings, meter_import::text FROM meter_import").fetchone()
        assert row is not None
        assert row[:3] == (said[1:], [{"ean": EANS[1], "czk": 1}], found[1:])
        assert EANS[0] not in row[3]
