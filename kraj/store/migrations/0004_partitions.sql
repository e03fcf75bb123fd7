-- Weekly partitions of the reading tables, made ahead or before the batch that needs them.
-- CREATE LIKE and ATTACH, because CREATE ... PARTITION OF waits behind every reader of the parent.
-- SECURITY DEFINER: ingest may have partitions made, and owns none.
CREATE FUNCTION ensure_partition(kind text, week date) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp SET timezone = 'UTC' AS $$
DECLARE
    parent regclass := to_regclass('public.reading_' || kind);
    partition_name text := 'reading_' || kind || to_char(week, '_IYYY"w"IW');
BEGIN
    IF parent IS NULL OR kind !~ '^[a-z]+$' OR extract(isodow FROM week) <> 1 THEN
        RAISE EXCEPTION 'ensure_partition(%, %): no such kind, or not a Monday', kind, week;
    END IF;
    IF NOT EXISTS (SELECT 1 FROM pg_partitioned_table WHERE partrelid = parent) THEN
        RETURN false;  -- a hypertable makes its own chunks
    END IF;
    PERFORM pg_advisory_xact_lock(hashtext('ensure_partition'), hashtext(partition_name));
    IF to_regclass('public.' || partition_name) IS NOT NULL THEN
        RETURN false;
    END IF;
    EXECUTE format('CREATE TABLE public.%I (LIKE %s INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING INDEXES)',
                   partition_name, parent);
    EXECUTE format('ALTER TABLE %s ATTACH PARTITION public.%I FOR VALUES FROM (%L) TO (%L)',
                   parent, partition_name, week::timestamptz, (week + 7)::timestamptz);
    RETURN true;
END $$;
REVOKE EXECUTE ON FUNCTION ensure_partition(text, date) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ensure_partition(text, date) TO kraj_ingest;
