-- Alerts: one open per cause; every step an append-only event; what to send waits in the outbox.

-- What the engine writes is a function of history: key names the alert for ever, so a replay is taken once.
CREATE TABLE alert (
    alert_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    key text NOT NULL UNIQUE,
    rule text NOT NULL,
    scope_type text NOT NULL,
    scope_name text NOT NULL,
    municipality_id integer REFERENCES municipality,  -- NULL: across municipalities (a grid outage)
    asset_id integer REFERENCES asset,
    severity text NOT NULL CHECK (severity IN ('info', 'plan', 'minor', 'major', 'critical')),
    state text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'acknowledged', 'assigned', 'fixed', 'closed')),
    active boolean NOT NULL,           -- what telemetry says: the symptom holds
    notify boolean NOT NULL,           -- people are told; false for children and while a parent may explain it
    parent_id bigint REFERENCES alert,
    assignee text,
    since timestamptz NOT NULL,        -- the condition began to hold
    opened_at timestamptz NOT NULL,
    changed_at timestamptz NOT NULL,
    cleared_at timestamptz,
    fixed_at timestamptz,
    closed_at timestamptz,
    evidence jsonb NOT NULL DEFAULT '{}',
    cause text,                        -- as the crew found it, or why it was a false alarm
    lost_wh double precision,
    times_raised integer NOT NULL DEFAULT 1,
    version integer NOT NULL DEFAULT 1
);
CREATE INDEX alert_not_closed ON alert (municipality_id, severity, opened_at DESC) WHERE state <> 'closed';
CREATE INDEX alert_asset ON alert (asset_id, opened_at DESC);
CREATE INDEX alert_opened ON alert (opened_at DESC, alert_id DESC);
CREATE INDEX alert_parent ON alert (parent_id) WHERE parent_id IS NOT NULL;

-- Whatever key it has: one alert a cause. Children count, so that a parent's end finds them.
CREATE UNIQUE INDEX alert_once ON alert (rule, scope_type, scope_name, coalesce(municipality_id, 0)) WHERE active;

CREATE TABLE alert_event (
    alert_event_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    alert_id bigint NOT NULL REFERENCES alert,
    at timestamptz NOT NULL,
    step text NOT NULL,
    who text NOT NULL,                 -- 'telemetry', 'time', or a person
    note text,
    detail jsonb NOT NULL DEFAULT '{}',
    batch_id bigint                    -- of the transaction of ingest that wrote it
);
CREATE INDEX alert_event_alert ON alert_event (alert_id, alert_event_id);
-- A step of the engine is taken once, however often it is replayed.
CREATE UNIQUE INDEX alert_event_once ON alert_event (alert_id, step, at) WHERE who = 'telemetry';

-- Alerts that a person must hear of; the worker decides whom to tell and writes down what it sent.
CREATE TABLE outbox (
    outbox_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    alert_id bigint NOT NULL REFERENCES alert,
    step text NOT NULL,
    at timestamptz NOT NULL,
    done_at timestamptz,               -- all deliveries are planned
    UNIQUE (alert_id, step, at)
);
CREATE INDEX outbox_waiting ON outbox (outbox_id) WHERE done_at IS NULL;

CREATE TABLE notification_target (
    target_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    municipality_id integer REFERENCES municipality,  -- NULL: the region's operator
    name text NOT NULL,
    url text NOT NULL,                 -- apprise's, holds secrets: never shown again
    severity_min text NOT NULL DEFAULT 'minor' CHECK (severity_min IN ('info', 'plan', 'minor', 'major', 'critical')),
    quiet_from time,                   -- local time; within it only what is critical goes out at once
    quiet_to time,
    digest_at time,                    -- local time of the digest of minor ones; NULL: each at once
    language text NOT NULL DEFAULT 'cs' CHECK (language IN ('cs', 'en')),
    enabled boolean NOT NULL DEFAULT true,
    UNIQUE (municipality_id, name)
);
-- Who is on call, in this order; an unacknowledged critical goes on to the next after escalate_after_min.
CREATE TABLE on_call (
    on_call_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    municipality_id integer REFERENCES municipality,
    target_id integer NOT NULL REFERENCES notification_target,
    place smallint NOT NULL CHECK (place BETWEEN 1 AND 20),
    valid_from timestamptz NOT NULL,
    valid_to timestamptz NOT NULL CHECK (valid_to > valid_from),
    escalate_after_min integer NOT NULL DEFAULT 15 CHECK (escalate_after_min BETWEEN 1 AND 1440)
);
-- One row a message to one target; digest is the moment from which it may go out together with others.
CREATE TABLE delivery (
    delivery_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    outbox_id bigint NOT NULL REFERENCES outbox,
    target_id integer NOT NULL REFERENCES notification_target,
    due_at timestamptz NOT NULL,
    digest boolean NOT NULL DEFAULT false,
    attempts integer NOT NULL DEFAULT 0,
    sent_at timestamptz,
    given_up_at timestamptz,
    error text,
    UNIQUE (outbox_id, target_id)
);
CREATE INDEX delivery_waiting ON delivery (due_at) WHERE sent_at IS NULL AND given_up_at IS NULL;

