-- Firmware: releases that were signed, campaigns that hand one out in steps, and how far each device has come.

-- Whose signatures count: the region's keys, two at a time, so that one can be replaced. Written by its operator alone
-- (`kraj firmware`): whoever has the API's role signs nothing.
CREATE TABLE firmware_key (
    key_number text PRIMARY KEY CHECK (key_number ~ '^[0-9a-f]{16}$'),
    place smallint NOT NULL UNIQUE CHECK (place IN (1, 2)),
    public bytea NOT NULL CHECK (length(public) = 32),
    CHECK (left(encode(sha256(public), 'hex'), 16) = key_number)
);

-- digest: as kraj/firmware_release.py names a release, and as topics do. head: its signed beginning, the container's
-- first bytes. A release that was withdrawn is offered to nobody any more, and the broker forgets it.
CREATE TABLE firmware_release (
    release_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    digest text NOT NULL UNIQUE CHECK (digest ~ '^[0-9a-f]{16}$'),
    product text NOT NULL,
    release_version integer NOT NULL CHECK (release_version > 0),
    name text NOT NULL CHECK (length(name) BETWEEN 1 AND 32),   -- what a device says in `status.firmware`
    runtime text NOT NULL,
    expires_at timestamptz NOT NULL,
    key_number text NOT NULL,
    files smallint NOT NULL,
    size_bytes integer NOT NULL CHECK (size_bytes BETWEEN 1 AND 139264),
    head bytea NOT NULL,
    uploaded_at timestamptz NOT NULL,
    who text NOT NULL,
    withdrawn_at timestamptz,
    withdrawn_by integer REFERENCES person ON DELETE SET NULL,
    UNIQUE (product, release_version),
    UNIQUE (product, name),
    CHECK (left(encode(sha256(head), 'hex'), 16) = digest)
);

-- The bytes of a release, and what the broker keeps of them.
CREATE TABLE firmware_container (
    release_id integer PRIMARY KEY REFERENCES firmware_release ON DELETE CASCADE,
    container bytea NOT NULL CHECK (length(container) BETWEEN 1 AND 139264),
    published_at timestamptz,      -- the broker keeps it
    cleared_at timestamptz         -- … or, once the release was withdrawn, keeps nothing of it
);
ALTER TABLE firmware_container ALTER COLUMN container SET STORAGE EXTERNAL;   -- compiled code: there is little to gain

-- To a group, to what a municipality owns, or (neither) to the region's; of one kind, or all. First to a share, then,
-- when that has run for soak_min minutes, to the rest; too many failures pause it for a person.
CREATE TABLE firmware_campaign (
    campaign_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    release_id integer NOT NULL REFERENCES firmware_release,
    municipality_id integer REFERENCES municipality,
    group_id integer,
    kind text,
    share_pct smallint NOT NULL CHECK (share_pct BETWEEN 1 AND 100),
    failures_max_pct smallint NOT NULL CHECK (failures_max_pct BETWEEN 0 AND 100),
    soak_min integer NOT NULL CHECK (soak_min BETWEEN 0 AND 10080),
    state text NOT NULL DEFAULT 'running' CHECK (state IN ('running', 'paused', 'done', 'stopped')),
    stage smallint NOT NULL DEFAULT 1 CHECK (stage IN (1, 2)),   -- 1: the share; 2: all
    started_at timestamptz NOT NULL,
    changed_at timestamptz NOT NULL,
    who text NOT NULL,
    reason text NOT NULL,
    error text,
    FOREIGN KEY (municipality_id, group_id) REFERENCES asset_group (municipality_id, group_id)
        ON DELETE SET NULL (group_id),
    CHECK (group_id IS NULL OR municipality_id IS NOT NULL)
);
CREATE INDEX firmware_campaign_release ON firmware_campaign (release_id);
CREATE INDEX firmware_campaign_municipality ON firmware_campaign (municipality_id);
CREATE INDEX firmware_campaign_open ON firmware_campaign (campaign_id) WHERE state IN ('running', 'paused');

-- A device's part in a campaign. waiting: its stage has not come; offered: it is told, until it answers; accepted: it
-- loads and tries it; running: it says so in its status. failed: it refused, or said that it could not; rolled_back: it
-- ran it and runs another one now; cancelled: the campaign was stopped, or another one offers something else.
CREATE TABLE firmware_update (
    campaign_id integer NOT NULL REFERENCES firmware_campaign ON DELETE CASCADE,
    device_id integer NOT NULL REFERENCES device,
    municipality_id integer NOT NULL,              -- whose the asset is
    command_id uuid NOT NULL DEFAULT gen_random_uuid() UNIQUE,
    place integer NOT NULL CHECK (place > 0),      -- the order in which devices are told
    state text NOT NULL
        CHECK (state IN ('waiting', 'offered', 'accepted', 'running', 'failed', 'rolled_back', 'cancelled')),
    next_at timestamptz NOT NULL,                  -- when an offer is to be told (again)
    attempts smallint NOT NULL DEFAULT 0,
    sent_at timestamptz,
    accepted_at timestamptz,
    changed_at timestamptz NOT NULL,
    firmware_before text,
    error text,
    PRIMARY KEY (campaign_id, device_id)
) WITH (fillfactor = 70);
CREATE UNIQUE INDEX firmware_update_open ON firmware_update (device_id) WHERE state IN ('waiting', 'offered', 'accepted');
CREATE INDEX firmware_update_due ON firmware_update (next_at) WHERE state = 'offered';
CREATE INDEX firmware_update_device ON firmware_update (device_id, campaign_id DESC);
CREATE INDEX firmware_update_municipality ON firmware_update (municipality_id);

