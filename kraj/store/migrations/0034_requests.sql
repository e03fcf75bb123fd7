-- What citizens report (Open311: a service request), for anybody to bring and to follow, without an account.
--
-- People of the municipality read it behind the wall. Anybody else reaches it through the functions request_… alone, which
-- tell nothing personal. A reporter's address stands apart, and goes once they have had their answer.

CREATE TABLE service_request (
    request_number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    service_request_id text NOT NULL UNIQUE CHECK (service_request_id ~ '^[A-Za-z0-9_-]{16,40}$'),  -- the token
    service_code text NOT NULL CHECK (service_code IN ('dark_lamp', 'day_burner', 'stop_dark', 'stop_display', 'stop_wifi',
                                                       'stop_charging', 'damage', 'other')),
    municipality_id integer REFERENCES municipality,       -- NULL: the words do not tell; the region reads it
    asset_id integer REFERENCES asset ON DELETE SET NULL,
    candidate_id integer REFERENCES asset ON DELETE SET NULL,  -- the nearest that it may mean, until a person confirms it
    alert_id bigint REFERENCES alert ON DELETE SET NULL,
    parent_id bigint REFERENCES service_request ON DELETE SET NULL,  -- the first report of the same
    latitude double precision CHECK (latitude BETWEEN -90 AND 90),
    longitude double precision CHECK (longitude BETWEEN -180 AND 180),
    address text CHECK (length(address) <= 300),
    description text NOT NULL CHECK (length(description) <= 4000),
    language text NOT NULL CHECK (language IN ('cs', 'en')),
    explained_by text[] NOT NULL,          -- rules and causes whose alert says the same
    said jsonb NOT NULL DEFAULT '{}',      -- what an alert of it says: nothing personal
    status text NOT NULL DEFAULT 'open' CHECK (status IN ('open', 'closed')),
    closed_how text CHECK (closed_how IN ('verified', 'repaired', 'no_fault', 'not_ours', 'unclear')),
    status_notes text CHECK (length(status_notes) <= 500),
    requested_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    expected_at timestamptz,
    source text NOT NULL CHECK (source IN ('page', 'open311', 'phone')),
    who text,                              -- the clerk who took it by telephone
    version integer NOT NULL DEFAULT 1,
    CHECK ((latitude IS NULL) = (longitude IS NULL)),
    CHECK ((status = 'closed') = (closed_how IS NOT NULL))
);
CREATE INDEX service_request_town ON service_request (municipality_id, requested_at DESC);
CREATE INDEX service_request_newest ON service_request (requested_at DESC, request_number DESC);
CREATE INDEX service_request_asset ON service_request (asset_id) WHERE asset_id IS NOT NULL;
CREATE INDEX service_request_candidate ON service_request (candidate_id) WHERE candidate_id IS NOT NULL;
CREATE INDEX service_request_alert ON service_request (alert_id) WHERE alert_id IS NOT NULL;
CREATE INDEX service_request_parent ON service_request (parent_id) WHERE parent_id IS NOT NULL;
CREATE INDEX service_request_place ON service_request (latitude, longitude) WHERE status = 'open';
CREATE INDEX asset_place ON asset (latitude, longitude) WHERE retired_at IS NULL;

