"""Whom to tell is kept by commands: wrong input is named, addresses stay secret, a test message is really sent."""

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

from stack.database import EmbeddedPostgres
from tests.stack.commanding import kraj


class Hook(BaseHTTPRequestHandler):
    """Takes one message."""

    heard: list[dict[str, Any]]

    def do_POST(self) -> None:
        self.heard.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(200)
        self.end_headers()


def test_targets_are_added_listed_without_their_address_and_tried_out(open_folder: Path) -> None:
    env = {"KRAJ_STATE_DIR": str(open_folder)}
    heard: list[dict[str, Any]] = []
    server = HTTPServer(("127.0.0.1", 0), type("Hooked", (Hook,), {"heard": heard}))
    with EmbeddedPostgres(open_folder / "database"), server:
        assert "0008 notify" in kraj("migrate", **env).stdout
        assert "nobody is told" in kraj("notify", "list", **env).stdout
        url = f"json://user:hunter2@127.0.0.1:{server.server_address[1]}/"
        hours = ("--quiet", "22:00-06:00", "--digest", "7:00")
        result = kraj("notify", "add", "--name", "hook", "--url", url, *hours, **env)
        assert result.returncode == 0, result.stderr
        listed = kraj("notify", "list", **env).stdout
        assert listed == "hook  (region)  from minor  quiet 22:00-06:00  digest 07:00  cs\n"
        hooked = ("--name", "gis", "--url", f"webhook+http://127.0.0.1:{server.server_address[1]}/")
        made = kraj("notify", "add", *hooked, **env).stdout
        assert made.count("whsec_") == 1, "its secret, this once"
        assert "whsec_" not in kraj("notify", "list", **env).stdout
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        assert "has taken" in kraj("notify", "test", "hook", **env).stdout
        thread.join(20)
        assert heard[0]["title"] == "[Kraj] Zkušební zpráva"
        turn = ("--from", "2026-11-23T07:00:00", "--to", "2026-11-30T07:00:00")
        assert kraj("notify", "on-call", "hook", *turn, **env).stdout == "hook is on call\n"
        assert "not exactly one" in kraj("notify", "on-call", "nobody", *turn, **env).stderr
        assert "there is no target 'nobody'" in kraj("notify", "test", "nobody", **env).stderr
        for option, wrong in (
            ("--url", "nonsense://x"),
            ("--quiet", "22-6"),
            ("--digest", "25:00"),
            ("--severity-min", "bad"),
            ("--municipality", "nowhere"),
        ):
            result = kraj("notify", "add", "--name", "a", "--url", url, option, wrong, **env)
            assert result.returncode == 2, option
            assert result.stderr.startswith(f"error: {option}: "), result.stderr
            assert "hunter2" not in result.stderr
