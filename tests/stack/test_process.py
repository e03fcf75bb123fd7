"""Children die with their parent, and their logs stay within bounds."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from kraj.errors import ConfigurationError
from stack import process
from stack.process import end, free_port, mortal, permits, rotate, service_account, spawn, tail
from tests.waiting import PATIENCE_S


def test_a_log_is_set_aside_while_its_child_writes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "LOG_BYTES_MAX", 1000)
    log = tmp_path / "child.log"
    child = spawn(["sh", "-c", "while echo line; do sleep 0.001; done"], log=log, folder=tmp_path)
    deadline = time.monotonic() + PATIENCE_S
    while log.stat().st_size <= 1000:
        assert time.monotonic() < deadline
    rotate(log)
    assert (tmp_path / "child.log.1").stat().st_size > 1000
    while "line" not in tail(log):  # it writes to the emptied file, from its begin
        assert time.monotonic() < deadline
    child.kill()
    child.wait()
    assert log.read_bytes().startswith(b"line\n")


def test_a_log_that_cannot_be_set_aside_on_a_full_disk_stays_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "LOG_BYTES_MAX", 10)
    log, aside = tmp_path / "child.log", tmp_path / "child.log.1"
    log.write_text("what was said")
    aside.symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left"):
        aside.write_text("anything")
    rotate(log)
    assert log.read_text() == "what was said"
    rotate(log)  # nothing is in the way any more
    assert (log.read_text(), aside.read_text()) == ("", "what was said")


def test_a_child_keeps_its_number_and_dies_with_its_parent(tmp_path: Path) -> None:
    code = (
        "import subprocess, time; from stack.process import mortal\n"
        "print(subprocess.Popen(mortal(['sleep', '60'])).pid, flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = psutil.Process(int(parent.stdout.readline()))
        deadline = time.monotonic() + PATIENCE_S
        while child.name() != "sleep":
            assert time.monotonic() < deadline
        parent.kill()
        assert not psutil.wait_procs([child], timeout=PATIENCE_S)[1]


def test_children_whose_parents_die_at_once_do_not_stay(tmp_path: Path) -> None:
    code = (
        "import os; from pathlib import Path; from stack.process import spawn\n"
        "child = spawn(['sleep', '600'], log=Path('log'), folder=Path())\n"
        "print(child.pid, flush=True); os.kill(os.getpid(), 9)"
    )
    command = [sys.executable, "-c", code]
    env = {**os.environ, "PYTHONPATH": str(Path(process.__file__).parents[1])}
    said = [subprocess.run(command, stdout=subprocess.PIPE, cwd=tmp_path, env=env, check=False) for _ in range(10)]
    children: list[psutil.Process] = []
    for one in said:
        with contextlib.suppress(psutil.NoSuchProcess):
            children.append(psutil.Process(int(one.stdout)))
    assert not psutil.wait_procs(children, timeout=PATIENCE_S)[1]


def test_a_command_for_another_parent_is_not_run(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    ran = subprocess.run(["sh", "-c", '"$@"; exit $?', "sh", *mortal(["touch", str(mark)])], check=False)
    assert ran.returncode != 0
    assert not mark.exists()
    assert subprocess.run(mortal(["touch", str(mark)]), check=False).returncode == 0
    assert mark.exists()


def test_a_child_that_does_not_listen_is_killed_at_last(tmp_path: Path) -> None:
    child = spawn(
        ["sh", "-c", "trap '' TERM; echo ready; while :; do sleep 0.1; done"], log=tmp_path / "log", folder=tmp_path
    )
    deadline = time.monotonic() + PATIENCE_S
    while "ready" not in tail(tmp_path / "log"):
        assert time.monotonic() < deadline
    end(child, (signal.SIGTERM, 0.2))
    assert child.returncode == -signal.SIGKILL


def test_a_free_port_is_kept_for_who_asks_for_it_by_number() -> None:
    address = ("127.0.0.1", free_port())
    with socket.socket() as other, pytest.raises(OSError, match="already in use"):
        other.bind(address)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address, 1)
    socket.create_server(address).close()


def test_a_missing_setpriv_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigurationError, match="util-linux"):
        mortal(["true"])


def test_an_account_without_privileges_does_not_reach_a_closed_folder(open_folder: Path) -> None:
    account = service_account("kraj-postgres")
    if account is None:  # we are not root, and the services run as ourselves
        assert permits(None, "-x", open_folder)
        return
    closed = open_folder / "closed"
    closed.mkdir(mode=0o700)
    assert permits(account, "-x", open_folder)
    assert not permits(account, "-w", open_folder)
    assert not permits(account, "-x", closed / ".")