-- Words of a text without accents and capitals: 'VO-9 Nádražní' is vo, 9, nadrazni.
CREATE FUNCTION request_words(given text) RETURNS text[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT pg_catalog.regexp_split_to_array(pg_catalog.btrim(pg_catalog.regexp_replace(pg_catalog.lower(
        pg_catalog.regexp_replace(pg_catalog.normalize(given, 'NFD'), U&'[\0300-\036f]', '', 'g')),
        '[^a-z0-9]+', ' ', 'g')), ' ')
$$;
CREATE INDEX asset_words ON asset USING gin (request_words(label)) WHERE retired_at IS NULL;
CREATE INDEX asset_street_words ON asset USING gin (request_words(metadata ->> 'street'))
    WHERE retired_at IS NULL AND metadata ? 'street';

SELECT tenant_wall('service_request', in_town_or_granted('read', true), in_town_or_granted('act', true));
SELECT audited('service_request'::regclass);
GRANT SELECT ON service_request TO kraj_api;
GRANT SELECT ON service_request TO kraj_notify;

-- Whom to answer; nobody reads it but who sends.
CREATE TABLE service_request_contact (
    request_number bigint PRIMARY KEY REFERENCES service_request ON DELETE CASCADE,
    email text NOT NULL CHECK (length(email) BETWEEN 3 AND 254),
    given_at timestamptz NOT NULL
);
CREATE INDEX service_request_contact_given ON service_request_contact (given_at);
CREATE INDEX service_request_contact_email ON service_request_contact (email);
-- Each answer once: that it is taken, and how it ended.
CREATE TABLE service_request_answer (
    request_number bigint NOT NULL REFERENCES service_request ON DELETE CASCADE,
    what text NOT NULL CHECK (what IN ('taken', 'closed')),
    planned_at timestamptz NOT NULL,
    due_at timestamptz NOT NULL,
    attempts integer NOT NULL DEFAULT 0,
    done_at timestamptz,
    error text,                            -- given up, and why; never the address
    PRIMARY KEY (request_number, what)
);
CREATE INDEX service_request_answer_waiting ON service_request_answer (due_at) WHERE done_at IS NULL;
SELECT tenant_wall('service_request_contact', 'false');
SELECT tenant_wall('service_request_answer', 'false');
GRANT SELECT ON service_request_contact TO kraj_notify;
GRANT SELECT, UPDATE ON service_request_answer TO kraj_notify;

-- Who has reported lately, by a digest with a key that nobody reads and that lives for a day, as the digests do.
CREATE UNLOGGED TABLE service_request_sender (
    service_request_sender_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    digest bytea NOT NULL,
    at timestamptz NOT NULL,
    request_number bigint NOT NULL REFERENCES service_request ON DELETE CASCADE
);
CREATE INDEX service_request_sender_digest ON service_request_sender (digest, at);
CREATE INDEX service_request_sender_at ON service_request_sender (at);
CREATE INDEX service_request_sender_request ON service_request_sender (request_number);
CREATE UNLOGGED TABLE service_request_key (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    key bytea NOT NULL,
    made_at timestamptz NOT NULL
);
SELECT tenant_wall('service_request_sender', 'false');
SELECT tenant_wall('service_request_key', 'false');

-- What must not be kept: digests and their key after a day, addresses after ninety.
CREATE FUNCTION request_tidy(moment timestamptz) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    DELETE FROM service_request_sender WHERE at < moment - interval '1 day' OR at > moment + interval '1 day';
    DELETE FROM service_request_key WHERE made_at < moment - interval '1 day' OR made_at > moment + interval '1 day';
    DELETE FROM service_request_contact WHERE given_at < moment - interval '90 days';
$$;
-- An answer went out, or was given up: after the last one the address goes.
CREATE FUNCTION request_answered(number bigint, which text, moment timestamptz, problem text) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    UPDATE service_request_answer SET done_at = moment, error = problem WHERE request_number = number AND what = which;
    DELETE FROM service_request_contact c USING service_request r
    WHERE c.request_number = number AND r.request_number = number AND r.status = 'closed'
        AND NOT EXISTS (SELECT FROM service_request_answer a WHERE a.request_number = number AND a.done_at IS NULL);
$$;
REVOKE EXECUTE ON FUNCTION request_tidy(timestamptz), request_answered(bigint, text, timestamptz, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION request_tidy(timestamptz), request_answered(bigint, text, timestamptz, text) TO kraj_notify;

-- Whether a municipality shows itself to anybody; the column comes with 0035.
CREATE FUNCTION request_town_open(town integer) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, public AS $$
    SELECT town IS NULL OR (SELECT coalesce((to_jsonb(m) ->> 'published')::boolean, true)
                            FROM municipality m WHERE m.municipality_id = town)
$$;
-- Metres between two places near each other.
CREATE FUNCTION request_metres(lat1 float8, lon1 float8, lat2 float8, lon2 float8) RETURNS float8
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog AS
$$ SELECT 111195 * sqrt((lat1 - lat2) ^ 2 + ((lon1 - lon2) * cos(radians(lat1))) ^ 2) $$;

-- The alert that says already what a report says: of the asset itself, or of what it hangs on.
CREATE FUNCTION request_alert(which integer, rules text[]) RETURNS bigint
LANGUAGE sql STABLE SET search_path = pg_catalog, public AS $$
    SELECT coalesce(
        (SELECT alert_id FROM alert WHERE asset_id = which AND scope_type = 'asset' AND state <> 'closed'
            AND rule = ANY (rules) ORDER BY active DESC, opened_at DESC LIMIT 1),
        (SELECT o.alert_id FROM asset a, LATERAL (VALUES
            ('feeder', a.metadata ->> 'feeder', a.municipality_id), ('cabinet', a.metadata ->> 'cabinet', a.municipality_id),
            ('supply_area', a.metadata ->> 'supply_area', NULL)) AS g(type, name, town)
         JOIN alert o ON o.active AND o.scope_type = g.type AND o.scope_name = g.name
            AND o.municipality_id IS NOT DISTINCT FROM g.town AND o.rule = ANY (rules)
         WHERE a.asset_id = which ORDER BY o.opened_at DESC LIMIT 1))
$$;

-- The alert that a report raises where nothing else says the same, so that crews have it in their list.
CREATE FUNCTION request_raise(number bigint) RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    asked service_request%ROWTYPE;
    made bigint;
BEGIN
    SELECT * INTO STRICT asked FROM service_request WHERE request_number = number;
    INSERT INTO alert (key, rule, scope_type, scope_name, municipality_id, asset_id, severity, active, notify, since,
                       opened_at, changed_at, evidence)
    VALUES ('citizen_report@' || number || '/' || asked.version, 'citizen_report',
            CASE WHEN asked.asset_id IS NULL THEN 'report' ELSE 'asset' END,
            coalesce(asked.asset_id::text, number::text), asked.municipality_id, asked.asset_id, 'minor', true, true,
            asked.requested_at, asked.updated_at, asked.updated_at, asked.said)
    ON CONFLICT DO NOTHING RETURNING alert_id INTO made;
    IF made IS NULL THEN
        RETURN (SELECT alert_id FROM alert WHERE active AND rule = 'citizen_report' AND scope_type = 'asset'
                AND scope_name = asked.asset_id::text AND municipality_id IS NOT DISTINCT FROM asked.municipality_id);
    END IF;
    INSERT INTO alert_event (alert_id, at, step, who, detail) VALUES (made, asked.updated_at, 'opened', 'report', asked.said);
    INSERT INTO outbox (alert_id, step, at) VALUES (made, 'opened', asked.updated_at);
    RETURN made;
END $$;

-- Takes a report. outcome: 'taken', or why not: 'asset', 'kind', 'outside', 'closed', 'right', 'many' (then wait_s).
-- given holds token, code, asset, latitude, longitude, address, town and near (told by the words), description, email,
-- language, channel, client, rules, kinds, evidence. The same report again gives the same token and writes nothing.
CREATE FUNCTION request_take(given jsonb, moment timestamptz)
RETURNS TABLE (outcome text, token text, merged boolean, duplicate boolean, town text, wait_s double precision)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
#variable_conflict use_column
DECLARE
    near_m CONSTANT float8 := 30;          -- a lamp that somebody who stands there may mean
    region_m CONSTANT float8 := 3000;      -- from the nearest thing of ours
    joined_max CONSTANT integer := 20;     -- reports of the same; what comes then is counted with the first
    answered_max CONSTANT integer := 100;  -- … unless its reporter wants an answer
    code text := given ->> 'code';
    rules text[] := ARRAY(SELECT jsonb_array_elements_text(given -> 'rules'));
    kinds text[] := ARRAY(SELECT jsonb_array_elements_text(given -> 'kinds'));
    lat float8 := (given ->> 'latitude')::float8;
    lon float8 := (given ->> 'longitude')::float8;
    mail text := given ->> 'email';
    phone boolean := given ->> 'channel' = 'phone';
    thing asset%ROWTYPE;
    whose integer := (given ->> 'town')::integer;
    near integer;
    sender bytea;
    secret bytea;
    first service_request%ROWTYPE;
    same service_request%ROWTYPE;
    made bigint;
    main bigint;
    oldest timestamptz;
    clerk text;
BEGIN
    wait_s := 0;
    merged := false;
    duplicate := false;
    IF given ->> 'asset' IS NOT NULL THEN
        SELECT * INTO thing FROM asset a WHERE a.asset_id = (given ->> 'asset')::integer AND a.retired_at IS NULL
            AND a.kind IN ('lamp', 'cabinet', 'stop');
        IF NOT FOUND THEN
            outcome := 'asset';
            RETURN NEXT;
            RETURN;
        ELSIF cardinality(kinds) > 0 AND NOT thing.kind = ANY (kinds) THEN
            outcome := 'kind';
            RETURN NEXT;
            RETURN;
        END IF;
        whose := thing.municipality_id;
        lat := thing.latitude;
        lon := thing.longitude;
    ELSIF lat IS NOT NULL THEN
        SELECT a.municipality_id INTO whose FROM asset a
        WHERE a.retired_at IS NULL AND a.latitude BETWEEN lat - region_m / 111195 AND lat + region_m / 111195
            AND a.longitude BETWEEN lon - region_m / 111195 / greatest(cos(radians(lat)), 0.01)
                AND lon + region_m / 111195 / greatest(cos(radians(lat)), 0.01)
            AND request_metres(lat, lon, a.latitude, a.longitude) <= region_m
        ORDER BY request_metres(lat, lon, a.latitude, a.longitude), a.asset_id LIMIT 1;
        IF NOT FOUND THEN
            outcome := 'outside';
            RETURN NEXT;
            RETURN;
        END IF;
        SELECT a.asset_id INTO near FROM asset a
        WHERE a.retired_at IS NULL AND a.kind = ANY (kinds) AND a.municipality_id = whose
            AND a.latitude BETWEEN lat - near_m / 111195 AND lat + near_m / 111195
            AND request_metres(lat, lon, a.latitude, a.longitude) <= near_m
        ORDER BY request_metres(lat, lon, a.latitude, a.longitude), a.asset_id LIMIT 1;
    ELSE
        SELECT a.asset_id INTO near FROM asset a WHERE a.asset_id = (given ->> 'near')::integer AND a.retired_at IS NULL
            AND a.municipality_id = whose;
    END IF;
    IF phone AND NOT (whose = ANY (kraj_municipalities('act')) OR whose IS NULL AND kraj_region('act')) THEN
        outcome := 'right';
        RETURN NEXT;
        RETURN;
    ELSIF NOT phone AND NOT request_town_open(whose) THEN
        outcome := 'closed';
        RETURN NEXT;
        RETURN;
    END IF;
    town := (SELECT m.title FROM municipality m WHERE m.municipality_id = whose);
    IF phone THEN
        clerk := (SELECT coalesce(p.title, p.name) FROM person p WHERE p.person_id = kraj_principal());
    ELSE
        PERFORM pg_advisory_xact_lock(hashtext('service_request_key'));
        PERFORM request_tidy(moment);
        INSERT INTO service_request_key (key, made_at)
        VALUES (uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()), moment) ON CONFLICT DO NOTHING;
        SELECT k.key INTO STRICT secret FROM service_request_key k;
        sender := sha256(secret || convert_to(given ->> 'client', 'UTF8'));
    END IF;
    -- One after another for a place: two at once are the same report.
    PERFORM pg_advisory_xact_lock(hashtext('service_request'), hashtext(coalesce(
        thing.asset_id::text, round(lat::numeric, 3) || ' ' || round(lon::numeric, 3), lower(given ->> 'address'))));
    SELECT r.* INTO first FROM service_request r
    WHERE r.status = 'open' AND r.service_code = code AND r.parent_id IS NULL AND r.municipality_id IS NOT DISTINCT FROM whose
        AND CASE WHEN thing.asset_id IS NOT NULL THEN r.asset_id = thing.asset_id
                 WHEN lat IS NOT NULL THEN r.latitude BETWEEN lat - 0.0002 AND lat + 0.0002 AND r.asset_id IS NULL
                     AND request_metres(lat, lon, r.latitude, r.longitude) <= 15
                 ELSE r.asset_id IS NULL AND r.latitude IS NULL AND lower(r.address) = lower(given ->> 'address') END
    ORDER BY r.request_number LIMIT 1;
    IF first.request_number IS NOT NULL THEN
        -- From the same place within a day; another address is another reporter behind it.
        SELECT r.* INTO same FROM service_request r
        LEFT JOIN service_request_contact c USING (request_number)
        WHERE (r.request_number = first.request_number OR r.parent_id = first.request_number)
            AND (mail IS NULL OR c.email IS NULL AND r.requested_at > moment - interval '1 day' OR c.email = mail)
            AND CASE WHEN phone THEN r.source = 'phone' AND r.description = given ->> 'description'
                         AND r.requested_at > moment - interval '10 minutes'
                     ELSE EXISTS (SELECT FROM service_request_sender s
                                  WHERE s.request_number = r.request_number AND s.digest = sender) END
        ORDER BY r.request_number LIMIT 1;
        IF same.request_number IS NULL AND (SELECT count(*) FROM service_request r WHERE r.parent_id = first.request_number)
            >= (CASE WHEN mail IS NULL THEN joined_max ELSE answered_max END) THEN
            same := first;
            mail := NULL;
        END IF;
        IF same.request_number IS NOT NULL THEN
            IF mail IS NOT NULL THEN
                PERFORM request_contact(same.request_number, mail, moment);
            END IF;
            outcome := 'taken';
            token := same.service_request_id;
            duplicate := true;
            merged := EXISTS (SELECT FROM alert a WHERE a.alert_id = same.alert_id AND a.rule <> 'citizen_report');
            RETURN NEXT;
            RETURN;
        END IF;
    END IF;
    IF NOT phone THEN
        SELECT max(full_at) INTO oldest FROM (
            (SELECT s.at + interval '1 hour' AS full_at FROM service_request_sender s
             WHERE s.digest = sender AND s.at > moment - interval '1 hour' ORDER BY s.at DESC OFFSET 9 LIMIT 1)
            UNION ALL
            (SELECT s.at + interval '1 day' FROM service_request_sender s
             WHERE s.digest = sender AND s.at > moment - interval '1 day' ORDER BY s.at DESC OFFSET 29 LIMIT 1)
            UNION ALL
            (SELECT s.at + interval '10 minutes' FROM service_request_sender s
             WHERE s.at > moment - interval '10 minutes' ORDER BY s.at DESC OFFSET 299 LIMIT 1)
            UNION ALL  -- nobody is sent mail by others without end
            (SELECT c.given_at + interval '1 day' FROM service_request_contact c
             WHERE c.email = mail AND c.given_at > moment - interval '1 day' ORDER BY c.given_at DESC OFFSET 9 LIMIT 1)
        ) AS bounds;
        IF oldest > moment THEN
            outcome := 'many';
            wait_s := extract(epoch FROM oldest - moment);
            RETURN NEXT;
            RETURN;
        END IF;
    END IF;
    INSERT INTO service_request (service_request_id, service_code, municipality_id, asset_id, candidate_id, parent_id, latitude,
                                 longitude, address, description, language, explained_by, said, requested_at,
                                 updated_at, source, who)
    VALUES (given ->> 'token', code, whose, thing.asset_id, near, first.request_number, lat, lon, given ->> 'address',
            given ->> 'description', given ->> 'language', rules, given -> 'evidence', moment, moment,
            given ->> 'channel', clerk)
    RETURNING request_number INTO made;
    IF sender IS NOT NULL THEN
        INSERT INTO service_request_sender (digest, at, request_number) VALUES (sender, moment, made);
    END IF;
    IF mail IS NOT NULL THEN
        PERFORM request_contact(made, mail, moment);
    END IF;
    main := coalesce(request_alert(thing.asset_id, rules),
                      (SELECT a.alert_id FROM alert a WHERE a.alert_id = first.alert_id AND a.state <> 'closed'),
                      request_raise(made));
    UPDATE service_request r SET alert_id = main WHERE r.request_number = made;
    outcome := 'taken';
    token := given ->> 'token';
    merged := EXISTS (SELECT FROM alert a WHERE a.alert_id = main AND a.rule <> 'citizen_report');
    RETURN NEXT;
END $$;

CREATE FUNCTION request_contact(number bigint, mail text, moment timestamptz) RETURNS void
LANGUAGE sql SET search_path = pg_catalog, public, pg_temp AS $$
    INSERT INTO service_request_contact (request_number, email, given_at) VALUES (number, mail, moment) ON CONFLICT DO NOTHING;
    INSERT INTO service_request_answer (request_number, what, planned_at, due_at) VALUES (number, 'taken', moment, moment)
    ON CONFLICT DO NOTHING;
$$;

-- What anybody may know of reports: by token, or lists of towns that show themselves; never words of the reporter.
CREATE FUNCTION request_shown(tokens text[], codes text[], in_town text, since timestamptz, until timestamptz,
                              in_status text[], most integer, beyond integer)
RETURNS TABLE (service_request_id text, service_code text, status text, closed_how text, status_notes text, municipality text,
               place text, asset_id integer, latitude float8, longitude float8, requested_at timestamptz,
               updated_at timestamptz, expected_at timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT r.service_request_id, r.service_code, r.status, r.closed_how, r.status_notes, m.title, a.label, r.asset_id,
        CASE WHEN a.asset_id IS NOT NULL THEN a.latitude END, CASE WHEN a.asset_id IS NOT NULL THEN a.longitude END,
        r.requested_at, r.updated_at, r.expected_at
    FROM service_request r LEFT JOIN municipality m USING (municipality_id)
    LEFT JOIN asset a ON a.asset_id = r.asset_id
    WHERE CASE WHEN tokens IS NOT NULL THEN r.service_request_id = ANY (tokens) ELSE
            request_town_open(r.municipality_id) AND (codes IS NULL OR r.service_code = ANY (codes))
            AND (in_town IS NULL OR m.name = in_town) AND r.requested_at >= since AND r.requested_at <= until
            AND (in_status IS NULL OR r.status = ANY (in_status)) END
    ORDER BY r.requested_at DESC, r.request_number DESC LIMIT most OFFSET beyond
$$;
REVOKE EXECUTE ON FUNCTION request_town_open(integer), request_metres(float8, float8, float8, float8),
    request_alert(integer, text[]), request_raise(bigint), request_take(jsonb, timestamptz),
    request_contact(bigint, text, timestamptz),
    request_shown(text[], text[], text, timestamptz, timestamptz, text[], integer, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION request_take(jsonb, timestamptz),
    request_shown(text[], text[], text, timestamptz, timestamptz, text[], integer, integer) TO kraj_api;

-- Things of ours that words may mean, for anybody: stops and streets whose every word is there, lamps and cabinets by number.
CREATE FUNCTION request_find(words text[], town integer, kinds text[])
RETURNS TABLE (asset_id integer, kind text, label text, street text, municipality_id integer, municipality text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT f.asset_id, f.kind, f.label, f.street, f.municipality_id, m.title FROM (
        (SELECT a.asset_id, a.kind, a.label, nullif(a.metadata ->> 'street', '') AS street, a.municipality_id FROM asset a
         WHERE a.retired_at IS NULL AND a.kind = 'stop' AND 'stop' = ANY (kinds)
             AND a.municipality_id = coalesce(town, a.municipality_id)
             AND request_words(a.label) <@ words ORDER BY a.asset_id LIMIT 100)
        UNION ALL
        (SELECT a.asset_id, a.kind, a.label, nullif(a.metadata ->> 'street', ''), a.municipality_id FROM asset a
         WHERE a.retired_at IS NULL AND a.kind = ANY (kinds) AND a.kind IN ('lamp', 'cabinet')
             AND a.municipality_id = coalesce(town, a.municipality_id)
             AND request_words(a.label) && ARRAY(SELECT w FROM unnest(words) AS w WHERE w ~ '[0-9]')
         ORDER BY cardinality(ARRAY(SELECT unnest(request_words(a.label)) INTERSECT SELECT unnest(words))) DESC, a.asset_id
         LIMIT 200)
        UNION ALL
        (SELECT NULL, 'street', a.metadata ->> 'street', NULL, a.municipality_id FROM asset a
         WHERE a.retired_at IS NULL AND a.metadata ? 'street' AND a.municipality_id = coalesce(town, a.municipality_id)
             AND request_words(a.metadata ->> 'street') && ARRAY(SELECT w FROM unnest(words) AS w WHERE w ~ '[a-z]{3}')
             AND request_words(a.metadata ->> 'street') <@ words
         GROUP BY a.metadata ->> 'street', a.municipality_id ORDER BY a.municipality_id LIMIT 100)
    ) AS f JOIN municipality m ON m.municipality_id = f.municipality_id
    WHERE request_town_open(f.municipality_id)
$$;
REVOKE EXECUTE ON FUNCTION request_find(text[], integer, text[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION request_find(text[], integer, text[]) TO kraj_api;

-- Whether who asks may act on a report of a town (NULL: the region) and a thing.
CREATE FUNCTION request_mine(town integer, thing integer) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, public AS $$
    SELECT coalesce(town = ANY (kraj_municipalities('act')), kraj_region('act'))
        OR coalesce(thing = ANY (kraj_assets('act')), false)
$$;
CREATE FUNCTION request_may_act(number bigint) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT request_mine(municipality_id, asset_id) FROM service_request WHERE request_number = number
$$;
REVOKE EXECUTE ON FUNCTION request_may_act(bigint) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION request_may_act(bigint) TO kraj_api;
-- The alert that a report without one belongs to: of what says the same, of other reports of the thing, or its own.
CREATE FUNCTION request_home(number bigint) RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE asked service_request%ROWTYPE;
BEGIN
    SELECT * INTO STRICT asked FROM service_request WHERE request_number = number;
    RETURN coalesce(
        request_alert(asked.asset_id, asked.explained_by),
        (SELECT alert_id FROM alert WHERE active AND rule = 'citizen_report' AND scope_type = 'asset'
            AND scope_name = asked.asset_id::text AND municipality_id IS NOT DISTINCT FROM asked.municipality_id),
        request_raise(number));
END $$;

-- Somebody of the town says which thing a report means, and those that are merged with it; false where it is not theirs
-- to say, or the report has changed.
CREATE FUNCTION request_place(number bigint, expected integer, thing integer, moment timestamptz) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    asked service_request%ROWTYPE;
    meant asset%ROWTYPE;
    old alert%ROWTYPE;
    main bigint;
    moved bigint[];
BEGIN
    SELECT * INTO asked FROM service_request r WHERE r.request_number = number AND r.version = expected AND r.status = 'open'
        AND request_mine(r.municipality_id, r.asset_id) FOR UPDATE;
    SELECT * INTO meant FROM asset a WHERE a.asset_id = thing AND a.retired_at IS NULL AND a.kind IN ('lamp', 'cabinet', 'stop')
        AND request_mine(a.municipality_id, a.asset_id);
    IF asked.request_number IS NULL OR meant.asset_id IS NULL THEN
        RETURN false;
    END IF;
    WITH told AS (
        UPDATE service_request SET asset_id = thing, candidate_id = NULL, municipality_id = meant.municipality_id,
            updated_at = moment, version = version + 1
        WHERE request_number = number OR parent_id = number AND status = 'open' RETURNING request_number
    )
    SELECT array_agg(request_number) INTO moved FROM told;
    SELECT * INTO old FROM alert WHERE alert_id = asked.alert_id AND state <> 'closed' FOR UPDATE;
    main := coalesce(
        request_alert(thing, asked.explained_by),
        (SELECT alert_id FROM alert WHERE active AND rule = 'citizen_report' AND scope_type = 'asset'
         AND scope_name = thing::text AND municipality_id = meant.municipality_id));
    IF main = old.alert_id THEN
        RETURN true;
    ELSIF old.rule = 'citizen_report' AND NOT EXISTS (SELECT FROM service_request WHERE alert_id = old.alert_id
                                                      AND status = 'open' AND request_number <> ALL (moved)) THEN
        IF main IS NOT NULL THEN
            PERFORM request_under(old.alert_id, main, moment);
        ELSE
            UPDATE alert SET scope_type = 'asset', scope_name = thing::text, asset_id = thing,
                municipality_id = meant.municipality_id, changed_at = moment, version = version + 1
            WHERE alert_id = old.alert_id;
        END IF;
        RETURN true;
    END IF;
    main := coalesce(main, request_raise(number));
    UPDATE service_request SET alert_id = main WHERE request_number = ANY (moved);
    RETURN true;
END $$;

-- What somebody of the town says of a report and of those merged with it: given may hold status_notes and expected_at (or
-- null), status and closed_how. Who closes the last report of what reports alone have raised closes that, too.
CREATE FUNCTION request_tell(number bigint, expected integer, given jsonb, moment timestamptz) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    asked service_request%ROWTYPE;
    wanted text;
    told bigint[];
    main bigint;
    clerk text := (SELECT coalesce(p.title, p.name) FROM person p WHERE p.person_id = kraj_principal());
    wrong boolean := given ->> 'closed_how' IN ('no_fault', 'not_ours', 'unclear');
BEGIN
    SELECT * INTO asked FROM service_request r WHERE r.request_number = number AND r.version = expected
        AND request_mine(r.municipality_id, r.asset_id) FOR UPDATE;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    wanted := coalesce(given ->> 'status', asked.status);
    told := ARRAY(SELECT r.request_number FROM service_request r WHERE r.request_number = number
                  OR r.parent_id = number AND r.status = asked.status AND r.closed_how IS NOT DISTINCT FROM asked.closed_how);
    UPDATE service_request r SET status = wanted,
        closed_how = CASE WHEN wanted = 'closed' THEN coalesce(given ->> 'closed_how', r.closed_how) END,
        status_notes = CASE WHEN given ? 'status_notes' THEN given ->> 'status_notes' ELSE r.status_notes END,
        expected_at = CASE WHEN given ? 'expected_at' THEN (given ->> 'expected_at')::timestamptz ELSE r.expected_at END,
        updated_at = moment, version = r.version + 1
    WHERE r.request_number = ANY (told);
    IF wanted = asked.status THEN
        RETURN true;
    ELSIF wanted = 'closed' THEN
        PERFORM request_answer(told, moment);
        UPDATE alert a SET state = 'closed', closed_at = moment, changed_at = moment, version = version + 1,
            cause = CASE WHEN wrong THEN 'no_fault_found' ELSE cause END
        WHERE a.alert_id = asked.alert_id AND a.rule = 'citizen_report' AND a.state <> 'closed' AND NOT EXISTS (
            SELECT FROM service_request r WHERE r.alert_id = a.alert_id AND r.status = 'open')
        RETURNING a.alert_id INTO main;
        IF main IS NOT NULL THEN
            INSERT INTO alert_event (alert_id, at, step, who)
            VALUES (main, moment, CASE WHEN wrong THEN 'false_alarm' ELSE 'closed' END, coalesce(clerk, 'report'));
        END IF;
        RETURN true;
    END IF;
    DELETE FROM service_request_answer WHERE request_number = ANY (told) AND what = 'closed' AND done_at IS NULL;
    UPDATE service_request r SET parent_id = NULL WHERE r.request_number = number AND EXISTS (
        SELECT FROM service_request p WHERE p.request_number = r.parent_id AND p.status = 'closed');
    SELECT a.alert_id INTO main FROM alert a WHERE a.alert_id = asked.alert_id AND a.state <> 'closed';
    main := coalesce(main, request_home(number));
    UPDATE service_request SET alert_id = main WHERE request_number = ANY (told);
    RETURN true;
END $$;
-- Whoever has left an address hears how it ended.
CREATE FUNCTION request_answer(numbers bigint[], moment timestamptz) RETURNS void
LANGUAGE sql SET search_path = pg_catalog, public, pg_temp AS $$
    INSERT INTO service_request_answer (request_number, what, planned_at, due_at)
    SELECT request_number, 'closed', moment, moment FROM service_request_contact WHERE request_number = ANY (numbers)
    ON CONFLICT DO NOTHING
$$;
REVOKE EXECUTE ON FUNCTION request_mine(integer, integer), request_home(bigint), request_answer(bigint[], timestamptz),
    request_place(bigint, integer, integer, timestamptz), request_tell(bigint, integer, jsonb, timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION request_place(bigint, integer, integer, timestamptz),
    request_tell(bigint, integer, jsonb, timestamptz) TO kraj_api;

-- What a report has raised goes under the alert that says the same, and its reports with it.
CREATE FUNCTION request_under(report bigint, main bigint, moment timestamptz) RETURNS void
LANGUAGE sql SET search_path = pg_catalog, public, pg_temp AS $$
    UPDATE service_request SET alert_id = main WHERE alert_id = report AND status = 'open';
    UPDATE alert SET parent_id = main, notify = false, changed_at = moment, version = version + 1 WHERE alert_id = report;
    INSERT INTO alert_event (alert_id, at, step, who) VALUES (report, moment, 'attached', 'report');
$$;

-- Telemetry has found the same by itself. Whatever goes wrong here, the readings are to be stored.
CREATE FUNCTION request_explained() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE report bigint;
BEGIN
    IF NOT EXISTS (SELECT FROM service_request WHERE asset_id = NEW.asset_id AND status = 'open') THEN
        RETURN NULL;
    END IF;
    BEGIN
        FOR report IN
            SELECT DISTINCT a.alert_id FROM service_request r JOIN alert a USING (alert_id)
            WHERE r.asset_id = NEW.asset_id AND r.status = 'open' AND a.rule = 'citizen_report' AND a.state <> 'closed'
                AND NEW.rule = ANY (r.explained_by)
        LOOP
            PERFORM request_under(report, NEW.alert_id, NEW.changed_at);
        END LOOP;
    EXCEPTION WHEN OTHERS THEN
        RAISE WARNING 'reports stay where they are: %', SQLERRM;
    END;
    RETURN NULL;
END $$;
CREATE TRIGGER request_explained AFTER INSERT ON alert FOR EACH ROW
    WHEN (NEW.active AND NEW.scope_type = 'asset' AND NEW.rule <> 'citizen_report') EXECUTE FUNCTION request_explained();
CREATE TRIGGER request_explained_again AFTER UPDATE OF active ON alert FOR EACH ROW
    WHEN (NEW.active AND NOT OLD.active AND NEW.scope_type = 'asset' AND NEW.rule <> 'citizen_report')
    EXECUTE FUNCTION request_explained();

-- No telemetry holds up what a report has raised: it is over when a person says so.
CREATE FUNCTION request_over() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, public AS $$
BEGIN
    NEW.active := false;
    NEW.cleared_at := coalesce(NEW.cleared_at, NEW.changed_at);
    RETURN NEW;
END $$;
CREATE TRIGGER request_over BEFORE UPDATE OF state ON alert FOR EACH ROW
    WHEN (NEW.rule = 'citizen_report' AND NEW.state IN ('fixed', 'closed') AND OLD.active) EXECUTE FUNCTION request_over();

-- An alert's end is its reports' end, however it came: verified where telemetry has shown it, else as people say. Where
-- nothing has shown it (the rule is gone, or what measured), the reports stand alone again. Judged at COMMIT, when the
-- alert's history is written.
CREATE FUNCTION request_ended() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    ended alert%ROWTYPE;
    last_step text;
    last_who text;
    at_last timestamptz;
    how text;
    child bigint;
    left_open bigint;
    told bigint[];
BEGIN
    SELECT * INTO ended FROM alert WHERE alert_id = NEW.alert_id;
    IF NOT FOUND OR ended.state <> 'closed' THEN
        RETURN NULL;
    END IF;
    SELECT step, who, at INTO last_step, last_who, at_last FROM alert_event WHERE alert_id = ended.alert_id
        AND step IN ('verified', 'closed', 'false_alarm') ORDER BY alert_event_id DESC LIMIT 1;
    at_last := coalesce(at_last, ended.closed_at, ended.changed_at);
    IF ended.rule <> 'citizen_report' AND coalesce(last_who IN ('time', 'telemetry'), true) AND 'unsupported' = (
            SELECT note FROM alert_event WHERE alert_id = ended.alert_id AND step = 'cleared'
            ORDER BY alert_event_id DESC LIMIT 1) THEN
        UPDATE alert SET parent_id = NULL, notify = true, changed_at = at_last, version = version + 1
        WHERE parent_id = ended.alert_id AND rule = 'citizen_report' AND state <> 'closed';
        FOR left_open IN SELECT request_number FROM service_request WHERE alert_id = ended.alert_id AND status = 'open'
                         ORDER BY request_number LOOP
            UPDATE service_request SET updated_at = at_last, version = version + 1 WHERE request_number = left_open;
            child := request_home(left_open);
            UPDATE service_request SET alert_id = child WHERE request_number = left_open;
        END LOOP;
        RETURN NULL;
    END IF;
    how := CASE WHEN last_step = 'false_alarm' THEN 'no_fault'
                WHEN ended.rule <> 'citizen_report' AND coalesce(last_who IN ('time', 'telemetry'), NOT ended.active)
                    THEN 'verified' ELSE 'repaired' END;
    FOR child IN SELECT alert_id FROM alert WHERE parent_id = ended.alert_id AND rule = 'citizen_report'
                 AND state <> 'closed' LOOP
        UPDATE alert SET state = 'closed', closed_at = at_last, changed_at = at_last, version = version + 1
        WHERE alert_id = child;
        INSERT INTO alert_event (alert_id, at, step, who) VALUES (child, at_last, 'closed', 'report');
    END LOOP;
    WITH closed AS (
        UPDATE service_request r SET status = 'closed', closed_how = how, updated_at = at_last, version = version + 1
        WHERE r.alert_id = ended.alert_id AND r.status = 'open' RETURNING r.request_number
    )
    SELECT array_agg(request_number) INTO told FROM closed;
    PERFORM request_answer(told, at_last);
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER request_ended AFTER UPDATE ON alert DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
    WHEN (NEW.state = 'closed' AND OLD.state <> 'closed') EXECUTE FUNCTION request_ended();
REVOKE EXECUTE ON FUNCTION request_under(bigint, bigint, timestamptz), request_explained(), request_over(), request_ended()
    FROM PUBLIC;

-- A clerk's own data know what they took by telephone; what erases a person's name looks through reports, too.
ALTER FUNCTION kraj_person_export(integer) RENAME TO kraj_person_export_before_requests;
REVOKE EXECUTE ON FUNCTION kraj_person_export_before_requests(integer) FROM kraj_api;
CREATE FUNCTION kraj_person_export(whom integer) RETURNS jsonb
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT kraj_person_export_before_requests(whom) || jsonb_build_object('service_requests', (
        SELECT coalesce(jsonb_agg(to_jsonb(r) ORDER BY r.requested_at), '[]') FROM (
            SELECT s.service_request_id, m.name AS municipality, s.service_code, s.status, s.requested_at
            FROM service_request s LEFT JOIN municipality m USING (municipality_id)
            JOIN person p ON p.person_id = whom AND s.who IN (p.title, p.name)
            WHERE s.municipality_id = ANY (person_places(whom)) OR person_places(whom) IS NULL) r))
$$;
REVOKE EXECUTE ON FUNCTION kraj_person_export(integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION kraj_person_export(integer) TO kraj_api;
DO $$
DECLARE
    before text := pg_get_functiondef('forget_words(integer)'::regprocedure);
    after text := replace(before, '''cause'', ''comment''', '''cause'', ''comment'', ''status_notes''');
BEGIN
    ASSERT before <> after, 'forget_words is another one by now';
    EXECUTE after;
END $$;
