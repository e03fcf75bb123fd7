-- Grafana reads as a role of its own: one for the region, and one for a municipality that asks for its own organisation.
--
-- Whoever may look at a dashboard may also send the data source any SQL, so the role itself is the wall. Such a session
-- can SET whatever it likes: kraj.principal, the answers that 0017 keeps, its role. What it cannot change is session_user,
-- and the wall asks for that (not for current_user, which is the owner within these functions, and whom SET ROLE changes).
-- Names that begin with kraj_grafana_ are nobody else's: for them there is no principal.

-- Rights go to a role that nobody signs in as; kraj/store/grafana.py makes the others, which inherit them.
DO $$
BEGIN
    IF to_regrole('kraj_grafana') IS NULL THEN CREATE ROLE kraj_grafana NOLOGIN; END IF;
END $$;
GRANT USAGE ON SCHEMA public TO kraj_grafana;

CREATE TABLE grafana_role (
    role name PRIMARY KEY CHECK (starts_with(role::text, 'kraj_grafana_')),
    municipality_id integer REFERENCES municipality,   -- NULL: the region, which reads all
    digest bytea NOT NULL,                             -- SHA-256 of its password, which is long and random
    made_at timestamptz NOT NULL,
    UNIQUE NULLS NOT DISTINCT (municipality_id)
);
REVOKE ALL ON grafana_role FROM PUBLIC;

CREATE FUNCTION kraj_is_grafana() RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, public AS
$$ SELECT starts_with(session_user::text, 'kraj_grafana_') $$;

-- What this session's role may read; nothing for a role that is in no row.
CREATE FUNCTION grafana_municipalities() RETURNS integer[]
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
    SELECT coalesce(array_agg(m.municipality_id), '{}') FROM grafana_role r
    JOIN municipality m ON m.municipality_id = r.municipality_id OR r.municipality_id IS NULL
    WHERE r.role = session_user
$$;

CREATE OR REPLACE FUNCTION kraj_principal() RETURNS integer
LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, public AS $$
    SELECT CASE WHEN NOT starts_with(session_user::text, 'kraj_grafana_')
        THEN nullif(current_setting('kraj.principal', true), '')::integer END
$$;

-- As before, and first of all the roles of Grafana, past everything that a session can set.
DO $$
DECLARE
    name text;
    answer text;
BEGIN
    FOREACH name IN ARRAY ARRAY['kraj_municipalities', 'kraj_assets', 'kraj_devices'] LOOP
        answer := CASE name WHEN 'kraj_municipalities' THEN 'grafana_municipalities()' WHEN 'kraj_devices' THEN
            'kraj_devices_now(wanted)' ELSE quote_literal('{}') || '::integer[]' END;
        EXECUTE format($made$
            CREATE OR REPLACE FUNCTION %1$I(wanted text) RETURNS integer[]
            LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $body$
            DECLARE
                whose text;
                kept text;
                answer integer[];
            BEGIN
                IF kraj_is_grafana() THEN
                    RETURN CASE WHEN wanted = 'read' THEN %3$s ELSE '{}' END;
                END IF;
                whose := current_setting('kraj.principal', true) || '/' ||
                    coalesce(current_setting('kraj.scopes', true), '') || '=';
                kept := current_setting('kraj.kept_%1$s_' || wanted, true);
                IF starts_with(kept, whose) THEN
                    RETURN substr(kept, length(whose) + 1)::integer[];
                END IF;
                answer := %2$I(wanted);
                IF current_setting('transaction_read_only') = 'on' THEN
                    PERFORM set_config('kraj.kept_%1$s_' || wanted, whose || answer::text, true);
                END IF;
                RETURN answer;
            END $body$ $made$, name, name || '_now', answer);
    END LOOP;
END $$;

