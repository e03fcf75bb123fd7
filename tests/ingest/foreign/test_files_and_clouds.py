"""Files in the inbox and answers of clouds become committed readings; what cannot be read says why."""

import asyncio
import contextlib
import http.server
import os
import ssl
import threading
import uuid
from collections.abc import AsyncGenerator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from psycopg.types.json import Jsonb

from ingest.foreign import fetching, history, inbox, pulling
from ingest.foreign.acknowledged import Feed, feed, messages
from kraj.errors import PayloadError, UnavailableError
from kraj.foreign import mapping
from kraj.foreign.records import Context
from kraj.kinds import KINDS
from kraj.sealing import Sealer
from kraj.store import pulls
from kraj.store.registry import NewAsset, NewDevice, register
from stack.broker import Broker
from tests.ingest.rig import TOWN, Site, query

CSV_MAPPING = {
    "decimal": ",",
    "readings": [
        {
            "kind": "lamp",
            "time": {"path": "Čas", "format": "%d.%m.%Y %H:%M"},
            "metrics": {"power_w": {"path": '["Výkon [kW]"]', "factor": 1000}, "voltage_v": "Napětí"},
        }
    ],
}
CLOUD_MAPPING = {
    "readings": [
        {
            "kind": "lamp",
            "records": "data",
            "time": {"path": "t", "format": "unix_s"},
            "metrics": {"power_w": "p"},
        }
    ]
}


def now() -> datetime:
    return datetime.now(UTC)


@pytest.fixture
def site(database_url: str, open_folder: Path) -> Iterator[Site]:
    with Broker(open_folder / "broker", open=True) as broker:
        yield Site(database_url, broker, open_folder)


def device(url: str, document: dict[str, Any]) -> str:
    name = f"own-{uuid.uuid4().hex[:8]}"
    with psycopg.connect(url) as connection:
        made = NewDevice(name=name, municipality=TOWN, assets={0: NewAsset(kind="lamp", label=name)})
        register(connection, {TOWN: "Lhota"}, [made], now())
        connection.execute(
            "WITH m AS (INSERT INTO mapping (municipality_id, name, adapter, document, changed_at)"
            " SELECT municipality_id, %s, 'json', %s, now() FROM municipality WHERE name = %s RETURNING mapping_id)"
            " INSERT INTO foreign_device (device_id, adapter, mapping_id, changed_at)"
            " SELECT device_id, 'json', mapping_id, now() FROM device, m WHERE name = %s",
            [name, Jsonb(document), TOWN, name],
        )
    return name


@contextlib.asynccontextmanager
async def connected(site: Site) -> AsyncGenerator[tuple[Any, Feed]]:
    async with inbox.connection_of(site.url) as connection, feed("127.0.0.1", site.broker.port, None, None) as made:
        yield connection, made


def drop(folder: Path, town: str, name: str, content: bytes, file: str = "export.csv") -> Path:
    path = folder / "inbox" / town / name / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    os.utime(path, (1, 1))
    return path


def lines(*rows: str) -> bytes:
    return ("Čas;Výkon [kW];Napětí\r\n" + "".join(f"{row}\r\n" for row in rows)).encode("cp1250")


async def test_a_file_is_committed_before_it_moves_and_bad_lines_are_reported(site: Site) -> None:
    name = device(site.url, CSV_MAPPING)
    day = f"{now() - timedelta(days=1):%d.%m.%Y}"
    good = [f"{day} {hour:02}:00;0,04{hour % 10};230,5" for hour in range(10)]
    file = drop(site.folder, TOWN, name, lines(*good, f"{day} 11:00;9;230", "yesterday;1;2", good[0]))
    assert inbox.waiting(site.folder / "inbox", 100.0) == [file]
    with site.ingest() as ingest:
        ingest.ready()
        async with connected(site) as (connection, made):
            assert await inbox.take(file, connection, made, now) == "done"
            again = drop(site.folder, TOWN, name, lines(*good), "again.csv")
            assert await inbox.take(again, connection, made, now) == "done"
    assert not file.exists()
    assert query(site.url, "SELECT count(*), min(power_w), count(voltage_v) FROM reading_lamp") == [(11, 40.0, 11)]
    (report,) = (file.parent / "done").glob("*-export.csv.txt")
    text = report.read_text("utf-8")
    assert "readings stored: 11" in text
    assert "repeated lines: 1" in text
    assert "line 12: value_impossible: power_w is 9000" in text
    assert "line 13: time_missing" in text
    assert query(site.url, "SELECT verdict FROM foreign_message ORDER BY number") == ["partly", "stored"]


