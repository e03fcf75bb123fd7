"""After a restore: from which number on each device may hold what is not stored, and who has answered."""

from datetime import timedelta

from kraj.store import resend
from tests.kraj.store.desk import Desk
from tests.kraj.store.samples import AT, AT_MS, of_kind

DAY_MS = 86_400_000


async def test_a_device_is_asked_from_its_first_gap_on_whatever_times_its_readings_bear(desk: Desk) -> None:
    lately = [(1, AT_MS + n, n) for n in (1, 2, 3)]
    kept_back = [(2, AT_MS, 9), (2, AT_MS - 8 * DAY_MS + 60_000, 5), (2, AT_MS - 1, 6)]
    await desk.write(of_kind([*lately, *kept_back, (3, AT_MS, 7)]))
    desk.owner.execute("UPDATE installed SET valid_from = %s", [AT - timedelta(days=30)])
    found = await resend.lowest_missing(desk.connection, [1, 2, 3], AT)
    assert found == {1: 4, 2: 7}, "of the third nothing is known from before: it may hold anything"
    assert await resend.lowest_missing(desk.connection, [3], AT) == {}


async def test_each_restore_asks_by_another_name_and_hears_only_what_was_said_to_it(desk: Desk) -> None:
    for days in (2, 1):
        desk.owner.execute(
            "INSERT INTO resend (requested_at, from_ts) VALUES (%s, %s)", [AT - timedelta(days=days), AT]
        )
    first, second = await resend.open_requests(desk.connection)
    assert first.name != second.name
    said = [(1, first.name, True), (2, first.name, False), (3, second.name, True)]
    for device_id, name, ok in said:
        desk.owner.execute(
            "INSERT INTO device_event (device_id, municipality_id, received_at, channel, body, batch_id)"
            " VALUES (%s, 1, %s, 'result', jsonb_build_object('id', %s::text, 'ok', %s::boolean), 1)",
            [device_id, AT, name, ok],
        )
    last, answered = await resend.answered(desk.connection, first.name, 0)
    assert answered == {1}
    assert await resend.answered(desk.connection, first.name, last) == (last, set())
    await resend.close_request(desk.connection, first.resend_id, AT)
    assert await resend.open_requests(desk.connection) == [second]
