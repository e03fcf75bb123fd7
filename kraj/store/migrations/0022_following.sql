-- What follows by itself: versions above what devices keep, topics that nobody stands behind any more, one segment a
-- lamp, programs compiled anew, what lamps were seen to take, and motion told to neighbours.

-- A device whose memory is of later than ours (a restored backup) leaves alone what has a smaller version.
-- outgrown_version: what it said that it keeps, above which the version was raised.
ALTER TABLE desired ADD COLUMN outgrown_version bigint, ADD COLUMN outgrown_at timestamptz;
CREATE INDEX desired_ahead ON desired (device_id) WHERE reported_version > version;
GRANT UPDATE (outgrown_version, outgrown_at) ON desired TO kraj_ingest;

-- The broker keeps what a device is to keep until it is told otherwise: topics that are to be emptied. What is done goes
-- with the next ones.
CREATE TABLE desired_left (
    desired_left_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    municipality text NOT NULL,
    device text NOT NULL,
    left_at timestamptz NOT NULL DEFAULT now(),
    cleared_at timestamptz
);
REVOKE ALL ON desired_left FROM PUBLIC;
CREATE INDEX desired_left_open ON desired_left (desired_left_id) WHERE cleared_at IS NULL;
CREATE FUNCTION leave_desired() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
BEGIN
    UPDATE desired SET sent_version = NULL WHERE device_id = OLD.device_id;
    IF FOUND THEN
        DELETE FROM desired_left WHERE cleared_at IS NOT NULL;
        INSERT INTO desired_left (municipality, device)
        SELECT m.name, OLD.name FROM municipality m WHERE m.municipality_id = OLD.municipality_id;
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER leave_desired AFTER UPDATE OF state, municipality_id ON device FOR EACH ROW
    WHEN (NEW.state = 'decommissioned' AND OLD.state <> 'decommissioned' OR NEW.municipality_id <> OLD.municipality_id)
    EXECUTE FUNCTION leave_desired();
CREATE TRIGGER commands_waiting AFTER INSERT ON desired_left
    FOR EACH STATEMENT EXECUTE FUNCTION notify_commands();
GRANT SELECT, UPDATE (cleared_at) ON desired_left TO kraj_ingest;

-- A lamp is in one segment at most. Where two held it, it stays in the one that has a program, else in the older one.
DELETE FROM asset_group_member m USING asset_group g
WHERE g.group_id = m.group_id AND g.kind = 'segment' AND m.group_id <> (
    SELECT o.group_id FROM asset_group_member o JOIN asset_group h ON h.group_id = o.group_id AND h.kind = 'segment'
    LEFT JOIN lighting_segment s ON s.group_id = o.group_id
    WHERE o.asset_id = m.asset_id ORDER BY s.lamp_program_id IS NULL, o.group_id LIMIT 1);
ALTER TABLE asset_group_member ADD COLUMN segment boolean NOT NULL DEFAULT false;
ALTER TABLE asset_group_member DISABLE TRIGGER USER;
UPDATE asset_group_member m SET segment = true FROM asset_group g WHERE g.group_id = m.group_id AND g.kind = 'segment';
ALTER TABLE asset_group_member ENABLE TRIGGER USER;
CREATE UNIQUE INDEX asset_group_member_segment ON asset_group_member (asset_id) WHERE segment;
CREATE FUNCTION know_segment() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
BEGIN
    -- Whoever changes the group's kind meanwhile waits.
    NEW.segment := coalesce((SELECT kind = 'segment' FROM asset_group WHERE group_id = NEW.group_id FOR SHARE), false);
    RETURN NEW;
END $$;
CREATE TRIGGER know_segment BEFORE INSERT ON asset_group_member FOR EACH ROW EXECUTE FUNCTION know_segment();
CREATE FUNCTION segment_follows_kind() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
BEGIN
    UPDATE asset_group_member SET segment = NEW.kind = 'segment' WHERE group_id = NEW.group_id;
    RETURN NULL;
