"""The supervisor brings back what dies, and leaves nothing behind, however it ends itself."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from kraj.errors import UnavailableError
from stack.supervisor import STOP_S_MAX, Program, Supervisor, ending
from tests.waiting import PATIENCE_S

SLEEPER = "import sys, time\nprint('begin', flush=True)\ntime.sleep(600)"
STUBBORN = "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\ntime.sleep(600)"

RUN = """
import asyncio, sys
from pathlib import Path
from stack.broker import Broker
from stack.database import EmbeddedPostgres
from stack.supervisor import Program, Supervisor
folder = Path(sys.argv[1])
units = [(name, Program([sys.executable, "-c", code], log=folder / f"{name}.log"))
         for name, code in zip(sys.argv[2::2], sys.argv[3::2])]
if "servers" in folder.name:
    units = [("database", EmbeddedPostgres(folder / "database", shared_buffers="32MB")),
             ("broker", Broker(folder / "broker", open=True)), *units]

def ready():
    print("ready", *(server.process.pid for _, server in units), flush=True)

asyncio.run(Supervisor(tell=lambda line: print(line, flush=True)).run(units, on_ready=ready))
print("over", flush=True)
"""


class Running:
    """A supervisor in a process of its own."""

    def __init__(self, folder: Path, **programs: str) -> None:
        arguments = [text for pair in programs.items() for text in pair]
        command = [sys.executable, "-c", RUN, str(folder), *arguments]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)

    def line(self, start: str) -> str:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.startswith(start):
                return line.strip()
        raise AssertionError(f"no line {start!r}")

    def children(self) -> list[psutil.Process]:
        return [psutil.Process(int(pid)) for pid in self.line("ready").split()[1:]]


@pytest.fixture
def running(open_folder: Path) -> Iterator[Callable[..., Running]]:
    started: list[Running] = []

    def run(folder: str = "programs", **programs: str) -> Running:
        (open_folder / folder).mkdir()
        started.append(Running(open_folder / folder, **programs))
        return started[-1]

    yield run
    for one in started:
        one.process.kill()
        one.process.wait()
        assert one.process.stdout is not None
        one.process.stdout.close()


def test_what_is_killed_runs_again_and_the_terminal_hears_of_it(running: Callable[..., Running]) -> None:
    supervisor = running(first=SLEEPER, second=SLEEPER)
    first, second = supervisor.children()
    first.kill()
    assert "was killed by SIGKILL; starting it again in 0.2 s" in supervisor.line("first")
    assert supervisor.line("first") == "first runs again"
    children = psutil.Process(supervisor.process.pid).children()
    assert len(children) == 2
    assert second in children
    assert first not in children


def test_what_dies_again_and_again_is_started_less_and_less_often(running: Callable[..., Running]) -> None:
    supervisor = running(bad="import sys; print('no fuel'); sys.exit(3)")
    lines = [supervisor.line("bad ended with exit code 3 (no fuel); starting") for _ in range(4)]
    waits = [float(line.split(" in ")[1].split()[0]) for line in lines]
    assert waits == [0.2, 0.4, 0.8, 1.6]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_everything_last_first(
    running: Callable[..., Running], open_folder: Path, number: signal.Signals
) -> None:
    order = open_folder / "order"
    said = (
        "import signal, sys, time\n"
        "def told(*_):\n"
        f"    with open({str(order)!r}, 'a') as file: file.write(NAME)\n"
        "    sys.exit()\n"
        "signal.signal(signal.SIGTERM, told)\nprint('begin', flush=True)\ntime.sleep(600)"
    )
    supervisor = running(first=said.replace("NAME", "'1'"), second=said.replace("NAME", "'2'"))
    children = supervisor.children()
    for name in ("first", "second"):
        wait_for((open_folder / "programs" / f"{name}.log").read_text, "begin")
    supervisor.process.send_signal(number)
    supervisor.line("over")
    assert supervisor.process.wait(PATIENCE_S) == 0
    assert not any(child.is_running() for child in children)
    assert order.read_text() == "21"


def test_kill_9_of_the_supervisor_leaves_nothing_behind(running: Callable[..., Running]) -> None:
    supervisor = running("servers", first=SLEEPER, stubborn=STUBBORN)
    children = supervisor.children()
    assert [child.name() for child in children][:2] == ["postgres", "mosquitto"]
    supervisor.process.kill()
    assert not psutil.wait_procs(children, timeout=PATIENCE_S)[1]


def test_a_second_signal_ends_at_once_even_what_does_not_listen(running: Callable[..., Running]) -> None:
    supervisor = running(stubborn=STUBBORN + "\n")
    children = supervisor.children()
    time.sleep(0.3)  # until it does not listen; were it not so yet, the test would only prove less
    supervisor.process.send_signal(signal.SIGTERM)
    supervisor.line("stopping")
    supervisor.process.send_signal(signal.SIGINT)
    assert supervisor.process.wait(STOP_S_MAX - 1) == 130
    assert not psutil.wait_procs(children, timeout=PATIENCE_S)[1]


def test_database_and_broker_come_back_with_their_addresses(running: Callable[..., Running]) -> None:
    supervisor = running("servers")
    for child in supervisor.children():
        child.kill()
    back: set[str] = set()
    while len(back) < 2:
        line = supervisor.line("")
        if line.endswith("runs again"):
            back.add(line.split()[0])
    assert back == {"database", "broker"}
    supervisor.process.send_signal(signal.SIGTERM)
    supervisor.line("over")


async def test_what_never_gets_ready_is_named_and_the_rest_is_stopped(open_folder: Path) -> None:
    before = set(psutil.Process(os.getpid()).children())
    good = Program([sys.executable, "-c", SLEEPER], log=open_folder / "good.log")
    bad = Program([sys.executable, "-c", "raise SystemExit('no fuel')"], log=open_folder / "bad.log", ready=never)
    with pytest.raises(UnavailableError, match=r"bad did not start.*exit code 1(.|\n)*no fuel"):
        await Supervisor(tell=print).run([("good", good), ("bad", bad)], on_ready=fail)
    assert good.process is None
    assert set(psutil.Process(os.getpid()).children()) <= before


async def test_a_signal_during_a_slow_start_is_heeded(open_folder: Path) -> None:
    slow = Program([sys.executable, "-c", SLEEPER], log=open_folder / "slow.log", ready=never)
    asyncio.get_running_loop().call_later(0.3, os.kill, os.getpid(), signal.SIGTERM)
    await asyncio.wait_for(Supervisor(tell=print).run([("slow", slow)], on_ready=fail), PATIENCE_S)
    assert slow.process is None


async def test_units_start_in_order_each_when_the_one_before_is_ready(open_folder: Path) -> None:
    log = open_folder / "first.log"
    first = Program([sys.executable, "-c", SLEEPER], log=log, ready=lambda: log.exists() and "begin" in log.read_text())
    second = Program([sys.executable, "-c", SLEEPER], log=open_folder / "second.log")

    def ready() -> None:
        assert "begin" in log.read_text()
        os.kill(os.getpid(), signal.SIGTERM)

    await Supervisor(tell=print).run([("first", first), ("second", second)], on_ready=ready)


def test_an_ending_is_said_in_words() -> None:
    assert ending(2) == "ended with exit code 2"
    assert ending(-9) == "was killed by SIGKILL"


def never() -> bool:
    return False


def fail() -> None:
    raise AssertionError("not ready")


def wait_for(read: Callable[[], str], text: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while text not in read():
        assert time.monotonic() < deadline
        time.sleep(0.01)
