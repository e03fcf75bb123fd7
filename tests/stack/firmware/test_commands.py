"""The commands of `kraj firmware`: keys, a release of the real sources, its check, and the steps of a new device."""

import argparse
import importlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from kraj import certificates, firmware_release
from kraj.errors import ConfigurationError, UnavailableError
from stack.firmware import building, flashing, partitions
from tests.stack.commanding import kraj

COMMANDS = ("key", "trust", "build", "verify", "flash", "constants")
CODE = "7K2QF-0VNTD-M4X8A-Z19CE"
SAID = ("--kind", "lamp", "--broker", "broker.example.cz:8883", "--server", "https://k.example.cz", "--code", CODE)
IMAGE = b"\xe9" + b"\xff" * flashing.IMAGE_BYTES_MIN + b"MicroPython v1.29.0"
IDENTITY = flashing.Identity("olsinka", "lamp-1", {"key": "K", "cert": "C", "roots": "R"})


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with keys and a release of version 3."""
    folder = tmp_path_factory.mktemp("firmware")
    assert kraj("firmware", "key", str(folder / "keys")).returncode == 0
    done = kraj(*f"firmware build --key {folder}/keys/release-1.pem --version 3 --out {folder}/3.bin".split())
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_each_command_teaches_by_an_example(command: str) -> None:
    assert f"Example: kraj firmware {command}" in kraj("firmware", command, "--help").stdout


def test_keys_are_two_and_readable_by_their_owner_alone_and_never_replaced(made: Path) -> None:
    files = [made / "keys" / name for name in building.KEY_FILES]
    assert [file.stat().st_mode & 0o777 for file in files] == [0o600, 0o600]
    assert len(set(building.read_public(made / "keys" / building.PUBLIC_FILE))) == 2
    before = [file.read_bytes() for file in files]
    again = kraj("firmware", "key", str(made / "keys"))
    assert again.returncode == 2
    assert "by cable only" in again.stderr
    assert [file.read_bytes() for file in files] == before


def test_the_platform_is_told_by_which_keys_releases_are_signed(made: Path, database_url: str) -> None:
    public = made / "keys" / building.PUBLIC_FILE
    for _ in range(2):
        done = kraj("firmware", "trust", "--keys", str(public), KRAJ_DATABASE_URL=database_url)
        assert done.returncode == 0, done.stderr
    with psycopg.connect(database_url) as connection:
        kept = connection.execute("SELECT public FROM firmware_key ORDER BY place").fetchall()
    assert [key for (key,) in kept] == building.read_public(public)


def test_a_release_holds_every_file_of_the_firmware_and_verifies(made: Path) -> None:
    done = kraj("firmware", "verify", f"{made}/3.bin", "--keys", f"{made}/keys/release-keys.txt", "--json")
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert (said["version"], said["runtime"], said["product"]) == (3, "mpy 6", "kraj-node")
    names = {name for name, _, _ in said["files"]}
    assert {"node/update.mpy", "node/program.mpy", "board/flash.mpy"} <= names
    assert not names & {"loader.mpy", "install.mpy", "manifest.mpy"}
    assert names == {str(path.with_suffix(".mpy")) for path in building.sources()}


def test_a_release_of_somebody_else_or_changed_is_refused(made: Path, tmp_path: Path) -> None:
    kraj("firmware", "key", str(tmp_path))
    other = kraj("firmware", "verify", f"{made}/3.bin", "--keys", str(tmp_path / "release-keys.txt"))
    assert (other.returncode, "is not one of this region's" in other.stderr) == (2, True)
    data = bytearray((made / "3.bin").read_bytes())
    data[-1] ^= 1
    (tmp_path / "bad.bin").write_bytes(data)
    bad = kraj("firmware", "verify", str(tmp_path / "bad.bin"), "--keys", f"{made}/keys/release-keys.txt")
    assert (bad.returncode, "are not those that were signed" in bad.stderr) == (2, True)


def test_a_dry_run_prints_all_steps_in_order_and_no_secret(made: Path, tmp_path: Path) -> None:
    (tmp_path / "image.bin").write_bytes(IMAGE)
    files = ("--release", f"{made}/3.bin", "--keys", f"{made}/keys/release-keys.txt")
    done = kraj("firmware", "flash", *files, *SAID, "--image", f"{tmp_path}/image.bin", "--dry-run")
    assert done.returncode == 0, done.stderr
    order = ("flash_id", "/v1/enrol", "erase_flash", "0x1000", "0x8000", "exec", "install.py", "loader.mpy", ":main.py")
    places = [done.stdout.index(word) for word in (*order, "reset")]
    assert places == sorted(places)
    assert CODE not in done.stdout
    again = kraj("firmware", "flash", *files, *SAID, "--dry-run").stdout
    assert "esptool" not in again
    assert again.index("find(1, label=name)") < again.index("/v1/enrol") < again.index("os.remove")


@pytest.mark.parametrize("words", [("--kind", "tram"), ("--broker", "example.cz"), ("--broker", "example.cz:0")])
def test_what_a_device_could_not_use_is_refused_before_anything_runs(made: Path, words: tuple[str, str]) -> None:
    files = ("--release", f"{made}/3.bin", "--keys", f"{made}/keys/release-keys.txt")
    done = kraj("firmware", "flash", *files, *SAID, *words, "--dry-run")
    assert done.returncode == 2
    assert words[1] in done.stderr


def test_what_goes_onto_a_device_is_private_and_complete(made: Path, tmp_path: Path) -> None:
    keys = building.read_public(made / "keys" / building.PUBLIC_FILE)
    parts = {"light": {"type": "pwm", "pin": 4}}
    said = flashing.settings(IDENTITY, "stop", "b.example.cz:8883", {"parts": parts})
    flashing.prepare(tmp_path, (made / "3.bin").read_bytes(), keys)
    flashing.address(tmp_path, keys, said, IDENTITY.secrets)
    plan = json.loads((tmp_path / "install.json").read_text())
    assert plan["settings"]["parts"] == parts
    assert plan["secrets"] == IDENTITY.secrets
    assert (tmp_path / "install.json").stat().st_mode & 0o777 == 0o600
    for step in (*flashing.last_steps("/dev/x", tmp_path), *flashing.back_steps("/dev/x", tmp_path)):
        for word in step.command:
            assert Path(word).exists() or not word.startswith(str(tmp_path)), word
    with pytest.raises(ConfigurationError, match="must not say kind"):
        flashing.settings(IDENTITY, "stop", "b:1", {"kind": "lamp"})
    gear = {"type": "dali", "tx": 4, "rx": 5, "curve": "linear", "inverted": False}
    many = {f"output{n}": {**gear, "address": n} for n in range(1, 16)}
    with pytest.raises(ConfigurationError, match="1536"):
        flashing.settings(flashing.LONGEST, "lamp", "broker.example.cz:8883", {"lamps": 16, "parts": many})


def test_mpremote_understands_every_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By its own parser; what it would do to a board is written down instead."""
    remote: Any = importlib.import_module("mpremote.main")
    done: list[tuple[str, ...]] = []

    def noting(name: str, action: bool) -> Callable[[Any, Any], None]:
        def note(state: Any, given: argparse.Namespace) -> None:
            words: dict[str, Any] = {
                key: value for key, value in vars(given).items() if key != "next_command" and value
            }
            done.append((name, *(str(words[key]) for key in sorted(words))))
            if action:
                state.did_action()

        return note

    def waits(*_: object) -> None:
        pytest.fail("it would wait at the board's prompt")

    passive = ("connect", "sleep")
    commands = {name: (noting(name, name not in passive), parser) for name, (_, parser) in remote._COMMANDS.items()}
    monkeypatch.setattr(remote, "_COMMANDS", commands)
    monkeypatch.setattr(remote, "do_repl", waits)
    steps = [
        *flashing.first_looks("/dev/x", None),
        *flashing.first_steps("/dev/x", tmp_path, None),
        *flashing.last_steps("/dev/x", tmp_path),
        *flashing.back_steps("/dev/x", tmp_path),
    ]
    for step in steps:
        assert step.command[:3] == (sys.executable, "-m", "mpremote")
        monkeypatch.setattr(sys, "argv", ["mpremote", *step.command[3:]])
        assert remote.main() == 0, step
    names = [words[0] for words in done if words[0] != "connect"]
    looked, first = ["exec", "exec", "sleep"], ["exec", "exec", "sleep"]
    assert names == [*looked, *first, "mount", "run", "fs", "fs", "exec", "fs", "exec"]
    assert sum(words[1] == "['/dev/x']" for words in done) == len(steps)


