-- The wall between municipalities: row-level security by the principal that a transaction names.
--
-- A transaction of the API says who asks: set_config('kraj.principal', person_id, true). Without it nothing is visible.
-- The functions read memberships and grants with the owner's rights; policies ask each of them once a statement.

CREATE FUNCTION kraj_principal() RETURNS integer
LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, public AS
$$ SELECT nullif(current_setting('kraj.principal', true), '')::integer $$;

-- Rights are narrowed further by a token's scopes: the setting names them, and nothing is unlimited.
CREATE FUNCTION kraj_scoped(wanted text) RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, public AS
$$ SELECT coalesce(nullif(current_setting('kraj.scopes', true), ''), '*') = '*'
       OR wanted = ANY (string_to_array(current_setting('kraj.scopes', true), ',')) $$;

-- Grants to the principal itself, to a team of its, or to the region of which it is.
CREATE FUNCTION kraj_grants(wanted text) RETURNS TABLE (municipality_id integer, group_id integer)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
    SELECT g.municipality_id, g.group_id FROM access_grant g
    JOIN person p ON p.person_id = kraj_principal() AND p.disabled_at IS NULL
    WHERE wanted = ANY (g.rights) AND kraj_scoped(wanted)
        AND g.valid_from <= clock_timestamp() AND (g.valid_to IS NULL OR g.valid_to > clock_timestamp())
        AND (g.person_id = p.person_id
             OR g.team_id IN (SELECT t.team_id FROM team_member t WHERE t.person_id = p.person_id)
             OR g.to_region AND EXISTS (SELECT FROM membership m WHERE m.person_id = p.person_id
                                        AND m.municipality_id IS NULL AND m.valid_from <= clock_timestamp()
                                        AND (m.valid_to IS NULL OR m.valid_to > clock_timestamp())))
$$;

-- Municipalities in which the principal has a right by a role, or to all of whose assets it was granted.
CREATE FUNCTION kraj_municipalities(wanted text) RETURNS integer[]
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
    WITH roles AS (
        SELECT m.municipality_id FROM membership m
        JOIN role_right r ON r.role = m.role AND r.right_name = wanted
        JOIN person p ON p.person_id = m.person_id AND p.disabled_at IS NULL
        WHERE m.person_id = kraj_principal() AND kraj_scoped(wanted)
            AND m.valid_from <= clock_timestamp() AND (m.valid_to IS NULL OR m.valid_to > clock_timestamp())
    )
    SELECT coalesce(array_agg(DISTINCT municipality_id), '{}') FROM (
        SELECT municipality_id FROM roles WHERE municipality_id IS NOT NULL
        UNION ALL
        SELECT municipality_id FROM municipality WHERE EXISTS (SELECT FROM roles WHERE municipality_id IS NULL)
        UNION ALL
        SELECT g.municipality_id FROM kraj_grants(wanted) g WHERE g.group_id IS NULL
    ) AS found
$$;

-- Single assets that were granted through a group; only of the municipality that grants, whatever the group holds.
CREATE FUNCTION kraj_assets(wanted text) RETURNS integer[]
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
    SELECT coalesce(array_agg(DISTINCT a.asset_id), '{}')
    FROM kraj_grants(wanted) g
    JOIN asset_group_member m USING (group_id)
    JOIN asset a ON a.asset_id = m.asset_id AND a.municipality_id = g.municipality_id
$$;

-- Whether the principal has a right in the region itself, for what belongs to no municipality.
CREATE FUNCTION kraj_region(wanted text) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
    SELECT kraj_scoped(wanted) AND EXISTS (
        SELECT FROM membership m JOIN role_right r ON r.role = m.role AND r.right_name = wanted
        JOIN person p ON p.person_id = m.person_id AND p.disabled_at IS NULL
        WHERE m.person_id = kraj_principal() AND m.municipality_id IS NULL
            AND m.valid_from <= clock_timestamp() AND (m.valid_to IS NULL OR m.valid_to > clock_timestamp()))
$$;

-- Puts a table behind the wall. What kraj_api may read is said by a condition; what it may write, by a right in the
-- row's municipality_id (NULL: it writes nothing there). Services and the owner see all: they serve everybody.
CREATE FUNCTION tenant_wall(walled regclass, read_condition text, write_condition text DEFAULT NULL) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, public AS $$
BEGIN
    EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', walled);
    EXECUTE format('ALTER TABLE %s FORCE ROW LEVEL SECURITY', walled);
    EXECUTE format('CREATE POLICY services ON %s TO kraj_ingest, kraj_notify, %I USING (true) WITH CHECK (true)',
                   walled, current_user);
    EXECUTE format('CREATE POLICY seen ON %s FOR SELECT TO kraj_api USING (%s)', walled, read_condition);
    IF write_condition IS NOT NULL THEN
        EXECUTE format('CREATE POLICY made ON %s FOR INSERT TO kraj_api WITH CHECK (%s)', walled, write_condition);
        EXECUTE format('CREATE POLICY changed ON %s FOR UPDATE TO kraj_api USING (%s) WITH CHECK (%s)',
                       walled, write_condition, write_condition);
        EXECUTE format('CREATE POLICY dropped ON %s FOR DELETE TO kraj_api USING (%s)', walled, write_condition);
    END IF;
