-- What ingest keeps beside the readings themselves.

-- One row a slot: its lock is an advisory lock on slot_id; its totals are those of invariant 4, counted in readings.
-- received is what the messages of the committed batches held, counted before anybody knew what would become of it.
-- latest_batch_id: every batch up to it is in the latest_* tables; later ones are caught up at start.
CREATE TABLE slot (
    slot_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL UNIQUE CHECK (name ~ '^slot_[0-9]{1,4}$'),
    heartbeat_at timestamptz,
    received bigint NOT NULL DEFAULT 0,
    committed bigint NOT NULL DEFAULT 0,
    duplicate bigint NOT NULL DEFAULT 0,
    quarantined bigint NOT NULL DEFAULT 0,
    values_quarantined bigint NOT NULL DEFAULT 0,
    in_flight bigint NOT NULL DEFAULT 0,
    latest_batch_id bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 50);

-- One row a transaction of ingest. The id is drawn before the transaction, so that after a connection lost in
-- COMMIT the row tells whether it took place.
CREATE SEQUENCE batch_id_seq;
CREATE TABLE batch (
    batch_id bigint PRIMARY KEY,
    slot_id integer NOT NULL REFERENCES slot,
    committed_at timestamptz NOT NULL,
    committed integer NOT NULL,
    duplicate integer NOT NULL,
    quarantined integer NOT NULL
);

-- A device without a clock: its first message of a boot fixes when that boot began.
CREATE TABLE boot_epoch (
    device_id integer NOT NULL REFERENCES device,
    boot integer NOT NULL,
    epoch_ms bigint NOT NULL,
    PRIMARY KEY (device_id, boot)
);

CREATE TABLE device_status (
    device_id integer PRIMARY KEY REFERENCES device,
    online boolean NOT NULL,
    boot integer,
    firmware text,
    reset text,
    changed_at timestamptz NOT NULL
) WITH (fillfactor = 70);

-- The history of status, events, applied versions and results.
CREATE TABLE device_event (
    event_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    device_id integer NOT NULL REFERENCES device,
    municipality_id integer NOT NULL,
    received_at timestamptz NOT NULL,
    channel text NOT NULL,
    body jsonb NOT NULL,
    batch_id bigint NOT NULL
);
CREATE INDEX device_event_device ON device_event (device_id, event_id DESC);

-- Everything that was not taken as a reading, with its reason. The same bytes on the same topic for the same
-- reason are one row that counts.
CREATE TABLE quarantine (
    quarantine_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    digest bytea NOT NULL UNIQUE,
    first_at timestamptz NOT NULL,
    last_at timestamptz NOT NULL,
    times bigint NOT NULL DEFAULT 1,
    municipality_id integer,
    device_id integer,
    topic text NOT NULL,
    source text NOT NULL,
    reason text NOT NULL,
    detail text NOT NULL,
    metric text,
    payload bytea NOT NULL,
    payload_bytes integer NOT NULL,
    batch_id bigint NOT NULL
);
CREATE INDEX quarantine_source ON quarantine (source, first_at DESC);

-- Beyond a source's quota only the number is kept; what is not stored is not acknowledged to the device either.
CREATE TABLE quarantine_overflow (
    source text NOT NULL,
    day date NOT NULL,
    reason text NOT NULL,
    times bigint NOT NULL,
    last_at timestamptz NOT NULL,
    PRIMARY KEY (source, day, reason)
);

-- Keys that no kind knows, once a device.
CREATE TABLE unknown_key (
    device_id integer NOT NULL REFERENCES device,
    key text NOT NULL,
    first_at timestamptz NOT NULL,
    times bigint NOT NULL,
    PRIMARY KEY (device_id, key)
);

GRANT SELECT, INSERT, UPDATE ON slot, batch, boot_epoch, device_status, device_event, quarantine,
    quarantine_overflow, unknown_key TO kraj_ingest;
GRANT USAGE ON SEQUENCE batch_id_seq TO kraj_ingest;
GRANT SELECT ON slot, batch, device_status, device_event, quarantine, quarantine_overflow, unknown_key TO kraj_api;
