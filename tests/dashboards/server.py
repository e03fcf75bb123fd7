"""A server that answers as Grafana's documentation says: organisations, data sources, folders, dashboards."""

import base64
import json
import threading
from collections.abc import Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote

TOKEN = "a service account's"
ADMINISTRATOR = ("admin", "of this test")


class Server:
    """What the server holds, by organisation; ``writes`` are the requests that changed something."""

    def __init__(self, version: str = "12.1.0") -> None:
        self.version = version
        self.url = ""
        self.organisations: dict[int, str] = {1: "Main Org."}
        self.sources: dict[tuple[int, str], dict[str, Any]] = {}
        self.folders: dict[tuple[int, str], dict[str, Any]] = {}
        self.dashboards: dict[tuple[int, str], dict[str, Any]] = {}
        self.writes: list[str] = []
        self.broken: tuple[int, Any] | None = None

    def answer(  # noqa: C901, PLR0911 - a table of paths
        self, method: str, path: str, organisation: int, administrator: bool, body: Any
    ) -> tuple[int, Any]:
        if path.startswith("/api/orgs") and not administrator:
            return 403, {"message": "You'll need additional permissions to perform this action"}
        if method != "GET":
            self.writes.append(f"{method} {path}")
        match path.strip("/").split("/")[1:]:
            case ["org"]:
                return 200, {"id": organisation, "name": self.organisations[organisation]}
            case ["orgs", "name", name]:
                found = [number for number, known in self.organisations.items() if known == unquote(name)]
                return (200, {"id": found[0], "name": unquote(name)}) if found else _missing("Organization")
            case ["orgs"]:
                number = len(self.organisations) + 1
                self.organisations[number] = body["name"]
                return 200, {"message": "Organization created", "orgId": number}
            case ["datasources", "uid", uid] if method == "GET":
                return _found(self.sources.get((organisation, uid)), "Data source")
            case ["datasources", *_]:
                return self._keep_source(organisation, body, "added" if method == "POST" else "updated")
            case ["folders", uid]:
                return _found(self.folders.get((organisation, uid)), "Folder")
            case ["folders"]:
                self.folders[organisation, body["uid"]] = {"id": 7, **body}
                return 200, {"id": 7, **body}
            case ["dashboards", "uid", uid]:
                return _found(self.dashboards.get((organisation, uid)), "Dashboard")
            case ["dashboards", "db"]:
                return self._keep_dashboard(organisation, body)
            case _:
                return _missing("Page")

    def _keep_source(self, organisation: int, body: Any, step: str) -> tuple[int, Any]:
        secrets = body.pop("secureJsonData", {})
        kept = {"id": 1, "orgId": organisation, "readOnly": False, **body}
        kept["secureJsonFields"] = dict.fromkeys(secrets, True)
        self.sources[organisation, body["uid"]] = kept
        self.sources[organisation, body["uid"] + "/secret"] = secrets
        return 200, {"datasource": kept, "message": f"Datasource {step}", "name": body["name"]}

    def _keep_dashboard(self, organisation: int, body: Any) -> tuple[int, Any]:
        if (organisation, body["folderUid"]) not in self.folders:
            return 400, {"message": "folder not found"}
        document = body["dashboard"]
        before = self.dashboards.get((organisation, document["uid"]))
        if before is not None and not body["overwrite"]:
            return 412, {"message": "The dashboard has been changed by someone else", "status": "version-mismatch"}
        version = 1 if before is None else before["dashboard"]["version"] + 1
        kept = {**document, "id": 100 + len(self.dashboards), "version": version}
        self.dashboards[organisation, document["uid"]] = {"dashboard": kept, "meta": {"folderUid": body["folderUid"]}}
        return 200, {"id": kept["id"], "uid": kept["uid"], "status": "success", "version": version}


def _missing(what: str) -> tuple[int, Any]:
    return 404, {"message": f"{what} not found"}


def _found(kept: Any, what: str) -> tuple[int, Any]:
    return _missing(what) if kept is None else (200, kept)


@contextmanager
def serving(server: Server) -> Generator[Server]:
    """The server on a free port of loopback."""

    class Handler(BaseHTTPRequestHandler):
        def _do(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            status, said = self._said(body)
            text = said if isinstance(said, str) else json.dumps(said)
            self.send_response(status)
            self.send_header("Content-Type", "text/html" if isinstance(said, str) else "application/json")
            self.send_header("Content-Length", str(len(text.encode())))
            self.end_headers()
            self.wfile.write(text.encode())

        def _said(self, body: Any) -> tuple[int, Any]:
            if server.broken is not None:
                return server.broken
            if self.path == "/api/health":
                return 200, {"commit": "abc", "database": "ok", "version": server.version}
            given = self.headers.get("Authorization", "")
            administrator = given == "Basic " + base64.b64encode(":".join(ADMINISTRATOR).encode()).decode()
            if not administrator and given != f"Bearer {TOKEN}":
                return 401, {"message": "Invalid API key" if "Bearer" in given else "Invalid username or password"}
            organisation = int(self.headers.get("X-Grafana-Org-Id") or 1)
            return server.answer(self.command, self.path, organisation, administrator, body)

        do_GET = do_POST = do_PUT = _do  # noqa: N815 - names of the standard library

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        server.url = f"http://127.0.0.1:{http.server_port}"
        thread = threading.Thread(target=http.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield server
        finally:
            http.shutdown()
            thread.join()
