-- Ingest's rights, narrower: what the dispatcher does by itself (programs compiled anew, light trains) goes through
-- functions that check what they are given. Whoever has stolen its role writes no order, gives no street another's
-- program nor a darker one, and energises nothing under a lock.
REVOKE INSERT ON lamp_program, rollout, command FROM kraj_ingest;
REVOKE UPDATE ON lighting_segment FROM kraj_ingest;
REVOKE ALL ON segment_compiled FROM kraj_ingest;
REVOKE INSERT (interval_s, version), UPDATE (interval_s, municipality_id) ON desired FROM kraj_ingest;
REVOKE EXECUTE ON FUNCTION locked_assets() FROM kraj_ingest;

-- Segments whose program nobody has held against the calendar since, locked until the transaction ends; they count as
-- seen. Those are left out whose rollout goes on, waits for a person, or was stopped by one.
CREATE FUNCTION segments_to_compile(since timestamptz, moment timestamptz, most integer)
RETURNS TABLE (group_id integer, municipality_id integer, designed_class text, permitted_class text, document jsonb)
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
    WITH found AS MATERIALIZED (
        SELECT s.group_id, s.municipality_id, s.designed_class, s.permitted_class, p.document
        FROM lighting_segment s LEFT JOIN segment_compiled c USING (group_id)
        LEFT JOIN dimming_program p USING (dimming_program_id)
        WHERE s.lamp_program_id IS NOT NULL AND coalesce(c.looked_at <= since, true) AND coalesce((SELECT r.state
            FROM rollout r WHERE r.group_id = s.group_id ORDER BY r.rollout_id DESC LIMIT 1), 'done') = 'done'
        ORDER BY c.looked_at NULLS FIRST LIMIT most FOR UPDATE OF s SKIP LOCKED
    ), seen AS (
        INSERT INTO segment_compiled AS k (group_id, looked_at) SELECT f.group_id, moment FROM found f
        ON CONFLICT ON CONSTRAINT segment_compiled_pkey DO UPDATE SET looked_at = EXCLUDED.looked_at
    )
    SELECT * FROM found
$$;

-- What people decided of a compiled program: all but the calendar and the sun.
CREATE FUNCTION lamp_program_decided(document jsonb) RETURNS jsonb
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, public AS $$
    SELECT document - 'sun' - 'zone' - 'plans' || jsonb_build_object('plans', (
        SELECT jsonb_agg(CASE WHEN plan ? 'dates' THEN plan || '{"dates": []}' ELSE plan END ORDER BY n)
        FROM jsonb_array_elements(document->'plans') WITH ORDINALITY AS p (plan, n)))
$$;

-- A plan's dates reach further and are the same where both calendars tell of them; a year has 13 holidays.
CREATE FUNCTION dates_go_on(new jsonb, old jsonb) RETURNS boolean
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, public AS $$
    WITH a AS (SELECT d::integer AS d FROM jsonb_array_elements_text(new) AS d),
         b AS (SELECT d::integer AS d FROM jsonb_array_elements_text(old) AS d)
    SELECT coalesce((SELECT array_agg(d ORDER BY d) FROM a WHERE d <= (SELECT max(d) FROM b))
                    = (SELECT array_agg(d ORDER BY d) FROM b WHERE d >= (SELECT min(d) FROM a)), new = old)
        AND NOT EXISTS (SELECT FROM a WHERE d > (SELECT max(d) FROM b) GROUP BY d / 10000 HAVING count(*) > 13)
$$;

-- Each change of the wall's clock in Prague from the first entry to the last, as PostgreSQL knows it.
CREATE FUNCTION zone_is_true(zone jsonb) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, public AS $$
    WITH e AS (
        SELECT to_timestamp((entry->>0)::bigint) AS at, (entry->>1)::integer * interval '1 minute' AS ahead,
               lag((entry->>1)::integer * interval '1 minute') OVER (ORDER BY n) AS before,
               lag((entry->>0)::bigint) OVER (ORDER BY n) < (entry->>0)::bigint AS later
        FROM jsonb_array_elements(zone) WITH ORDINALITY AS z (entry, n))
    SELECT bool_and((at AT TIME ZONE 'Europe/Prague') - (at AT TIME ZONE 'UTC') = ahead AND coalesce(later, true)
        AND coalesce((at - interval '1 s') AT TIME ZONE 'Europe/Prague' - (at - interval '1 s') AT TIME ZONE 'UTC' = before,
                     true))
        AND count(*) BETWEEN 2 AND 100 FROM e
$$;

