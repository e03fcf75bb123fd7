-- A person's data given to them and erased, and the record of municipalities that have left.

-- Where a person's traces are: municipalities in which they had a role, a grant or a team; NULL: anywhere. Names of
-- people are no keys, so that a namesake in another municipality is left alone.
CREATE FUNCTION person_places(whom integer) RETURNS integer[]
LANGUAGE sql STABLE SET search_path = pg_catalog, public AS $$
    WITH teams AS (
        SELECT t.team_id, t.municipality_id FROM team_member JOIN team t USING (team_id) WHERE person_id = whom
    ), places AS (
        SELECT municipality_id FROM membership WHERE person_id = whom
        UNION SELECT municipality_id FROM access_grant
        WHERE person_id = whom OR team_id IN (SELECT team_id FROM teams)
        UNION SELECT municipality_id FROM teams WHERE municipality_id IS NOT NULL
    )
    SELECT CASE WHEN EXISTS (SELECT FROM places) AND NOT EXISTS (SELECT FROM places WHERE municipality_id IS NULL)
           THEN (SELECT array_agg(municipality_id) FROM places) END
$$;

-- The municipality of a row t of a table, as SQL; NULL where the table knows of none.
CREATE FUNCTION town_of_row(kept regclass) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, public AS $$
    SELECT CASE found.attname
        WHEN 'municipality_id' THEN 't.municipality_id'
        WHEN 'alert_id' THEN '(SELECT o.municipality_id FROM alert o WHERE o.alert_id = t.alert_id)'
        WHEN 'asset_id' THEN '(SELECT o.municipality_id FROM asset o WHERE o.asset_id = t.asset_id)'
        WHEN 'device_id' THEN '(SELECT o.municipality_id FROM device o WHERE o.device_id = t.device_id)'
        WHEN 'target_id' THEN '(SELECT o.municipality_id FROM notification_target o WHERE o.target_id = t.target_id)'
        END
    FROM (VALUES (NULL::name)) AS none LEFT JOIN LATERAL (
        SELECT attname FROM pg_attribute WHERE attrelid = kept AND NOT attisdropped
            AND attname IN ('municipality_id', 'alert_id', 'asset_id', 'device_id', 'target_id')
        ORDER BY array_position(ARRAY['municipality_id', 'alert_id', 'asset_id', 'device_id', 'target_id']::name[], attname)
        LIMIT 1) AS found ON true
$$;

-- Everything that is kept about a person, without anything secret. Who is not the person sees what was done in the
-- municipalities whose people they manage.
CREATE FUNCTION kraj_person_export(whom integer) RETURNS jsonb
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
#variable_conflict use_column
DECLARE
    subject person%ROWTYPE;
    places integer[] := person_places(whom);
    everywhere boolean := places IS NULL;
