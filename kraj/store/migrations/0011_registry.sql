-- The writing side of the registry: versions, old labels, kinds of groups, the life of a device, what is retried safely.

-- Every change raises the row's version, whoever makes it: an ETag is made of it.
ALTER TABLE municipality ADD COLUMN version integer NOT NULL DEFAULT 1;
ALTER TABLE asset ADD COLUMN version integer NOT NULL DEFAULT 1, ADD COLUMN retired_at timestamptz;
ALTER TABLE device ADD COLUMN version integer NOT NULL DEFAULT 1;
ALTER TABLE asset_group ADD COLUMN version integer NOT NULL DEFAULT 1,
    ADD COLUMN kind text NOT NULL DEFAULT 'list' CHECK (kind ~ '^[a-z][a-z_]{0,29}$'),
    ADD CHECK (length(name) BETWEEN 1 AND 200);
CREATE FUNCTION raise_row_version() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, public AS $$
BEGIN
    NEW.version := OLD.version + 1;
    RETURN NEW;
END $$;
DO $$
DECLARE t text;
BEGIN
    FOREACH t IN ARRAY ARRAY['municipality', 'asset', 'device', 'asset_group'] LOOP
        EXECUTE format('CREATE TRIGGER raise_row_version BEFORE UPDATE ON %I'
                       ' FOR EACH ROW EXECUTE FUNCTION raise_row_version()', t);
    END LOOP;
END $$;

-- Lists by name, of one municipality or of all.
CREATE INDEX device_municipality ON device (municipality_id, name);
-- Those that were not heard yet; ingest looks for them once a minute.
CREATE INDEX device_not_active ON device (device_id) WHERE state IN ('registered', 'provisioned');

-- What used to stand on an asset, until when: a crew finds it by the number on the old plate.
CREATE TABLE asset_label (
    asset_label_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    asset_id integer NOT NULL REFERENCES asset ON DELETE CASCADE,
    label text NOT NULL,
    valid_to timestamptz NOT NULL
);
CREATE INDEX asset_label_asset ON asset_label (asset_id);
CREATE FUNCTION keep_old_label() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
BEGIN
    -- kraj.at is the moment that the API or an import believes in; a demo's clock is not the server's.
    INSERT INTO asset_label (asset_id, label, valid_to)
    VALUES (OLD.asset_id, OLD.label,
            coalesce(nullif(current_setting('kraj.at', true), '')::timestamptz, clock_timestamp()));
    RETURN NULL;
END $$;
CREATE TRIGGER keep_old_label AFTER UPDATE OF label ON asset
    FOR EACH ROW WHEN (OLD.label <> NEW.label) EXECUTE FUNCTION keep_old_label();

-- Who took which step of a device's life, when and why; kraj/devices.py tells which step may follow which.
CREATE TABLE device_life (
    device_life_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    device_id integer NOT NULL REFERENCES device ON DELETE CASCADE,
    at timestamptz NOT NULL,
    step text NOT NULL CHECK (step IN ('registered', 'provisioned', 'activated', 'suspended', 'resumed', 'replaced',
                                       'decommissioned', 'claimed')),
    state text NOT NULL,               -- the one that followed
    who text NOT NULL,                 -- a person's name, or 'telemetry'
    reason text NOT NULL DEFAULT '',
    detail jsonb NOT NULL DEFAULT '{}'
);
CREATE INDEX device_life_device ON device_life (device_id, device_life_id);

-- A device that is heard for the first time is active; told by ingest for all of them at once, not one by one: each
-- change of the registry makes ingest read it again.
CREATE FUNCTION activate_devices(heard integer[], moment timestamptz) RETURNS integer
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
    WITH changed AS (
        UPDATE device SET state = 'active' WHERE device_id = ANY (heard) AND state IN ('registered', 'provisioned')
        RETURNING device_id
    ), told AS (
        INSERT INTO device_life (device_id, at, step, state, who)
        SELECT device_id, moment, 'activated', 'active', 'telemetry' FROM changed RETURNING 1
    )
    SELECT count(*)::integer FROM told