-- Sunrise and sunset of a leap year within half an hour of where the sun is (32001 and 32002: it does not rise or set).
CREATE FUNCTION sun_is_true(sun jsonb, north double precision, east double precision) RETURNS boolean
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, public AS $$
    WITH h AS (
        SELECT n, (sind(-0.833) - sind(north) * sind(tilt)) / (cosd(north) * cosd(tilt)) AS cosine FROM (
            SELECT n, -asind(0.39779 * cosd(0.98565 * (n + 9) + 1.914 * sind(0.98565 * (n - 3)))) AS tilt
            FROM generate_series(1, 366) AS n) AS of_day
    ), m AS (
        SELECT n, cosine, 720 - 4 * east - 4 * acosd(greatest(least(cosine, 1), -1)) AS rise,
               720 - 4 * east + 4 * acosd(greatest(least(cosine, 1), -1)) AS sets FROM h
    )
    SELECT jsonb_array_length(sun->'rise') = 366 AND jsonb_array_length(sun->'set') = 366 AND bool_and(
        abs((sun->'rise'->>(n - 1))::integer - rise) < 30 AND abs((sun->'set'->>(n - 1))::integer - sets) < 30
        OR abs(cosine) > 0.95) FROM m
$$;

-- What a segment's program has become by the calendar and the place of its lamps, handed out in steps: the number of the
-- compiled program whose rollout begins; NULL where it is as it was, or a rollout there is not done.
CREATE FUNCTION compile_segment(chosen integer, compiled text, moment timestamptz) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
DECLARE
    s lighting_segment; was jsonb; new jsonb := compiled; number integer; north float8; east float8;
    made bytea := sha256(convert_to(compiled, 'UTF8'));   -- reckoned here: nobody puts another document in its place
BEGIN
    SELECT * INTO s FROM lighting_segment g WHERE g.group_id = chosen AND g.lamp_program_id IS NOT NULL FOR UPDATE;
    SELECT p.document INTO was FROM lamp_program p WHERE p.lamp_program_id = s.lamp_program_id AND p.digest <> made;
    IF was IS NULL OR (SELECT r.state FROM rollout r WHERE r.group_id = chosen ORDER BY r.rollout_id DESC LIMIT 1) <> 'done'
    THEN
        RETURN NULL;
    END IF;
    SELECT avg(a.latitude), avg(a.longitude) INTO north, east FROM asset_group_member m JOIN asset a USING (asset_id)
    WHERE m.group_id = chosen AND a.kind = 'lamp' AND a.retired_at IS NULL AND a.latitude + a.longitude IS NOT NULL;
    IF north IS NULL THEN
        SELECT coalesce(avg(a.latitude), 49.82), coalesce(avg(a.longitude), 15.47) INTO north, east FROM asset a
        WHERE a.municipality_id = s.municipality_id AND a.retired_at IS NULL;
    END IF;
    IF (lamp_program_decided(new) = lamp_program_decided(was) AND zone_is_true(new->'zone')
        AND (new->'zone'->-1->>0)::bigint >= (was->'zone'->-1->>0)::bigint AND sun_is_true(new->'sun', north, east)
        AND NOT EXISTS (SELECT FROM generate_series(0, jsonb_array_length(was->'plans') - 1) AS i
            WHERE was->'plans'->i ? 'dates'
            AND dates_go_on(new->'plans'->i->'dates', was->'plans'->i->'dates') IS NOT TRUE)) IS NOT TRUE
    THEN
        RAISE EXCEPTION 'what was compiled for segment % is more than its program by the calendar and the sun', chosen
            USING ERRCODE = 'check_violation', HINT = 'Save the segment: people may change what its lamps keep.';
    END IF;
    INSERT INTO lamp_program (municipality_id, digest, document) VALUES (s.municipality_id, made, new)
    ON CONFLICT DO NOTHING;
    SELECT p.lamp_program_id INTO STRICT number FROM lamp_program p
    WHERE p.municipality_id = s.municipality_id AND p.digest = made;
    UPDATE lighting_segment g SET lamp_program_id = number, who = 'kraj', changed_at = moment,
        reason = 'kalendář, místo svítidel · calendar, place of lamps' WHERE g.group_id = chosen;
    INSERT INTO rollout (municipality_id, group_id, lamp_program_id, share_pct, failures_max_pct, stage, started_at,
                         changed_at, who)
    VALUES (s.municipality_id, chosen, number, 5, 5, 1, moment, moment, 'kraj');
    RETURN number;
END $$;

-- What ingest has a device keep is what the segment of its lamp follows, or is being given; and versions only grow.
CREATE FUNCTION keeps_its_segments() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
DECLARE before jsonb := '{}';
BEGIN
    IF TG_OP = 'UPDATE' THEN
        before := OLD.programs;
        IF NEW.version < OLD.version OR NOT NEW.programs ?& ARRAY(SELECT jsonb_object_keys(before)) THEN
            RAISE EXCEPTION 'what a device keeps is not taken back' USING ERRCODE = 'insufficient_privilege';
        END IF;
    END IF;
    IF EXISTS (SELECT FROM jsonb_each_text(NEW.programs) AS p WHERE before->>p.key IS DISTINCT FROM p.value AND NOT EXISTS (
        SELECT FROM installed i JOIN asset_group_member m ON m.asset_id = i.asset_id AND m.segment
        JOIN lighting_segment s ON s.group_id = m.group_id
        WHERE i.device_id = NEW.device_id AND i.valid_to IS NULL AND i.channel = p.key::integer
            AND (s.lamp_program_id = p.value::integer OR EXISTS (SELECT FROM rollout r WHERE r.group_id = s.group_id
                 AND r.state = 'running' AND r.lamp_program_id = p.value::integer))))
    THEN
        RAISE EXCEPTION 'no segment of device % follows that program', NEW.device_id
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER keeps_its_segments_first AFTER INSERT ON desired FOR EACH ROW
    WHEN (current_user = 'kraj_ingest') EXECUTE FUNCTION keeps_its_segments();