BEGIN
    IF NOT (whom = kraj_principal() OR kraj_manages(whom)) THEN
        RETURN NULL;
    END IF;
    SELECT * INTO subject FROM person p WHERE p.person_id = whom;
    IF whom <> kraj_principal() AND NOT kraj_region('people') THEN
        places := ARRAY(SELECT unnest(places) INTERSECT SELECT unnest(kraj_municipalities('people')));
        everywhere := false;
    END IF;
    RETURN jsonb_build_object(
        'account', (SELECT to_jsonb(a) FROM (SELECT p.person_id, p.name, p.title, p.language, p.issuer, p.subject,
            p.pseudonym, p.password IS NOT NULL AS has_password, p.totp_confirmed_at, p.break_glass, p.created_at,
            p.disabled_at FROM person p WHERE p.person_id = whom) a),
        'memberships', (SELECT coalesce(jsonb_agg(to_jsonb(r) ORDER BY r.membership_id), '[]') FROM (
            SELECT m.membership_id, t.name AS municipality, m.role, m.valid_from, m.valid_to FROM membership m
            LEFT JOIN municipality t USING (municipality_id) WHERE m.person_id = whom) r),
        'teams', (SELECT coalesce(jsonb_agg(to_jsonb(r)), '[]') FROM (
            SELECT t.name, m.name AS municipality FROM team_member JOIN team t USING (team_id)
            LEFT JOIN municipality m USING (municipality_id) WHERE team_member.person_id = whom ORDER BY 1) r),
        'grants', (SELECT coalesce(jsonb_agg(to_jsonb(r) ORDER BY r.grant_id), '[]') FROM (
            SELECT g.grant_id, m.name AS municipality, g.rights, g.valid_from, g.valid_to, g.who, g.reason
            FROM access_grant g JOIN municipality m USING (municipality_id) WHERE g.person_id = whom) r),
        'sessions', (SELECT coalesce(jsonb_agg(to_jsonb(r) ORDER BY r.session_id), '[]') FROM (
            SELECT session_id, created_at, seen_at, expires_at, second_factor, user_agent FROM sign_in_session s
            WHERE s.person_id = whom) r),
        'tokens', (SELECT coalesce(jsonb_agg(to_jsonb(r) ORDER BY r.token_id), '[]') FROM (
            SELECT token_id, name, scopes, created_at, expires_at, seen_at, revoked_at FROM access_token k
            WHERE k.person_id = whom) r),
        'links', (SELECT coalesce(jsonb_agg(to_jsonb(r)), '[]') FROM (
            SELECT purpose, created_at, expires_at, used_at FROM one_time_code c WHERE c.person_id = whom ORDER BY 2) r),
        'recovery_codes', (SELECT count(*) FROM recovery_code c WHERE c.person_id = whom AND used_at IS NULL),
        'sign_in_attempts', (SELECT coalesce(jsonb_agg(to_jsonb(r)), '[]') FROM (
            SELECT address, at FROM sign_in_attempt a WHERE a.name = subject.name ORDER BY at) r),
        'imports', (SELECT coalesce(jsonb_agg(to_jsonb(r)), '[]') FROM (
            SELECT import_id, file_name, state, uploaded_at FROM import i WHERE i.person_id = whom ORDER BY 1) r),
        'jobs', (SELECT coalesce(jsonb_agg(to_jsonb(r)), '[]') FROM (
            SELECT job_id, kind, state, started_at FROM job j WHERE j.person_id = whom ORDER BY 1) r),
        'assigned_alerts', (SELECT coalesce(jsonb_agg(to_jsonb(r) ORDER BY r.alert_id), '[]') FROM (
            SELECT a.alert_id, m.name AS municipality, a.rule, a.scope_name, a.state, a.opened_at, a.closed_at FROM alert a
            LEFT JOIN municipality m USING (municipality_id) WHERE a.assignee IN (subject.title, subject.name)
                AND (everywhere OR a.municipality_id = ANY (places))) r),
        'alert_events', (SELECT coalesce(jsonb_agg(to_jsonb(r) ORDER BY r.alert_event_id), '[]') FROM (
            SELECT e.alert_event_id, e.alert_id, e.at, e.step, e.note, e.detail FROM alert_event e JOIN alert a USING (alert_id)
            WHERE e.who IN (subject.title, subject.name) AND (everywhere OR a.municipality_id = ANY (places))) r),
        'photos', (SELECT coalesce(jsonb_agg(to_jsonb(r)), '[]') FROM (
            SELECT f.alert_photo_id, f.alert_id, f.at FROM alert_photo f JOIN alert a USING (alert_id)
            WHERE f.who IN (subject.title, subject.name) AND (everywhere OR a.municipality_id = ANY (places)) ORDER BY 1) r),
        'notification_targets', (SELECT coalesce(jsonb_agg(to_jsonb(r)), '[]') FROM (
            SELECT n.name, m.name AS municipality, n.severity_min, n.enabled FROM notification_target n
            LEFT JOIN municipality m USING (municipality_id) WHERE n.name IN (subject.title, subject.name)
                AND (everywhere OR n.municipality_id = ANY (places)) ORDER BY n.target_id) r),
        'audit_entries', (SELECT coalesce(jsonb_agg(to_jsonb(r) ORDER BY r.entry_id), '[]') FROM (
            SELECT e.entry_id, e.at, e.action, e.subject, m.name AS municipality, e.detail FROM audit_entry e
            LEFT JOIN municipality m USING (municipality_id) WHERE e.pseudonym = subject.pseudonym
                AND (whom = kraj_principal() OR everywhere OR e.municipality_id = ANY (places))) r));
