"""Certificates of devices on our own firmware are renewed over their session: who is due, one order each, the proof."""

import base64
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import msgspec
import psycopg
import pytest

from api.app import create
from api.database import Database
from api.issuing import issuer
from api.renewing import Renewer
from api.service import Service
from api.texts import catalogues
from ingest.dispatch import command
from kraj import certificates, renewing
from kraj.certificates import Certificate, Key
from kraj.errors import ConfigurationError, PayloadError
from kraj.renewing import Own
from kraj.settings import Settings
from kraj.store import dispatching, identity
from kraj.store.dispatching import Due, Said
from kraj.store.registry import NewAsset, NewDevice, register
from stack import authority
from tests.api import signing
from tests.api.conftest import NOW, Region

DAY = timedelta(days=1)
DUE = certificates.DEVICE_LIFE * 2 / 3
TOWN = "olsinka"


class Fleet:
    """The platform's side as it is, at an hour of ours; and what devices would say."""

    def __init__(self, region: Region, url: str, folder: Path) -> None:
        self.url = url
        self.owner, self.folder, self.now = region.connection, folder, NOW
        self.keys: dict[str, Key] = {}
        self.have: dict[str, Own] = {}
        self.renewer: Renewer
        self.ingest: psycopg.AsyncConnection[Any]

    def clock(self) -> datetime:
        return self.now

    def device(self, name: str, age: timedelta = DUE, *, shown: bool = True) -> None:
        """A lamp that was enrolled so long ago, is connected, and has shown its certificate."""
        asset = NewAsset(kind="lamp", label=name.upper(), latitude=49.5, longitude=15.6)
        if not self.rows("SELECT 1 FROM device WHERE name = %s", name):
            register(
                self.owner,
                {TOWN: "Olšinka"},
                [NewDevice(name=name, municipality=TOWN, assets={0: asset})],
                NOW - 900 * DAY,
            )
        by, then = issuer(self.folder), self.now - age
        key = self.keys[name] = certificates.new_key()
        issued = certificates.issue_device(by.authority, key.public_key(), name, then)
        identity.record(self.owner, [(name, issued)], by.authority.generation, then)
        self.have[name] = Own(name, (issued, by.authority.certificate), by.roots)
        self.status(name)
        if shown:
            self.shows(name, issued)

    def status(self, name: str, serial: str | None = None, *, online: bool = True) -> None:
        self.owner.execute(
            "INSERT INTO device_status (device_id, online, boot, certificate, changed_at)"
            " SELECT device_id, %s, 1, %s, %s FROM device WHERE name = %s ON CONFLICT (device_id) DO UPDATE SET"
            " online = EXCLUDED.online, certificate = coalesce(EXCLUDED.certificate, device_status.certificate)",
            [online, serial or self.have[name].serial, self.now, name],
        )

    def shows(self, name: str, what: Certificate | str) -> None:
        der = certificates.serialization.Encoding.DER
        said = what if isinstance(what, str) else base64.b64encode(what.public_bytes(der)).decode()
        body = json.dumps({"id": "certificate-1", "ok": True, "certificate": said})
        self.owner.execute(
            "INSERT INTO device_event (device_id, municipality_id, received_at, channel, body, batch_id)"
            " SELECT device_id, municipality_id, %s, 'result', %s, 1 FROM device WHERE name = %s",
            [self.now, body, name],
        )

    async def told(self) -> list[Due]:
        """What ingest would tell devices now, noted as sent."""
        found = [one for one in await dispatching.claim(self.ingest, self.now, 100) if one.sending]
        await dispatching.sent(self.ingest, [one.command_id for one in found], self.now)
        return found

    async def answers(self, name: str, number: object, *, error: str | None = None) -> None:
        (row,) = self.rows("SELECT device_id FROM device WHERE name = %s", name)
        body = msgspec.json.encode({"id": str(number), "ok": error is None, "error": error})
        await dispatching.take_said(self.ingest, [Said(row[0], "result", body)], [], self.now)

    def follows(self, one: Due) -> Own:
        """What the device has, once it follows."""
        return renewing.obey(json.loads(one.payload or ""), self.have[one.device], self.now)

    def rows(self, statement: str, *given: object) -> list[tuple[Any, ...]]:
        return self.owner.execute(statement.encode(), given).fetchall()

    def commands(self) -> list[tuple[str, str]]:
        return self.rows(
            "SELECT d.name, c.state FROM command c JOIN device d USING (device_id) WHERE \"do\" = 'renew'"
            " ORDER BY requested_at, d.name"
        )

    def asked(self) -> int:
        return self.rows("SELECT count(*) FROM device_command WHERE payload::json->>'do' = 'renew'")[0][0]


