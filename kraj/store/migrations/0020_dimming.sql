-- Dimming: what people wrote, what each lamp is to know and says it knows, orders, their commands, and safety locks.
--
-- Two ways lead to a lamp. `desired` is what it keeps and follows by itself (programs); `command` is what it is told now
-- (orders of people), which ends by itself. Python compiles programs; the database keeps and hands on.

CREATE TABLE dimming_program (
    dimming_program_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    municipality_id integer NOT NULL REFERENCES municipality,
    name text NOT NULL CHECK (length(name) BETWEEN 1 AND 80),
    document jsonb NOT NULL CHECK (pg_column_size(document) < 65536),   -- as kraj/dimming.py reads it
    version integer NOT NULL DEFAULT 1,
    changed_at timestamptz NOT NULL,
    who text NOT NULL,
    UNIQUE (municipality_id, name),
    UNIQUE (municipality_id, dimming_program_id)
);
CREATE TRIGGER raise_row_version BEFORE UPDATE ON dimming_program FOR EACH ROW EXECUTE FUNCTION raise_row_version();

-- What lamps keep, compiled once for all lamps of a segment; the document never changes.
CREATE TABLE lamp_program (
    lamp_program_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    municipality_id integer NOT NULL REFERENCES municipality,
    digest bytea NOT NULL CHECK (length(digest) = 32),   -- SHA-256 of the document's text
    document jsonb NOT NULL,
    UNIQUE (municipality_id, digest)
);

-- A segment is a group of assets of kind 'segment'. lamp_program_id: what its lamps are to keep, as far as a rollout
-- has come; NULL: nobody has given it a program.
CREATE TABLE lighting_segment (
    group_id integer PRIMARY KEY,
    municipality_id integer NOT NULL REFERENCES municipality,
    designed_class text CHECK (designed_class ~ '^[MP][1-6]$'),
    permitted_class text CHECK (permitted_class ~ '^[MP][1-6]$'),
    dimming_program_id integer,
    lamp_program_id integer REFERENCES lamp_program,
    version integer NOT NULL DEFAULT 1,
    changed_at timestamptz NOT NULL,
    who text NOT NULL,
    reason text NOT NULL DEFAULT '',
    FOREIGN KEY (municipality_id, group_id) REFERENCES asset_group (municipality_id, group_id) ON DELETE CASCADE,
    FOREIGN KEY (municipality_id, dimming_program_id)
        REFERENCES dimming_program (municipality_id, dimming_program_id)
);
CREATE INDEX lighting_segment_municipality ON lighting_segment (municipality_id);
CREATE INDEX lighting_segment_program ON lighting_segment (dimming_program_id);
CREATE TRIGGER raise_row_version BEFORE UPDATE ON lighting_segment FOR EACH ROW EXECUTE FUNCTION raise_row_version();

-- Per device what it is to keep (by channel), and what it said that it keeps. The version only grows.
-- municipality_id: whose the lamps are; the topic's is the device's.
CREATE TABLE desired (
    device_id integer PRIMARY KEY REFERENCES device,
    municipality_id integer NOT NULL REFERENCES municipality,
    version bigint NOT NULL DEFAULT 1,
    programs jsonb NOT NULL DEFAULT '{}',      -- {"0": lamp_program_id}
    interval_s integer CHECK (interval_s BETWEEN 10 AND 86400),
    changed_at timestamptz NOT NULL,
    who text NOT NULL,
    reason text NOT NULL DEFAULT '',
    sent_version bigint,
    sent_at timestamptz,
    reported_version bigint,
    reported_at timestamptz,
    reported_error text
) WITH (fillfactor = 70);
CREATE INDEX desired_municipality ON desired (municipality_id);
CREATE INDEX desired_unsent ON desired (device_id) WHERE sent_version IS DISTINCT FROM version;
CREATE INDEX desired_unapplied ON desired (sent_at) WHERE reported_version IS DISTINCT FROM version;