def test_a_code_becomes_an_identity_whose_key_was_made_here() -> None:
    asked: list[dict[str, str]] = []

    def post(url: str, *, json: dict[str, str], timeout: float) -> httpx.Response:
        asked.append(json)
        assert (url, timeout) == ("https://k.example.cz/v1/enrol", flashing.TIMEOUT_S)
        return httpx.Response(200, json={"topic": "kraj/olsinka/lamp-1", "certificate": "C", "roots": "R"})

    found = flashing.enrol("https://k.example.cz/", CODE, post=post)
    assert (found.municipality, found.device) == ("olsinka", "lamp-1")
    csr = certificates.read_request(asked[0]["csr"].encode())
    assert certificates.public_key(csr) == certificates.read_key(found.secrets["key"].encode()).public_key()

    def refuse(url: str, **_: object) -> httpx.Response:
        return httpx.Response(409, json={"detail": "the code was used"})

    with pytest.raises(ConfigurationError, match="the code was used"):
        flashing.enrol("https://k.example.cz", CODE, post=refuse)
    with pytest.raises(UnavailableError, match="does not answer"):
        flashing.enrol("http://127.0.0.1:9", CODE)


def test_the_first_step_that_fails_ends_it() -> None:
    said: list[str] = []
    steps = [flashing.Step("one", (sys.executable, "-c", "raise SystemExit('no board')")), flashing.Step("two", ("x",))]
    with pytest.raises(UnavailableError, match="no board"):
        flashing.run(steps, said.append)
    assert said == ["one"]


