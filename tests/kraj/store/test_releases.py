"""Campaigns in the database: stages, failures that stop them, and what the dispatcher's role may not do."""

from collections import Counter
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest
from psycopg.types.json import Jsonb

from kraj.firmware_release import SLOT_BYTES
from kraj.store import offering, offers, releases
from kraj.store.queries import firmware
from kraj.store.queries.firmware import CampaignRow
from kraj.store.releases import Scope
from stack.database import OWNER
from tests.kraj.store.firmware import PUBLIC, Connection, Roles, asking, bring, populate
from tests.kraj.store.samples import AT

LAMPS = 40
SOAK = 30


@pytest.fixture
def region(database_role_url: Roles) -> Roles:
    populate(database_role_url(OWNER), LAMPS)
    return database_role_url


class Campaign:
    """A campaign for Brno's lamps, the dispatcher that goes on with it, and devices that say what they are told to."""

    def __init__(self, roles: Roles, digest: str, ingest: Connection, number: int = 0) -> None:
        self.roles, self.digest, self.ingest, self.number = roles, digest, ingest, number
        self.now = AT

    async def begin(self, scope: Scope | None = None, **other: Any) -> int:
        async with asking(self.roles("kraj_api")) as connection:
            found = await firmware.release(connection, self.digest)
            assert found is not None
            given: dict[str, Any] = {"share_pct": 5, "failures_max_pct": 20, "soak_min": SOAK, **other}
            self.number, devices = await releases.begin(
                connection, found, scope or Scope(municipality_id=1), who="Jana", reason="oprava", at=self.now, **given
            )
        return devices

    async def kept(self) -> None:
        for kept in await offering.unpublished(self.ingest):
            await offering.published(self.ingest, kept.release_id, self.now)

    async def round(self, after: timedelta = timedelta(seconds=10)) -> None:
        self.now += after
        async with self.ingest.transaction():
            await offering.settle(self.ingest, self.now)
            await offering.step(self.ingest, self.now)

    async def told(self) -> dict[UUID, int]:
        """Offers that go out now, with their devices."""
        found = await offering.claim(self.ingest, self.now, 1000)
        return {one.command_id: int(one.device.removeprefix("dev-")) for one in found if one.sending}

    async def answer(self, told: dict[UUID, int], error: str | None = None) -> None:
        await offers.answered(self.ingest, dict.fromkeys(told.items(), error), self.now)

    async def run(self, devices: list[int], name: str = "1.2.0") -> None:
        for device in devices:
            await self.ingest.execute(
                "INSERT INTO device_status (device_id, online, boot, firmware, changed_at) VALUES (%s, true, 1, %s, %s)"
                " ON CONFLICT (device_id) DO UPDATE SET firmware = EXCLUDED.firmware, changed_at = EXCLUDED.changed_at",
                [device, name, self.now + timedelta(seconds=1)],
            )

    async def tells_failure(self, device: int, at: datetime | None = None) -> None:
        ts = round((at or self.now + timedelta(seconds=1)).timestamp() * 1000)
        await self.ingest.execute(
            "INSERT INTO device_event (device_id, municipality_id, received_at, channel, body, batch_id)"
            " VALUES (%s, 1, %s, 'event', %s, 1)",
            [device, self.now, Jsonb({"event": "update_failed", "boot": 1, "seq": device, "ts": ts})],
        )

    async def row(self) -> CampaignRow:
        async with asking(self.roles("kraj_api")) as connection:
            found = await firmware.campaign(connection, self.number)
        assert found is not None
        return found

    async def states(self) -> Counter[str]:
        async with asking(self.roles("kraj_api")) as connection:
            return Counter(row.state for row in await firmware.updates(connection, self.number, limit=200))


@pytest.fixture
async def campaign(region: Roles) -> Any:
    found = await bring(region)
    async with await psycopg.AsyncConnection[Any].connect(
        region("kraj_ingest"), autocommit=True, prepare_threshold=None
    ) as ingest:
        yield Campaign(region, found.digest, ingest)


async def test_a_share_has_it_first_and_the_rest_when_that_has_run_for_a_while(campaign: Campaign) -> None:
    assert await campaign.begin() == LAMPS  # not Zlín's, not the foreign device
    assert await campaign.states() == {"offered": 2, "waiting": 38}
    assert not await campaign.told(), "no device is told of what the broker does not keep"
    await campaign.kept()
    told = await campaign.told()
    assert len(told) == 2
    assert not await campaign.told(), "whoever was told has time to answer"
    await campaign.answer(told)
    await campaign.round()
    assert await campaign.states() == {"accepted": 2, "waiting": 38}
    await campaign.run(list(told.values()))
    await campaign.round()
    assert (await campaign.row()).stage == 1
    assert await campaign.states() == {"running": 2, "waiting": 38}
    await campaign.round(timedelta(minutes=SOAK))
    assert (await campaign.row()).stage == 2
    rest = await campaign.told()
    assert len(rest) == 38
    assert not set(rest.values()) & set(told.values())
    await campaign.run(list(rest.values()))  # also one whose answer was lost
    await campaign.round()
    await campaign.round(timedelta(minutes=SOAK))
    assert ((row := await campaign.row()).state, row.running, row.error) == ("done", LAMPS, None)


