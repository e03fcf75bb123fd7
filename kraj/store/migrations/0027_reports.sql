-- Monthly reports: which targets of notifications asked for them, and which were sent.
--
-- The worker composes a report as one municipality sees itself, and nothing besides: it names the municipality in
-- kraj.report for the length of a transaction. Nobody else's setting of that name means anything.

CREATE FUNCTION report_municipality() RETURNS integer
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
    SELECT CASE WHEN session_user IN ('kraj_notify', current_user) AND kraj_principal() IS NULL
        THEN nullif(current_setting('kraj.report', true), '')::integer END
$$;
REVOKE EXECUTE ON FUNCTION report_municipality() FROM PUBLIC;

ALTER FUNCTION kraj_municipalities_now(text) RENAME TO kraj_municipalities_of_principal;
CREATE FUNCTION kraj_municipalities_now(wanted text) RETURNS integer[]
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
    SELECT CASE WHEN wanted = 'read' AND report_municipality() IS NOT NULL THEN ARRAY[report_municipality()]
        ELSE kraj_municipalities_of_principal(wanted) END
$$;
REVOKE EXECUTE ON FUNCTION kraj_municipalities_now(text) FROM PUBLIC;

-- Where reports go: to a target that is an e-mail address. Whole municipality, or one of its buildings (a group).
CREATE TABLE report_subscription (
    report_subscription_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    municipality_id integer NOT NULL REFERENCES municipality,
    target_id integer NOT NULL REFERENCES notification_target ON DELETE CASCADE,
    group_id integer,
    language text NOT NULL DEFAULT 'cs' CHECK (language IN ('cs', 'en')),
    who text NOT NULL,
    at timestamptz NOT NULL,
    UNIQUE NULLS NOT DISTINCT (target_id, group_id),
    UNIQUE (report_subscription_id, municipality_id),
    FOREIGN KEY (municipality_id, group_id) REFERENCES asset_group (municipality_id, group_id) ON DELETE CASCADE
);
CREATE INDEX report_subscription_municipality ON report_subscription (municipality_id);

-- A report that is to go out, or went. Asked for once more: ``again`` is 1, 2, …
CREATE TABLE report_run (
    report_run_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    report_subscription_id integer NOT NULL,
    municipality_id integer NOT NULL REFERENCES municipality,
    month date NOT NULL CHECK (extract(day FROM month) = 1),
    again smallint NOT NULL DEFAULT 0 CHECK (again BETWEEN 0 AND 100),
    state text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'sent', 'given_up')),
    attempts integer NOT NULL DEFAULT 0,
    error text,
    planned_at timestamptz NOT NULL,
    due_at timestamptz NOT NULL,
    done_at timestamptz,
    UNIQUE (report_subscription_id, month, again),
    FOREIGN KEY (report_subscription_id, municipality_id)
        REFERENCES report_subscription (report_subscription_id, municipality_id) ON DELETE CASCADE
);
CREATE INDEX report_run_waiting ON report_run (due_at) WHERE state = 'waiting';
CREATE INDEX report_run_municipality ON report_run (municipality_id, month);

SELECT tenant_wall('report_subscription', in_town('read'), in_town('rules'));
SELECT tenant_wall('report_run', in_town('read'), in_town('rules'));
SELECT audited('report_subscription'::regclass);
GRANT SELECT, INSERT, DELETE ON report_subscription TO kraj_api;
GRANT SELECT ON report_run TO kraj_api;
GRANT INSERT (report_subscription_id, municipality_id, month, again, planned_at, due_at) ON report_run TO kraj_api;
GRANT SELECT ON report_subscription TO kraj_notify;
GRANT SELECT, INSERT, UPDATE ON report_run TO kraj_notify;
GRANT SELECT ON municipality, asset, asset_group, asset_group_member, metering_point, metering_point_asset, tariff,
    co2_factor, lighting_baseline TO kraj_notify;
GRANT EXECUTE ON FUNCTION kraj_municipalities(text), kraj_assets(text), kraj_region(text) TO kraj_notify;

-- Addresses are read by nobody but the worker: that a target is an e-mail address is all that is told.
CREATE FUNCTION report_targets() RETURNS TABLE (target_id integer, municipality_id integer, name text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
    SELECT t.target_id, t.municipality_id, t.name FROM notification_target t
    WHERE t.url ~* '^mailtos?://' AND t.municipality_id = ANY (kraj_municipalities('read')) ORDER BY t.name
$$;
CREATE FUNCTION report_target_fits() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM notification_target t WHERE t.target_id = NEW.target_id
                   AND t.municipality_id = NEW.municipality_id AND t.url ~* '^mailtos?://') THEN
        RAISE EXCEPTION 'a report goes to an e-mail target of its municipality' USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER report_target_fits BEFORE INSERT OR UPDATE ON report_subscription
    FOR EACH ROW EXECUTE FUNCTION report_target_fits();

-- Of how many days of a month the figures are made; days are nobody's.
CREATE FUNCTION report_days(first date, before date) RETURNS integer
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
    SELECT count(*)::integer FROM kpi_day WHERE bucket >= first::timestamp AT TIME ZONE 'Europe/Prague'
        AND bucket < before::timestamp AT TIME ZONE 'Europe/Prague'
$$;
REVOKE EXECUTE ON FUNCTION report_targets(), report_target_fits(), report_days(date, date) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION report_targets() TO kraj_api;
GRANT EXECUTE ON FUNCTION report_days(date, date) TO kraj_api, kraj_notify;