@pytest.fixture
async def fleet(
    empty_region: Region, database_url: str, database_role_url: Callable[[str], str], tmp_path: Path
) -> AsyncIterator[Fleet]:
    found = Fleet(empty_region, database_url, tmp_path / "authority")
    authority.ensure(found.folder, NOW - 1200 * DAY)
    service = Service(Database(database_role_url("kraj_api")), found.clock, catalogues())
    found.renewer = Renewer(service, found.folder, found.clock)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(service.database)
        found.ingest = await psycopg.AsyncConnection[Any].connect(database_role_url("kraj_ingest"), autocommit=True)
        stack.push_async_callback(found.ingest.close)
        yield found


async def test_from_two_thirds_of_its_life_a_device_gets_the_next_for_its_key_and_its_word_proves_it(
    fleet: Fleet,
) -> None:
    fleet.device("lamp-1", DUE - 2 * DAY, shown=False)
    old = fleet.have["lamp-1"]
    assert await fleet.renewer.look() == 0
    assert fleet.asked() == 0
    fleet.now += 2 * DAY
    for _ in range(2):
        assert await fleet.renewer.look() == 0
        assert fleet.asked() == 1  # the key is not known here: once a day it is asked to show its certificate
    fleet.shows("lamp-1", old.chain[0])
    assert await fleet.renewer.look() == 1
    assert await fleet.renewer.look() == 0

    (one,) = await fleet.told()
    topic, body, expiry_s = command(one, fleet.now)
    assert (topic, expiry_s) == ("kraj/olsinka/lamp-1/command", 3600)
    assert len(body) < 4000
    assert await fleet.told() == []  # for an hour
    new = fleet.follows(one)
    assert certificates.public_key(new.chain[0]) == fleet.keys["lamp-1"].public_key()
    assert new.chain[0].not_valid_after_utc == (fleet.now + certificates.DEVICE_LIFE).replace(microsecond=0)
    await fleet.answers("lamp-1", one.command_id)
    assert await dispatching.confirm(fleet.ingest, fleet.now, 10) == 0
    assert fleet.commands() == [("lamp-1", "accepted")]
    # Until it says that it has it, the new one counts for nothing.
    ends = old.chain[0].not_valid_after_utc
    assert identity.ending(fleet.owner, ends, ends, 9).devices == ["lamp-1"]
    fleet.status("lamp-1", online=True)
    fleet.now += timedelta(seconds=9)
    assert await dispatching.confirm(fleet.ingest, fleet.now, 10) == 0
    fleet.status("lamp-1", new.serial, online=False)  # the will says nothing of it
    assert await dispatching.confirm(fleet.ingest, fleet.now + DAY, 10) == 0
    fleet.status("lamp-1", new.serial)
    assert await dispatching.confirm(fleet.ingest, fleet.now + 2 * DAY, 10) == 1
    assert fleet.commands() == [("lamp-1", "confirmed")]
    assert fleet.rows("SELECT payload, why, who FROM command") == [(None, new.serial, "kraj")]
    assert identity.ending(fleet.owner, ends, ends, 9).devices == []
    # The old one is for the same key, and ends by itself: who comes back by it is let in.
    assert identity.revoked(fleet.owner, fleet.now) == []
    fleet.now += 30 * DAY
    assert await fleet.renewer.look() == 0


