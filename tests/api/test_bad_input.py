"""Bad input of every kind is answered with a problem that says what to do, and nothing is half done."""

import json
import socket
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from api import bounds
from api.app import create
from kraj.settings import Settings
from tests.api import contract, signing
from tests.api.conftest import NOW, Region

PROBLEM = "application/problem+json"
HOLDS_S_MAX = 3.0


@pytest.fixture
def asker(
    region: Region, database_role_url: Callable[[str], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[httpx.Client]:
    """The administrator's client at an application on a socket, with something of everything in its database."""
    monkeypatch.setattr(bounds.Bounds.__init__, "__defaults__", (1.0,))
    signing.person(region.connection)
    app = create(Settings(state_dir=tmp_path), database_role_url("kraj_api"), clock=lambda: NOW)
    with contract.served(app) as base, httpx.Client(base_url=base, headers=contract.SIGNED, timeout=20) as client:
        contract.plant(region, base)
        yield client


@contextmanager
def nothing_done(connection: psycopg.Connection[Any]) -> Generator[None]:
    """Every table holds afterwards what it held before."""

    def state() -> dict[str, str]:
        names = connection.execute(
            "SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'job'"
        ).fetchall()
        rows = "SELECT coalesce(md5(string_agg(t::text, '' ORDER BY t::text)), '') FROM {} t"
        found = {name: connection.execute(rows.format(name).encode()).fetchone() for (name,) in names}
        return {name: row[0] for name, row in found.items() if row}

    before = state()
    yield
    after = state()
    assert {name for name in after if after[name] != before.get(name)} == set()


def operations(client: httpx.Client, feature: Callable[[dict[str, Any]], bool]) -> list[tuple[str, str]]:
    """Methods and paths (of what is there) of all operations of the document that have a feature."""
    document = client.get("/openapi.json").json()
    names = {"name": "lamp-1", "municipality": "olsinka", "person_id": "2", "membership_id": "2", "ean": contract.EAN}
    found: list[tuple[str, str]] = []
    for path, known in document["paths"].items():
        for method, operation in known.items():
            if path != "/v1/stream" and feature(operation):
                for one in operation.get("parameters", []):
                    path = path.replace("{" + one["name"] + "}", names.get(one["name"], "1"))
                found.append((method.upper(), path.replace("kpis/lamp-1", "kpis/lighting_availability_pct")))
    return found


def refused(answer: httpx.Response, status: int, code: str | None = None) -> None:
    where = (answer.request.method, str(answer.request.url), answer.text[:300])
    assert answer.status_code == status, where
    assert answer.headers["content-type"] == PROBLEM, where
    body = answer.json()
    assert body["hint"], where
    assert code is None or body["type"] == f"/problems/{code}", where


def takes_json(operation: dict[str, Any]) -> bool:
    return "application/json" in operation.get("requestBody", {}).get("content", {})


def test_a_body_of_another_type_or_size_or_form_is_refused_everywhere(asker: httpx.Client, region: Region) -> None:
    found = operations(asker, takes_json)
    assert len(found) > 30
    headers = {"if-match": "*"}
    large = json.dumps({"note": "x" * 70_000}).encode()
    with nothing_done(region.connection):
        for method, path in found:
            if not path.endswith("/undo"):  # its body may be left out, and with it the type
                answer = asker.request(method, path, content=b"{}", headers=headers | {"content-type": "text/plain"})
                refused(answer, 415, "media_type")
            typed = headers | {"content-type": "application/json"}
            refused(asker.request(method, path, content=large, headers=typed), 413, "too_large")
            for broken in (b"", b"{", b"[]", b'{"a":1}x', b"\xff\xfe", b'{"unknown":' + b"[" * 20_000, b'"\\ud800"'):
                if broken or not path.endswith("/undo"):
                    refused(asker.request(method, path, content=broken, headers=typed), 400)


def test_a_body_that_never_ends_is_cut_off_in_time(asker: httpx.Client, region: Region) -> None:
    url = asker.base_url
    for path, media in (("/v1/municipalities", "application/json"), ("/v1/imports", "text/csv"), ("/nowhere", "a/b")):
        with nothing_done(region.connection), socket.create_connection((url.host, url.port or 0), timeout=10) as line:
            head = f"POST {path} HTTP/1.1\r\nhost: localhost\r\ncookie: kraj_session={signing.SESSION}\r\n"
            more = f"sec-fetch-site: same-origin\r\ncontent-type: {media}\r\ntransfer-encoding: chunked\r\n\r\n"
            line.sendall((head + more).encode())
            started, answer = time.monotonic(), b""
            line.settimeout(0.1)
            while time.monotonic() - started < HOLDS_S_MAX:
                try:
                    line.sendall(b"1\r\n \r\n")
                    answer += line.recv(65536)
                    if answer:
                        break
                except TimeoutError:
                    continue
            assert answer.startswith(b"HTTP/1.1 404" if path == "/nowhere" else b"HTTP/1.1 408"), (path, answer)
            assert b"application/problem+json" in answer
            line.settimeout(HOLDS_S_MAX)
            while answer:
                answer = line.recv(65536)  # and the connection ends


def test_a_bad_cursor_is_refused_everywhere(asker: httpx.Client) -> None:
    found = operations(asker, lambda one: any(p["name"] == "cursor" for p in one.get("parameters", [])))
    assert len(found) > 15
    for method, path in found:
        more = {"metric": "power_w"} if path.endswith("/series") else {}
        for cursor in ("", "x", "é", "WzFd", "W10", "A" * 3000, "bnVsbA", "WyJhc3NldHMiLCAiYSJd"):
            refused(asker.request(method, path, params={"cursor": cursor} | more), 400, "cursor")


def test_a_stale_etag_changes_nothing_anywhere(asker: httpx.Client, region: Region) -> None:
    found = operations(asker, lambda one: "428" in one["responses"])
    assert len(found) > 15
    bodies = {
        "/v1/assets/1": {"label": "Jiné"},
        "/v1/groups/1": {"name": "Jiné"},
        f"/v1/metering-points/{contract.EAN}": {"title": "Jiné"},
        "/v1/municipalities/lamp-1": {"title": "Jiné"},
        "/v1/maintenance-windows/1": {
            "municipality": "olsinka",
            "scope_type": "municipality",
            "valid_from": "2026-11-20T00:00:00Z",
            "valid_to": "2026-12-01T00:00:00Z",
            "reason": "Jiné",
        },
        "/v1/notification-targets/1": {"municipality": "olsinka", "name": "Jiné"},
        "/v1/mappings/olsinka/lamp-1": {"document": contract.DOCUMENT},
        "/v1/dimming/programs/1": {"name": "Jiné"},
        "/v1/lighting/segments/3": {"reason": "Jiné"},
        "/v1/service-requests/1": {"status_notes": "Jiné"},
        "/v1/lighting/desired/lamp-1": {"interval_s": 600, "reason": "Jiné"},
    }
    with nothing_done(region.connection):
        for method, first in found:
            path = first.replace("segments/1", "segments/3")
            body = {} if method == "POST" else bodies.get(path)
            there = path.replace("municipalities/lamp-1", "municipalities/olsinka").replace(
                "mappings/olsinka/lamp-1", "mappings/olsinka/lamps"
            )
            for tag in ('"999"', '"0123456789abcdef0123"', '"999", "998"', 'W/"1"', "1", '""'):
                given = None if method == "DELETE" else body
                refused(asker.request(method, there, json=given, headers={"if-match": tag}), 412)
            given = None if method == "DELETE" else body
            refused(asker.request(method, there, json=given), 428, "if_match")


HEAD = "Označení;Zařízení;Zeměpisná šířka;Zeměpisná délka\n"
GOOD = "VO-50;lampa-50;49.19;16.6\n"


@pytest.mark.parametrize(
    ("row", "code"),
    [
        (";lampa-51;49.19;16.6", "missing"),
        ("VO-50;lampa-50;49.19;16.6", "device_twice"),
        ("VO-50;lampa-51;49.19;16.6", "label_twice"),
        ("VO-51;lampa-50;49.19;16.6", "device_twice"),
        ("VO-51;lamp-1;49.19;16.6", "channel_taken"),
        ("VO-9 Nádražní;lampa-51;49.19;16.6", "label_taken"),
        ("VO-51;lampa-51;48.2;16.37", "outside"),
        ("VO-51;lampa-51;0;0", "outside"),
        ("VO-51;lampa-51;16.6;49.19", "swapped"),
        ("VO-51;lampa-51;49.19;", "half_place"),
        ("VO-51,lampa-51,49.19,16.6", "columns"),
        ("VO-51\tlampa-51\t49.19\t16.6", "columns"),
    ],
)
def test_a_file_with_one_bad_row_registers_none(asker: httpx.Client, region: Region, row: str, code: str) -> None:
    for encoding in ("utf-8", "cp1250", "utf-16"):
        made = uploaded(asker, f"{HEAD}{GOOD}{row}\n".encode(encoding))
        assert (made.status_code, made.json()["applicable"]) == (201, False), made.text
        address = f"/v1/imports/{made.json()['import_id']}"
        found = asker.get(address, params={"only": "findings"}).json()["items"]
        assert [item["row"] for item in found] == [3]
        assert code in {one["code"] for one in found[0]["findings"]}
        assert all(one["remedy"] for one in found[0]["findings"])
        with nothing_done(region.connection):
            refused(asker.post(f"{address}/apply"), 409, "import_wrong")


@pytest.mark.parametrize(
    "data",
    [
        HEAD.encode(),
        b"",
        b"\0" * 1000,
        (HEAD + GOOD).encode() + "VO-51 Šťastná;lampa-51;49.19;16.6\n".encode("cp1250"),
    ],
)
def test_a_file_of_no_rows_or_of_two_encodings_is_refused(asker: httpx.Client, region: Region, data: bytes) -> None:
    with nothing_done(region.connection):
        refused(uploaded(asker, data), 422, "import_file")


def uploaded(client: httpx.Client, data: bytes) -> httpx.Response:
    where = {"kind": "lamp", "municipality": "olsinka"}
    return client.post("/v1/imports", params=where, content=data, headers={"content-type": "text/csv"})


def test_an_address_to_fetch_holds_no_zero_byte(asker: httpx.Client, region: Region) -> None:
    assert asker.put("/v1/foreign/devices/lamp-1", json={"adapter": "json", "mapping": "lamps"}).is_success
    body = {"name": "cloud", "device": "lamp-1", "url": "https://cloud.example/\0"}
    with nothing_done(region.connection):
        refused(asker.post("/v1/pulls", json=body), 400, "body")


def test_a_channel_is_a_small_number(asker: httpx.Client) -> None:
    for channel in ("9" * 5000, "٣", "-1", "1000", "01", ""):
        body = {"message": "{}", "kinds": {channel: "lamp"}}
        refused(asker.post("/v1/mappings/try", json=body), 400, "kind")


def test_a_key_that_was_used_for_something_else_does_nothing(asker: httpx.Client, region: Region) -> None:
    key = {"idempotency-key": "once"}
    assert asker.post("/v1/municipalities", json={"name": "dolni", "title": "Dolní"}, headers=key).status_code == 201
    with nothing_done(region.connection):
        other = asker.post("/v1/municipalities", json={"name": "horni", "title": "Horní"}, headers=key)
        refused(other, 422, "idempotency_other")
        refused(asker.post("/v1/teams", json={"name": "Jiná"}, headers=key), 422, "idempotency_other")
        again = asker.post("/v1/municipalities", json={"name": "dolni", "title": "Dolní"}, headers=key)
        assert (again.status_code, again.headers["idempotent-replay"]) == (201, "true")
