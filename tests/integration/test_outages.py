"""Whatever dies and whenever: what a device was told is safe is in the database once, and the rest comes again."""

import contextlib
import signal
import socket
import threading
import time
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import mqtt5
import pytest
from psycopg import conninfo

from ingest import packets
from stack.broker import Broker
from stack.database import OWNER, EmbeddedPostgres
from tests.conftest import fresh, with_template
from tests.ingest.rig import TOWN, Devices, Ingest, Load, Site, now_ms, query, refused, wait_until
from tests.waiting import ATTEMPTS

READINGS_PER_S = 300
TAKEN_OVER_S_MAX = 6.0
MEGABYTE = 1 << 20


@pytest.fixture(scope="module")
def server(module_folder: Path) -> Iterator[EmbeddedPostgres]:
    """A database server that tests of this file may kill."""
    with EmbeddedPostgres(module_folder, shared_buffers="64MB", tcp_port=0) as server:
        yield with_template(server)


@pytest.fixture
def site(server: EmbeddedPostgres, open_folder: Path) -> Iterator[Site]:
    server.start()
    for url in fresh(server):
        with Broker(open_folder / "broker", open=True) as broker:
            yield Site(url(OWNER), broker, open_folder)
        server.start()  # a test may have left it dead


def settle(devices: Devices, site: Site) -> None:
    """Devices send again what they keep until nothing is left; then everything is stored, each reading once."""
    assert devices.sent
    told = set(devices.acknowledged)
    missing = told - site.stored().keys()
    assert missing == set()  # what a device has forgotten is in the database, also before anybody sends again

    def nothing_kept() -> bool:
        if devices.send_again():
            with contextlib.suppress(AssertionError):
                wait_until(lambda: not devices.kept, "acknowledged", 2)
        return not devices.kept

    wait_until(nothing_kept, "every reading is acknowledged")
    assert site.stored() == dict.fromkeys(devices.sent, 1)


@pytest.mark.parametrize("victim", ["database", "broker", "ingest"])
def test_nothing_acknowledged_is_lost_and_nothing_is_doubled_when_one_is_killed_under_load(
    site: Site, server: EmbeddedPostgres, victim: str
) -> None:
    lamps = site.lamps(20)
    with contextlib.ExitStack() as stack:
        devices = stack.enter_context(Devices(site.broker.port))
        ingest = stack.enter_context(site.ingest()).ready()
        with Load(devices, lamps, READINGS_PER_S):
            for _ in range(2):
                known = len(devices.acknowledged)
                wait_until(lambda known=known: len(devices.acknowledged) > known + 200, "acknowledgements")
                if victim == "database":
                    server.kill()
                    server.start()
                elif victim == "broker":
                    site.broker.kill()
                    site.broker.start()
                else:
                    ingest.kill()
                    ingest = stack.enter_context(site.ingest())
            ingest.ready()
            known = len(devices.acknowledged)
            wait_until(lambda: len(devices.acknowledged) > known, "acknowledgements after the last kill")
        assert ingest.alive
        settle(devices, site)


