"""The firmware from a bare board to a bad night: the real one, by the real commands, broker, database and pages.

Karel is the technician who puts a controller into a smart stop; Jana is the region's manager who updates it. The parts
follow one another: each goes on where the one before it ended.
"""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from kraj import firmware_blocks, firmware_release
from stack.firmware import building, flashing
from tests.acceptance.firmware_place import STOP, Town
from tests.conftest import fresh
from tests.ingest.rig import wait_until
from tests.stack.commanding import kraj

OLD, NEW, BAD, FORGED, LAST = "1.0.0", "1.1.0", "1.2.0", "1.3.0", "1.4.0"


@pytest.fixture(scope="module")
def town(_migrated: Any, module_folder: Path) -> Iterator[Town]:
    roles: Callable[[str], str]
    for roles in fresh(_migrated):
        made = Town(roles, module_folder)
        yield made
        made.close()


def command(*words: str, **env: str) -> str:
    done = kraj("firmware", *words, **env)
    assert done.returncode == 0, done.stderr
    return done.stdout


def built(town: Town, version: int, name: str) -> bytes:
    """A release of the firmware as it lies here, by the command."""
    file = town.folder / f"{version}.bin"
    key = town.folder / "keys" / building.KEY_FILES[0]
    command("build", "--key", str(key), "--version", str(version), "--name", name, "--out", str(file))
    return file.read_bytes()


def brought(town: Town, container: bytes) -> str:
    """A release is uploaded, and the broker has it; its digest."""
    answer = town.uploaded(container)
    assert answer.status_code == 201, answer.text
    digest = answer.json()["release"]
    where = f"/v1/firmware/releases/{digest}"
    wait_until(lambda: town.manager.get(where).json()["published_at"] is not None, "the broker has the blocks")
    return digest


def signed(town: Town, files: dict[str, bytes], version: int, name: str) -> bytes:
    key = building.read_key(town.folder / "keys" / building.KEY_FILES[0])
    ends = int(datetime.now(UTC).timestamp()) + 86_400
    return firmware_release.seal(key, files, version=version, name=name, runtime=building.RUNTIME, expires=ends)


def test_a_technicians_first_day_a_bare_board_becomes_a_device_that_is_seen(town: Town) -> None:
    keys = town.folder / "keys"
    command("key", str(keys))
    public = str(keys / building.PUBLIC_FILE)
    command("trust", "--keys", public, KRAJ_DATABASE_URL=town.owner)
    built(town, 1, OLD)
    code = town.manager.post(f"/v1/devices/{STOP.name}/provision").json()["code"]

    words = ["--release", str(town.folder / "1.bin"), "--keys", public, "--kind", "stop", "--wifi", "depot"]
    words += ["--broker", f"localhost:{town.broker.port}", "--server", town.site, "--code", code]
    with patch.object(flashing, "run", town.stop.flashed):
        said = command("flash", *words, "--settings", str(town.wiring()), KRAJ_WIFI_PASSWORD="hunter2-depot")
    assert f"installed: {STOP.name} runs {OLD}" in said
    assert f"{STOP.name} starts" in said
    assert "hunter2" not in said
    assert (town.stop.folder / "nvs.json").stat().st_mode & 0o777 == 0o600

    stop = town.stop.power()
    wait_until(town.stored, f"a reading is stored: {town.told()}")
    wait_until(lambda: stop.on.ring.counters.acknowledged, "it is acknowledged")
    # The name is the manifest's: what runs was taken from the slot by the loader, and not from the sources.
    # It runs in place, where it lies in the mapped slot.
    running = {"slot": 0, "trial": False, "version": 1, "name": OLD, "in_place": True}
    assert stop.on.state["running"] == running
    assert stop.on.state["troubles"] == []
    wait_until(lambda: f"<code>{OLD}</code>" in town.page(), "the device's page shows what it runs")
    device = town.manager.get(f"/v1/devices/{STOP.name}").json()
    assert device["firmware"] == OLD
    [asset] = town.manager.get("/v1/assets").json()["items"]
    wait_until(lambda: "13.1" in town.manager.get(f"/v1/assets/{asset['asset_id']}/latest").text, "and its battery")


def test_a_managers_update_is_loaded_tried_and_stays_and_no_reading_is_missed(town: Town) -> None:
    before = town.stored()
    release = brought(town, built(town, 2, NEW))
    campaign = town.campaign(release)
    wait_until(lambda: town.update(campaign)["state"] == "running", f"it runs: {town.told()}")
    assert (town.update(campaign)["firmware_before"], town.update(campaign)["firmware"]) == (OLD, NEW)
    wait_until(lambda: town.seen(campaign)["state"] == "done", "the campaign is done")
    wait_until(lambda: town.stop.runs(NEW), f"it is confirmed: {town.told()}")
    state = town.stop.on.state["state"]
    assert {name: state[name] for name in ("slot", "trial", "floor")} == {"slot": 1, "trial": 0, "floor": 2}
    assert town.manager.get(f"/v1/devices/{STOP.name}").json()["firmware"] == NEW
    on_trial = town.stored()
    assert before < on_trial
    wait_until(lambda: town.stored() > on_trial, "it goes on")
    assert_each_once(town, starts=2)