-- What changes how rules judge; each change raises the registry's version, so that ingest reads it at once.
CREATE TABLE maintenance_window (
    maintenance_window_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    municipality_id integer NOT NULL REFERENCES municipality,
    scope_type text NOT NULL,
    scope_name text NOT NULL,
    valid_from timestamptz NOT NULL,
    valid_to timestamptz NOT NULL CHECK (valid_to > valid_from),
    reason text NOT NULL,
    who text NOT NULL
);
CREATE TABLE rule_mute (
    rule_mute_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    asset_id integer NOT NULL REFERENCES asset,
    rule text NOT NULL,
    valid_to timestamptz NOT NULL,
    reason text NOT NULL,
    who text NOT NULL,
    at timestamptz NOT NULL
);
CREATE TABLE rule_override (
    rule_override_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    municipality_id integer NOT NULL REFERENCES municipality,
    group_id integer REFERENCES asset_group,          -- NULL: the whole municipality
    rule text NOT NULL,
    enabled boolean NOT NULL DEFAULT true,
    thresholds jsonb NOT NULL DEFAULT '{}',
    UNIQUE NULLS NOT DISTINCT (municipality_id, group_id, rule)
);
CREATE TABLE custom_rule (
    custom_rule_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    municipality_id integer NOT NULL REFERENCES municipality,
    text text NOT NULL,                -- TOML, one rule
    enabled boolean NOT NULL DEFAULT true,
    who text NOT NULL,
    at timestamptz NOT NULL
);
DO $$
DECLARE t text;
BEGIN
    FOREACH t IN ARRAY ARRAY['asset_group', 'asset_group_member', 'maintenance_window', 'rule_mute', 'rule_override',
                             'custom_rule'] LOOP
        EXECUTE format('CREATE TRIGGER registry_changed AFTER INSERT OR UPDATE OR DELETE ON %I'
                       ' FOR EACH STATEMENT EXECUTE FUNCTION raise_registry_version()', t);
    END LOOP;
END $$;

-- The rules' state up to a batch; a restart loads it and replays what came later.
CREATE TABLE rule_checkpoint (
    slot_id integer PRIMARY KEY REFERENCES slot,
    batch_id bigint NOT NULL,
    at timestamptz NOT NULL,
    state bytea NOT NULL
);
-- A rule that failed, and is off until somebody has looked.
CREATE TABLE rule_failure (
    rule text PRIMARY KEY,
    at timestamptz NOT NULL,
    error text NOT NULL
);

-- Takes the steps that the engine found in one transaction, in order; what was taken before is left alone.
CREATE FUNCTION take_alert_changes(changes jsonb, batch bigint) RETURNS integer
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    change jsonb;
    moment timestamptz;
    began timestamptz;
    known alert%ROWTYPE;
    taken integer := 0;
    tell text;
    ranks text[] := ARRAY['info', 'plan', 'minor', 'major', 'critical'];