async def test_failures_of_the_first_ones_keep_it_from_the_rest(campaign: Campaign) -> None:
    await campaign.begin(share_pct=10)
    await campaign.kept()
    told = await campaign.told()
    first, second, third, fourth = told
    await campaign.answer({first: told[first]}, "version")
    await campaign.answer({n: told[n] for n in (second, third, fourth)})
    await campaign.run([told[second]])
    await campaign.round()
    row = await campaign.row()
    assert (row.state, row.error) == ("paused", "1 of 4 devices failed")
    async with asking(campaign.roles("kraj_api")) as connection:
        assert await releases.go_on(connection, campaign.number, campaign.now)
    await campaign.round()
    row = await campaign.row()
    assert (row.state, row.failures_before, row.failures_max_pct) == ("running", 1, 20), "the limit stays"
    assert len(await campaign.told()) == 36
    async with asking(campaign.roles("kraj_api")) as connection:
        assert await releases.set_state(connection, campaign.number, "stopped", campaign.now)
        assert not await releases.set_state(connection, campaign.number, "running", campaign.now), "over is over"
    assert await campaign.states() == {"failed": 1, "running": 1, "accepted": 2, "cancelled": 36}
    await campaign.run([told[third]])  # what it had accepted, it tries, and that is noted
    await campaign.round()
    assert (await campaign.states())["running"] == 2


async def test_after_a_person_let_it_go_on_new_failures_stop_it_again(campaign: Campaign) -> None:
    await campaign.begin(share_pct=5, failures_max_pct=10)
    await campaign.kept()
    first = await campaign.told()
    await campaign.answer(first, "version")
    await campaign.round()
    assert (await campaign.row()).error == "2 of 2 devices failed"
    async with asking(campaign.roles("kraj_api")) as connection:
        assert await releases.go_on(connection, campaign.number, campaign.now)
    rest = list((await campaign.told()).items())
    await campaign.answer(dict(rest[:4]), "flash")
    await campaign.round()
    assert (await campaign.row()).state == "running", "4 of 40 are not more than a tenth"
    await campaign.answer(dict(rest[4:5]), "flash")
    await campaign.round()
    assert ((await campaign.row()).state, (await campaign.row()).error) == ("paused", "7 of 40 devices failed")


async def test_a_dead_device_holds_nobody_up_and_is_told_on(campaign: Campaign) -> None:
    await campaign.begin(share_pct=5)
    await campaign.kept()
    told = await campaign.told()
    dead, lit = told.values()
    await campaign.run([lit])
    for _ in range(firmware.SILENT_ATTEMPTS - 1):
        await campaign.round(timedelta(seconds=offering.AGAIN_S_MAX))
        assert (await campaign.row()).stage == 1, "who was told an hour ago may still answer"
        await campaign.told()
    await campaign.round(timedelta(seconds=offering.AGAIN_S_MAX))
    row = await campaign.row()
    assert (row.stage, row.silent, row.running) == (2, 1, 1)
    rest = await campaign.told()
    assert set(rest.values()) == {device for device in range(1, LAMPS + 1) if device != lit}
    await campaign.run([device for device in rest.values() if device != dead])
    await campaign.round()
    await campaign.round(timedelta(minutes=SOAK))
    row = await campaign.row()
    assert (row.state, row.silent, row.running) == ("running", 1, LAMPS - 1), "it is over when that one has it, too"
    await campaign.run([dead])
    await campaign.round()
    await campaign.round(timedelta(minutes=SOAK))
    assert (await campaign.row()).state == "done"


async def test_a_share_that_is_silent_gives_nothing_to_the_rest(campaign: Campaign) -> None:
    await campaign.begin(share_pct=5)
    await campaign.kept()
    for _ in range(firmware.SILENT_ATTEMPTS + 2):
        await campaign.told()
        await campaign.round(timedelta(seconds=offering.AGAIN_S_MAX))
    assert ((await campaign.row()).stage, await campaign.states()) == (1, {"offered": 2, "waiting": 38})