def test_a_bad_night_the_device_goes_back_by_itself_and_what_was_not_signed_never_runs(town: Town) -> None:
    good = built(town, 4, FORGED)
    changed = bytearray(good)
    changed[len(changed) // 2] ^= 1
    refused = town.uploaded(bytes(changed))
    assert (refused.status_code, refused.json()["type"]) == (422, "/problems/release_file")

    # A release that dies before it has a network: signed all the same.
    public = building.read_public(town.folder / "keys" / building.PUBLIC_FILE)
    whole = dict(firmware_release.read(good, public).files)
    broken = town.folder / "app.py"
    broken.write_text("raise RuntimeError('never tried on a board')\n")
    files = whole | {"node/app.mpy": building.compiled(broken, "node/app.mpy")}
    campaign = town.campaign(brought(town, signed(town, files, 3, BAD)))
    wait_until(lambda: town.failures() == 1, f"it says that it failed: {town.told()}")
    wait_until(lambda: town.seen(campaign)["state"] == "paused", "the campaign is paused")
    assert sum("never tried on a board" in line for line in town.stop.on.said) == 3, town.stop.on.said
    assert town.events()[-2:] == [("status", NEW), ("event", "update_failed")], "first what runs, then what did not"
    found = town.update(campaign)
    assert (found["state"], found["error"], found["firmware"]) == ("failed", "update_failed", NEW)
    assert town.seen(campaign)["error"] == "1 of 1 devices failed"
    wait_until(lambda: town.stop.runs(NEW), f"it is back: {town.told()}")
    town.step(campaign, "stop")

    # Somebody who has the password of a service slips a block of his own in among those of the next one.
    release = brought(town, good)
    town.forge(firmware_blocks.block_topic(release, 5), bytes(firmware_blocks.BLOCK_BYTES))
    campaign = town.campaign(release)
    wait_until(lambda: town.update(campaign)["state"] == "failed", f"it is refused: {town.told()}")
    wait_until(lambda: "update: Refused: file" in town.stop.on.state["troubles"], f"why: {town.told()}")
    assert town.stop.runs(NEW)
    assert town.stop.on.state["state"]["floor"] == 2
    town.step(campaign, "stop")

    # And while a whole one is on its way, the power goes in the whole street.
    starts = town.starts()
    town.stop.lose_power(60_000)
    campaign = town.campaign(brought(town, signed(town, whole, 5, LAST)))
    wait_until(lambda: town.starts() > starts, f"it is back: {town.told()}")
    wait_until(lambda: town.stop.runs(NEW), f"with its old version: {town.told()}")
    assert town.reset() == "power_on"
    assert town.update(campaign)["state"] == "accepted", "the power went while it was loading"
    town.quarter_of_an_hour_goes_by()
    wait_until(lambda: town.update(campaign)["state"] == "running", f"told again, it gets it: {town.told()}")
    assert town.manager.get(f"/v1/devices/{STOP.name}").json()["firmware"] == LAST
    assert_each_once(town, starts=5)


def assert_each_once(town: Town, starts: int) -> None:
    """From the first number to the last there is each one, once: nothing was lost, and nothing counted twice."""
    wait_until(lambda: town.starts() == starts, f"its newest start is known: {town.told()}")
    wait_until(lambda: town.stop.on.state.get("pending", 9) <= 1, f"all is acknowledged: {town.told()}")
    marks = town.marks()
    numbers = [seq for _, seq in marks]
    assert numbers == list(range(1, len(numbers) + 1))
    assert [boot for boot, _ in marks] == sorted(boot for boot, _ in marks)


def test_a_device_that_worries_her_starts_in_safe_mode_when_she_says_so_and_says_that_it_does(town: Town) -> None:
    url = f"/v1/devices/{STOP.name}"
    assert town.manager.get(url).json()["safe_mode"] is False
    answer = town.manager.post(f"{url}/safe-mode", json={"reason": "Po bouřce se sama restartuje."})
    assert answer.status_code == 200, answer.text
    wait_until(lambda: town.manager.get(url).json()["safe_mode"], f"it runs in safe mode: {town.told()}")
    wait_until(lambda: town.stop.on.state.get("safe"), f"and says so itself: {town.told()}")
    page = town.page()
    assert "běží v nouzovém režimu" in page
    assert "Po bouřce se sama restartuje." in page
    assert town.reset() == "software"
    stored = town.stored()
    town.stop.on.restart()  # for once: the next start is an ordinary one
    wait_until(lambda: town.manager.get(url).json()["safe_mode"] is False, f"it is back: {town.told()}")
    wait_until(lambda: town.stored() > stored, f"and measures: {town.told()}")