END $$;
REVOKE EXECUTE ON FUNCTION tenant_wall(regclass, text, text) FROM PUBLIC;

-- The usual conditions, so that each is written once.
CREATE FUNCTION in_town(wanted text, or_region boolean DEFAULT false) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, public AS $$
    SELECT format('municipality_id = ANY ((SELECT kraj_municipalities(%L))::integer[])', wanted)
        || CASE WHEN or_region THEN format(' OR municipality_id IS NULL AND (SELECT kraj_region(%L))', wanted) ELSE '' END
$$;
CREATE FUNCTION in_town_or_granted(wanted text, or_region boolean DEFAULT false) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, public AS $$
    SELECT in_town(wanted, or_region) || format(' OR asset_id = ANY ((SELECT kraj_assets(%L))::integer[])', wanted)
$$;

-- The registry. Names and titles of municipalities are public, and a device names one that may be another's by now.
SELECT tenant_wall('municipality', 'true', in_town('people'));
SELECT tenant_wall('asset', in_town_or_granted('read'), in_town('register'));

-- Lists over a hundred thousand devices cannot ask two other tables for each row. So an installation knows whose its
-- asset is now, and whose its device's topic; where the two differ, the asset has changed owner.
ALTER TABLE installed ADD COLUMN municipality_id integer, ADD COLUMN topic_municipality_id integer;
UPDATE installed i SET municipality_id = a.municipality_id, topic_municipality_id = d.municipality_id
FROM asset a, device d WHERE a.asset_id = i.asset_id AND d.device_id = i.device_id;
ALTER TABLE installed ALTER COLUMN municipality_id SET NOT NULL, ALTER COLUMN topic_municipality_id SET NOT NULL;
CREATE INDEX installed_moved ON installed (municipality_id) WHERE municipality_id <> topic_municipality_id;
CREATE INDEX installed_asset ON installed (asset_id, valid_from);
CREATE FUNCTION know_owners() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
BEGIN
    SELECT a.municipality_id INTO NEW.municipality_id FROM asset a WHERE a.asset_id = NEW.asset_id;
    SELECT d.municipality_id INTO NEW.topic_municipality_id FROM device d WHERE d.device_id = NEW.device_id;
    RETURN NEW;
END $$;
CREATE TRIGGER know_owners BEFORE INSERT ON installed FOR EACH ROW EXECUTE FUNCTION know_owners();
CREATE FUNCTION follow_owner() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
BEGIN
    UPDATE installed SET municipality_id = NEW.municipality_id WHERE asset_id = NEW.asset_id;
    -- What the old owner has let others at does not go along.
    DELETE FROM asset_group_member m USING asset_group g
    WHERE m.asset_id = NEW.asset_id AND g.group_id = m.group_id AND g.municipality_id <> NEW.municipality_id;
    RETURN NULL;
END $$;
CREATE TRIGGER follow_owner AFTER UPDATE OF municipality_id ON asset
    FOR EACH ROW WHEN (OLD.municipality_id <> NEW.municipality_id) EXECUTE FUNCTION follow_owner();

-- Devices under another municipality's topic that serve, or served, what the principal has a right to.
CREATE FUNCTION kraj_devices(wanted text) RETURNS integer[]
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
    SELECT coalesce(array_agg(DISTINCT device_id), '{}') FROM (
        SELECT i.device_id FROM installed i
        WHERE i.municipality_id <> i.topic_municipality_id
            AND i.municipality_id = ANY ((SELECT kraj_municipalities(wanted))::integer[])
        UNION ALL
        SELECT i.device_id FROM installed i WHERE i.asset_id = ANY ((SELECT kraj_assets(wanted))::integer[])
    ) AS found
$$;
GRANT EXECUTE ON FUNCTION kraj_devices(text) TO kraj_api;

SELECT tenant_wall('device', in_town('read') || ' OR device_id = ANY ((SELECT kraj_devices(''read''))::integer[])',
                   in_town('register') || ' OR device_id = ANY ((SELECT kraj_devices(''register''))::integer[])');
-- Nobody installs another's device on an asset of its own, nor its own device on another's asset.
SELECT tenant_wall('installed', in_town_or_granted('read'), in_town('register')
    || ' AND EXISTS (SELECT FROM device d WHERE d.device_id = installed.device_id AND (d.' || in_town('register')
    || ' OR d.device_id = ANY ((SELECT kraj_devices(''register''))::integer[])))');