async def test_who_runs_it_and_goes_back_is_rolled_back(campaign: Campaign) -> None:
    await campaign.begin(share_pct=10, failures_max_pct=50)
    await campaign.kept()
    told = await campaign.told()
    a, b, c, d = told.values()
    await campaign.answer(told)
    await campaign.run([a, b, c])
    await campaign.round()
    await campaign.run([a], "1.1.0")
    await campaign.tells_failure(b)
    await campaign.tells_failure(d)
    await campaign.tells_failure(c, AT - timedelta(days=1))  # of an older one, told late
    await campaign.round()
    assert await campaign.states() == {"rolled_back": 2, "failed": 1, "running": 1, "waiting": 36}
    assert (await campaign.row()).state == "paused"
    await campaign.run([d])
    await campaign.round()
    assert (await campaign.states())["running"] == 2, "the newest status is the truth"


async def test_a_device_that_cannot_just_now_is_asked_again_by_another_number(campaign: Campaign) -> None:
    await campaign.begin(share_pct=1)
    await campaign.kept()
    told = await campaign.told()
    await campaign.answer(told, "clock")
    await campaign.round()
    assert (await campaign.row()).state == "running"
    assert not await campaign.told()
    await campaign.round(timedelta(seconds=offers.NOT_NOW_S))
    again = await campaign.told()
    assert list(again.values()) == list(told.values())
    assert not again.keys() & told.keys()
    await campaign.answer(told)  # to the older number: nobody asks any more
    assert (await campaign.states())["offered"] == 1
    await campaign.answer(again)
    await campaign.round(timedelta(seconds=offering.OUTCOME_S_MAX - 1))
    assert (await campaign.states())["accepted"] == 1
    await campaign.round(timedelta(seconds=1))
    assert (await campaign.states())["failed"] == 1, "nothing came of it within two nights"


async def test_who_has_accepted_and_says_no_more_is_told_again_by_the_same_number(campaign: Campaign) -> None:
    """Its power may have gone while it loaded; who is at it knows the number and goes on."""
    await campaign.begin(share_pct=1)
    await campaign.kept()
    told = await campaign.told()
    await campaign.answer(told)
    campaign.now += timedelta(seconds=offers.NOT_NOW_S)
    assert not await campaign.told(), "it is not offered anew"
    found = await offering.claim(campaign.ingest, campaign.now, 10, "accepted")
    assert [one.command_id for one in found] == list(told)
    assert not await offering.claim(campaign.ingest, campaign.now, 10, "accepted")
    await campaign.answer(told, "version")  # a late answer of one that runs it by now
    assert await campaign.states() == {"accepted": 1, "waiting": LAMPS - 1}


async def test_an_offer_is_told_again_when_the_device_or_the_broker_is_there_again(campaign: Campaign) -> None:
    await campaign.begin(share_pct=1)
    await campaign.kept()
    told = await campaign.told()
    assert not await campaign.told()
    await offers.there_again(campaign.ingest, list(told.values()), campaign.now)
    assert await campaign.told() == told
    await offers.forgotten(campaign.ingest, campaign.now)
    assert not await campaign.told(), "not before the broker keeps the release again"
    await campaign.kept()
    assert await campaign.told() == told
    campaign.now += timedelta(seconds=offering.AGAIN_S_MAX)
    assert await campaign.told() == told


async def test_a_newer_campaign_takes_its_devices_over_and_a_withdrawn_release_is_offered_no_more(
    campaign: Campaign,
) -> None:
    await campaign.begin(share_pct=100)
    older = campaign.number
    newer = await bring(campaign.roles, 3)
    first, campaign.digest = campaign.digest, newer.digest
    assert await campaign.begin(Scope(municipality_id=1, kind="lamp"), share_pct=100) == LAMPS
    async with asking(campaign.roles("kraj_api")) as connection:
        assert {row.error for row in await firmware.updates(connection, older, state="cancelled")} == {"replaced"}
    await campaign.kept()
    async with asking(campaign.roles("kraj_api")) as connection:
        found = await firmware.release(connection, newer.digest)
        assert found is not None
        assert await releases.withdraw(connection, found.release_id, by=1, at=campaign.now)
        assert not await releases.withdraw(connection, found.release_id, by=1, at=campaign.now)
    row = await campaign.row()
    assert (row.state, row.error, row.cancelled) == ("stopped", "withdrawn", LAMPS)
    assert not await campaign.told()
    [left] = await offering.to_clear(campaign.ingest)
    assert left.digest == newer.digest != first


async def test_a_release_that_has_expired_is_offered_no_more(campaign: Campaign) -> None:
    await campaign.begin()
    await campaign.kept()
    campaign.now += timedelta(days=91)
    assert not await campaign.told()
    await campaign.round()
    row = await campaign.row()
    assert (row.state, row.error) == ("paused", "the release has expired")