def test_partitions_fill_four_megabytes_and_fit_the_image_that_micropython_gives_out() -> None:
    found = partitions.read(building.ROOT / "partitions.csv")
    assert [(found[name].offset, found[name].size) for name in ("ota_0", "ota_1")] == [
        (0x10000, 0x180000),
        (0x190000, 0x180000),
    ]
    assert {name: found[name].sectors for name in ("state", "ring", "romfs", "vfs")} == {
        "state": 4,
        "ring": 160,
        "romfs": 68,
        "vfs": 8,
    }
    assert max(part.offset + part.size for part in found.values()) == partitions.FLASH_BYTES
    table = partitions.table(found)
    assert len(table) == 0xC00
    assert table[:12] == b"\xaa\x50\x01\x02" + (0x9000).to_bytes(4, "little") + (0x4000).to_bytes(4, "little")
    assert table[32 * len(found) :][:2] == b"\xeb\xeb"


def test_partitions_that_overlap_or_leave_flash_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "partitions.csv"
    for wrong in ("a, data, nvs, 0x8000, 0x1000", "a, data, nvs, 0x9000, 0x100", "a, data, nvs, 0x3ff000, 0x2000"):
        file.write_text(wrong + "\n")
        with pytest.raises(ConfigurationError):
            partitions.read(file)


def test_bytecode_for_another_interpreter_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.py").write_text("X = 1\n")
    assert building.compiled(tmp_path / "a.py", "a.mpy")[:2] == b"M\x06"
    monkeypatch.setattr(building, "RUNTIME", "mpy 5")
    with pytest.raises(ConfigurationError, match="bytecode 6"):
        building.compiled(tmp_path / "a.py", "a.mpy")
    (tmp_path / "b.py").write_text("x = (\n")
    with pytest.raises(ConfigurationError, match="refuses b"):
        building.compiled(tmp_path / "b.py", "b.mpy")


def test_native_code_is_compiled_for_the_esp32(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("import micropython\n@micropython.native\ndef f(x):\n    return x\n")
    assert building.compiled(tmp_path / "a.py", "a.mpy")[2] >> 2 == building.XTENSAWIN


def test_the_loader_fits_the_small_file_system() -> None:
    """Each file in one sector of 4 KB, beside two for the folder and one to spare, of eight."""
    sizes = [len(code) for code in building.loader().values()]
    assert max(sizes) <= 4096
    assert len(sizes) <= 5


def test_an_image_that_freezes_the_names_has_nearly_all_that_a_release_uses(made: Path) -> None:
    """`kraj firmware constants` writes them anew; each that is missing costs a device a few bytes."""
    keys = building.read_public(made / "keys" / building.PUBLIC_FILE)
    files = firmware_release.read((made / "3.bin").read_bytes(), keys).files
    used = {name for code in files.values() for name in building.names_of(code)}
    frozen = set(building.names_of(building.compiled(building.ROOT / building.NAMES, "names.mpy")))
    assert len(used) > 500
    assert len(used - frozen) < len(used) // 6


def test_the_same_sources_give_the_same_release(made: Path) -> None:
    key = building.read_key(made / "keys/release-1.pem")
    release = firmware_release.read((made / "3.bin").read_bytes(), [firmware_release.public_bytes(key.public_key())])
    environment = os.environ | {"PYTHONHASHSEED": "1"}
    script = (
        "import sys, datetime as d; from pathlib import Path; from stack.firmware import building as b; "
        f"sys.stdout.buffer.write(b.build(b.read_key(Path({str(made / 'keys/release-1.pem')!r})), version=3, "
        f"name={release.manifest.name!r}, now=d.datetime.fromtimestamp({release.manifest.expires}, d.UTC), "
        "life=d.timedelta(0)))"
    )
    again = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True, env=environment)
    assert again.stdout == release.container