SELECT tenant_wall('asset_group', in_town('read') || ' OR group_id IN (SELECT g.group_id FROM kraj_grants(''read'') g)',
                   in_town('register'));
-- A group holds assets of its own municipality: whom it is granted to sees them.
SELECT tenant_wall('asset_group_member', 'EXISTS (SELECT FROM asset_group g WHERE g.group_id = asset_group_member.group_id)',
                   'EXISTS (SELECT FROM asset_group g JOIN asset a USING (municipality_id)'
                   ' WHERE g.group_id = asset_group_member.group_id AND a.asset_id = asset_group_member.asset_id AND g.'
                   || in_town('register') || ')');

-- Alerts and what bends rules.
SELECT tenant_wall('alert', in_town_or_granted('read', true), in_town_or_granted('act', true));
SELECT tenant_wall('alert_event', 'EXISTS (SELECT FROM alert a WHERE a.alert_id = alert_event.alert_id)',
                   'EXISTS (SELECT FROM alert WHERE alert.alert_id = alert_event.alert_id AND ('
                   || in_town_or_granted('act', true) || '))');
SELECT tenant_wall('outbox', 'EXISTS (SELECT FROM alert a WHERE a.alert_id = outbox.alert_id)');
SELECT tenant_wall('delivery', 'EXISTS (SELECT FROM outbox o WHERE o.outbox_id = delivery.outbox_id)');
SELECT tenant_wall('notification_target', in_town('read', true), in_town('rules', true));
SELECT tenant_wall('on_call', in_town('read', true), in_town('rules', true));
SELECT tenant_wall('maintenance_window', in_town('read'), in_town('rules'));
SELECT tenant_wall('rule_mute', 'EXISTS (SELECT FROM asset a WHERE a.asset_id = rule_mute.asset_id)',
                   'EXISTS (SELECT FROM asset WHERE asset.asset_id = rule_mute.asset_id AND (asset.'
                   || in_town('act') || ' OR asset.asset_id = ANY ((SELECT kraj_assets(''act''))::integer[])))');
SELECT tenant_wall('rule_override', in_town('read'), in_town('rules'));
SELECT tenant_wall('custom_rule', in_town('read'), in_town('rules'));

-- People: oneself, those of one's towns for who manages them.
CREATE FUNCTION kraj_people() RETURNS integer[]
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
    SELECT coalesce(array_agg(DISTINCT person_id), '{}') FROM (
        SELECT kraj_principal() AS person_id
        UNION ALL
        SELECT m.person_id FROM membership m
        WHERE m.municipality_id = ANY (kraj_municipalities('people')) OR kraj_region('people')
    ) AS found WHERE person_id IS NOT NULL
$$;
SELECT tenant_wall('person', 'person_id = ANY ((SELECT kraj_people())::integer[])');
SELECT tenant_wall('membership', 'person_id = (SELECT kraj_principal()) OR ' || in_town('people', true),
                   in_town('people', true));
SELECT tenant_wall('team', in_town('read', true) || ' OR team_id IN (SELECT t.team_id FROM team_member t)',
                   in_town('people', true));
SELECT tenant_wall('team_member', 'person_id = ANY ((SELECT kraj_people())::integer[])',
                   'EXISTS (SELECT FROM team t WHERE t.team_id = team_member.team_id AND (t.' || in_town('people')
                   || ' OR t.municipality_id IS NULL AND (SELECT kraj_region(''people''))))');
SELECT tenant_wall('access_grant', in_town('people') || ' OR person_id = (SELECT kraj_principal())', in_town('people'));
SELECT tenant_wall('sign_in_session', 'person_id = (SELECT kraj_principal())', 'person_id = (SELECT kraj_principal())');
SELECT tenant_wall('access_token', 'person_id = (SELECT kraj_principal())', 'person_id = (SELECT kraj_principal())');
SELECT tenant_wall('one_time_code', 'person_id = (SELECT kraj_principal())');
SELECT tenant_wall('sign_in_attempt', 'false');

GRANT SELECT (person_id, name, title, issuer, totp_confirmed_at, language, pseudonym, break_glass, created_at,
    disabled_at, version) ON person TO kraj_api;
GRANT SELECT ON membership, team, team_member, access_grant, role_right TO kraj_api;
GRANT SELECT (session_id, person_id, created_at, seen_at, expires_at, second_factor, user_agent) ON sign_in_session
    TO kraj_api;
GRANT SELECT (token_id, person_id, name, scopes, created_at, expires_at, seen_at, revoked_at) ON access_token TO kraj_api;
GRANT SELECT, INSERT, UPDATE, DELETE ON membership, team, team_member, access_grant TO kraj_api;
GRANT EXECUTE ON FUNCTION kraj_principal(), kraj_scoped(text), kraj_municipalities(text), kraj_assets(text),
    kraj_grants(text), kraj_region(text), kraj_people() TO kraj_api;