async def test_who_is_revoked_suspended_away_foreign_or_installed_nowhere_gets_none(fleet: Fleet) -> None:
    names = ["revoked", "suspended", "gone", "away", "silent", "liar", "foreign", "nowhere"]
    for name in names:
        fleet.device(f"lamp-{name}")
    for statement in (
        "UPDATE device_certificate SET revoked_at = now(), reason = 'lost' FROM device d"
        " WHERE d.device_id = device_certificate.device_id AND d.name = 'lamp-revoked'",
        "UPDATE device SET state = 'suspended' WHERE name = 'lamp-suspended'",
        "UPDATE device SET state = 'decommissioned' WHERE name = 'lamp-gone'",
        "UPDATE device_status s SET certificate = NULL FROM device d"
        " WHERE d.device_id = s.device_id AND d.name = 'lamp-silent'",
        "INSERT INTO foreign_device (device_id, municipality_id, adapter, changed_at)"
        " SELECT device_id, municipality_id, 'tasmota', now() FROM device WHERE name = 'lamp-foreign'",
        "UPDATE installed SET valid_to = now() FROM device d WHERE d.device_id = installed.device_id"
        " AND d.name = 'lamp-nowhere'",
    ):
        assert fleet.owner.execute(statement.encode()).rowcount == 1, statement
    fleet.status("lamp-away", online=False)
    fleet.status("lamp-liar", fleet.have["lamp-away"].serial)
    assert await fleet.renewer.look() == 0
    assert fleet.asked() == 0
    fleet.device("lamp-good")
    assert await fleet.renewer.look() == 1
    # What is on its way to a device that is suspended meanwhile waits, and one that is revoked gets nothing.
    query = "UPDATE device SET state = %s WHERE name = 'lamp-good'"
    fleet.rows(f"{query} RETURNING 1", "suspended")
    assert await fleet.told() == []
    fleet.rows(f"{query} RETURNING 1", "active")
    fleet.now += timedelta(minutes=2)
    (one,) = await fleet.told()
    (number,) = fleet.rows("SELECT device_id FROM device WHERE name = 'lamp-good'")[0]
    async with await psycopg.AsyncConnection.connect(fleet.url) as connection:
        assert await identity.revoke(connection, number, fleet.now, "lost") == 2
    fleet.now += timedelta(hours=2)
    assert await fleet.told() == []
    row = identity.DueRow(number, "lamp-good", fleet.have["lamp-good"].serial, b"")
    assert not await _begin(fleet, row, one)


async def _begin(fleet: Fleet, row: identity.DueRow, one: Due) -> bool:
    by = issuer(fleet.folder)
    issued = certificates.issue_device(by.authority, certificates.new_key().public_key(), row.device, fleet.now)
    following = identity.Next(issued, 1, uuid4(), json.loads(one.payload or ""), fleet.now + DAY)
    async with await psycopg.AsyncConnection.connect(fleet.url) as connection:
        return await identity.begin_renewal(connection, row, following, fleet.now)


async def test_never_two_orders_for_a_device_and_the_next_a_week_after_one_that_failed(fleet: Fleet) -> None:
    fleet.device("lamp-1")
    assert await fleet.renewer.look() == 1
    (one,) = await fleet.told()
    (number, serials) = fleet.rows("SELECT max(device_id), count(*) FROM device_certificate")[0]
    assert not await _begin(fleet, identity.DueRow(number, "lamp-1", fleet.have["lamp-1"].serial, b""), one)
    assert fleet.rows("SELECT count(*) FROM device_certificate") == [(serials,)]  # neither command nor certificate
    await fleet.answers("lamp-1", one.command_id)
    # It had accepted it, and says later that the broker does not take it: nothing proves it any more.
    await fleet.answers("lamp-1", one.command_id, error="refused")
    assert fleet.rows("SELECT state, error, payload FROM command") == [("expired", "refused", None)]
    await fleet.answers("lamp-1", one.command_id)
    assert fleet.commands() == [("lamp-1", "expired")]
    fleet.now += 6 * DAY
    assert await fleet.renewer.look() == 0
    fleet.now += 2 * DAY
    assert await fleet.renewer.look() == 1
    (one,) = await fleet.told()
    await fleet.answers("lamp-1", one.command_id, error="key")
    assert fleet.commands() == [("lamp-1", "expired"), ("lamp-1", "refused")]
    fleet.now += 8 * DAY
    assert await fleet.renewer.look() == 1
    fleet.now += 8 * DAY
    assert await dispatching.expire(fleet.ingest, fleet.now, 10) == 1