END $$;
CREATE TRIGGER segment_follows_kind AFTER UPDATE OF kind ON asset_group
    FOR EACH ROW WHEN ((NEW.kind = 'segment') <> (OLD.kind = 'segment')) EXECUTE FUNCTION segment_follows_kind();

-- When a segment's program was last held against the calendar and the place of its lamps.
CREATE TABLE segment_compiled (
    group_id integer PRIMARY KEY REFERENCES lighting_segment ON DELETE CASCADE,
    looked_at timestamptz NOT NULL
);
REVOKE ALL ON segment_compiled FROM PUBLIC;
GRANT SELECT, INSERT, UPDATE ON segment_compiled TO kraj_ingest;
GRANT INSERT (municipality_id, digest, document) ON lamp_program TO kraj_ingest;
GRANT UPDATE (lamp_program_id, who, reason, changed_at) ON lighting_segment TO kraj_ingest;
GRANT INSERT (municipality_id, group_id, lamp_program_id, share_pct, failures_max_pct, stage, started_at, changed_at, who)
    ON rollout TO kraj_ingest;

-- What lamps were seen to take, as the rules have learnt it: shares by which they take more than their driver's typical
-- curve at the lowest and at full level, from so many lit hours, at the rated power that the registry had.
CREATE TABLE lamp_curve (
    asset_id integer PRIMARY KEY,   -- without a foreign key: it is written beside what people do
    gain_low real NOT NULL,
    gain_full real NOT NULL,
    lit_hours real NOT NULL,
    rated_w real NOT NULL,
    at timestamptz NOT NULL
);
SELECT tenant_wall('lamp_curve', 'EXISTS (SELECT FROM asset a WHERE a.asset_id = lamp_curve.asset_id)');
GRANT SELECT ON lamp_curve TO kraj_api;
GRANT SELECT, INSERT, UPDATE ON lamp_curve TO kraj_ingest;

-- Motion that a lamp has seen and told (an event), until neighbours were told of it. Commands of this kind are many and
-- short: they are kept for two days.
CREATE TABLE motion (
    motion_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    device_id integer NOT NULL,
    at timestamptz NOT NULL
);
REVOKE ALL ON motion FROM PUBLIC;
CREATE FUNCTION note_motion() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
BEGIN
    INSERT INTO motion (device_id, at)
    VALUES (NEW.device_id, coalesce(to_timestamp((NEW.body->>'ts')::bigint / 1000.0), NEW.received_at));
    RETURN NULL;
END $$;
CREATE TRIGGER note_motion AFTER INSERT ON device_event FOR EACH ROW
    WHEN (NEW.channel = 'event' AND NEW.body->>'event' = 'motion') EXECUTE FUNCTION note_motion();
CREATE TRIGGER commands_waiting AFTER INSERT ON motion FOR EACH STATEMENT EXECUTE FUNCTION notify_commands();
ALTER TABLE command DROP CONSTRAINT command_reason_check,
    ADD CONSTRAINT command_reason_check CHECK (reason IN ('manual', 'emergency', 'sensor'));
CREATE INDEX command_sensor ON command (settled_at) WHERE reason = 'sensor';
CREATE FUNCTION take_motions(moment timestamptz, most integer) RETURNS TABLE (device_id integer, at timestamptz)
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
    DELETE FROM command WHERE command_id IN (SELECT c.command_id FROM command c WHERE c.reason = 'sensor'
        AND c.settled_at < moment - interval '2 days' LIMIT most FOR UPDATE SKIP LOCKED);
    DELETE FROM motion m WHERE m.motion_id IN (SELECT n.motion_id FROM motion n ORDER BY 1 LIMIT most
        FOR UPDATE SKIP LOCKED) RETURNING m.device_id, m.at
$$;
REVOKE EXECUTE ON FUNCTION take_motions(timestamptz, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION take_motions(timestamptz, integer), locked_assets() TO kraj_ingest;
GRANT INSERT (municipality_id, device_id, channel, asset_id, "do", level_pct, reason, until, requested_at, next_at, who, why)
    ON command TO kraj_ingest;