-- What ingest keeps. The sums of invariant 4 belong to nobody; single rows belong to somebody.
CREATE FUNCTION kraj_town_names(wanted text) RETURNS text[]
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
    SELECT coalesce(array_agg(name), '{}') FROM municipality WHERE municipality_id = ANY (kraj_municipalities(wanted))
$$;
GRANT EXECUTE ON FUNCTION kraj_town_names(text) TO kraj_api;
SELECT tenant_wall('device_event', in_town('read'));
SELECT tenant_wall('device_status', 'EXISTS (SELECT FROM device d WHERE d.device_id = device_status.device_id)');
SELECT tenant_wall('unknown_key', 'EXISTS (SELECT FROM device d WHERE d.device_id = unknown_key.device_id)');
-- Nobody has registered it: whoever registers in the town that its topic names may see and claim it.
SELECT tenant_wall('quarantine', in_town('read', true)
    || ' OR municipality_id IS NULL AND split_part(topic, ''/'', 2) = ANY ((SELECT kraj_town_names(''register''))::text[])');
SELECT tenant_wall('rule_failure', '(SELECT kraj_region(''rules''))');
SELECT tenant_wall('slot', 'true');
SELECT tenant_wall('quarantine_overflow', 'true');
SELECT tenant_wall('resend', '(SELECT kraj_region(''read''))');
SELECT tenant_wall('role_right', 'true');
REVOKE SELECT ON batch FROM kraj_api;

-- From here on readings are read through views (schema.py makes them): TimescaleDB refuses policies beside compression.
DO $$
DECLARE found text;
BEGIN
    FOR found IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename ~ '^(reading|latest)_' LOOP
        EXECUTE format('REVOKE SELECT ON %I FROM kraj_api', found);
    END LOOP;
END $$;

-- The door. Who signs in is not known yet, so that the wall would hide whom the sign-in looks for. These functions run
-- with the owner's rights, and each tells or changes no more than its step of a sign-in needs.
SELECT tenant_wall('recovery_code', 'false');
-- Digests and hashes are nobody's to read, not even of one's own town.
REVOKE SELECT ON person, sign_in_session, access_token FROM kraj_api;
GRANT SELECT (person_id, name, title, issuer, totp_confirmed_at, language, pseudonym, break_glass, created_at, disabled_at,
    version) ON person TO kraj_api;
GRANT SELECT (session_id, person_id, created_at, seen_at, expires_at, second_factor, user_agent) ON sign_in_session TO kraj_api;
GRANT DELETE ON sign_in_session TO kraj_api;
GRANT SELECT (token_id, person_id, name, scopes, created_at, expires_at, seen_at, revoked_at, second_factor)
    ON access_token TO kraj_api;
GRANT INSERT ON access_token TO kraj_api;
GRANT UPDATE (revoked_at) ON access_token TO kraj_api;

-- What a person may do anywhere at all, and whether a second factor is owed: by administrators, and by who comes to a
-- municipality's assets without a role there (a contractor).
CREATE VIEW door_person AS
WITH roles AS (
    SELECT m.person_id, m.municipality_id, m.role FROM membership m
    WHERE m.valid_from <= clock_timestamp() AND (m.valid_to IS NULL OR m.valid_to > clock_timestamp())
), granted AS (
    SELECT g.rights, g.municipality_id, g.person_id, g.team_id, g.to_region FROM access_grant g
    WHERE g.valid_from <= clock_timestamp() AND (g.valid_to IS NULL OR g.valid_to > clock_timestamp())
)
SELECT p.person_id, p.name, p.title, p.language, p.break_glass, p.password, p.issuer, p.subject, p.totp_secret,
    p.totp_confirmed_at, p.totp_last_step,
    ARRAY(SELECT r.right_name FROM roles JOIN role_right r USING (role) WHERE roles.person_id = p.person_id
          UNION SELECT unnest(g.rights) FROM granted g
          WHERE g.person_id = p.person_id
              OR g.team_id IN (SELECT t.team_id FROM team_member t WHERE t.person_id = p.person_id)
              OR g.to_region AND EXISTS (SELECT FROM roles WHERE roles.person_id = p.person_id AND municipality_id IS NULL)
          ORDER BY 1) AS rights,
    EXISTS (SELECT FROM roles WHERE roles.person_id = p.person_id AND role IN ('region_admin', 'municipality_admin'))
    OR EXISTS (SELECT FROM granted g
               WHERE (g.person_id = p.person_id
                      OR g.team_id IN (SELECT t.team_id FROM team_member t WHERE t.person_id = p.person_id))
                   AND NOT EXISTS (SELECT FROM roles WHERE roles.person_id = p.person_id
                                   AND roles.municipality_id = g.municipality_id)) AS owes_second_factor
