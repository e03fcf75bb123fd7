-- People keep what bends the rules and whom to tell, over the API; a rule is tried before it is switched on.

-- Whoever has the right to (0010 says in which rows) may change these; each change raises the registry's version (0007).
GRANT INSERT, UPDATE, DELETE ON maintenance_window, rule_override, custom_rule, on_call TO kraj_api;
-- The address is written and never read again: kraj_api has no SELECT on that column (0008).
GRANT INSERT, UPDATE, DELETE ON notification_target TO kraj_api;

-- A rule's name stands in alerts without a municipality, so it is one rule's in the whole region.
ALTER TABLE custom_rule ADD COLUMN name text;
CREATE UNIQUE INDEX custom_rule_name ON custom_rule (name);
ALTER TABLE rule_override ADD COLUMN who text NOT NULL DEFAULT '';
ALTER TABLE rule_override ADD COLUMN at timestamptz NOT NULL DEFAULT now();
ALTER TABLE rule_override ADD COLUMN reason text NOT NULL DEFAULT '';

-- A target that goes takes its turns and what was on its way with it; what people did stays in alert_event.
ALTER TABLE on_call DROP CONSTRAINT on_call_target_id_fkey,
    ADD FOREIGN KEY (target_id) REFERENCES notification_target ON DELETE CASCADE;
ALTER TABLE delivery DROP CONSTRAINT delivery_target_id_fkey,
    ADD FOREIGN KEY (target_id) REFERENCES notification_target ON DELETE CASCADE;

-- A proposal (a rule's text, or other thresholds) and what it would have told; only one that was tried is switched on.
CREATE TABLE rule_trial (
    rule_trial_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    municipality_id integer NOT NULL REFERENCES municipality,
    proposal jsonb NOT NULL,
    state text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'running', 'done', 'failed')),
    progress real NOT NULL DEFAULT 0,
    verdict jsonb,
    error text,
    who text NOT NULL,
    asked_at timestamptz NOT NULL,
    heard_at timestamptz NOT NULL DEFAULT now(),   -- its process lives; by the database's clock
    adopted_at timestamptz
);
CREATE INDEX rule_trial_municipality ON rule_trial (municipality_id, rule_trial_id DESC);
SELECT tenant_wall('rule_trial', in_town('read'), in_town('rules'));
GRANT SELECT, INSERT, UPDATE, DELETE ON rule_trial TO kraj_api;

-- "Send a test": the worker, which alone reads addresses, sends it and writes down what the service said.
CREATE TABLE target_test (
    target_test_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    target_id integer NOT NULL REFERENCES notification_target ON DELETE CASCADE,
    who text NOT NULL,
    asked_at timestamptz NOT NULL,
    done_at timestamptz,
    error text
);
CREATE INDEX target_test_target ON target_test (target_id, target_test_id DESC);
CREATE INDEX target_test_waiting ON target_test (target_test_id) WHERE done_at IS NULL;
SELECT tenant_wall('target_test',
    'EXISTS (SELECT FROM notification_target t WHERE t.target_id = target_test.target_id)',
    'EXISTS (SELECT FROM notification_target t WHERE t.target_id = target_test.target_id AND (t.'
        || in_town('rules') || ' OR t.municipality_id IS NULL AND (SELECT kraj_region(''rules''))))');
GRANT SELECT, INSERT, DELETE ON target_test TO kraj_api;
GRANT SELECT, UPDATE ON target_test TO kraj_notify;

-- Photos of a work order: small, without where and when they were taken, as many as a crew needs.
CREATE TABLE alert_photo (
    alert_photo_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    alert_id bigint NOT NULL REFERENCES alert ON DELETE CASCADE,
    at timestamptz NOT NULL,
    who text NOT NULL,
    media_type text NOT NULL CHECK (media_type IN ('image/jpeg', 'image/png', 'image/webp')),
    width integer NOT NULL,
    height integer NOT NULL,
    content bytea NOT NULL CHECK (length(content) <= 5242880)
);
ALTER TABLE alert_photo ALTER COLUMN content SET STORAGE EXTERNAL;   -- compressed already
CREATE INDEX alert_photo_alert ON alert_photo (alert_id, alert_photo_id);
SELECT tenant_wall('alert_photo', 'EXISTS (SELECT FROM alert a WHERE a.alert_id = alert_photo.alert_id)',
    'EXISTS (SELECT FROM alert a WHERE a.alert_id = alert_photo.alert_id AND (a.'
        || in_town('act') || ' OR a.asset_id = ANY ((SELECT kraj_assets(''act''))::integer[])'
        || ' OR a.municipality_id IS NULL AND (SELECT kraj_region(''act''))))');
GRANT SELECT, INSERT, DELETE ON alert_photo TO kraj_api;
SELECT audited('alert_photo', '(SELECT a.municipality_id FROM alert a WHERE a.alert_id = r.alert_id)');

-- Whom a work order can be given to: those who may work on alerts there, by name, and teams; nothing else of them.
CREATE FUNCTION kraj_crew(municipality integer) RETURNS TABLE (person_id integer, title text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
    SELECT DISTINCT p.person_id, p.title FROM person p
    JOIN membership m USING (person_id) JOIN role_right r ON r.role = m.role AND r.right_name = 'act'
    WHERE p.disabled_at IS NULL AND (m.municipality_id = municipality OR m.municipality_id IS NULL)
        AND m.valid_from <= clock_timestamp() AND (m.valid_to IS NULL OR m.valid_to > clock_timestamp())
        AND (municipality = ANY (kraj_municipalities('act'))
             OR municipality IS NULL AND kraj_region('act'))
$$;
REVOKE EXECUTE ON FUNCTION kraj_crew(integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION kraj_crew(integer) TO kraj_api;
CREATE FUNCTION kraj_crew_teams(municipality integer) RETURNS TABLE (team_id integer, name text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
    SELECT t.team_id, t.name FROM team t
    WHERE (t.municipality_id = municipality OR t.municipality_id IS NULL)
        AND (municipality = ANY (kraj_municipalities('act')) OR municipality IS NULL AND kraj_region('act'))
$$;
REVOKE EXECUTE ON FUNCTION kraj_crew_teams(integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION kraj_crew_teams(integer) TO kraj_api;
