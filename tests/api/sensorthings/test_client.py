"""A client that is not ours, of those who make FROST, reads the same as is in the database."""

from typing import Any

import frost_sta_client as fsc  # pyright: ignore[reportMissingTypeStubs]
import pytest

from kraj.kinds import KINDS
from tests.api.sensorthings.conftest import HOURS, Served

pytestmark = pytest.mark.filterwarnings("ignore:furl.pathstr:DeprecationWarning")
"""The client asks its own library for something old."""

ROLLED = """
SELECT bucket, air_temp_degc::text::float8 FROM rollup_stop_15m
WHERE asset_id = %s AND bucket < '2026-11-21T06:15Z' ORDER BY bucket
"""


@pytest.fixture(scope="package")
def service(served: Served) -> Any:
    return fsc.SensorThingsService(served.base)


def test_a_foreign_client_counts_what_the_database_holds(service: Any, served: Served) -> None:
    things = service.things().query().count().top(2).list()
    assets = served.value("SELECT count(*) FROM asset JOIN municipality USING (municipality_id) WHERE published")
    assert things.count == assets == len({one.id for one in things})  # it has followed nextLink past $top
    streams = service.datastreams().query().count().top(10).list()
    expected = served.owner.execute("SELECT kind FROM asset WHERE label <> 'Tajné'").fetchall()
    assert streams.count == len(list(streams)) == sum(len(KINDS[kind].public) for (kind,) in expected)
    for dao, count in (
        (service.sensors(), len(KINDS)),
        (service.observed_properties(), sum(len(kind.public) for kind in KINDS.values())),
        (service.locations(), 3),
        (service.historical_locations(), 3),
        (service.features_of_interest(), assets),
    ):
        assert len(list(dao.query().top(7).list())) == count


def test_a_foreign_client_follows_the_links(service: Any, served: Served) -> None:
    found = service.things().query().filter("name eq 'Náměstí'").list()
    thing = found.entities[0]
    assert thing.id == served.asset("Náměstí")
    assert thing.properties["municipality"] == "zdarna"
    location = thing.get_locations().query().list().entities[0]
    assert location.location["coordinates"] == [15.3, 49.3]
    wish = "ObservedProperty/name eq 'air_temp_degc'"
    stream = thing.get_datastreams().query().filter(wish).expand("ObservedProperty,Sensor,Thing").list().entities[0]
    assert (stream.observed_property.name, stream.sensor.name, stream.thing.name) == (
        "air_temp_degc",
        "stop",
        "Náměstí",
    )
    assert stream.unit_of_measurement.symbol == "°C"
    newest = stream.get_observations().query().orderby("phenomenonTime", "desc").top(1).expand("FeatureOfInterest")
    first = newest.list().entities[0]
    assert first.feature_of_interest.feature["coordinates"] == [15.3, 49.3]
    assert service.observations().find(first.id).result == first.result
    assert service.datastreams().find(stream.id).name == "Náměstí: Teplota vzduchu"


def test_a_foreign_client_reads_every_value_page_by_page(service: Any, served: Served) -> None:
    stream = service.datastreams().find(served.stream("Náměstí", "air_temp_degc"))
    rows = served.owner.execute(ROLLED.encode(), [served.asset("Náměstí")]).fetchall()
    pages = stream.get_observations().query().top(25).count().list()
    read = [(one.phenomenon_time.split("/")[0], one.result) for one in pages]
    assert pages.count == len(rows) == HOURS * 4 + 1
    assert read == [(f"{bucket:%Y-%m-%dT%H:%M:%S}.000Z", value) for bucket, value in rows]
    between = "resultTime gt 2026-11-20T06:00:00Z and resultTime le 2026-11-20T18:00:00Z and result lt 0"
    cold = stream.get_observations().query().filter(between).orderby("result", "asc").top(3).list()
    assert [one.result for one in cold] == [value for _, value in rows[24:72] if value < 0]