FROM person p WHERE p.disabled_at IS NULL;

CREATE FUNCTION door_session(given bytea, at timestamptz)
RETURNS TABLE (session_id bigint, second_factor boolean, seen_at timestamptz, person_id integer, name text, title text,
               language text, rights text[], owes_second_factor boolean, has_totp boolean)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
    SELECT s.session_id, s.second_factor, s.seen_at, p.person_id, p.name, p.title, p.language, p.rights,
        p.owes_second_factor, p.totp_confirmed_at IS NOT NULL
    FROM sign_in_session s JOIN door_person p USING (person_id) WHERE s.digest = given AND s.expires_at > at
$$;
-- A session lasts as long as it is used, and thirty days at most.
CREATE FUNCTION door_session_seen(given bigint, at timestamptz, idle interval, whole interval) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
    UPDATE sign_in_session SET seen_at = at, expires_at = least(created_at + whole, at + idle)
    WHERE session_id = given AND seen_at < at
$$;
CREATE FUNCTION door_session_open(whom integer, given bytea, at timestamptz, until timestamptz, second boolean, agent text)
RETURNS bigint
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
    DELETE FROM sign_in_session WHERE expires_at < at;
    INSERT INTO sign_in_session (digest, person_id, created_at, seen_at, expires_at, second_factor, user_agent)
    SELECT given, p.person_id, at, at, until, second, agent FROM person p
    WHERE p.person_id = whom AND p.disabled_at IS NULL
    RETURNING session_id
$$;
CREATE FUNCTION door_session_close(given bytea) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
    DELETE FROM sign_in_session WHERE digest = given
$$;

CREATE FUNCTION door_token(token integer, given bytea, at timestamptz)
RETURNS TABLE (token_id integer, scopes text[], second_factor boolean, seen_at timestamptz, person_id integer, name text,
               title text, language text, rights text[], owes_second_factor boolean)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
    SELECT t.token_id, t.scopes, t.second_factor, t.seen_at, p.person_id, p.name, p.title, p.language, p.rights,
        p.owes_second_factor
    FROM access_token t JOIN door_person p USING (person_id)
    WHERE t.token_id = token AND t.digest = given AND t.expires_at > at AND t.revoked_at IS NULL
$$;
CREATE FUNCTION door_token_seen(token integer, at timestamptz) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
    UPDATE access_token SET seen_at = at WHERE token_id = token
$$;

-- Counts an attempt and tells how many seconds to wait before it may be judged; one after another for a name.
CREATE FUNCTION door_attempt(given_name text, given_address text, moment timestamptz, span interval, name_max integer,
                             address_max integer) RETURNS double precision
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
DECLARE oldest timestamptz;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('door'), hashtext(given_name));
    DELETE FROM sign_in_attempt WHERE at <= moment - span;
    SELECT max(recent.at) INTO oldest FROM (
        (SELECT a.at FROM sign_in_attempt a WHERE a.name = given_name ORDER BY a.at DESC OFFSET name_max - 1 LIMIT 1)
        UNION ALL
        (SELECT a.at FROM sign_in_attempt a WHERE a.address = given_address ORDER BY a.at DESC OFFSET address_max - 1 LIMIT 1)
    ) AS recent;
    IF oldest IS NOT NULL THEN
        RETURN greatest(1, extract(epoch FROM oldest + span - moment));
    END IF;
    INSERT INTO sign_in_attempt (name, address, at) VALUES (given_name, given_address, moment);
    RETURN 0;
END $$;
CREATE FUNCTION door_forgive(given_name text) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
    DELETE FROM sign_in_attempt WHERE name = given_name
$$;

CREATE FUNCTION door_person_named(given text)
RETURNS TABLE (person_id integer, name text, title text, language text, password text, break_glass boolean,
               owes_second_factor boolean, has_totp boolean, has_issuer boolean)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
    SELECT p.person_id, p.name, p.title, p.language, p.password, p.break_glass, p.owes_second_factor,
        p.totp_confirmed_at IS NOT NULL, p.issuer IS NOT NULL
    FROM door_person p WHERE p.name = given
$$;
CREATE FUNCTION door_password_set(whom integer, hash text, everywhere boolean) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
    UPDATE person SET password = hash, version = version + 1 WHERE person_id = whom AND disabled_at IS NULL;
    DELETE FROM sign_in_session WHERE everywhere AND person_id = whom;
    DELETE FROM one_time_code WHERE everywhere AND person_id = whom AND used_at IS NULL;
$$;

