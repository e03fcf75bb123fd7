-- Who owns what, which controller serves which asset, and since when.
CREATE TABLE municipality (
    municipality_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL UNIQUE CHECK (name ~ '^[a-z0-9][a-z0-9-]{1,62}$'),
    title text NOT NULL
);

CREATE TABLE asset (
    asset_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    municipality_id integer NOT NULL REFERENCES municipality,
    kind text NOT NULL,
    label text NOT NULL CHECK (label <> ''),
    latitude double precision CHECK (latitude BETWEEN -90 AND 90),
    longitude double precision CHECK (longitude BETWEEN -180 AND 180),
    metadata jsonb NOT NULL DEFAULT '{}'
);
CREATE INDEX asset_municipality ON asset (municipality_id, asset_id);

-- The municipality of a device is the routing label in its topic, fixed at enrolment; owners change, labels do not.
CREATE TABLE device (
    device_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL UNIQUE CHECK (name ~ '^[a-z0-9][a-z0-9-]{1,62}$'),
    municipality_id integer NOT NULL REFERENCES municipality,
    state text NOT NULL DEFAULT 'registered'
        CHECK (state IN ('registered', 'provisioned', 'active', 'suspended', 'decommissioned'))
);

-- A device may serve several assets through channels; an asset has at most one device at a time.
CREATE TABLE installed (
    asset_id integer NOT NULL REFERENCES asset,
    device_id integer NOT NULL REFERENCES device,
    channel smallint NOT NULL DEFAULT 0 CHECK (channel BETWEEN 0 AND 999),
    valid_from timestamptz NOT NULL,
    valid_to timestamptz CHECK (valid_to > valid_from),
    PRIMARY KEY (device_id, channel, valid_from)
);
CREATE UNIQUE INDEX installed_asset_now ON installed (asset_id) WHERE valid_to IS NULL;
CREATE UNIQUE INDEX installed_channel_now ON installed (device_id, channel) WHERE valid_to IS NULL;

CREATE TABLE asset_group (
    group_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    municipality_id integer NOT NULL REFERENCES municipality,
    name text NOT NULL,
    UNIQUE (municipality_id, name)
);
CREATE TABLE asset_group_member (
    group_id integer NOT NULL REFERENCES asset_group,
    asset_id integer NOT NULL REFERENCES asset,
    PRIMARY KEY (group_id, asset_id)
);

-- Every change of the registry raises the version; each ingest transaction reads it. NOTIFY is only a hint.
CREATE TABLE registry_version (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    version bigint NOT NULL
);
INSERT INTO registry_version (version) VALUES (1);

CREATE FUNCTION raise_registry_version() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
BEGIN
    UPDATE public.registry_version SET version = version + 1;
    PERFORM pg_notify('registry', '');
    RETURN NULL;
END $$;
CREATE TRIGGER registry_changed AFTER INSERT OR UPDATE OR DELETE ON municipality
    FOR EACH STATEMENT EXECUTE FUNCTION raise_registry_version();
CREATE TRIGGER registry_changed AFTER INSERT OR UPDATE OR DELETE ON asset
    FOR EACH STATEMENT EXECUTE FUNCTION raise_registry_version();
CREATE TRIGGER registry_changed AFTER INSERT OR UPDATE OR DELETE ON device
    FOR EACH STATEMENT EXECUTE FUNCTION raise_registry_version();
CREATE TRIGGER registry_changed AFTER INSERT OR UPDATE OR DELETE ON installed
    FOR EACH STATEMENT EXECUTE FUNCTION raise_registry_version();

GRANT SELECT ON municipality, asset, device, installed, asset_group, asset_group_member, registry_version
    TO kraj_ingest, kraj_api;
