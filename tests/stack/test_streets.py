"""The demo's streets: lit once, each with its program, its floor, its devices told, and what the old lamps took."""

from collections import Counter
from datetime import UTC, datetime

import psycopg

from kraj import dimming
from kraj.store.registry import register
from simulators.region import region
from stack import streets
from stack.demo import new_device

BEGINS = datetime(2026, 10, 22, tzinfo=UTC)
REGION = region(11, 120)


def test_streets_are_lit_once_all_but_the_quietest_dimmed_and_contactors_with_them(database_url: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        towns = {town.name: town.title for town in REGION.municipalities}
        register(connection, towns, [new_device(device) for device in REGION.devices], BEGINS)
        lamps = [asset for asset in REGION.assets if asset.kind == "lamp"]
        sizes = Counter((lamp.municipality, lamp.street) for lamp in lamps)
        (town, largest), _ = sizes.most_common(1)[0]
        restless = {lamp.key for lamp in lamps if (lamp.municipality, lamp.street) == (town, largest)}
        kept = streets.light(database_url, REGION, BEGINS, restless)
        cut = {f"{a.municipality}/{a.word('cabinet')}" for a in lamps if a.number("feeder_switched")}
        assert cut, "there are switched feeders"
        assert set(kept) == {lamp.key for lamp in lamps} | cut
        rows = connection.execute(
            "SELECT m.name, g.name, p.name FROM lighting_segment JOIN asset_group g USING (group_id) JOIN municipality"
            " m ON m.municipality_id = g.municipality_id LEFT JOIN dimming_program p USING (dimming_program_id)"
        ).fetchall()
        assert {row[:2] for row in rows} == set(sizes)
        assert Counter(row[2] for row in rows) == {streets.NIGHT: len(rows) - 1, None: 1}
        assert (town, largest, streets.NIGHT) in rows, "where something happens soon nobody has to look for light"
        assert all(document["floor_pct"] == 40 for document in kept.values())
        told = (
            "SELECT count(*), count(*) FILTER (WHERE version = reported_version AND sent_version IS NULL) FROM desired"
        )
        assert connection.execute(told).fetchone() == (len(kept), len(kept))
        assert connection.execute("SELECT DISTINCT state, stage FROM rollout").fetchall() == [("done", 2)]
        declared = connection.execute("SELECT count(*), min(power_w), max(power_w) FROM lighting_baseline").fetchone()
        assert declared == (len(rows), 115, 115)
        assert streets.light(database_url, REGION, BEGINS) == {}, "a demo that goes on keeps what people have changed"


def test_programs_of_the_demo_hold_for_its_streets() -> None:
    for document in streets.PROGRAMS.values():
        dimming.read(document, dimming.floor_pct(*streets.CLASSES))
