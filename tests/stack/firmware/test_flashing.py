"""`kraj firmware flash` over a board of paper: what it looks at before it changes anything, and what it says after.

The programs that speak with a board are stood in for by one that writes down what it was told and fails where a test
says; the platform is a real server on a port of its own.
"""

import json
import sys
import threading
from collections.abc import Generator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from kraj.errors import ConfigurationError
from stack.firmware import building, flashing
from tests.stack.commanding import kraj

CODE = "7K2QF-0VNTD-M4X8A-Z19CE"
IMAGE = b"\xe9" + b"\xff" * flashing.IMAGE_BYTES_MIN + b"MicroPython v1.29.0"
TOOL = """
import os, sys
with open(os.environ["BOARD"], "a") as file:
    print(os.path.basename(os.path.dirname(__file__)), *(word.replace("\\n", " ") for word in sys.argv[1:]), file=file)
fails = os.environ.get("FAILS")
if fails and any(fails in word for word in sys.argv):
    raise SystemExit("no answer from the board")
"""


class _Platform(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        good = asked["code"] == CODE
        said = {"topic": "kraj/olsinka/lamp-1", "certificate": "C", "roots": "R"} if good else {"detail": "not known"}
        self.send_response(200 if good else 404)
        self.end_headers()
        self.wfile.write(json.dumps(said).encode())
        _asked.append(asked["code"])

    def log_message(self, format: str, *_: object) -> None:  # noqa: A002
        pass


_asked: list[str] = []


@pytest.fixture(scope="module")
def server() -> Generator[str]:
    made = HTTPServer(("127.0.0.1", 0), _Platform)
    thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{made.server_port}"
    made.shutdown()
    thread.join()
    made.server_close()


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("release")
    for name in ("keys", "other"):
        building.make_keys(folder / name)
    done = kraj(*f"firmware build --key {folder}/keys/release-1.pem --version 3 --out {folder}/3.bin".split())
    assert done.returncode == 0, done.stderr
    return folder


class Bench:
    """A computer with a board of paper on its cable."""

    def __init__(self, folder: Path, release: Path, server: str) -> None:
        self.folder, self.release, self.server = folder, release, server
        for name in ("mpremote", "esptool"):
            (folder / name).mkdir()
            (folder / name / "__init__.py").touch()
            (folder / name / "__main__.py").write_text(TOOL)
        (folder / "image.bin").write_bytes(IMAGE)

    def flash(self, *more: str, keys: str = "keys", fails: str = "") -> CompletedProcess[str]:
        """Run the command; what the board heard is in ``told``."""
        (self.folder / "told").write_text("")
        _asked.clear()
        said = ("--kind", "lamp", "--broker", "b.example.cz:8883", "--server", self.server, "--code", CODE, *more)
        files = ("--release", f"{self.release}/3.bin", "--keys", f"{self.release}/{keys}/release-keys.txt")
        env = {"PYTHONPATH": str(self.folder), "BOARD": str(self.folder / "told"), "FAILS": fails}
        return kraj("firmware", "flash", *files, *said, **env, KRAJ_WIFI_PASSWORD="a good password")

    def settings(self, text: str) -> tuple[str, str]:
        (self.folder / "lamp.toml").write_text(text)
        return "--settings", f"{self.folder}/lamp.toml"

    @property
    def told(self) -> list[str]:
        return (self.folder / "told").read_text().splitlines()

    @property
    def untouched(self) -> bool:
        """Whether nothing that changes the board was said to it."""
        return not any(word in line for line in self.told for word in ("os.remove", "erase", "write", "mount", "cp"))


@pytest.fixture
def bench(tmp_path: Path, release: Path, server: str, monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    return Bench(tmp_path, release, server)


def test_a_board_is_looked_at_then_enrolled_then_changed(bench: Bench) -> None:
    done = bench.flash("--image", f"{bench.folder}/image.bin", "--wifi", "depot")
    assert done.returncode == 0, done.stderr
    assert "lamp-1 starts" in done.stdout
    assert _asked == [CODE]
    order = ("flash_id", "erase_flash", "0x1000", "0x8000", "exec", "mount", "loader.mpy", ":main.py", "reset")
    assert len(bench.told) == len(order)
    assert all(word in line for word, line in zip(order, bench.told, strict=True))


def test_whatever_is_wrong_on_this_computer_is_found_before_the_board_and_the_code(bench: Bench) -> None:
    (bench.folder / "text").write_text("no image")
    (bench.folder / "old").write_bytes(IMAGE.replace(b"1.29", b"1.27"))
    (bench.folder / "large").write_bytes(IMAGE + bytes(1_200_000))
    wrong = {
        "not one of this region's": bench.flash(keys="other"),
        "did you mean output": bench.flash(*bench.settings('[parts]\nouput = { type = "pwm", pin = 25 }')),
        "this is no TOML": bench.flash(*bench.settings("[parts")),
        "lamp.tml: cannot be read (No such file": bench.flash("--settings", f"{bench.folder}/lamp.tml"),
        "--code: a code has 20 letters": bench.flash("--code", "7K2QF-0VNTD"),
        "none.bin: cannot be read": bench.flash("--image", f"{bench.folder}/none.bin"),
        "text is no image": bench.flash("--image", f"{bench.folder}/text"),
        "not MicroPython 1.29": bench.flash("--image", f"{bench.folder}/old"),
        "larger than its partition": bench.flash("--image", f"{bench.folder}/large"),
        "1 to 32 bytes": bench.flash("--wifi", "d" * 33),
    }
    for told, done in wrong.items():
        assert done.returncode == 2, (told, done.stdout)
        assert told in done.stderr, done.stderr
        assert "Traceback" not in done.stderr
    assert (bench.told, _asked) == ([], [])


def test_no_board_or_a_wrong_one_costs_no_code(bench: Bench) -> None:
    for more, fails in (((), "exec"), (("--image", f"{bench.folder}/image.bin"), "flash_id")):
        done = bench.flash(*more, fails=fails)
        assert done.returncode
        assert "no answer from the board" in done.stderr
        assert "Nothing on the board was changed." in done.stderr
        assert bench.untouched
        assert not _asked


def test_a_code_that_is_refused_leaves_the_board_as_it_was(bench: Bench) -> None:
    for more in ((), ("--image", f"{bench.folder}/image.bin")):
        done = bench.flash(*more, "--code", CODE.replace("7", "8"))
        assert "refuses the code: not known" in done.stderr
        assert "Nothing on the board was changed." in done.stderr
        assert len(_asked) == len(bench.told) == 1
        assert bench.untouched
    assert "does not answer" in bench.flash("--server", "http://127.0.0.1:9").stderr
    assert bench.untouched


def test_what_fails_after_the_code_is_used_says_how_the_board_stands(bench: Bench) -> None:
    done = bench.flash(fails="mount")
    assert "Its main.py was put back" in done.stderr
    assert "`kraj authority code NAME` gives a new one" in done.stderr
    assert ":main.py" in bench.told[-2]
    assert "reset" in bench.told[-1]
    done = bench.flash(fails="cp")
    assert "could not be put back" in done.stderr
    done = bench.flash("--image", f"{bench.folder}/image.bin", fails="0x8000")
    assert "What was on the board is gone" in done.stderr
    assert "0x8000" in bench.told[-1]


def test_a_step_that_fails_can_be_done_again_with_the_same_code(tmp_path: Path) -> None:
    asked: list[str] = []

    def again(why: str) -> bool:
        asked.append(why)
        (tmp_path / "cable").touch()
        return True

    test = f"import os; raise SystemExit(not os.path.exists({str(tmp_path / 'cable')!r}))"
    flashing.run([flashing.Step("one", (sys.executable, "-c", test))], lambda _: None, again)
    assert len(asked) == 1


def test_what_no_device_keeps_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="8 to 63"):
        flashing.wifi("depot", "short")
    assert flashing.wifi("depot", "") == "depot\n"