-- Somebody's order, for a group, an asset, a municipality (neither of the two) or the region (no municipality). It ends.
CREATE TABLE lighting_order (
    order_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    municipality_id integer REFERENCES municipality,
    kind text NOT NULL CHECK (kind IN ('manual', 'light_now', 'emergency')),
    group_id integer,
    asset_id integer REFERENCES asset,
    level_pct smallint NOT NULL CHECK (level_pct BETWEEN 0 AND 100),
    valid_from timestamptz NOT NULL,
    valid_until timestamptz NOT NULL CHECK (valid_until > valid_from),
    reason text NOT NULL CHECK (reason <> ''),
    who text NOT NULL,
    created_at timestamptz NOT NULL,
    ended_at timestamptz,
    ended_by integer REFERENCES person ON DELETE SET NULL,
    FOREIGN KEY (municipality_id, group_id) REFERENCES asset_group (municipality_id, group_id),
    CHECK (group_id IS NULL OR asset_id IS NULL),
    CHECK (municipality_id IS NOT NULL OR kind = 'emergency' AND group_id IS NULL AND asset_id IS NULL),
    CHECK (kind = 'manual' OR level_pct = 100)
);
CREATE INDEX lighting_order_municipality ON lighting_order (municipality_id, order_id DESC);

-- What one channel of a device is told, from request to proof; kraj/commands.py tells the states. Without foreign keys:
-- an emergency writes a hundred thousand at once.
CREATE TABLE command (
    command_id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    municipality_id integer NOT NULL,          -- whose the asset is
    device_id integer NOT NULL,
    channel smallint NOT NULL DEFAULT 0,
    asset_id integer NOT NULL,
    order_id bigint,
    "do" text NOT NULL CHECK ("do" IN ('set_level', 'release')),
    level_pct smallint CHECK (level_pct BETWEEN 0 AND 100),
    reason text NOT NULL CHECK (reason IN ('manual', 'emergency')),
    until timestamptz NOT NULL,
    state text NOT NULL DEFAULT 'requested'
        CHECK (state IN ('requested', 'sent', 'accepted', 'confirmed', 'expired', 'refused', 'superseded')),
    requested_at timestamptz NOT NULL,
    next_at timestamptz NOT NULL,              -- when it is due to be sent (again), or looked at
    sent_at timestamptz,
    accepted_at timestamptz,
    settled_at timestamptz,
    attempts smallint NOT NULL DEFAULT 0,
    error text,
    who text NOT NULL,
    why text NOT NULL DEFAULT '',              -- where no order says it
    CHECK ((level_pct IS NOT NULL) = ("do" = 'set_level')),
    CHECK ((settled_at IS NOT NULL) = (state IN ('confirmed', 'expired', 'refused', 'superseded')))
) WITH (fillfactor = 70);
CREATE INDEX command_due ON command (next_at) WHERE state IN ('requested', 'sent');
CREATE INDEX command_open ON command (device_id, channel) WHERE settled_at IS NULL;
CREATE INDEX command_until ON command (until) WHERE settled_at IS NULL;
CREATE INDEX command_accepted ON command (next_at) WHERE state = 'accepted';
CREATE INDEX command_asset ON command (asset_id, requested_at DESC);
CREATE INDEX command_order ON command (order_id);

-- A crew works on a feeder or a whole cabinet: nothing there is switched on until the holder says so.
CREATE TABLE safety_lock (
    lock_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    municipality_id integer NOT NULL REFERENCES municipality,
    attribute text NOT NULL CHECK (attribute IN ('feeder', 'cabinet')),
    value text NOT NULL CHECK (length(value) BETWEEN 1 AND 120),
    holder integer REFERENCES person ON DELETE SET NULL,
    holder_title text NOT NULL,
    reason text NOT NULL CHECK (reason <> ''),
    since timestamptz NOT NULL,
    released_at timestamptz CHECK (released_at >= since)
);
CREATE UNIQUE INDEX safety_lock_held ON safety_lock (municipality_id, attribute, value) WHERE released_at IS NULL;
CREATE FUNCTION forget_lock_holder() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, public AS $$
BEGIN
    NEW.holder_title := 'anonym';
    RETURN NEW;
