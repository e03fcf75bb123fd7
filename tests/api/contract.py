"""The application on a socket, with something of everything in its database, and schemathesis that asks it."""

import socket
import subprocess
import sys
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import httpx
import uvicorn
from fastapi import FastAPI

from api.foreign.bodies import DOCUMENT
from stack.bench import wall
from tests.api import signing
from tests.api.conftest import NOW, Region
from tests.api.orders.test_pictures import exif, jpeg
from tests.kraj.store import firmware
from tests.waiting import PATIENCE_S

CONFIG = Path(__file__).with_name("schemathesis.toml")
HOOKS = Path(__file__).with_name("contract_hooks.py")


@contextmanager
def served(app: FastAPI) -> Generator[str]:
    """The application's address while it is served on a free port of this machine."""
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="critical", access_log=False, server_header=False))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    try:
        until = time.monotonic() + PATIENCE_S
        while not server.started:
            assert time.monotonic() < until, "the application does not start"
            time.sleep(0.02)
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
        listening.close()


def plant(region: Region, base: str) -> None:
    """Something of everything: by SQL what devices and rules bring, by the API what people write."""
    region.reading("VO-9 Nádražní", NOW, power_w=41.2)
    region.reading("Náměstí", NOW, door_open=True)
    region.slot(NOW)
    wall.plant(region.connection, "zdarna")
    town = {"municipality": "olsinka"}
    span = {"valid_from": "2026-11-20T00:00:00Z", "valid_to": "2026-12-01T00:00:00Z"}
    release = firmware.release(1, expires=int(NOW.timestamp()) + 86_400)
    region.connection.execute("INSERT INTO firmware_key VALUES (%s, 1, %s)", [release.manifest.key, firmware.PUBLIC[0]])
    rule = '[hot]\nkind = "lamp"\nwhen = "power_w > 50 W"\nseverity = "minor"\ntitle = { cs = "Hodně", en = "Much" }\n'
    with httpx.Client(base_url=base, headers=SIGNED, timeout=PATIENCE_S) as client:
        for path, body in (
            ("/v1/people", town | {"name": "petr@kraj.example", "title": "Petr", "role": "viewer"}),
            ("/v1/teams", town | {"name": "Parta"}),
            ("/v1/groups", town | {"name": "Park", "assets": [1, 2]}),
            ("/v1/maintenance-windows", town | span | {"scope_type": "municipality", "reason": "Kopou"}),
            ("/v1/rule-overrides", town | {"rule": "power_deviation", "reason": "Nová svítidla"}),
            ("/v1/trials", town | {"text": rule}),
            ("/v1/notification-targets", town | {"name": "Dispečink", "url": "json://localhost/a"}),
            ("/v1/on-call", town | span | {"target_id": 1}),
            ("/v1/grants", town | {"person_id": 2, "rights": ["read"], "reason": "Kopou"}),
            ("/v1/tokens", {"name": "Pro skript", "scopes": ["read"]}),
            ("/v1/mappings", town | {"name": "lamps", "document": DOCUMENT}),
            ("/v1/groups", town | {"name": "Nádražní", "kind": "segment", "assets": [1, 2]}),
            ("/v1/dimming/programs", town | {"name": "Noc", "document": {"plans": [{"on_min": 0}]}}),
            ("/v1/metering-points", town | {"ean": EAN, "title": "Škola"}),
            ("/v1/lighting/light-now", {"group_id": 2, "reason": "Hledáme závadu"}),
        ):
            answer = client.post(path, json=body)
            assert answer.is_success, (path, answer.text)
        for path, content, media in (
            ("/v1/imports?kind=lamp&municipality=olsinka", FILE, "text/csv"),
            ("/v1/imports?kind=lamp&municipality=zdarna", FILE, "text/csv"),
            ("/v1/imports/1/apply", b"", "application/json"),
            ("/open311/v2/requests.json", b"service_code=dark_lamp&address_id=2", "application/x-www-form-urlencoded"),
            ("/v1/alerts/1/photos", jpeg(exif(6)), "image/jpeg"),
            ("/v1/firmware/releases", release.container, "application/octet-stream"),
            (
                "/v1/firmware/campaigns",
                f'{{"release": "{release.digest}", "municipality": "olsinka", "reason": "r"}}'.encode(),
                "application/json",
            ),
        ):
            answer = client.post(path, content=content, headers={"content-type": media})
            assert answer.is_success, (path, answer.text)
        until = time.monotonic() + PATIENCE_S
        while client.get("/v1/trials/1").json()["state"] in {"waiting", "running"}:
            assert time.monotonic() < until, "the trial does not end"
            time.sleep(0.05)
        assert client.post("/v1/trials/1/adopt", json={"confirm": True}).is_success
        assert client.put("/v1/foreign/devices/lamp-2", json={"adapter": "tasmota"}).is_success


EAN = "859182400123456789"
FILE = "Označení;Zařízení\nVO-20;lampa-20\nVO-21;lampa-21\n".encode()
SIGNED = {"cookie": f"kraj_session={signing.SESSION}", "sec-fetch-site": "same-origin"}


def asked(base: str, folder: Path, *arguments: str, signed: bool = True) -> str:
    """Let schemathesis ask everything, and give what failed; empty when nothing did.

    ``arguments`` are options of ``schemathesis run``. Its report is in ``folder``.
    """
    text = f'hooks = "{HOOKS}"\n{CONFIG.read_text("utf-8")}'
    if signed:
        text += f'[auth.openapi]\nsession = {{ api_key = "{signing.SESSION}" }}\n'
    config = folder / "schemathesis.toml"
    config.write_text(text, "utf-8")
    given = ["--config-file", str(config), "run", f"{base}/openapi.json", "--no-color", *arguments]
    program = str(Path(sys.executable).with_name("schemathesis"))
    done = subprocess.run([program, *given], cwd=folder, capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else done.stdout + done.stderr
