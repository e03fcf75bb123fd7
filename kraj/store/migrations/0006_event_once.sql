-- A reading that is sent again must not tell its event a second time. An event is the same when device, event, boot,
-- seq and ts are; what has neither a ts nor boot with seq cannot be told apart from the next one, and may double.
-- Events kept before this have no boot; those told twice are reduced to the first.
DELETE FROM device_event WHERE event_id IN (
    SELECT event_id FROM (
        SELECT event_id, row_number() OVER (
            PARTITION BY device_id, body ->> 'event', body ->> 'boot', body ->> 'seq', body ->> 'ts' ORDER BY event_id
        ) AS nth
        FROM device_event
        WHERE channel = 'event'
            AND (body ->> 'ts' IS NOT NULL OR (body ->> 'boot' IS NOT NULL AND body ->> 'seq' IS NOT NULL))
    ) AS told
    WHERE nth > 1
);
CREATE UNIQUE INDEX device_event_once ON device_event
    (device_id, (body ->> 'event'), (body ->> 'boot'), (body ->> 'seq'), (body ->> 'ts')) NULLS NOT DISTINCT
    WHERE channel = 'event'
        AND (body ->> 'ts' IS NOT NULL OR (body ->> 'boot' IS NOT NULL AND body ->> 'seq' IS NOT NULL));