class Cut:
    """Between ingest and the database: brings a COMMIT there, and cuts the line instead of bringing the answer."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.cuts_left = 0
        self.cuts = 0
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        return conninfo.make_conninfo(self._url, port=str(self._listener.getsockname()[1]))

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                far = socket.create_connection(("127.0.0.1", int(str(conninfo.conninfo_to_dict(self._url)["port"]))))
                doomed = threading.Event()
                threading.Thread(target=self._carry, args=(near, far, doomed), daemon=True).start()
                threading.Thread(target=self._bring_back, args=(far, near, doomed), daemon=True).start()

    def _carry(self, near: socket.socket, far: socket.socket, doomed: threading.Event) -> None:
        with contextlib.suppress(OSError):
            while data := near.recv(1 << 16):
                if b"; COMMIT\0" in data and self.cuts_left:
                    self.cuts_left -= 1
                    doomed.set()
                far.sendall(data)
            far.shutdown(socket.SHUT_WR)

    def _bring_back(self, far: socket.socket, near: socket.socket, doomed: threading.Event) -> None:
        with contextlib.suppress(OSError), near, far:
            while (data := far.recv(1 << 16)) and not doomed.is_set():
                near.sendall(data)
            self.cuts += doomed.is_set()
            near.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._listener.close()


def test_a_commit_whose_answer_is_lost_counts_once(site: Site, server: EmbeddedPostgres) -> None:
    lamps = site.lamps(3)
    (database,) = query(site.url, "SELECT current_database()")
    with contextlib.closing(Cut(server.url(database=database, tcp=True))) as cut, Devices(site.broker.port) as devices:
        with Site(cut.url, site.broker, site.folder).ingest() as ingest:
            ingest.ready()
            devices.await_ack(devices.send(lamps[0]))
            for n in range(2):
                cut.cuts_left = 1
                marks = [devices.send(lamps[1]), devices.send(lamps[2], voltage_v=1e6), devices.send(lamps[2], ts=n)]
                devices.await_ack(*marks)
                assert cut.cuts == n + 1
            found = ingest.balance()
        assert found == {"received": 7, "committed": 5, "duplicate": 0, "quarantined": 2, "in_flight": 0}
        assert query(site.url, "SELECT times FROM quarantine") == [1] * 4


def test_while_the_database_is_away_ingest_rests_and_says_so_and_then_goes_on(
    site: Site, server: EmbeddedPostgres
) -> None:
    lamps = site.lamps(20)
    with Devices(site.broker.port) as devices, site.ingest() as ingest:
        ingest.ready()
        devices.await_ack(*(devices.send(lamp) for lamp in lamps))
        before = ingest.memory_bytes()
        with Load(devices, lamps, 100):
            server.kill()
            wait_until(lambda: ingest.figure("database_up") == 0, "it is noticed")
            began, cpu = time.monotonic(), ingest.cpu_s()
            wait_until(lambda: ingest.figure('commit_retries_total{why="database away"}') >= 5, "several tries")
            assert ingest.cpu_s() - cpu < 0.3 * (time.monotonic() - began)
            pauses = [line["retry_in_s"] for line in ingest.said("database away")]
            reading = pauses[1] == 0.1  # then it was not a commit that met the end of the database, and it says so, too
            assert pauses[reading : reading + 5] == [0.1, 0.2, 0.4, 0.8, 1.0]
            assert ingest.figure('commit_retries_total{why="commit"}') == (not reading)
            server.start()
            devices.await_ack(devices.send(lamps[0]))
        assert ingest.memory_bytes() - before < 50 * MEGABYTE
        settle(devices, site)


def test_what_comes_without_a_window_does_not_fill_memory_while_the_database_is_away(
    site: Site, server: EmbeddedPostgres
) -> None:
    (lamp,) = site.lamps(1)
    with site.ingest() as ingest, Devices(site.broker.port) as devices:
        ingest.ready()
        devices.await_ack(devices.send(lamp))
        server.kill()
        wait_until(lambda: ingest.figure("database_up") == 0, "it is noticed")
        before = ingest.memory_bytes()
        head = packets.publish_head(f"kraj/{TOWN}/{lamp}/telemetry")
        burst = packets.publish(head, b'{"ts":%d}' % now_ms()) * 1000
        with socket.create_connection(("127.0.0.1", site.broker.port)) as connection:
            connection.sendall(mqtt5.ConnectPacket("shouter").write())
            assert connection.recv(100)[0] == 0x20
            for _ in range(200):
                connection.sendall(burst)
            wait_until(lambda: ingest.said("inbox is full, reading no further"), "it holds back")
            reached = ingest.memory_bytes()
            for _ in range(200):
                connection.sendall(burst)
            connection.sendall(mqtt5.PingReqPacket().write())
            assert connection.recv(100)[0] == 0xD0  # the broker has read them all
        assert ingest.memory_bytes() - reached < 20 * MEGABYTE
        assert ingest.memory_bytes() - before < 150 * MEGABYTE
        ingest.kill()


def test_a_standby_takes_the_slot_over_when_its_holder_is_killed(site: Site) -> None:
    with takes_over(site, lambda ingest: ingest.kill()):
        pass


def test_a_standby_takes_the_slot_over_when_its_holder_is_stopped_and_keeps_it_when_that_wakes_up(site: Site) -> None:
    with takes_over(site, lambda ingest: ingest.signal(signal.SIGSTOP)) as (stopped, holder, devices):
        stopped.signal(signal.SIGCONT)
        wait_until(lambda: stopped.said("another ingest holds the slot; standing by"), "it stands by")
        wait_until(lambda: holder.figure("broker_up") == 1, "the holder has its session")
        devices.await_ack(devices.send("lamp-0"))
        assert (stopped.figure("database_up"), holder.figure("database_up")) == (0, 1)


@contextlib.contextmanager
def takes_over(site: Site, end: Callable[[Ingest], None]) -> Generator[tuple[Ingest, Ingest, Devices]]:
    """Within seconds; a busy machine may be late, but not each time."""
    lamps, took_s = site.lamps(10), TAKEN_OVER_S_MAX
    with Devices(site.broker.port) as devices:
        for _ in range(ATTEMPTS):
            with site.ingest() as first, contextlib.ExitStack() as stack:
                first.ready()
                second = stack.enter_context(site.ingest())
                with Load(devices, lamps, READINGS_PER_S):
                    took_s = taken_over_s(devices, second, lambda first=first: end(first))
                    if took_s < TAKEN_OVER_S_MAX:
                        yield first, second, devices
                settle(devices, site)
            if took_s < TAKEN_OVER_S_MAX:
                return
    pytest.fail(f"it takes {took_s:.1f} s")


def taken_over_s(devices: Devices, second: Ingest, end: Callable[[], None]) -> float:
    wait_until(lambda: second.said("another ingest holds the slot; standing by"), "the second stands by")
    wait_until(lambda: len(devices.acknowledged) > 100, "acknowledgements")
    assert second.figure("broker_up") == 0
    end()
    known, began = len(devices.acknowledged), time.monotonic()
    wait_until(lambda: second.figure("broker_up") == 1, "the second has taken over")
    wait_until(lambda: len(devices.acknowledged) > known, "acknowledgements again")
    return time.monotonic() - began


def test_a_server_without_fsync_is_refused(server: EmbeddedPostgres, site: Site) -> None:
    local = server.data / "local.conf"
    usual = local.read_text()

    def reload_with(text: str, fsync: str) -> None:
        local.write_text(text)
        assert server.process is not None
        server.process.send_signal(signal.SIGHUP)
        wait_until(lambda: query(site.url, "SELECT current_setting('fsync')") == [fsync], f"fsync is {fsync}")

    reload_with("fsync = off\n", "off")
    try:
        code, printed = refused(site.url)
    finally:
        reload_with(usual, "on")
    remedy = "PostgreSQL has fsync = off; Kraj acknowledges readings as stored and needs fsync = on"
    assert (code, printed) == (1, [f"kraj ingest: {remedy}"])