END $$;
CREATE TRIGGER forget_holder BEFORE UPDATE OF holder ON safety_lock
    FOR EACH ROW WHEN (NEW.holder IS NULL AND OLD.holder IS NOT NULL) EXECUTE FUNCTION forget_lock_holder();

-- A program goes to a small share of a segment's lamps first; the rest follows when those have taken it.
CREATE TABLE rollout (
    rollout_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    municipality_id integer NOT NULL REFERENCES municipality,
    group_id integer NOT NULL REFERENCES lighting_segment ON DELETE CASCADE,
    lamp_program_id integer NOT NULL REFERENCES lamp_program,
    share_pct smallint NOT NULL DEFAULT 5 CHECK (share_pct BETWEEN 1 AND 100),
    failures_max_pct smallint NOT NULL DEFAULT 5 CHECK (failures_max_pct BETWEEN 0 AND 100),
    state text NOT NULL DEFAULT 'running' CHECK (state IN ('running', 'paused', 'done', 'stopped')),
    stage smallint NOT NULL DEFAULT 0 CHECK (stage BETWEEN 0 AND 2),   -- 0: nobody has it yet; 1: the share; 2: all
    started_at timestamptz NOT NULL,
    changed_at timestamptz NOT NULL,
    who text NOT NULL,
    error text
);
CREATE UNIQUE INDEX rollout_open ON rollout (group_id) WHERE state IN ('running', 'paused');
CREATE INDEX rollout_municipality ON rollout (municipality_id, rollout_id DESC);

-- Segments into which a lamp has come, or a lamp of which has got another device: somebody has to give it the program.
CREATE TABLE segment_behind (
    group_id integer PRIMARY KEY REFERENCES lighting_segment ON DELETE CASCADE,
    behind boolean NOT NULL DEFAULT true
);
REVOKE ALL ON segment_behind FROM PUBLIC;
CREATE FUNCTION note_segment_behind() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
BEGIN
    INSERT INTO segment_behind
    SELECT DISTINCT s.group_id FROM new_rows n JOIN asset_group_member m USING (asset_id)
    JOIN lighting_segment s ON s.group_id = m.group_id AND s.lamp_program_id IS NOT NULL
    ON CONFLICT (group_id) DO UPDATE SET behind = true;
    RETURN NULL;
END $$;
CREATE TRIGGER segment_behind AFTER INSERT ON installed REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION note_segment_behind();
CREATE TRIGGER segment_behind AFTER INSERT ON asset_group_member REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION note_segment_behind();

-- Whoever dispatches looks at once; NOTIFY is only a hint.
CREATE FUNCTION notify_commands() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, public AS $$
BEGIN
    PERFORM pg_notify('commands', '');
    RETURN NULL;
END $$;
CREATE TRIGGER commands_waiting AFTER INSERT ON command FOR EACH STATEMENT EXECUTE FUNCTION notify_commands();
CREATE TRIGGER commands_waiting AFTER INSERT OR UPDATE OF version ON desired
    FOR EACH STATEMENT EXECUTE FUNCTION notify_commands();
CREATE TRIGGER commands_waiting AFTER INSERT OR UPDATE OF state ON rollout
    FOR EACH STATEMENT EXECUTE FUNCTION notify_commands();