CREATE TRIGGER keeps_its_segments AFTER UPDATE OF programs, version ON desired FOR EACH ROW
    WHEN (current_user = 'kraj_ingest' AND (NEW.programs <> OLD.programs OR NEW.version < OLD.version))
    EXECUTE FUNCTION keeps_its_segments();

-- What a lock, a person or time has ended stays ended, and a command that was told is not told again as a new one.
CREATE FUNCTION refuse_going_back() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, public AS $$
BEGIN
    RAISE EXCEPTION '% does not go back from % to %', TG_TABLE_NAME, OLD.state, NEW.state
        USING ERRCODE = 'insufficient_privilege';
END $$;
CREATE TRIGGER forward_only BEFORE UPDATE OF state ON command FOR EACH ROW WHEN (current_user = 'kraj_ingest'
    AND NEW.state <> OLD.state AND (OLD.settled_at IS NOT NULL OR NEW.state = 'requested'
                                    OR OLD.state = 'accepted' AND NEW.state = 'sent'))
    EXECUTE FUNCTION refuse_going_back();
CREATE TRIGGER forward_only BEFORE UPDATE OF state ON rollout FOR EACH ROW WHEN (current_user = 'kraj_ingest'
    AND NEW.state <> OLD.state AND (OLD.state IN ('done', 'stopped') OR NEW.state = 'stopped'))
    EXECUTE FUNCTION refuse_going_back();

-- Lamps rise as neighbours of motion; those that were told within the pause still do, and those under a lock are left
-- alone. Only lamps whose segment's program has a light train, only to its level, and for five minutes at most.
-- A demo lives at another hour, so its clock is bounded by a day.
CREATE FUNCTION raise_lamps(lamps integer[], level integer, lasts interval, pause interval, cause text, moment timestamptz)
RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public SET plan_cache_mode = force_custom_plan AS $$
DECLARE raised integer;
BEGIN
    IF (lasts <= interval '5 minutes' AND moment <= clock_timestamp() + interval '1 day') IS NOT TRUE THEN
        RAISE EXCEPTION 'lamps rise for five minutes at most, and not later' USING ERRCODE = 'check_violation';
    END IF;
    WITH target AS MATERIALIZED (
        SELECT a.asset_id, a.municipality_id, i.device_id, i.channel
        FROM asset a JOIN installed i ON i.asset_id = a.asset_id AND i.valid_to IS NULL
        JOIN device d ON d.device_id = i.device_id AND d.state NOT IN ('suspended', 'decommissioned')
        JOIN asset_group_member m ON m.asset_id = a.asset_id AND m.segment
        JOIN lighting_segment s ON s.group_id = m.group_id
        JOIN dimming_program p ON p.dimming_program_id = s.dimming_program_id
            AND (p.document->'sensor'->>'neighbours')::integer > 0
            AND coalesce((p.document->'sensor'->>'level_pct')::integer, 100) = level
        WHERE a.asset_id = ANY (lamps) AND a.kind = 'lamp' AND a.retired_at IS NULL
            AND a.asset_id NOT IN (SELECT l.asset_id FROM locked_assets() l)
            AND NOT EXISTS (SELECT FROM command c WHERE c.device_id = i.device_id AND c.channel = i.channel
                AND c.reason = 'sensor' AND c.settled_at IS NULL AND c.requested_at > moment - pause)
    ), older AS MATERIALIZED (
        SELECT c.command_id FROM command c JOIN target t ON c.device_id = t.device_id AND c.channel = t.channel
        WHERE c.reason = 'sensor' AND c.settled_at IS NULL ORDER BY c.command_id FOR UPDATE OF c
    ), superseded AS (
        UPDATE command c SET state = 'superseded', settled_at = moment FROM older o WHERE c.command_id = o.command_id
    )
    INSERT INTO command (municipality_id, device_id, channel, asset_id, "do", level_pct, reason, until, requested_at,
                         next_at, who, why)
    SELECT t.municipality_id, t.device_id, t.channel, t.asset_id, 'set_level', level, 'sensor', moment + lasts, moment,
           moment, 'kraj', cause FROM target t;
    GET DIAGNOSTICS raised = ROW_COUNT;
    RETURN raised;
END $$;

REVOKE EXECUTE ON FUNCTION segments_to_compile(timestamptz, timestamptz, integer), lamp_program_decided(jsonb),
    dates_go_on(jsonb, jsonb), zone_is_true(jsonb), sun_is_true(jsonb, float8, float8),
    compile_segment(integer, text, timestamptz), keeps_its_segments(), refuse_going_back(),
    raise_lamps(integer[], integer, interval, interval, text, timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION segments_to_compile(timestamptz, timestamptz, integer),
    compile_segment(integer, text, timestamptz), raise_lamps(integer[], integer, interval, interval, text, timestamptz)
    TO kraj_ingest;