async def test_a_fleet_that_was_enrolled_in_a_day_is_renewed_over_hours_and_the_first_to_end_come_first(
    fleet: Fleet,
) -> None:
    for n in range(7):
        fleet.device(f"lamp-{n}", DUE + n * DAY)
    assert await fleet.renewer.look() == 5
    assert {name for name, _ in fleet.commands()} == {f"lamp-{n}" for n in range(2, 7)}
    fleet.now += timedelta(minutes=59)
    assert await fleet.renewer.look() == 0
    fleet.now += timedelta(minutes=2)
    assert await fleet.renewer.look() == 2
    # A fleet of 7200 gets ten an hour.
    fleet.now += 2 * timedelta(hours=1)
    fleet.owner.execute(
        "CREATE TABLE many AS SELECT n FROM generate_series(100000, 107193) AS n;"
        "ALTER TABLE device_status DROP CONSTRAINT device_status_device_id_fkey;"
        "INSERT INTO device_status (device_id, online, certificate, changed_at) SELECT n, false, 'f', now() FROM many",
        prepare=False,
    )
    async with await psycopg.AsyncConnection.connect(fleet.url) as first:
        assert await identity.renewals_left(first, fleet.now) == 11
        # While one process is at it another begins none.
        async with await psycopg.AsyncConnection.connect(fleet.url) as second:
            assert await identity.renewals_left(second, fleet.now) == 0


async def test_only_the_certificate_that_was_issued_tells_a_key(fleet: Fleet) -> None:
    fleet.device("lamp-1", shown=False)
    fleet.device("lamp-2", shown=False)
    by, forged = issuer(fleet.folder), certificates.new_key()
    other = certificates.issue_device(by.authority, forged.public_key(), "lamp-1", fleet.now)
    for wrong in (other, fleet.have["lamp-2"].chain[0], "no base64!", "AAAA", "A", ""):
        fleet.shows("lamp-1", wrong)
    assert fleet.rows("SELECT count(*) FROM device_certificate WHERE public_key IS NOT NULL") == [(0,)]
    fleet.shows("lamp-1", fleet.have["lamp-1"].chain[0])
    spki = certificates.serialization.PublicFormat.SubjectPublicKeyInfo
    own = fleet.keys["lamp-1"].public_key().public_bytes(certificates.serialization.Encoding.DER, spki)
    assert fleet.rows("SELECT public_key FROM device_certificate WHERE public_key IS NOT NULL") == [(own,)]