-- What stands under a lock that is held: what hangs on it, and the cabinet whose contactor feeds a locked feeder.
CREATE FUNCTION locked_assets() RETURNS TABLE (asset_id integer, lock_id integer, attribute text, value text, holder_title text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
    SELECT a.asset_id, l.lock_id, l.attribute, l.value, l.holder_title FROM safety_lock l
    JOIN asset a ON a.municipality_id = l.municipality_id
        AND (a.metadata->>l.attribute = l.value OR a.kind = 'cabinet' AND (a.label = l.value AND l.attribute = 'cabinet'
             OR a.label IN (SELECT f.metadata->>'cabinet' FROM asset f
                            WHERE f.municipality_id = l.municipality_id AND f.metadata->>l.attribute = l.value)))
    WHERE l.released_at IS NULL
$$;
-- Of these, what who asks may read: whose lock it is elsewhere is nobody's business.
CREATE FUNCTION kraj_locked_assets()
RETURNS TABLE (asset_id integer, lock_id integer, attribute text, value text, holder_title text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
    SELECT l.* FROM locked_assets() l JOIN asset a USING (asset_id)
    WHERE a.municipality_id = ANY (kraj_municipalities('read')) OR a.asset_id = ANY (kraj_assets('read'))
$$;
REVOKE EXECUTE ON FUNCTION locked_assets(), kraj_locked_assets() FROM PUBLIC;

-- A lock holds whoever writes commands: none that energises passes it. A release energises unless it ends full light.
-- Who takes a lock waits for commands that are being written, and the other way round (advisory lock 'safety_lock').
CREATE FUNCTION refuse_locked() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
DECLARE found record;
BEGIN
    PERFORM pg_advisory_xact_lock_shared(hashtext('safety_lock'));
    IF NOT EXISTS (SELECT FROM safety_lock WHERE released_at IS NULL) THEN
        RETURN NULL;
    END IF;
    SELECT l.attribute, l.value, l.holder_title INTO found
    FROM new_rows n JOIN locked_assets() l USING (asset_id)
    LEFT JOIN lighting_order o ON o.order_id = n.order_id
    WHERE n.state = 'requested' AND (n."do" = 'set_level' AND n.level_pct > 0
        OR n."do" = 'release' AND coalesce(o.level_pct, 0) < 100)
    LIMIT 1;
    IF found.value IS NOT NULL THEN
        RAISE EXCEPTION '% % is locked by %', found.attribute, found.value, found.holder_title
            USING ERRCODE = 'object_not_in_prerequisite_state';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER refuse_locked AFTER INSERT ON command REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_locked();

-- Who has just taken a lock stops what is on its way to the lamps; what they do already is no command any more.
CREATE FUNCTION refuse_waiting(taken integer, moment timestamptz) RETURNS integer
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
    WITH refused AS (
        UPDATE command c SET state = 'refused', settled_at = moment,
            error = 'locked: ' || l.attribute || ' ' || l.value || ': ' || l.holder_title
        FROM locked_assets() l
        WHERE l.lock_id = taken AND c.asset_id = l.asset_id AND c.state IN ('requested', 'sent')
            AND (c."do" = 'set_level' AND c.level_pct > 0 OR c."do" = 'release' AND coalesce(
                (SELECT o.level_pct FROM lighting_order o WHERE o.order_id = c.order_id), 0) < 100)
            AND (SELECT s.holder FROM safety_lock s WHERE s.lock_id = taken) = kraj_principal()
        RETURNING 1
    )
    SELECT count(*)::integer FROM refused
$$;
REVOKE EXECUTE ON FUNCTION refuse_waiting(integer, timestamptz) FROM PUBLIC;

-- Whose the lamp is now sees what it is told.
CREATE FUNCTION desired_follows_owner() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
BEGIN
    UPDATE desired SET municipality_id = NEW.municipality_id
    WHERE device_id IN (SELECT i.device_id FROM installed i WHERE i.asset_id = NEW.asset_id AND i.valid_to IS NULL);
    UPDATE command SET municipality_id = NEW.municipality_id WHERE asset_id = NEW.asset_id AND settled_at IS NULL;
    RETURN NULL;
END $$;
CREATE TRIGGER desired_follows_owner AFTER UPDATE OF municipality_id ON asset
    FOR EACH ROW WHEN (OLD.municipality_id <> NEW.municipality_id) EXECUTE FUNCTION desired_follows_owner();

-- The wall. Programs and what lamps keep: who controls. Light now: also who works there (act).
SELECT tenant_wall('dimming_program', in_town('read'), in_town('control'));
SELECT tenant_wall('lamp_program', in_town('read'), in_town('control'));
SELECT tenant_wall('lighting_segment', in_town('read') || ' OR group_id IN (SELECT g.group_id FROM kraj_grants(''read'') g)',
                   in_town('control'));
SELECT tenant_wall('desired', in_town('read') || ' OR device_id = ANY ((SELECT kraj_devices(''read''))::integer[])',
                   in_town('control') || ' OR device_id = ANY ((SELECT kraj_devices(''control''))::integer[])');
SELECT tenant_wall('rollout', in_town('read'), in_town('control'));
CREATE FUNCTION may_order(wanted text) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, public AS $$
    SELECT in_town_or_granted(wanted, true) || format(' OR group_id IN (SELECT g.group_id FROM kraj_grants(%L) g)', wanted)
$$;
SELECT tenant_wall('lighting_order', may_order('read'),
    may_order('control') || ' OR kind = ''light_now'' AND (' || may_order('act') || ')');
SELECT tenant_wall('command', in_town_or_granted('read'), in_town_or_granted('control') || ' OR (' || in_town_or_granted('act')
    || ') AND EXISTS (SELECT FROM lighting_order o WHERE o.order_id = command.order_id AND o.kind = ''light_now'')');
DROP FUNCTION may_order(text);
-- A lock is taken in one's own name; its holder releases it, or who administers the region.
SELECT tenant_wall('safety_lock', in_town('read') || ' OR holder = (SELECT kraj_principal())');
DO $$ BEGIN
    EXECUTE format('CREATE POLICY taken ON safety_lock FOR INSERT TO kraj_api WITH CHECK'
                   ' (holder = (SELECT kraj_principal()) AND (%s OR %s))', in_town('act'), in_town('control'));
END $$;
CREATE POLICY released ON safety_lock FOR UPDATE TO kraj_api
    USING (holder = (SELECT kraj_principal()) OR (SELECT kraj_region('people')))
    WITH CHECK (holder = (SELECT kraj_principal()) OR (SELECT kraj_region('people')));

GRANT EXECUTE ON FUNCTION kraj_locked_assets() TO kraj_api;
GRANT EXECUTE ON FUNCTION refuse_waiting(integer, timestamptz) TO kraj_api;
GRANT SELECT ON dimming_program, lamp_program, lighting_segment, desired, lighting_order, command, safety_lock, rollout
    TO kraj_ingest, kraj_api;
GRANT INSERT, UPDATE, DELETE ON dimming_program, lighting_segment TO kraj_api;
GRANT INSERT ON lamp_program TO kraj_api;
GRANT INSERT (device_id, municipality_id, version, programs, interval_s, changed_at, who, reason),
    UPDATE (municipality_id, version, programs, interval_s, changed_at, who, reason) ON desired TO kraj_api, kraj_ingest;
GRANT UPDATE (sent_version, sent_at, reported_version, reported_at, reported_error) ON desired TO kraj_ingest;
GRANT INSERT, UPDATE (ended_at, ended_by) ON lighting_order TO kraj_api;
GRANT INSERT, UPDATE (state, settled_at, error) ON command TO kraj_api;
GRANT UPDATE (state, next_at, sent_at, accepted_at, settled_at, attempts, error) ON command TO kraj_ingest;
GRANT INSERT, UPDATE (released_at) ON safety_lock TO kraj_api;
GRANT INSERT, UPDATE (state, stage, changed_at, error) ON rollout TO kraj_api;
GRANT UPDATE (state, stage, changed_at, error) ON rollout TO kraj_ingest;
GRANT SELECT, UPDATE (behind) ON segment_behind TO kraj_ingest;

-- Not each command and desired row: an emergency has one order, a program one segment.
DO $$
DECLARE found text;
BEGIN
    FOREACH found IN ARRAY ARRAY['dimming_program', 'lighting_segment', 'lighting_order', 'safety_lock', 'rollout'] LOOP
        PERFORM audited(found::regclass);
    END LOOP;
END $$;
