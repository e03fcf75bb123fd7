"""What is committed beside the readings: beginnings of boots, unknown keys, states and events of devices, refusals."""

from kraj.store.batch import Batch, Outcome
from kraj.store.connection import REFUSALS, Connection, many
from kraj.store.dispatching import Said, take_said
from kraj.store.foreign import keep_of_batch
from kraj.store.quarantine import store_quarantine
from kraj.topics import Channel

UNKNOWN_KEYS_PER_DEVICE_MAX = 100
"""A device with random keys would otherwise fill the table; those known by then are still counted."""

ANSWERS = (Channel.RESULT, Channel.REPORTED)

_UNKNOWN_KEY = f"""
    INSERT INTO unknown_key (device_id, key, first_at, times)
    SELECT %(device_id)s::int, %(key)s::text, %(at)s::timestamptz, %(times)s::bigint
    WHERE (SELECT count(*) FROM unknown_key WHERE device_id = %(device_id)s) < {UNKNOWN_KEYS_PER_DEVICE_MAX}
          OR EXISTS (SELECT FROM unknown_key WHERE device_id = %(device_id)s AND key = %(key)s)
    ON CONFLICT (device_id, key) DO UPDATE SET times = unknown_key.times + EXCLUDED.times
"""  # noqa: S608
_STATUS = """
    INSERT INTO device_status (device_id, online, boot, firmware, reset, safe_mode, certificate, changed_at)
    VALUES (%s, %s, %s, %s, %s, %s, %s, %s)
    ON CONFLICT (device_id) DO UPDATE SET
        online = EXCLUDED.online, boot = coalesce(EXCLUDED.boot, device_status.boot),
        firmware = coalesce(EXCLUDED.firmware, device_status.firmware),
        reset = coalesce(EXCLUDED.reset, device_status.reset),
        safe_mode = coalesce(EXCLUDED.safe_mode, device_status.safe_mode),
        certificate = coalesce(EXCLUDED.certificate, device_status.certificate), changed_at = EXCLUDED.changed_at
"""
_EVENT = """
    INSERT INTO device_event (device_id, municipality_id, received_at, channel, body, batch_id)
    VALUES (%s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING
"""
_EVENTS = """
    INSERT INTO device_event (device_id, municipality_id, received_at, channel, body, batch_id)
    SELECT device_id, municipality_id, %s, channel, body::jsonb, %s
    FROM unnest(%s::integer[], %s::integer[], %s::text[], %s::text[]) AS e(device_id, municipality_id, channel, body)
    ON CONFLICT DO NOTHING
"""


async def write_beside(connection: Connection, batch: Batch, outcome: Outcome, *, careful: bool) -> None:
    """Write everything that is not a reading; fills in ``outcome.events_refused`` and ``outcome.not_stored``."""
    epochs = [(device_id, boot, epoch) for (device_id, boot), epoch in batch.epochs.items()]
    await many(
        connection,
        "INSERT INTO boot_epoch (device_id, boot, epoch_ms) VALUES (%s, %s, %s) ON CONFLICT DO NOTHING",
        epochs,
    )
    await many(
        connection,
        _UNKNOWN_KEY,
        [
            {"device_id": device_id, "key": key, "at": batch.at, "times": times}
            for (device_id, key), times in batch.unknown_keys.items()
        ],
    )
    if batch.taken:
        await connection.execute(
            "UPDATE quarantine SET taken_at = %s WHERE quarantine_id = ANY (%s)", [batch.at, list(batch.taken)]
        )
    newest = {status.device_id: status for status in batch.statuses}
    await many(
        connection,
        _STATUS,
        [
            (s.device_id, s.online, s.boot, s.firmware, s.reset, s.safe_mode, s.certificate, batch.at)
            for s in newest.values()
        ],
    )
    await _write_events(connection, batch, outcome, careful=careful)
    answers = [Said(e.device_id, e.channel, e.body) for e in batch.events if e.channel in ANSWERS]
    await take_said(connection, answers, [s.device_id for s in newest.values() if s.online], batch.at)
    await keep_of_batch(connection, batch, outcome)
    quarantined = list(batch.quarantined)
    for position, row, detail in outcome.refused:
        quarantined.append(batch.blame(int(batch.readings[position].message[row]), detail))
    for message, detail in outcome.events_refused:
        quarantined.append(batch.blame(message, detail))
    if quarantined:
        outcome.not_stored = await store_quarantine(connection, quarantined, batch.at, batch.batch_id)


async def _write_events(connection: Connection, batch: Batch, outcome: Outcome, *, careful: bool) -> None:
    rows = [
        (e.device_id, e.municipality_id, batch.at, e.channel, e.body.decode(), batch.batch_id) for e in batch.events
    ]
    if not rows:
        return
    if not careful:
        devices, towns, _, channels, bodies, _ = (list(column) for column in zip(*rows, strict=True))
        await connection.execute(_EVENTS, [batch.at, batch.batch_id, devices, towns, channels, bodies])
        return
    for event, row in zip(batch.events, rows, strict=True):
        try:
            async with connection.transaction():
                await connection.execute(_EVENT, row)
        except REFUSALS as error:
            if connection.closed:
                raise
            outcome.events_refused.append((event.message, error.diag.message_primary or str(error)))