$$;
REVOKE EXECUTE ON FUNCTION activate_devices(integer[], timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION activate_devices(integer[], timestamptz) TO kraj_ingest;

-- A POST that was answered is answered the same way again for a day. Written in the transaction of the work itself.
CREATE TABLE idempotency_key (
    person_id integer NOT NULL REFERENCES person ON DELETE CASCADE,
    key text NOT NULL CHECK (length(key) BETWEEN 1 AND 255),
    route text NOT NULL,
    digest bytea NOT NULL,             -- of the body
    at timestamptz NOT NULL,
    status smallint,
    answer json,                       -- without secrets, which are shown once; members in their order
    headers jsonb,
    PRIMARY KEY (person_id, key)
);
CREATE INDEX idempotency_key_at ON idempotency_key (at);

-- Messages of devices that nobody had registered are taken in again once somebody has; then the row is only history.
ALTER TABLE quarantine ADD COLUMN taken_at timestamptz;
CREATE INDEX quarantine_waiting ON quarantine (source, quarantine_id)
    WHERE reason IN ('unknown_device', 'not_installed') AND taken_at IS NULL;

-- The names of registered devices among those given: a device of a foreign municipality is nobody's to claim.
CREATE FUNCTION registered_names(names text[]) RETURNS text[]
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
    SELECT coalesce(array_agg(name), '{}') FROM device WHERE name = ANY (names)
$$;
REVOKE EXECUTE ON FUNCTION registered_names(text[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION registered_names(text[]) TO kraj_api;

-- Only the region founds, renames and drops municipalities (0010 lets who manages people there change the row).
CREATE POLICY founded ON municipality FOR INSERT TO kraj_api WITH CHECK ((SELECT kraj_region('register')));
CREATE POLICY by_region_insert ON municipality AS RESTRICTIVE FOR INSERT TO kraj_api
    WITH CHECK ((SELECT kraj_region('register')));
CREATE POLICY by_region_update ON municipality AS RESTRICTIVE FOR UPDATE TO kraj_api
    USING ((SELECT kraj_region('register')));
CREATE POLICY by_region_delete ON municipality AS RESTRICTIVE FOR DELETE TO kraj_api
    USING ((SELECT kraj_region('register')));

-- A grant, and an override of a rule, name a group of the municipality itself.
ALTER TABLE asset_group ADD UNIQUE (municipality_id, group_id);
ALTER TABLE access_grant ADD FOREIGN KEY (municipality_id, group_id) REFERENCES asset_group (municipality_id, group_id);
ALTER TABLE rule_override ADD FOREIGN KEY (municipality_id, group_id) REFERENCES asset_group (municipality_id, group_id);

SELECT tenant_wall('asset_label', 'EXISTS (SELECT FROM asset a WHERE a.asset_id = asset_label.asset_id)');
SELECT tenant_wall('device_life', 'EXISTS (SELECT FROM device d WHERE d.device_id = device_life.device_id)',
                   'EXISTS (SELECT FROM device d WHERE d.device_id = device_life.device_id AND (d.' || in_town('register')
                   || ' OR d.device_id = ANY ((SELECT kraj_devices(''register''))::integer[])))');
SELECT tenant_wall('idempotency_key', 'person_id = (SELECT kraj_principal())', 'person_id = (SELECT kraj_principal())');

GRANT INSERT (name, title), UPDATE (title), DELETE ON municipality TO kraj_api;
GRANT INSERT (municipality_id, kind, label, latitude, longitude, metadata), DELETE,
    UPDATE (municipality_id, label, latitude, longitude, metadata, retired_at) ON asset TO kraj_api;
GRANT INSERT (name, municipality_id, state), UPDATE (state) ON device TO kraj_api;
GRANT INSERT (asset_id, device_id, channel, valid_from), UPDATE (valid_to) ON installed TO kraj_api;
GRANT INSERT (municipality_id, name, kind), UPDATE (name, kind), DELETE ON asset_group TO kraj_api;
GRANT INSERT, DELETE ON asset_group_member TO kraj_api;
GRANT SELECT ON asset_label TO kraj_api;
GRANT SELECT ON device_life TO kraj_ingest;
GRANT SELECT, INSERT (device_id, at, step, state, who, reason, detail) ON device_life TO kraj_api;
GRANT SELECT, INSERT, DELETE, UPDATE (status, answer, headers) ON idempotency_key TO kraj_api;