CREATE OR REPLACE FUNCTION kraj_region(wanted text) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
    SELECT CASE WHEN kraj_is_grafana()
        THEN wanted = 'read' AND EXISTS (SELECT FROM grafana_role WHERE role = session_user AND municipality_id IS NULL)
        ELSE kraj_scoped(wanted) AND EXISTS (
            SELECT FROM membership m JOIN role_right r ON r.role = m.role AND r.right_name = wanted
            JOIN person p ON p.person_id = m.person_id AND p.disabled_at IS NULL
            WHERE m.person_id = kraj_principal() AND m.municipality_id IS NULL
                AND m.valid_from <= clock_timestamp() AND (m.valid_to IS NULL OR m.valid_to > clock_timestamp())) END
$$;

-- What dashboards need to know besides readings, rollups and KPIs. Without people: who took a step stays in the console.
CREATE VIEW seen_municipality WITH (security_barrier) AS
SELECT municipality_id, name, title FROM municipality
WHERE municipality_id = ANY ((SELECT kraj_municipalities('read'))::integer[]);

CREATE VIEW seen_asset WITH (security_barrier) AS
SELECT asset_id, municipality_id, kind, label, latitude, longitude, metadata, retired_at FROM asset
WHERE municipality_id = ANY ((SELECT kraj_municipalities('read'))::integer[])
    OR asset_id = ANY ((SELECT kraj_assets('read'))::integer[]);

CREATE VIEW seen_group WITH (security_barrier) AS
SELECT group_id, municipality_id, name, kind FROM asset_group
WHERE municipality_id = ANY ((SELECT kraj_municipalities('read'))::integer[])
    OR group_id IN (SELECT g.group_id FROM kraj_grants('read') g);

CREATE VIEW seen_group_member WITH (security_barrier) AS
SELECT m.group_id, m.asset_id FROM asset_group_member m JOIN asset_group g USING (group_id)
WHERE g.municipality_id = ANY ((SELECT kraj_municipalities('read'))::integer[])
    OR g.group_id IN (SELECT granted.group_id FROM kraj_grants('read') granted);

CREATE VIEW seen_alert WITH (security_barrier) AS
SELECT alert_id, rule, scope_type, scope_name, municipality_id, asset_id, severity, state, active, notify, parent_id,
    since, opened_at, changed_at, cleared_at, fixed_at, closed_at, lost_wh, times_raised FROM alert
WHERE municipality_id = ANY ((SELECT kraj_municipalities('read'))::integer[])
    OR asset_id = ANY ((SELECT kraj_assets('read'))::integer[])
    OR municipality_id IS NULL AND (SELECT kraj_region('read'));

-- Which controller serves an asset now, and what it last said of itself.
CREATE VIEW seen_device WITH (security_barrier) AS
SELECT i.asset_id, i.municipality_id, i.channel, d.device_id, d.name, d.state, s.online, s.firmware, s.changed_at
FROM installed i JOIN device d USING (device_id) LEFT JOIN device_status s USING (device_id)
WHERE i.valid_to IS NULL AND (i.municipality_id = ANY ((SELECT kraj_municipalities('read'))::integer[])
    OR i.asset_id = ANY ((SELECT kraj_assets('read'))::integer[]));

-- What was not taken, and why; not what was in it.
CREATE VIEW seen_quarantine WITH (security_barrier) AS
SELECT quarantine_id, municipality_id, device_id, source, reason, metric, times, first_at, last_at FROM quarantine
WHERE municipality_id = ANY ((SELECT kraj_municipalities('read'))::integer[])
    OR municipality_id IS NULL AND (SELECT kraj_region('read'));

-- Every view that stands behind the wall is Grafana's to read; asked again after views were made anew.
CREATE FUNCTION grant_grafana() RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, public AS $$
DECLARE found text;
BEGIN
    FOR found IN SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'v'
        AND relname ~ '^(seen|kpi)_' AND NOT has_table_privilege('kraj_grafana', oid, 'SELECT')
    LOOP
        EXECUTE format('GRANT SELECT ON %I TO kraj_grafana', found);
    END LOOP;
END $$;
REVOKE EXECUTE ON FUNCTION grant_grafana() FROM PUBLIC;