async def test_after_a_rotation_devices_get_the_new_authority_and_its_roots_and_the_old_one_is_needed_until_then(
    fleet: Fleet,
) -> None:
    fleet.device("lamp-1", 30 * DAY)
    assert await fleet.renewer.look() == 0
    by = authority.rotate(fleet.folder, fleet.folder / authority.OFFLINE, fleet.now)
    assert await fleet.renewer.look() == 1
    (one,) = await fleet.told()
    new = fleet.follows(one)
    assert new.roots == list(by.roots)
    assert new.chain[1] == by.authority.certificate
    await fleet.answers("lamp-1", one.command_id)
    assert identity.valid_by_generation(fleet.owner, fleet.now) == {1: 1}
    fleet.status("lamp-1", new.serial)
    assert identity.valid_by_generation(fleet.owner, fleet.now) == {2: 1}
    # One that was on its way from the old authority is followed yet, and then replaced in its turn.
    fleet.device("lamp-2")
    assert await fleet.renewer.look() == 1
    by = authority.rotate(fleet.folder, fleet.folder / authority.OFFLINE, fleet.now)
    (one,) = [one for one in await fleet.told() if one.device == "lamp-2"]
    fleet.have["lamp-2"] = fleet.follows(one)
    await fleet.answers("lamp-2", one.command_id)
    fleet.status("lamp-2")
    fleet.now += 8 * DAY
    await dispatching.confirm(fleet.ingest, fleet.now, 10)
    assert await fleet.renewer.look() == 2
    assert {one.device for one in await fleet.told()} == {"lamp-1", "lamp-2"}


async def test_without_the_authority_nothing_is_begun_and_it_says_why(fleet: Fleet) -> None:
    fleet.device("lamp-1")
    (fleet.folder / "issuing-1.key").unlink()
    with pytest.raises(ConfigurationError, match="no issuing key"):
        await fleet.renewer.look()
    assert fleet.commands() == []


async def test_an_order_is_in_the_history_of_commands_and_nobody_else_can_write_one(
    fleet: Fleet, database_role_url: Callable[[str], str], database_url: str
) -> None:
    fleet.device("lamp-1")
    assert await fleet.renewer.look() == 1
    signing.signed_in(database_url)
    app = create(Settings(), database_role_url("kraj_api"), clock=fleet.clock)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as client,
    ):
        assert (await client.get("/v1/lighting/commands?device=lamp-1")).status_code == 401
        signing.sign(client)
        (shown,) = (await client.get("/v1/lighting/commands?device=lamp-1")).json()["items"]
    assert (shown["do"], shown["reason"], shown["state"], shown["who"]) == ("renew", "renewal", "requested", "kraj")
    assert shown["why"] != fleet.have["lamp-1"].serial
    assert "payload" not in shown
    for role in ("kraj_api", "kraj_ingest"):
        with (
            psycopg.connect(database_role_url(role), autocommit=True) as connection,
            pytest.raises(psycopg.errors.InsufficientPrivilege),
        ):
            connection.execute(
                'INSERT INTO command (municipality_id, device_id, asset_id, "do", reason, until, requested_at,'
                " next_at, who) VALUES (1, 1, 1, 'renew', 'renewal', now(), now(), now(), 'x')"
            )
    with psycopg.connect(database_role_url("kraj_ingest"), autocommit=True) as connection:
        for wrong in (
            "SELECT begin_renewal(1, '', '', '', 1::smallint, now(), gen_random_uuid(), '', now(), now())",
            "SELECT * FROM renewals_due(1::smallint, now(), 1)",
            "UPDATE device_certificate SET proved = true",
            "SELECT public_key FROM device_certificate",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(wrong.encode())
    with psycopg.connect(database_role_url("kraj_api"), autocommit=True) as connection:
        assert connection.execute("SELECT count(*) FROM command").fetchone() == (0,), "behind the wall"


def test_a_key_that_is_none_is_told() -> None:
    for wrong in (b"", b"\x30\x59", bytes(91)):
        with pytest.raises(PayloadError):
            certificates.read_public_key(wrong)


async def test_devices_that_do_not_show_theirs_hold_nobody_up(fleet: Fleet) -> None:
    for number in range(6):  # one more than an hour's share
        fleet.device(f"lamp-{number}", DUE + DAY, shown=False)
    fleet.device("lamp-last")
    assert await fleet.renewer.look() == 0
    assert fleet.asked() == 5
    assert await fleet.renewer.look() == 1
    assert fleet.asked() == 6
    assert [name for name, _ in fleet.commands()] == ["lamp-last"]
    fleet.now += DAY + timedelta(seconds=1)
    await fleet.renewer.look()
    assert fleet.asked() == 11, "and they are asked again on another day"
