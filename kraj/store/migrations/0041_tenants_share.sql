-- Whose share of the API's time a person's requests take: their municipality's; their own, where they have a role in
-- several or in none (contractors); NULL, nobody's, for people of the region, which runs the machine.
CREATE FUNCTION door_tenant(whom integer) RETURNS text
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
    SELECT CASE
        WHEN bool_or(m.municipality_id IS NULL) THEN NULL
        WHEN count(DISTINCT m.municipality_id) = 1 THEN 'town ' || min(m.municipality_id)
        ELSE 'person ' || whom
    END
    FROM membership m WHERE m.person_id = whom
        AND m.valid_from <= clock_timestamp() AND (m.valid_to IS NULL OR m.valid_to > clock_timestamp())
$$;
REVOKE EXECUTE ON FUNCTION door_tenant(integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION door_tenant(integer) TO kraj_api;

-- Devices of other systems: what they are told ends by nobody, so they are told no levels. Numbers only.
CREATE FUNCTION foreign_devices() RETURNS SETOF integer
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$ SELECT device_id FROM foreign_device $$;
REVOKE EXECUTE ON FUNCTION foreign_devices() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION foreign_devices() TO kraj_api;

-- A contactor follows its program by itself, so a lock has to reach into the cabinet: while it is held, a contactor that
-- stands open is told to stay so (by hand, which goes before programs), for a day at a time, and let go with the lock.
-- One that is closed is left alone until it opens: a lock switches nothing off.
CREATE TABLE contactor_hold (
    asset_id integer PRIMARY KEY REFERENCES asset ON DELETE CASCADE,
    device_id integer NOT NULL,
    channel smallint NOT NULL,
    held_at timestamptz NOT NULL,
    valid_until timestamptz NOT NULL
);
REVOKE ALL ON contactor_hold FROM PUBLIC;

CREATE FUNCTION tell_contactor(hold contactor_hold, asked text, cause text, moment timestamptz) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
DECLARE owner integer := (SELECT municipality_id FROM asset WHERE asset_id = hold.asset_id);
BEGIN
    UPDATE command SET state = 'superseded', settled_at = moment
    WHERE device_id = hold.device_id AND channel = hold.channel AND reason = 'manual' AND settled_at IS NULL;
    INSERT INTO command (municipality_id, device_id, channel, asset_id, "do", level_pct, reason, until, requested_at,
                         next_at, who, why)
    VALUES (owner, hold.device_id, hold.channel, hold.asset_id, asked, CASE asked WHEN 'set_level' THEN 0 END, 'manual',
            hold.valid_until, moment, moment, 'kraj', cause);
    PERFORM audit(CASE asked WHEN 'set_level' THEN 'lock.contactor_held' ELSE 'lock.contactor_released' END,
                  'asset ' || hold.asset_id, '{}', owner);
END $$;
REVOKE EXECUTE ON FUNCTION tell_contactor(contactor_hold, text, text, timestamptz) FROM PUBLIC;

-- How many contactors were told something.
CREATE FUNCTION hold_contactors(moment timestamptz) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
DECLARE
    told integer := 0;
    hold contactor_hold;
    cause text;
BEGIN
    IF (moment <= clock_timestamp() + interval '1 day') IS NOT TRUE THEN
        RAISE EXCEPTION 'contactors are held now' USING ERRCODE = 'check_violation';
    END IF;
    IF NOT EXISTS (SELECT FROM safety_lock WHERE released_at IS NULL) AND NOT EXISTS (SELECT FROM contactor_hold) THEN
        RETURN 0;   -- as nearly always, and this is asked each second
    END IF;
    PERFORM pg_advisory_xact_lock_shared(hashtext('safety_lock'));
    FOR hold.asset_id, hold.device_id, hold.channel, cause IN
        SELECT DISTINCT ON (a.asset_id) a.asset_id, i.device_id, i.channel,
            'locked: ' || l.attribute || ' ' || l.value || ': ' || l.holder_title
        FROM locked_assets() l JOIN asset a ON a.asset_id = l.asset_id AND a.kind = 'cabinet'
        JOIN installed i ON i.asset_id = a.asset_id AND i.valid_to IS NULL
        JOIN device d ON d.device_id = i.device_id AND d.state NOT IN ('suspended', 'decommissioned')
        JOIN desired w ON w.device_id = i.device_id AND w.programs ? i.channel::text
        JOIN latest_cabinet t ON t.asset_id = a.asset_id AND NOT t.contactor_closed
        LEFT JOIN contactor_hold h ON h.asset_id = a.asset_id AND h.device_id = i.device_id
        WHERE h.asset_id IS NULL OR h.valid_until < moment + interval '12 hours' OR EXISTS (
            SELECT FROM command c WHERE c.asset_id = a.asset_id AND c.requested_at > h.held_at AND c.reason = 'manual'
                AND c.state <> 'refused')
        ORDER BY a.asset_id, l.lock_id
    LOOP
        hold.held_at := moment;
        hold.valid_until := moment + interval '24 hours';
        PERFORM tell_contactor(hold, 'set_level', cause, moment);
        INSERT INTO contactor_hold VALUES (hold.*) ON CONFLICT (asset_id) DO UPDATE SET device_id = EXCLUDED.device_id,
            channel = EXCLUDED.channel, held_at = EXCLUDED.held_at, valid_until = EXCLUDED.valid_until;
        told := told + 1;
    END LOOP;
    FOR hold IN
        DELETE FROM contactor_hold h WHERE NOT EXISTS (SELECT FROM locked_assets() l WHERE l.asset_id = h.asset_id)
        RETURNING h.*
    LOOP
        IF hold.valid_until > moment THEN
            PERFORM tell_contactor(hold, 'release', '', moment);
            told := told + 1;
        END IF;
    END LOOP;
    RETURN told;
END $$;
REVOKE EXECUTE ON FUNCTION hold_contactors(timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION hold_contactors(timestamptz) TO kraj_ingest;
