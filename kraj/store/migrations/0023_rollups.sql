-- Rollups: who makes them, up to which batch, and for how long they are kept. Their tables are derived from the kinds.
DO $$ BEGIN
    IF to_regrole('kraj_rollup') IS NULL THEN CREATE ROLE kraj_rollup NOLOGIN; END IF;
END $$;
GRANT USAGE ON SCHEMA public TO kraj_rollup;
GRANT SELECT ON municipality, asset, asset_group, asset_group_member, slot, batch TO kraj_rollup;
-- It serves everybody, like the other services.
DO $$
DECLARE t text;
BEGIN
    FOREACH t IN ARRAY ARRAY['municipality', 'asset', 'asset_group', 'asset_group_member', 'slot'] LOOP
        EXECUTE format('CREATE POLICY rollup ON %I FOR SELECT TO kraj_rollup USING (true)', t);
    END LOOP;
END $$;

-- Which pages hold which batches is told to the index at once: else each look for new rows reads all that no vacuum has seen.
CREATE FUNCTION summarize_batches(kind text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public SET lock_timeout = '200ms' AS $$
DECLARE part regclass;
BEGIN
    FOR part IN SELECT inhrelid::regclass FROM pg_inherits
                WHERE inhparent = to_regclass('public.reading_' || kind || '_batch') LOOP
        BEGIN
            PERFORM brin_summarize_new_values(part);
        EXCEPTION WHEN lock_not_available THEN
            NULL;  -- it is being vacuumed, which does the same
        END;
    END LOOP;
END $$;
REVOKE EXECUTE ON FUNCTION summarize_batches(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION summarize_batches(text) TO kraj_rollup;

-- A slot's batches are committed in the order of their ids: all up to this one are rolled up.
CREATE TABLE rollup_done (
    slot_id integer PRIMARY KEY REFERENCES slot ON DELETE CASCADE,
    batch_id bigint NOT NULL,
    at timestamptz NOT NULL
) WITH (fillfactor = 50);
GRANT SELECT, INSERT, UPDATE ON rollup_done TO kraj_rollup;

-- Of which members the rollups of groups are made. When they change, a group's history is made anew, the newest months
-- first: all before this moment still is of the members it had. Without references, so that a group's end is noticed.
CREATE TABLE rollup_member (
    group_id integer NOT NULL,
    asset_id integer NOT NULL,
    PRIMARY KEY (group_id, asset_id)
);
CREATE TABLE rollup_regroup (
    group_id integer PRIMARY KEY,
    before timestamptz NOT NULL
);
GRANT SELECT, INSERT, DELETE ON rollup_member TO kraj_rollup;
GRANT SELECT, INSERT, UPDATE, DELETE ON rollup_regroup TO kraj_rollup;

-- Partitions by month (15 minutes) or year, in UTC, made before the transaction that needs them.
-- CREATE LIKE and ATTACH, as for readings.
CREATE FUNCTION ensure_rollup_partition(kind text, step text, at date) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp SET timezone = 'UTC' AS $$
DECLARE
    unit text := CASE step WHEN '15m' THEN 'month' WHEN '1h' THEN 'year' WHEN '1d' THEN 'year' END;
    begins date := date_trunc(unit, at)::date;
    scope text;
    parent regclass;
    partition_name text;
    made boolean := false;
BEGIN
    IF kind !~ '^[a-z]+$' OR unit IS NULL OR to_regclass('public.rollup_' || kind || '_' || step) IS NULL THEN
        RAISE EXCEPTION 'ensure_rollup_partition(%, %, %): no such rollup', kind, step, at;
    END IF;
    FOREACH scope IN ARRAY ARRAY['', 'group_'] LOOP
        parent := to_regclass('public.rollup_' || scope || kind || '_' || step);
        partition_name := 'rollup_' || scope || kind || '_' || step
            || to_char(begins, CASE unit WHEN 'month' THEN '"_"YYYY"m"MM' ELSE '"_"YYYY' END);
        PERFORM pg_advisory_xact_lock(hashtext('ensure_partition'), hashtext(partition_name));
        IF to_regclass('public.' || partition_name) IS NULL THEN
            -- Rows of the running hour and day are replaced again and again: dead ones go before a fifth is dead.
            EXECUTE format('CREATE TABLE public.%I (LIKE %s INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING INDEXES)'
                           ' WITH (autovacuum_vacuum_scale_factor = 0.02)', partition_name, parent);
            EXECUTE format('ALTER TABLE %s ATTACH PARTITION public.%I FOR VALUES FROM (%L) TO (%L)', parent,
                           partition_name, begins::timestamptz, (begins + ('1 ' || unit)::interval)::timestamptz);
            made := true;
        END IF;
    END LOOP;
    RETURN made;
END $$;
REVOKE EXECUTE ON FUNCTION ensure_rollup_partition(text, text, date) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ensure_rollup_partition(text, text, date) TO kraj_rollup;

-- For how long: raw readings for all, rollups by municipality; without a row the region's word holds, NULL is for ever.
CREATE TABLE retention (
    municipality_id integer REFERENCES municipality ON DELETE CASCADE,   -- NULL: the region
    raw_days integer CHECK (raw_days BETWEEN 35 AND 36500),
    quarter_days integer CHECK (quarter_days BETWEEN 35 AND 36500),
    hour_days integer CHECK (hour_days BETWEEN 35 AND 36500),
    day_days integer CHECK (day_days BETWEEN 400 AND 36500),
    CHECK (municipality_id IS NULL OR raw_days IS NULL),    -- partitions hold all municipalities' readings
    UNIQUE NULLS NOT DISTINCT (municipality_id)
);
INSERT INTO retention (raw_days, quarter_days, hour_days) VALUES (400, 1096, 3653);
SELECT tenant_wall('retention', in_town('read', true));
GRANT SELECT ON retention TO kraj_api, kraj_rollup;
CREATE POLICY rollup ON retention FOR SELECT TO kraj_rollup USING (true);
