-- Telemetry proves what people have called fixed, or refutes it, in the transaction of the reading that shows it.

-- What waits for its proof, and with which batch the rules heard of it: a replay hears of it with the same one.
CREATE INDEX alert_fixed ON alert (alert_id) WHERE state = 'fixed';
CREATE INDEX alert_event_proving ON alert_event (batch_id) WHERE step = 'proving';

-- As before, and with the two steps that end a repair.
CREATE OR REPLACE FUNCTION take_alert_changes(changes jsonb, batch bigint) RETURNS integer
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
        -- Somebody may have closed it meanwhile, or time has.
        CONTINUE WHEN change->>'step' IN ('verified', 'reopened') AND known.state <> 'fixed';
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
        WHEN 'verified' THEN
            UPDATE alert SET state = 'closed', closed_at = moment, changed_at = moment, version = version + 1
            WHERE alert_id = known.alert_id;
        WHEN 'reopened' THEN
            tell := CASE WHEN known.notify THEN 'reopened' END;
            UPDATE alert SET state = 'open', closed_at = NULL, changed_at = moment, version = version + 1
            WHERE alert_id = known.alert_id;
        ELSE
            NULL;
        END CASE;
        IF tell IS NOT NULL THEN
            INSERT INTO outbox (alert_id, step, at) VALUES (known.alert_id, tell, moment) ON CONFLICT DO NOTHING;
        END IF;
    END LOOP;
    RETURN taken;
END $$;
