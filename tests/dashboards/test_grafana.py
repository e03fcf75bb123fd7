"""A push makes an organisation what it should be, changes nothing the second time, and says what is in its way."""

from collections.abc import Iterator

import pytest

from dashboards.grafana import FOLDER_UID, Access, Grafana, push
from dashboards.source import Postgres
from dashboards.stored import dashboards
from kraj.errors import ConfigurationError, UnavailableError
from stack.process import free_port
from tests.dashboards.server import ADMINISTRATOR, TOKEN, Server, serving

POSTGRES = Postgres("db.example.cz:5432", "kraj", "kraj_grafana_region", "first", "require")
BOARDS = dashboards("cs", kraj_url="https://kraj.example.cz/", region=True)
SOME = {name: BOARDS[name] for name in ("overview", "lamp", "platform")}


@pytest.fixture
def server() -> Iterator[Server]:
    with serving(Server()) as made:
        yield made


def test_a_second_push_changes_nothing(server: Server) -> None:
    grafana = Grafana(Access(server.url, token=TOKEN))
    assert grafana.check() == "12.1.0"
    first = list(push(grafana, POSTGRES, "http://prometheus:9090", SOME))
    assert len(first) == len(server.writes) == 2 + 1 + len(SOME)
    source = server.sources[1, "kraj-postgres"]
    assert (source["user"], source["url"], source["jsonData"]["database"]) == (POSTGRES.role, POSTGRES.address, "kraj")
    assert server.sources[1, "kraj-postgres/secret"] == {"password": "first"}
    kept = server.dashboards[1, "kraj-cs-lamp"]
    assert kept["meta"]["folderUid"] == FOLDER_UID
    urls = [v["query"] for v in kept["dashboard"]["templating"]["list"] if v["name"] == "kraj_url"]
    assert urls == ["https://kraj.example.cz"]
    server.writes.clear()
    assert list(push(grafana, POSTGRES, "http://prometheus:9090", SOME)) == []
    assert server.writes == []


def test_only_what_differs_is_written_again(server: Server) -> None:
    grafana = Grafana(Access(server.url, token=TOKEN))
    list(push(grafana, POSTGRES, None, SOME))
    server.writes.clear()
    changed = {**SOME, "lamp": {**SOME["lamp"], "title": "Jinak"}}
    renewed = Postgres(POSTGRES.address, "kraj", POSTGRES.role, "second", "require")
    assert list(push(grafana, renewed, None, changed)) == ["data source Kraj: changed", "dashboard Jinak: changed"]
    assert server.writes == ["PUT /api/datasources/uid/kraj-postgres", "POST /api/dashboards/db"]
    assert server.sources[1, "kraj-postgres/secret"] == {"password": "second"}
    assert server.dashboards[1, "kraj-cs-lamp"]["dashboard"]["version"] == 2


def test_a_municipality_gets_an_organisation_of_its_own(server: Server) -> None:
    administrator = Access(server.url, user=ADMINISTRATOR[0], password=ADMINISTRATOR[1])
    number, made = Grafana(administrator).organisation("Dolní Lhota / obec")
    assert (number, made) == (2, True)
    assert Grafana(administrator).organisation("Dolní Lhota / obec") == (2, False)
    own = Postgres(POSTGRES.address, "kraj", "kraj_grafana_lhota", "another", "require")
    list(push(Grafana(administrator, number), own, None, dashboards("cs", kraj_url="http://x", region=False)))
    assert {organisation for organisation, _ in server.sources} == {2}
    assert {uid for _, uid in server.dashboards if "platform" in uid} == set()
    assert server.sources[2, "kraj-postgres"]["user"] == "kraj_grafana_lhota"


def test_what_is_in_the_way_is_said_with_its_remedy(server: Server) -> None:
    with pytest.raises(ConfigurationError, match="KRAJ_GRAFANA_TOKEN_FILE"):
        Grafana(Access(server.url, token="wrong")).check()
    with pytest.raises(ConfigurationError, match="KRAJ_GRAFANA_PASSWORD_FILE"):
        Grafana(Access(server.url, user="admin", password="wrong")).check()
    with pytest.raises(ConfigurationError, match="role Admin"):
        Grafana(Access(server.url, token=TOKEN)).organisation("Brno")
    server.version = "9.5.2"
    with pytest.raises(ConfigurationError, match=r"is 9\.5\.2; the dashboards need 11 or newer"):
        Grafana(Access(server.url, token=TOKEN)).check()
    server.broken = 200, "<html>Sign in</html>"
    with pytest.raises(ConfigurationError, match="no Grafana"):
        Grafana(Access(server.url, token=TOKEN)).check()
    server.broken = 503, {"message": "database is locked"}
    with pytest.raises(UnavailableError, match="database is locked"):
        Grafana(Access(server.url, token=TOKEN)).check()
    with pytest.raises(UnavailableError, match="is it running"):
        Grafana(Access(f"http://127.0.0.1:{free_port()}", token=TOKEN)).check()
    with pytest.raises(ConfigurationError, match="no address"):
        Grafana(Access("grafana.example.cz", token=TOKEN)).check()