END $$;

-- What a person is called is replaced by a neutral word: who did something (columns of that name), what was written of
-- them in words, and targets that bear their name or reach their address. Later tables are found by their columns.
CREATE FUNCTION forget_words(whom integer) RETURNS integer
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    subject person%ROWTYPE;
    places integer[] := person_places(whom);
    found record;
    here text;                         -- whether a row may speak of this person, and not of a namesake
    word text;
    pattern text := '';
    town text;
    changed bigint;
    total integer := 0;
BEGIN
    SELECT * INTO STRICT subject FROM person WHERE person_id = whom;
    FOR found IN
        SELECT c.oid::regclass AS kept, quote_ident(a.attname) AS of, a.attname, a.atttypid = 'jsonb'::regtype AS is_json
        FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
        WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
            AND c.relname NOT IN ('audit_entry', 'audit_pending', 'device_event')
            AND (a.attname IN ('who', 'assignee', 'note', 'reason', 'cause', 'comment') AND a.atttypid = 'text'::regtype
                 OR a.attname IN ('detail', 'evidence') AND a.atttypid = 'jsonb'::regtype)
    LOOP
        town := town_of_row(found.kept);
        here := CASE WHEN places IS NULL THEN 'true' WHEN town IS NULL THEN 'false'
                     ELSE format('coalesce(%s = ANY (%L::integer[]), false)', town, places) END;
        IF found.attname IN ('who', 'assignee') THEN
            EXECUTE format('UPDATE %1$s t SET %2$s = ''anonym'' WHERE %2$s IN (%3$L, %4$L) AND %5$s',
                           found.kept, found.of, subject.name, subject.title, here);
            GET DIAGNOSTICS changed = ROW_COUNT;
            total := total + changed;
            CONTINUE;
        END IF;
        FOREACH word IN ARRAY ARRAY[subject.name, subject.title] LOOP
            IF found.is_json THEN
                word := substr(to_jsonb(word)::text, 2, length(to_jsonb(word)::text) - 2);
            END IF;
            -- A whole word: Jan is not in Janov.
            pattern := '(?<![[:alnum:]])' || regexp_replace(word, '([^[:alnum:][:space:]])', '\\\1', 'g') || '(?![[:alnum:]])';
            EXECUTE format(
                'UPDATE %1$s t SET %2$s = regexp_replace(%2$s::text, %3$L, ''anonym'', ''gi'')%4$s'
                ' WHERE strpos(lower(%2$s::text), lower(%5$L)) > 0 AND %2$s::text ~* %3$L AND %6$s',
                found.kept, found.of, pattern, CASE WHEN found.is_json THEN '::jsonb' ELSE '' END, word, here);
            GET DIAGNOSTICS changed = ROW_COUNT;
            total := total + changed;
        END LOOP;
    END LOOP;
    UPDATE notification_target t SET name = 'anonym ' || target_id, url = '', enabled = false
    WHERE (t.name IN (subject.name, subject.title) OR strpos(lower(t.url), subject.name) > 0)
        AND (places IS NULL OR coalesce(t.municipality_id = ANY (places), false));
    GET DIAGNOSTICS changed = ROW_COUNT;
    DELETE FROM sign_in_attempt WHERE name = subject.name;
    DELETE FROM idempotency_key WHERE strpos(answer::text, to_jsonb(subject.name)::text) > 0;   -- kept for a day, by whoever asked
    RETURN total + changed;