CREATE TRIGGER commands_waiting AFTER INSERT OR UPDATE OF withdrawn_at ON firmware_release
    FOR EACH STATEMENT EXECUTE FUNCTION notify_commands();
CREATE TRIGGER commands_waiting AFTER INSERT OR UPDATE OF state, stage ON firmware_campaign
    FOR EACH STATEMENT EXECUTE FUNCTION notify_commands();

-- A device says that an update failed: before it ran it, or after.
CREATE FUNCTION note_update_failed() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
BEGIN
    UPDATE firmware_update u SET state = CASE u.state WHEN 'running' THEN 'rolled_back' ELSE 'failed' END,
        changed_at = NEW.received_at, error = 'update_failed'
    WHERE u.device_id = NEW.device_id AND u.state IN ('offered', 'accepted', 'running')
        AND u.campaign_id = (SELECT max(n.campaign_id) FROM firmware_update n WHERE n.device_id = NEW.device_id)
        -- not what it tells late of an older one
        AND coalesce(to_timestamp((NEW.body->>'ts')::bigint / 1000.0), NEW.received_at) >= u.sent_at - interval '1 minute';
    RETURN NULL;
END $$;
REVOKE EXECUTE ON FUNCTION note_update_failed() FROM PUBLIC;
CREATE TRIGGER note_update_failed AFTER INSERT ON device_event FOR EACH ROW
    WHEN (NEW.channel = 'event' AND NEW.body->>'event' = 'update_failed') EXECUTE FUNCTION note_update_failed();

-- What people have ended stays ended for whoever dispatches; it begins nothing either (it has no right to insert).
CREATE TRIGGER forward_only BEFORE UPDATE OF state ON firmware_campaign FOR EACH ROW WHEN (current_user = 'kraj_ingest'
    AND NEW.state <> OLD.state AND (OLD.state <> 'running' OR NEW.state = 'stopped' AND NEW.error IS NULL))
    EXECUTE FUNCTION refuse_going_back();
CREATE TRIGGER forward_only BEFORE UPDATE OF state ON firmware_update FOR EACH ROW WHEN (current_user = 'kraj_ingest'
    AND NEW.state <> OLD.state AND (OLD.state = 'cancelled' OR NEW.state IN ('waiting', 'cancelled')
                                    OR NEW.state = 'offered' AND OLD.state <> 'waiting'))
    EXECUTE FUNCTION refuse_going_back();

-- The wall. A release is the region's: whoever is signed in knows which there are, its administrators bring them.
-- A campaign is begun by who controls the lights there.
SELECT tenant_wall('firmware_key', '(SELECT kraj_principal()) IS NOT NULL');
SELECT tenant_wall('firmware_release', '(SELECT kraj_principal()) IS NOT NULL', '(SELECT kraj_region(''people''))');
SELECT tenant_wall('firmware_container', '(SELECT kraj_principal()) IS NOT NULL', '(SELECT kraj_region(''people''))');
SELECT tenant_wall('firmware_campaign', in_town('read', true), in_town('control', true));
SELECT tenant_wall('firmware_update', in_town('read'), in_town('control'));
-- Who withdraws a release stops its campaigns, whoever began them.
CREATE POLICY withdrawn ON firmware_campaign FOR UPDATE TO kraj_api
    USING ((SELECT kraj_region('people'))) WITH CHECK ((SELECT kraj_region('people')));
CREATE POLICY withdrawn ON firmware_update FOR UPDATE TO kraj_api
    USING ((SELECT kraj_region('people'))) WITH CHECK ((SELECT kraj_region('people')));

-- The container's bytes are for whoever gives them to the broker.
GRANT SELECT ON firmware_key TO kraj_api;
GRANT SELECT, INSERT (digest, product, release_version, name, runtime, expires_at, key_number, files, size_bytes, head,
    uploaded_at, who), UPDATE (withdrawn_at, withdrawn_by) ON firmware_release TO kraj_api;
GRANT SELECT (release_id, published_at, cleared_at), INSERT (release_id, container) ON firmware_container TO kraj_api;
GRANT SELECT, INSERT, UPDATE (state, stage, failures_max_pct, changed_at, error) ON firmware_campaign TO kraj_api;
GRANT SELECT, INSERT, UPDATE (state, next_at, changed_at, error) ON firmware_update TO kraj_api;
GRANT SELECT ON firmware_release, firmware_container, firmware_campaign, firmware_update TO kraj_ingest;
GRANT UPDATE (published_at, cleared_at) ON firmware_container TO kraj_ingest;
GRANT UPDATE (state, stage, changed_at, error) ON firmware_campaign TO kraj_ingest;
GRANT UPDATE (command_id, state, next_at, attempts, sent_at, accepted_at, changed_at, error) ON firmware_update TO kraj_ingest;

-- Not each device: a campaign says whom it was for.
SELECT audited('firmware_key');
SELECT audited('firmware_release');
SELECT audited('firmware_campaign');
