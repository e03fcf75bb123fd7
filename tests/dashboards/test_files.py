"""What is written for mounting holds the same dashboards, and the password in one file alone."""

import json

from dashboards.files import PASSWORD_VARIABLE, files
from dashboards.source import Postgres, source
from dashboards.stored import dashboards

POSTGRES = Postgres("db.example.cz:5432", "kraj", "kraj_grafana_region", "the password", "require")


def test_the_password_is_in_the_environment_alone() -> None:
    found = dashboards("en", kraj_url="http://x", region=True)
    written = files(POSTGRES, "http://prometheus:9090", found)
    assert [name for name, text in written.items() if "the password" in text] == ["grafana.env"]
    told = json.loads(written["provisioning/datasources/kraj.yaml"].partition("\n")[2])
    assert told["apiVersion"] == 1
    postgres, prometheus = told["datasources"]
    assert postgres == source(POSTGRES, password=f"${PASSWORD_VARIABLE}")
    assert prometheus["url"] == "http://prometheus:9090"
    assert json.loads(written["dashboards/lamp.json"]) == found["lamp"]
    assert {name for name in written if name.startswith("dashboards/")} == {f"dashboards/{slug}.json" for slug in found}


def test_a_municipality_does_not_get_the_platforms_health() -> None:
    assert "dashboards/platform.json" not in files(POSTGRES, None, dashboards("cs", kraj_url="http://x", region=False))