END $$;

-- The municipality (its title) or the region ('') that would be left without an administrator; NULL: none would.
CREATE FUNCTION last_administrator(whom integer) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, public AS $$
    WITH able AS (
        SELECT m.person_id, m.municipality_id FROM membership m JOIN person p USING (person_id)
        WHERE m.role IN ('municipality_admin', 'region_admin') AND p.disabled_at IS NULL AND NOT p.break_glass
            AND m.valid_from <= clock_timestamp() AND (m.valid_to IS NULL OR m.valid_to > clock_timestamp())
    )
    SELECT coalesce(t.title, '') FROM able LEFT JOIN municipality t USING (municipality_id)
    WHERE able.person_id = whom AND NOT EXISTS (
        SELECT FROM able o WHERE o.person_id <> whom AND o.municipality_id IS NOT DISTINCT FROM able.municipality_id)
    ORDER BY t.title LIMIT 1
$$;

-- Erases a person for good: the row goes and takes sessions, tokens, codes, roles and grants along; what must stay (the
-- audit log) names a pseudonym that nobody can resolve any more.
CREATE FUNCTION erase_person(whom integer) RETURNS integer
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE total integer;
BEGIN
    PERFORM FROM person WHERE person_id = whom FOR UPDATE;
    total := forget_words(whom);
    DELETE FROM person WHERE person_id = whom;
    RETURN total;
END $$;

-- The same for who manages them; never oneself, never the account for emergencies, never the last administrator.
CREATE FUNCTION kraj_last_administrator(whom integer) RETURNS text
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS
$$ SELECT CASE WHEN kraj_manages(whom) THEN last_administrator(whom) END $$;
CREATE FUNCTION kraj_erase(whom integer, expected integer) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    -- One after another: two administrators who erase each other at once would leave nobody.
    PERFORM pg_advisory_xact_lock(hashtext('erase_person'));
    IF NOT kraj_manages(whom) OR whom = kraj_principal() OR last_administrator(whom) IS NOT NULL
        OR NOT EXISTS (SELECT FROM person WHERE person_id = whom AND version = expected AND NOT break_glass) THEN
        RETURN false;
    END IF;
    PERFORM audit('person.erase', 'person ' || whom, jsonb_build_object('replaced', erase_person(whom)));
    RETURN true;
END $$;
REVOKE EXECUTE ON FUNCTION person_places(integer), town_of_row(regclass), kraj_person_export(integer),
    forget_words(integer), last_administrator(integer), erase_person(integer), kraj_last_administrator(integer),
    kraj_erase(integer, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION kraj_person_export(integer), kraj_last_administrator(integer), kraj_erase(integer, integer)
    TO kraj_api;

-- Municipalities that leave: what was erased, and the certificate of it. No service reads it; the command does.
-- former_id is the number that the audit log still names.
CREATE TABLE departure (
    departure_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    former_id integer NOT NULL UNIQUE,
    name text NOT NULL,
    manifest_sha256 text NOT NULL CHECK (manifest_sha256 ~ '^[0-9a-f]{64}$'),
    began_at timestamptz NOT NULL,
    counts jsonb NOT NULL DEFAULT '{}',    -- rows deleted so far, by table
    erased_at timestamptz,
    certificate jsonb
);
REVOKE ALL ON departure FROM PUBLIC;

-- Commands to devices that wait for ingest, which alone speaks to them: told as soon as the device listens.
CREATE TABLE device_command (
    device_command_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    device_id integer NOT NULL REFERENCES device,
    payload text NOT NULL CHECK (length(payload) <= 65536),
    expires_at timestamptz NOT NULL,
    done_at timestamptz
);
CREATE INDEX device_command_device ON device_command (device_id);
CREATE INDEX device_command_waiting ON device_command (device_command_id) WHERE done_at IS NULL;
REVOKE ALL ON device_command FROM PUBLIC;
GRANT SELECT, UPDATE (done_at) ON device_command TO kraj_ingest;