BEGIN
    FOR change IN SELECT jsonb_array_elements(changes) LOOP
        moment := to_timestamp((change->>'at_ms')::float8 / 1000);
        began := to_timestamp((change->>'since_ms')::float8 / 1000);
        tell := NULL;
        IF change->>'step' IN ('opened', 'recorded') THEN
            -- After a restart without a checkpoint the same cause may have begun a little earlier or later.
            UPDATE alert SET key = change->>'key'
            WHERE active AND change->>'step' = 'opened' AND rule = change->>'rule'
                AND scope_type = change->>'scope_type' AND scope_name = change->>'scope_name'
                AND coalesce(municipality_id, 0) = coalesce((change->>'municipality_id')::integer, 0)
                AND key <> change->>'key'
                AND NOT EXISTS (SELECT FROM alert taken_key WHERE taken_key.key = change->>'key');
            INSERT INTO alert (key, rule, scope_type, scope_name, municipality_id, asset_id, severity, active, notify,
                               parent_id, since, opened_at, changed_at, evidence, lost_wh, state, cleared_at, closed_at)
            SELECT change->>'key', change->>'rule', change->>'scope_type', change->>'scope_name',
                   (change->>'municipality_id')::integer, (change->>'asset_id')::integer, change->>'severity',
                   change->>'step' = 'opened', (change->>'notify')::boolean AND change->>'step' = 'opened',
                   (SELECT alert_id FROM alert WHERE key = change->>'parent'), began, moment, moment,
                   change->'evidence', (change->>'lost_wh')::float8,
                   CASE change->>'step' WHEN 'opened' THEN 'open' ELSE 'closed' END,
                   CASE change->>'step' WHEN 'opened' THEN NULL ELSE moment END,
                   CASE change->>'step' WHEN 'opened' THEN NULL ELSE moment END
            ON CONFLICT DO NOTHING;
        END IF;
        SELECT * INTO known FROM alert WHERE key = change->>'key' FOR UPDATE;
        CONTINUE WHEN NOT FOUND;
        INSERT INTO alert_event (alert_id, at, step, who, detail, batch_id)
        VALUES (known.alert_id, moment, change->>'step', 'telemetry', change->'evidence', batch)
        ON CONFLICT DO NOTHING;
        CONTINUE WHEN NOT FOUND;
        taken := taken + 1;
        CASE change->>'step'
        WHEN 'opened' THEN
            tell := CASE WHEN (change->>'notify')::boolean THEN 'opened' END;
        WHEN 'changed' THEN
            tell := CASE WHEN NOT (change->>'notify')::boolean THEN NULL
                         WHEN NOT known.notify THEN 'opened'
                         WHEN array_position(ranks, change->>'severity') > array_position(ranks, known.severity)
                             THEN 'changed' END;
            UPDATE alert SET severity = change->>'severity', evidence = evidence || (change->'evidence'),
                notify = (change->>'notify')::boolean, changed_at = moment, version = version + 1,
                asset_id = coalesce((change->>'asset_id')::integer, asset_id)
            WHERE alert_id = known.alert_id;
        WHEN 'attached' THEN
            UPDATE alert SET parent_id = (SELECT p.alert_id FROM alert p WHERE p.key = change->>'parent'),
                notify = false, changed_at = moment, version = version + 1
            WHERE alert_id = known.alert_id;
        WHEN 'detached' THEN
            tell := CASE WHEN (change->>'notify')::boolean AND NOT known.notify THEN 'opened' END;
            UPDATE alert SET parent_id = NULL, notify = (change->>'notify')::boolean, changed_at = moment,
                version = version + 1
            WHERE alert_id = known.alert_id;
        WHEN 'cleared' THEN
            UPDATE alert SET active = false, cleared_at = moment, changed_at = moment, version = version + 1,
                lost_wh = coalesce((change->>'lost_wh')::float8, lost_wh)
            WHERE alert_id = known.alert_id;
        WHEN 'raised_again' THEN
            tell := CASE WHEN (change->>'notify')::boolean AND known.state IN ('fixed', 'closed') THEN 'raised_again' END;
            UPDATE alert SET active = true, cleared_at = NULL, closed_at = NULL, changed_at = moment,
                state = CASE WHEN state IN ('fixed', 'closed') THEN 'open' ELSE state END,
                severity = change->>'severity', times_raised = times_raised + 1, version = version + 1,
                evidence = evidence || (change->'evidence')
            WHERE alert_id = known.alert_id
                AND NOT EXISTS (SELECT FROM alert other WHERE other.active AND other.alert_id <> known.alert_id
                                AND (other.rule, other.scope_type, other.scope_name, coalesce(other.municipality_id, 0))
                                  = (known.rule, known.scope_type, known.scope_name, coalesce(known.municipality_id, 0)));
        ELSE
            NULL;
        END CASE;
        IF tell IS NOT NULL THEN
            INSERT INTO outbox (alert_id, step, at) VALUES (known.alert_id, tell, moment) ON CONFLICT DO NOTHING;
        END IF;
    END LOOP;
    RETURN taken;
END $$;
REVOKE EXECUTE ON FUNCTION take_alert_changes(jsonb, bigint) FROM PUBLIC;

DO $$
BEGIN
    IF to_regrole('kraj_notify') IS NULL THEN CREATE ROLE kraj_notify NOLOGIN; END IF;
END $$;
GRANT USAGE ON SCHEMA public TO kraj_notify;
GRANT SELECT, INSERT, UPDATE ON alert, outbox, rule_checkpoint, rule_failure TO kraj_ingest;
GRANT SELECT, INSERT ON alert_event TO kraj_ingest;
GRANT EXECUTE ON FUNCTION take_alert_changes(jsonb, bigint) TO kraj_ingest;
GRANT SELECT ON maintenance_window, rule_mute, rule_override, custom_rule TO kraj_ingest, kraj_api;
GRANT SELECT ON alert, alert_event, delivery, on_call, rule_failure TO kraj_api;
GRANT UPDATE (state, assignee, changed_at, fixed_at, closed_at, cause, version) ON alert TO kraj_api;
GRANT INSERT ON alert_event, rule_mute TO kraj_api;
GRANT SELECT ON municipality, asset, device, installed, alert_event, notification_target, on_call, maintenance_window
    TO kraj_notify;
GRANT SELECT, UPDATE ON alert, outbox TO kraj_notify;
GRANT SELECT, INSERT, UPDATE ON delivery TO kraj_notify;
GRANT INSERT ON alert_event, outbox TO kraj_notify;