@pytest.mark.parametrize(
    ("town", "known", "content", "words"),
    [
        (TOWN, True, b"a,b\n1,2\n", "foreign_mapping"),
        (TOWN, True, b"", "first line must name"),
        (TOWN, True, b"a,a\n1,2\n", "each once"),
        (TOWN, True, b"\0\1\2", "this is no text"),
        (TOWN, True, b'a,b\n"1,2\n', "unexpected end"),
        (TOWN, False, b"a,b\n1,2\n", "unknown_device"),
        ("dvory", True, b"a,b\n1,2\n", "enrolled elsewhere"),
        ("UPPER", True, b"a,b\n1,2\n", "must be named"),
    ],
)
async def test_a_file_that_cannot_be_read_is_moved_to_refused_with_the_reason(
    site: Site,
    town: str,
    known: bool,
    content: bytes,
    words: str,
) -> None:
    name = device(site.url, CSV_MAPPING) if known else "nobody"
    file = drop(site.folder, town, name, content)
    async with connected(site) as (connection, made):
        assert await inbox.take(file, connection, made, now) == "refused"
    (report,) = (file.parent / "refused").glob("*.txt")
    assert words in report.read_text("utf-8")


async def test_without_ingest_a_file_stays(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ingest.foreign.acknowledged.WAIT_S", 0.2)
    monkeypatch.setattr("ingest.foreign.acknowledged.TRIES", 2)
    name = device(site.url, CSV_MAPPING)
    file = drop(site.folder, TOWN, name, lines(f"{now():%d.%m.%Y} 00:00;0,04;230"))
    async with connected(site) as (connection, made):
        with pytest.raises(UnavailableError, match="not acknowledged"):
            await inbox.take(file, connection, made, now)
    assert file.exists()


def test_files_that_are_still_copied_and_links_wait(tmp_path: Path) -> None:
    file = drop(tmp_path, TOWN, "own-1", b"a\n1\n")
    (file.parent / "link.csv").symlink_to(file)
    folder = tmp_path / "inbox"
    assert inbox.waiting(folder, 2.9) == []
    assert inbox.waiting(folder, 3.1) == [file]


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_tables_are_read_with_any_delimiter(delimiter: str) -> None:
    content = delimiter.join(["a", "b"]) + "\n" + delimiter.join(["1", "2"]) + "\n"
    assert history.table(b"\xef\xbb\xbf" + content.encode()) == [(2, {"a": "1", "b": "2"})]


def test_a_file_without_times_is_refused_line_by_line() -> None:
    document = mapping.read({"readings": [{"kind": "lamp", "metrics": {"power_w": "p"}}]})
    judged = history.of_csv(b"p\n1\n2\n", document, Context({0: KINDS["lamp"]}, 0))
    assert (judged.accepted, judged.counts) == ([], {"time_missing": 2})


def test_messages_are_cut_as_the_wire_format_wants() -> None:
    found = messages([{"ts": 1, "seq": n, "x": "y" * 3000} for n in range(130)])
    assert all(len(message) <= 65_536 for message in found)
    assert b"".join(found).count(b'"seq"') == 130


Answer = tuple[int, dict[str, str], bytes]


class Cloud:
    """An HTTPS server on loopback with a certificate for cloud.example."""

    def __init__(self, folder: Path, answer: Answer) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "cloud.example")])
        made = (
            x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
            .not_valid_before(now() - timedelta(days=1))
            .not_valid_after(now() + timedelta(days=1))
            .add_extension(x509.SubjectAlternativeName([x509.DNSName("cloud.example")]), critical=False)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(key, hashes.SHA256())
        )
        pem = made.public_bytes(serialization.Encoding.PEM)
        secret = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        (folder / "cloud.pem").write_bytes(pem + secret)
        server_tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        server_tls.load_cert_chain(folder / "cloud.pem")
        self.tls = ssl.create_default_context(cadata=pem.decode())
        cloud = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                cloud.asked.append(dict(self.headers.items()))
                status, headers, body = answer
                self.send_response(status)
                for header, value in headers.items():
                    self.send_header(header, value)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                with contextlib.suppress(OSError):
                    self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
                pass

        self.asked: list[dict[str, str]] = []
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.socket = server_tls.wrap_socket(self._server.socket, server_side=True)
        self.url = f"https://cloud.example:{self._server.server_port}/api"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self) -> "Cloud":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    async def fetch(self, url: str, headers: Any) -> bytes:
        """As the worker does, but that loopback is taken for the internet."""

        async def here(host: str, port: int) -> list[str]:
            await asyncio.sleep(0)
            return ["127.0.0.1"] if host == "cloud.example" else ["10.0.0.1"]

        return await fetching.fetch(
            url, headers, resolve=here, permitted=lambda address: address == "127.0.0.1", tls=self.tls
        )


