-- Devices that speak another system's language: how each is read, what it said last, and what is fetched for it.

-- A mapping is written once and used by many devices of its municipality.
CREATE TABLE mapping (
    mapping_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    municipality_id integer NOT NULL REFERENCES municipality,
    name text NOT NULL CHECK (name ~ '^[a-z0-9][a-z0-9-]{1,62}$'),
    adapter text NOT NULL CHECK (adapter IN ('tasmota', 'shelly', 'esphome', 'chirpstack', 'json')),
    document jsonb NOT NULL CHECK (pg_column_size(document) < 65536),
    version integer NOT NULL DEFAULT 1,
    changed_at timestamptz NOT NULL,
    UNIQUE (municipality_id, name),
    UNIQUE (mapping_id, municipality_id, adapter)
);

-- address: the device's name in its own system where the topic names that one (a DevEUI).
-- credential: the hash of its password as the broker's file holds it; nobody reads it but whoever writes that file.
CREATE TABLE foreign_device (
    device_id integer PRIMARY KEY REFERENCES device,
    municipality_id integer NOT NULL REFERENCES municipality,
    adapter text NOT NULL CHECK (adapter IN ('tasmota', 'shelly', 'esphome', 'chirpstack', 'json')),
    mapping_id integer,
    address text CHECK (address ~ '^[0-9a-f]{16}$'),
    credential text,
    credential_at timestamptz,
    version integer NOT NULL DEFAULT 1,
    changed_at timestamptz NOT NULL,
    FOREIGN KEY (mapping_id, municipality_id, adapter) REFERENCES mapping (mapping_id, municipality_id, adapter)
);
CREATE UNIQUE INDEX foreign_device_address ON foreign_device (municipality_id, address) WHERE address IS NOT NULL;
CREATE INDEX foreign_device_mapping ON foreign_device (mapping_id);

-- The municipality is the device's, whatever a caller says.
CREATE FUNCTION foreign_device_town() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, public AS $$
BEGIN
    SELECT d.municipality_id INTO NEW.municipality_id FROM device d WHERE d.device_id = NEW.device_id;
    RETURN NEW;
END $$;
CREATE TRIGGER town BEFORE INSERT OR UPDATE OF device_id, municipality_id ON foreign_device
    FOR EACH ROW EXECUTE FUNCTION foreign_device_town();

-- A ring of a few places a device: the newest messages, the reading made of each, and what became of it.
CREATE TABLE foreign_message (
    device_id integer NOT NULL REFERENCES device,
    place smallint NOT NULL CHECK (place BETWEEN 0 AND 19),
    number bigint NOT NULL,
    municipality_id integer NOT NULL,
    at timestamptz NOT NULL,
    topic text NOT NULL,
    payload bytea NOT NULL,
    payload_bytes integer NOT NULL,
    readings jsonb NOT NULL,
    verdict text NOT NULL CHECK (verdict IN ('stored', 'partly', 'duplicate', 'refused', 'ignored', 'online', 'offline')),
    reasons jsonb NOT NULL,
    PRIMARY KEY (device_id, place)
) WITH (fillfactor = 70);

-- What is fetched over HTTPS for a device. headers are sealed with a key that is not in the database.
CREATE TABLE pull (
    pull_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    municipality_id integer NOT NULL REFERENCES municipality,
    name text NOT NULL CHECK (name ~ '^[a-z0-9][a-z0-9-]{1,62}$'),
    device_id integer NOT NULL REFERENCES foreign_device ON DELETE CASCADE,
    url text NOT NULL CHECK (url ~ '^https://' AND length(url) <= 2000),
    headers bytea,
    interval_s integer NOT NULL DEFAULT 300 CHECK (interval_s BETWEEN 60 AND 86400),
    enabled boolean NOT NULL DEFAULT true,
    due_at timestamptz NOT NULL,
    last_at timestamptz,
    last_error text,
    failures integer NOT NULL DEFAULT 0,
    version integer NOT NULL DEFAULT 1,
    UNIQUE (municipality_id, name)
);
CREATE INDEX pull_due ON pull (due_at) WHERE enabled;

-- Ingest reads devices and mappings with the registry; the ring and the pulls are no part of it.
CREATE TRIGGER registry_changed AFTER INSERT OR UPDATE OR DELETE ON mapping
    FOR EACH STATEMENT EXECUTE FUNCTION raise_registry_version();
CREATE TRIGGER registry_changed AFTER INSERT OR DELETE OR UPDATE OF adapter, mapping_id, address, device_id ON foreign_device
    FOR EACH STATEMENT EXECUTE FUNCTION raise_registry_version();

SELECT tenant_wall('mapping', in_town('read'), in_town('register'));
SELECT tenant_wall('foreign_device', in_town('read'), in_town('register'));
SELECT tenant_wall('foreign_message', in_town('read'));
SELECT tenant_wall('pull', in_town('read'), in_town('register'));

GRANT SELECT ON mapping, foreign_message, pull TO kraj_ingest, kraj_api;
GRANT SELECT (device_id, municipality_id, adapter, mapping_id, address, credential_at, version, changed_at)
    ON foreign_device TO kraj_ingest, kraj_api;
GRANT INSERT, UPDATE ON foreign_message TO kraj_ingest;
GRANT UPDATE (due_at, last_at, last_error, failures) ON pull TO kraj_ingest;
GRANT INSERT, UPDATE, DELETE ON mapping, foreign_device, pull TO kraj_api;