CREATE FUNCTION door_totp(whom integer) RETURNS TABLE (secret text, confirmed boolean, last_step bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
    SELECT totp_secret, totp_confirmed_at IS NOT NULL, totp_last_step FROM door_person WHERE person_id = whom
$$;
CREATE FUNCTION door_totp_begin(whom integer, secret text) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
    UPDATE person SET totp_secret = secret WHERE person_id = whom AND totp_confirmed_at IS NULL
$$;
-- A step of the clock is taken once, however many come with its code at the same moment.
CREATE FUNCTION door_totp_take(whom integer, step bigint) RETURNS boolean
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
    WITH taken AS (UPDATE person SET totp_last_step = step WHERE person_id = whom AND totp_last_step < step RETURNING 1)
    SELECT EXISTS (SELECT FROM taken)
$$;
CREATE FUNCTION door_totp_confirm(whom integer, at timestamptz, codes bytea[]) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
    UPDATE person SET totp_confirmed_at = at, version = version + 1 WHERE person_id = whom;
    DELETE FROM recovery_code WHERE person_id = whom;
    INSERT INTO recovery_code (person_id, digest) SELECT whom, unnest(codes);
$$;
CREATE FUNCTION door_recovery_take(whom integer, given bytea, at timestamptz) RETURNS boolean
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
    WITH taken AS (UPDATE recovery_code SET used_at = at WHERE person_id = whom AND digest = given AND used_at IS NULL
                   RETURNING 1)
    SELECT EXISTS (SELECT FROM taken)
$$;

-- Links: what one says, and taking it once.
CREATE FUNCTION door_code(given bytea, at timestamptz)
RETURNS TABLE (purpose text, person_id integer, name text, title text, language text, detail jsonb, expires_at timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
    SELECT c.purpose, p.person_id, p.name, p.title, p.language, c.detail, c.expires_at
    FROM one_time_code c JOIN door_person p USING (person_id)
    WHERE c.digest = given AND c.used_at IS NULL AND c.expires_at > at
$$;
CREATE FUNCTION door_code_take(given bytea, at timestamptz) RETURNS boolean
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
    WITH taken AS (UPDATE one_time_code SET used_at = at WHERE digest = given AND used_at IS NULL AND expires_at > at
                   RETURNING 1)
    SELECT EXISTS (SELECT FROM taken)
$$;
CREATE FUNCTION door_code_make(given bytea, what text, whom integer, at timestamptz, until timestamptz, said jsonb)
RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
    DELETE FROM one_time_code WHERE expires_at < at - interval '30 days';
    INSERT INTO one_time_code (digest, purpose, person_id, detail, created_at, expires_at)
    SELECT given, what, whom, said, at, until;
$$;

-- OpenID Connect: known by issuer and subject; the first time by the verified e-mail of somebody who was invited.
CREATE FUNCTION door_subject(given_issuer text, given_subject text, verified_name text) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
DECLARE known integer;
BEGIN
    SELECT p.person_id INTO known FROM door_person p WHERE p.issuer = given_issuer AND p.subject = given_subject;
    IF known IS NULL AND verified_name IS NOT NULL THEN
        UPDATE person SET issuer = given_issuer, subject = given_subject, version = version + 1
        WHERE name = verified_name AND issuer IS NULL AND disabled_at IS NULL AND NOT break_glass
            AND NOT EXISTS (SELECT FROM person p WHERE p.issuer = given_issuer AND p.subject = given_subject)
        RETURNING person_id INTO known;
    END IF;
    RETURN known;
END $$;

-- Whether the principal manages people everywhere where this person may do anything: only then it may make a link for
-- them or shut them out, as both reach beyond one town.
CREATE FUNCTION kraj_manages(whom integer) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
    WITH places AS (
        SELECT municipality_id FROM membership
        WHERE person_id = whom AND (valid_to IS NULL OR valid_to > clock_timestamp())
        UNION ALL
        SELECT municipality_id FROM access_grant
        WHERE person_id = whom AND (valid_to IS NULL OR valid_to > clock_timestamp())
        UNION ALL
        SELECT t.municipality_id FROM team_member JOIN team t USING (team_id) WHERE team_member.person_id = whom
    )
    SELECT kraj_region('people') OR whom = ANY (kraj_people()) AND EXISTS (SELECT FROM places) AND NOT EXISTS (
        SELECT FROM places WHERE municipality_id IS NULL OR NOT municipality_id = ANY (kraj_municipalities('people')))
$$;
-- A person by e-mail, made when there is none; the role is then given as a membership, which the wall judges.
CREATE FUNCTION kraj_invite(given_name text, given_title text, given_language text, at timestamptz)
RETURNS TABLE (person_id integer, pending boolean)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
BEGIN
    IF NOT kraj_region('people') AND cardinality(kraj_municipalities('people')) = 0 THEN
        RAISE insufficient_privilege USING MESSAGE = 'only who manages people invites';
    END IF;
    INSERT INTO person (name, title, language, created_at) VALUES (given_name, given_title, given_language, at)
    ON CONFLICT ON CONSTRAINT person_name_key DO NOTHING;
    RETURN QUERY SELECT p.person_id, p.password IS NULL AND p.subject IS NULL AND p.disabled_at IS NULL
    FROM person p WHERE p.name = given_name;
END $$;
CREATE FUNCTION kraj_disable(whom integer, at timestamptz, expected integer) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
BEGIN
    IF NOT kraj_manages(whom) OR whom = kraj_principal() THEN
        RETURN false;  -- who shuts out only others never leaves a place without an administrator
    END IF;
    UPDATE person SET disabled_at = at, version = version + 1, issuer = NULL, subject = NULL
    WHERE person_id = whom AND disabled_at IS NULL AND version = expected;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    DELETE FROM sign_in_session WHERE sign_in_session.person_id = whom;
    DELETE FROM one_time_code WHERE one_time_code.person_id = whom AND used_at IS NULL;
    UPDATE access_token SET revoked_at = at WHERE access_token.person_id = whom AND revoked_at IS NULL;
    UPDATE membership SET valid_to = greatest(at, valid_from + interval '1 microsecond'), version = version + 1
    WHERE membership.person_id = whom AND (valid_to IS NULL OR valid_to > at);
    UPDATE access_grant SET valid_to = greatest(at, valid_from + interval '1 microsecond'), version = version + 1
    WHERE access_grant.person_id = whom AND (valid_to IS NULL OR valid_to > at);
    DELETE FROM team_member WHERE team_member.person_id = whom;
    RETURN true;
END $$;
CREATE FUNCTION kraj_language(given text) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
    UPDATE person SET language = given, version = version + 1 WHERE person_id = kraj_principal()
$$;

REVOKE EXECUTE ON FUNCTION door_session(bytea, timestamptz), door_session_seen(bigint, timestamptz, interval, interval),
    door_session_open(integer, bytea, timestamptz, timestamptz, boolean, text), door_session_close(bytea),
    door_token(integer, bytea, timestamptz), door_token_seen(integer, timestamptz),
    door_attempt(text, text, timestamptz, interval, integer, integer), door_forgive(text), door_person_named(text),
    door_password_set(integer, text, boolean), door_totp(integer), door_totp_begin(integer, text),
    door_totp_take(integer, bigint), door_totp_confirm(integer, timestamptz, bytea[]),
    door_recovery_take(integer, bytea, timestamptz), door_code(bytea, timestamptz), door_code_take(bytea, timestamptz),
    door_code_make(bytea, text, integer, timestamptz, timestamptz, jsonb), door_subject(text, text, text),
    kraj_manages(integer), kraj_invite(text, text, text, timestamptz), kraj_disable(integer, timestamptz, integer),
    kraj_language(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION door_session(bytea, timestamptz), door_session_seen(bigint, timestamptz, interval, interval),
    door_session_open(integer, bytea, timestamptz, timestamptz, boolean, text), door_session_close(bytea),
    door_token(integer, bytea, timestamptz), door_token_seen(integer, timestamptz),
    door_attempt(text, text, timestamptz, interval, integer, integer), door_forgive(text), door_person_named(text),
    door_password_set(integer, text, boolean), door_totp(integer), door_totp_begin(integer, text),
    door_totp_take(integer, bigint), door_totp_confirm(integer, timestamptz, bytea[]),
    door_recovery_take(integer, bytea, timestamptz), door_code(bytea, timestamptz), door_code_take(bytea, timestamptz),
    door_code_make(bytea, text, integer, timestamptz, timestamptz, jsonb), door_subject(text, text, text),
    kraj_manages(integer), kraj_invite(text, text, text, timestamptz), kraj_disable(integer, timestamptz, integer),
    kraj_language(text) TO kraj_api;

-- The use of the account for emergencies is an alert: the operator's targets are told, and it stays in the list.
CREATE FUNCTION door_break_glass(whom integer, address text, moment timestamptz) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
DECLARE
    made bigint;
    evidence jsonb := jsonb_build_object('rule', 'break_glass', 'account', (SELECT name FROM person WHERE person_id = whom),
                                         'address', address);
BEGIN
    INSERT INTO alert (key, rule, scope_type, scope_name, severity, active, notify, since, opened_at, changed_at,
                       cleared_at, evidence)
    VALUES ('break_glass@region:' || whom || '@' || extract(epoch FROM moment), 'break_glass', 'region', 'break_glass',
            'critical', false, true, moment, moment, moment, moment, evidence)
    ON CONFLICT DO NOTHING RETURNING alert_id INTO made;
    IF made IS NOT NULL THEN
        INSERT INTO alert_event (alert_id, at, step, who, detail) VALUES (made, moment, 'opened', 'telemetry', evidence);
        INSERT INTO outbox (alert_id, step, at) VALUES (made, 'opened', moment);
    END IF;
END $$;

-- What somebody who leaves had in hand goes to a successor: alerts, and turns on call where the successor has a target
-- of their own in the same place. Targets bear the title or the name of whom they reach.
CREATE FUNCTION kraj_hand_over(whom integer, successor integer, moment timestamptz)
RETURNS TABLE (alerts integer, turns integer, uncovered integer, targets integer)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
DECLARE
    leaver person%ROWTYPE;
    heir person%ROWTYPE;
BEGIN
    IF NOT kraj_manages(whom) OR successor IS NOT NULL AND NOT successor = ANY (kraj_people()) THEN
        RAISE insufficient_privilege USING MESSAGE = 'only who manages both people hands over';
    END IF;
    SELECT * INTO leaver FROM person p WHERE p.person_id = whom;
    SELECT * INTO heir FROM person p WHERE p.person_id = successor AND p.disabled_at IS NULL;
    alerts := 0;
    turns := 0;
    IF heir.person_id IS NOT NULL THEN
        WITH moved AS (
            UPDATE alert a SET assignee = heir.title, changed_at = moment, version = version + 1
            WHERE a.assignee IN (leaver.title, leaver.name) AND a.state <> 'closed'
                AND (a.municipality_id = ANY (kraj_municipalities('people')) OR kraj_region('people'))
            RETURNING a.alert_id
        ), told AS (
            INSERT INTO alert_event (alert_id, at, step, who, detail)
            SELECT alert_id, moment, 'assigned', (SELECT p.title FROM person p WHERE p.person_id = kraj_principal()),
                jsonb_build_object('assignee', heir.title) FROM moved
        )
        SELECT count(*) INTO alerts FROM moved;
        WITH moved AS (
            UPDATE on_call o SET target_id = mine.target_id
            FROM notification_target theirs, notification_target mine
            WHERE o.target_id = theirs.target_id AND theirs.name IN (leaver.title, leaver.name) AND o.valid_to > moment
                AND mine.name IN (heir.title, heir.name) AND mine.enabled
                AND mine.municipality_id IS NOT DISTINCT FROM theirs.municipality_id
                AND (theirs.municipality_id = ANY (kraj_municipalities('people')) OR kraj_region('people'))
            RETURNING 1
        )
        SELECT count(*) INTO turns FROM moved;
    END IF;
    SELECT count(*) INTO uncovered FROM on_call o JOIN notification_target t USING (target_id)
    WHERE t.name IN (leaver.title, leaver.name) AND o.valid_to > moment
        AND (t.municipality_id = ANY (kraj_municipalities('people')) OR kraj_region('people'));
    WITH ended AS (
        UPDATE notification_target t SET enabled = false
        WHERE t.name IN (leaver.title, leaver.name) AND t.enabled
            AND (t.municipality_id = ANY (kraj_municipalities('people')) OR kraj_region('people'))
        RETURNING 1
    )
    SELECT count(*) INTO targets FROM ended;
    RETURN NEXT;
END $$;
REVOKE EXECUTE ON FUNCTION door_break_glass(integer, text, timestamptz), kraj_hand_over(integer, integer, timestamptz)
    FROM PUBLIC;
GRANT EXECUTE ON FUNCTION door_break_glass(integer, text, timestamptz), kraj_hand_over(integer, integer, timestamptz)
    TO kraj_api;

-- For who has lost the telephone and the recovery codes: their administrator lets them set up a new one.
CREATE FUNCTION kraj_totp_forget(whom integer) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
BEGIN
    IF NOT kraj_manages(whom) OR whom = kraj_principal() THEN
        RETURN false;
    END IF;
    UPDATE person SET totp_secret = NULL, totp_confirmed_at = NULL, version = version + 1
    WHERE person_id = whom AND disabled_at IS NULL;
    DELETE FROM recovery_code WHERE recovery_code.person_id = whom;
    DELETE FROM sign_in_session WHERE sign_in_session.person_id = whom;
    RETURN true;
END $$;
REVOKE EXECUTE ON FUNCTION kraj_totp_forget(integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION kraj_totp_forget(integer) TO kraj_api;

-- Teams that one is in; a function, as policies of team and team_member would otherwise ask each other for ever.
CREATE FUNCTION kraj_teams() RETURNS integer[]
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS
$$ SELECT coalesce(array_agg(team_id), '{}') FROM team_member WHERE person_id = kraj_principal() $$;
DROP POLICY seen ON team;
DO $$ BEGIN
    EXECUTE format('CREATE POLICY seen ON team FOR SELECT TO kraj_api USING (%s OR team_id = ANY ((SELECT kraj_teams())::integer[]))',
                   in_town('read', true));
END $$;