async def test_a_cloud_is_asked_with_its_sealed_headers_and_its_answer_committed(site: Site, tmp_path: Path) -> None:
    name = device(site.url, CLOUD_MAPPING)
    sealer = Sealer(tmp_path / "secrets")
    at = int(now().timestamp()) - 600
    body = b'{"data": [{"t": %d, "p": 40}, {"t": %d, "p": 41}, {"t": %d, "p": 99999}]}' % (at, at + 60, at + 120)
    with Cloud(tmp_path, (200, {}, body)) as cloud, site.ingest() as ingest:
        ingest.ready()
        async with connected(site) as (connection, made):
            sealed = sealer.seal({"Authorization": "Bearer s3cret"})
            assert (
                await pulls.add(
                    connection, name="cloud", device=name, url=cloud.url, headers=sealed, interval_s=300, at=now()
                )
                == TOWN
            )
            (due,) = await pulls.due(connection, now(), limit=5)
            assert await pulling.take(due, connection, made, now, sealer, cloud.fetch)
            assert await pulling.take(due, connection, made, now, sealer, cloud.fetch)
            assert await pulls.due(connection, now(), limit=5) == []
    assert cloud.asked[0]["Authorization"] == "Bearer s3cret"
    assert query(site.url, "SELECT power_w FROM reading_lamp ORDER BY ts") == [40.0, 41.0]
    assert query(site.url, "SELECT failures, last_error FROM pull") == [(0, None)]
    assert (tmp_path / "secrets" / "foreign.key").stat().st_mode & 0o077 == 0


async def test_a_cloud_that_fails_is_asked_ever_more_rarely(site: Site, tmp_path: Path) -> None:
    name = device(site.url, CLOUD_MAPPING)
    with Cloud(tmp_path, (500, {}, b"")) as cloud:
        async with connected(site) as (connection, made):
            await pulls.add(connection, name="cloud", device=name, url=cloud.url, headers=None, interval_s=60, at=now())
            (due,) = await pulls.due(connection, now(), limit=5)
            assert not await pulling.take(due, connection, made, now, Sealer(tmp_path), cloud.fetch)
    ((failures, error),) = query(site.url, "SELECT failures, last_error FROM pull")
    assert failures == 1
    assert "500" in error
    assert query(site.url, "SELECT verdict FROM foreign_message") == ["refused"]
    moment = now()
    waits = [(pulling.following(moment, 60, n) - moment).total_seconds() for n in (0, 1, 5, 30)]
    assert waits == sorted(waits)
    assert waits[-1] <= pulling.BACKOFF_MAX.total_seconds() * 1.05


BAD: list[tuple[Answer, type[Exception], str]] = [
    ((404, {}, b""), PayloadError, "404"),
    ((429, {}, b""), UnavailableError, "429"),
    ((302, {"location": "http://cloud.example/"}, b""), PayloadError, "only https"),
    ((302, {"location": "https://inner.example/"}, b""), PayloadError, "inner network"),
    ((302, {"location": "/again"}, b""), PayloadError, "redirects"),
    ((200, {}, b"x" * (fetching.ANSWER_BYTES_MAX + 1)), PayloadError, "longer than"),
]


@pytest.mark.parametrize(("answer", "error", "words"), BAD)
async def test_bad_answers_are_told_apart(tmp_path: Path, answer: Answer, error: type[Exception], words: str) -> None:
    with Cloud(tmp_path, answer) as cloud, pytest.raises(error, match=words):
        await cloud.fetch(cloud.url, {})


async def test_inner_addresses_are_never_asked() -> None:
    for url in (
        "https://127.0.0.1/",
        "https://localhost/",
        "https://[::1]/",
        "https://10.1.2.3/",
        "https://169.254.169.254/",
    ):
        with pytest.raises(PayloadError, match="inner network"):
            await fetching.fetch(url, {})
    for url in ("http://example.org/", "https://user:password@example.org/", "ftp://x/"):
        with pytest.raises(PayloadError, match="only https"):
            await fetching.fetch(url, {})


INNER = ("192.168.1.1", "100.64.0.1", "::ffff:10.0.0.1", "fe80::1", ".".join("0000"), "224.0.0.1", "nonsense")


def test_public_addresses_are_those_of_the_internet() -> None:
    assert [fetching.public(address) for address in ("8.8.8.8", "2606:4700::1111")] == [True, True]
    assert [address for address in INNER if fetching.public(address)] == []
