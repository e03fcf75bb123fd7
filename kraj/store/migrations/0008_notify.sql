-- What the notification worker needs besides 0007: how long a message is worth sending, and who may see what of it.

-- The moment at which a message should have gone out; due_at moves on with each attempt.
ALTER TABLE delivery ADD COLUMN wanted_at timestamptz;
UPDATE delivery SET wanted_at = due_at;
ALTER TABLE delivery ALTER COLUMN wanted_at SET NOT NULL;

-- Two operators' targets of one name: NULL equals NULL here.
ALTER TABLE notification_target DROP CONSTRAINT notification_target_municipality_id_name_key;
ALTER TABLE notification_target ADD UNIQUE NULLS NOT DISTINCT (municipality_id, name);

-- The pages show whom a message went to, or that there was nobody; never the address, which holds secrets.
GRANT SELECT ON outbox TO kraj_api;
GRANT SELECT (target_id, municipality_id, name, severity_min, quiet_from, quiet_to, digest_at, language, enabled)
    ON notification_target TO kraj_api;
-- A municipality's own rules bring their own words.
GRANT SELECT ON custom_rule TO kraj_notify;