async def test_whoever_has_stolen_the_dispatchers_role_brings_no_release_and_takes_nothing_back(
    campaign: Campaign,
) -> None:
    await campaign.begin()
    async with asking(campaign.roles("kraj_api")) as connection:
        await releases.set_state(connection, campaign.number, "stopped", campaign.now)
    for statement in (
        "INSERT INTO firmware_release (digest) VALUES ('0123456789abcdef')",
        "INSERT INTO firmware_campaign (release_id) VALUES (1)",
        "INSERT INTO firmware_update SELECT * FROM firmware_update",
        "INSERT INTO firmware_key SELECT * FROM firmware_key",
        "UPDATE firmware_container SET container = 'x'",
        "UPDATE firmware_campaign SET release_id = 1",
        "UPDATE firmware_update SET device_id = 3",
        "UPDATE firmware_campaign SET state = 'running'",
        "UPDATE firmware_update SET state = 'offered' WHERE state = 'cancelled'",
        "DELETE FROM firmware_release",
        "DELETE FROM firmware_update",
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            await campaign.ingest.execute(statement.encode())


async def test_the_api_trusts_no_key_of_its_own_and_reads_no_container(campaign: Campaign) -> None:
    for statement in (
        "INSERT INTO firmware_key VALUES ('0123456789abcdef', 1, '')",
        "UPDATE firmware_key SET place = 2",
        "SELECT container FROM firmware_container",
        "UPDATE firmware_release SET head = ''",
        "UPDATE firmware_container SET published_at = now()",
    ):
        async with asking(campaign.roles("kraj_api")) as connection:
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                await connection.execute(statement.encode())
            await connection.rollback()


async def test_a_town_begins_campaigns_for_its_own_and_sees_no_other(campaign: Campaign) -> None:
    with psycopg.connect(campaign.roles(OWNER), autocommit=True) as owner:
        owner.execute("INSERT INTO person (name, title, created_at) VALUES ('petr@zlin.cz', 'Petr', %s)", [AT])
        owner.execute(
            "INSERT INTO membership (person_id, municipality_id, role, valid_from)"
            " VALUES (2, 2, 'municipality_admin', %s)",
            [AT],
        )
    await campaign.begin(Scope())
    assert (await campaign.row()).devices == LAMPS + 1
    async with asking(campaign.roles("kraj_api"), 2) as petr:
        assert await firmware.campaigns(petr, before=2**31 - 1, limit=9) == []
        assert [row.device for row in await firmware.updates(petr, campaign.number)] == [f"dev-{LAMPS + 1}"]
        found = await firmware.release(petr, campaign.digest)
        assert found is not None
        assert not await releases.withdraw(petr, found.release_id, by=2, at=AT)
        given: dict[str, Any] = {"share_pct": 5, "failures_max_pct": 5, "soak_min": 0, "who": "Petr", "reason": "x"}
        _, devices = await releases.begin(petr, found, Scope(municipality_id=2), at=AT, **given)
        assert devices == 1
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            await releases.begin(petr, found, Scope(municipality_id=1), at=AT, **given)


async def test_a_region_has_two_keys_and_one_can_be_replaced(region: Roles) -> None:
    async with await psycopg.AsyncConnection[Any].connect(region(OWNER)) as owner:
        await releases.trust(owner, PUBLIC)
        assert await firmware.public_keys(owner) == PUBLIC
        other = bytes(31) + b"\1"
        await releases.trust(owner, [PUBLIC[1], other])
        assert await firmware.public_keys(owner) == [other, PUBLIC[1]]
        await releases.trust(owner, [PUBLIC[1], other])
        assert len(await firmware.keys(owner)) == 2
        with pytest.raises(ValueError, match="two"):
            await releases.trust(owner, [*PUBLIC, other])


def test_the_largest_container_is_the_slot_of_a_device(database_url: str) -> None:
    with psycopg.connect(database_url) as owner:
        rows = owner.execute(
            "SELECT count(*) FROM pg_constraint WHERE conrelid IN ('firmware_release'::regclass,"
            " 'firmware_container'::regclass) AND pg_get_constraintdef(oid) LIKE %s",
            [f"%{SLOT_BYTES}%"],
        ).fetchone()
    assert rows == (2,)


async def test_what_was_done_is_in_the_audit_log_without_a_byte_of_it(campaign: Campaign) -> None:
    await campaign.begin()
    with psycopg.connect(campaign.roles(OWNER)) as owner:
        rows = owner.execute(
            "SELECT DISTINCT subject, action FROM audit_entry WHERE subject LIKE 'firmware%' ORDER BY 1"
        ).fetchall()
    assert {("firmware_release", "created"), ("firmware_campaign", "created"), ("firmware_key", "created")} <= set(rows)
