-- Bulk import: work that takes longer than a request, what a file would register, what came of it, and taking it back.

-- Long work and how far it is. A job whose process died is told by heard_at.
CREATE TABLE job (
    job_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    person_id integer NOT NULL REFERENCES person ON DELETE CASCADE,
    kind text NOT NULL CHECK (kind ~ '^[a-z][a-z_]{1,39}$'),
    state text NOT NULL DEFAULT 'running' CHECK (state IN ('running', 'done', 'failed')),
    progress_pct smallint NOT NULL DEFAULT 0 CHECK (progress_pct BETWEEN 0 AND 100),
    result text,                       -- the address of what came of it
    problem jsonb,                     -- why it failed: a code and the values of its sentence
    started_at timestamptz NOT NULL,
    heard_at timestamptz NOT NULL
);
CREATE INDEX job_person ON job (person_id, job_id DESC);
SELECT tenant_wall('job', 'person_id = (SELECT kraj_principal())', 'person_id = (SELECT kraj_principal())');
GRANT SELECT, INSERT (person_id, kind, started_at, heard_at), UPDATE (state, progress_pct, result, problem, heard_at), DELETE
    ON job TO kraj_api;

-- A file and what it would register. Nothing of it is in the registry before it is applied.
CREATE TABLE import (
    import_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    person_id integer REFERENCES person ON DELETE SET NULL,
    municipality_id integer REFERENCES municipality,  -- NULL: rows of several, or of none that is known
    file_name text NOT NULL,
    file_digest bytea NOT NULL,
    format text NOT NULL CHECK (format IN ('csv', 'xlsx', 'geojson')),
    encoding text,
    state text NOT NULL DEFAULT 'preview' CHECK (state IN ('preview', 'applied', 'undone')),
    columns jsonb NOT NULL,
    findings jsonb NOT NULL,           -- of the file as a whole
    rows_all integer NOT NULL,
    rows_new integer NOT NULL,
    rows_known integer NOT NULL,
    rows_wrong integer NOT NULL,
    absent integer NOT NULL DEFAULT 0, -- assets of these municipalities and kinds that the file does not name
    uploaded_at timestamptz NOT NULL,
    applied_at timestamptz,
    undone_at timestamptz
);
CREATE INDEX import_person ON import (person_id, import_id DESC);
CREATE INDEX import_municipality ON import (municipality_id, import_id DESC);
CREATE TABLE import_row (
    import_id bigint NOT NULL REFERENCES import ON DELETE CASCADE,
    number integer NOT NULL,           -- as Excel shows it
    municipality_id integer,
    municipality text,                 -- as written
    kind text,
    label text,
    device text,
    channel smallint NOT NULL,
    latitude double precision,
    longitude double precision,
    metadata jsonb NOT NULL,
    known boolean NOT NULL,            -- in the registry already: skipped
    wrong boolean NOT NULL,
    findings jsonb NOT NULL,
    asset_id integer,                  -- what was made of it; no reference, as taking it back removes it
    device_id integer,
    device_made boolean NOT NULL DEFAULT false,
    undone boolean NOT NULL DEFAULT false,
    PRIMARY KEY (import_id, number)
);
CREATE INDEX import_row_asset ON import_row (asset_id) WHERE asset_id IS NOT NULL;
CREATE INDEX import_row_found ON import_row (import_id, number) WHERE findings <> '[]';
SELECT tenant_wall('import', 'person_id = (SELECT kraj_principal()) OR ' || in_town('register'),
                   'person_id = (SELECT kraj_principal()) OR ' || in_town('register'));
SELECT tenant_wall('import_row', 'EXISTS (SELECT FROM import i WHERE i.import_id = import_row.import_id)',
                   'EXISTS (SELECT FROM import i WHERE i.import_id = import_row.import_id)');
GRANT SELECT, INSERT, UPDATE (state, rows_new, rows_known, rows_wrong, absent, applied_at), DELETE ON import TO kraj_api;
GRANT SELECT, INSERT, UPDATE (known, wrong, findings, asset_id, device_id, device_made) ON import_row TO kraj_api;

-- What of an import can no longer be taken back, and why: readings (or messages of the device) have come, something else
-- refers to it, or it was changed since. kraj_api may not read all of that.
CREATE FUNCTION import_standing(given bigint) RETURNS TABLE (number integer, reason text)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
#variable_conflict use_column
DECLARE
    towns integer[] := kraj_municipalities('register');  -- asked once, not for each row
    since timestamptz := (SELECT i.applied_at FROM import i WHERE i.import_id = given AND i.state = 'applied'
        AND NOT EXISTS (SELECT FROM import_row r WHERE r.import_id = i.import_id AND r.asset_id IS NOT NULL
                        AND r.municipality_id <> ALL (towns)));
    assets integer[];
    devices integer[];
    heard integer[] := '{}';           -- assets
    used_assets integer[] := '{}';
    used_devices integer[] := '{}';
    hits integer[];
    found record;
BEGIN
    IF since IS NULL THEN
        RETURN;
    END IF;
    SELECT array_agg(r.asset_id), array_agg(DISTINCT r.device_id) FILTER (WHERE r.device_made)
    INTO assets, devices FROM import_row r WHERE r.import_id = given AND r.asset_id IS NOT NULL AND NOT r.undone;
    FOR found IN SELECT c.oid::regclass AS name FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace
            AND c.relname ~ '^(reading|latest)_[a-z]+$' AND c.relkind IN ('r', 'p') LOOP
        EXECUTE format('SELECT coalesce(array_agg(a), ''{}'') FROM unnest($1) AS a'
                       ' WHERE EXISTS (SELECT FROM %s t WHERE t.asset_id = a)', found.name) INTO hits USING assets;
        heard := heard || hits;
    END LOOP;
    FOR found IN
        SELECT k.conrelid::regclass AS name, quote_ident(a.attname) AS of, k.confrelid = 'asset'::regclass AS is_asset
        FROM pg_constraint k JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = k.conkey[1]
        WHERE k.contype = 'f' AND k.confrelid IN ('asset'::regclass, 'device'::regclass) AND cardinality(k.conkey) = 1
            AND k.conparentid = 0
            -- What every asset and device has from the beginning, or goes along with it.
            AND k.conrelid NOT IN ('installed'::regclass, 'device_life'::regclass, 'asset_label'::regclass)
    LOOP
        EXECUTE format('SELECT coalesce(array_agg(a), ''{}'') FROM unnest($1) AS a'
                       ' WHERE EXISTS (SELECT FROM %s t WHERE t.%s = a)', found.name, found.of)
            INTO hits USING CASE WHEN found.is_asset THEN assets ELSE devices END;
        IF found.is_asset THEN used_assets := used_assets || hits; ELSE used_devices := used_devices || hits; END IF;
    END LOOP;
    RETURN QUERY
        SELECT r.number, CASE
            WHEN r.asset_id = ANY (heard) THEN 'readings'
            WHEN r.asset_id = ANY (used_assets) OR r.device_id = ANY (used_devices) THEN 'used'
            ELSE 'changed' END
        FROM import_row r
        LEFT JOIN asset a ON a.asset_id = r.asset_id
        LEFT JOIN device d ON d.device_id = r.device_id
        WHERE r.import_id = given AND r.asset_id IS NOT NULL AND NOT r.undone AND (
            r.asset_id = ANY (heard) OR r.asset_id = ANY (used_assets) OR r.device_id = ANY (used_devices)
            OR a.version > 1
            OR r.device_made AND (d.version > 1 OR EXISTS (
                SELECT FROM installed i WHERE i.device_id = r.device_id AND NOT EXISTS (
                    SELECT FROM import_row o WHERE o.asset_id = i.asset_id AND o.import_id = given)))
            OR a.asset_id IS NOT NULL AND r.device_id IS NOT NULL AND NOT EXISTS (
                SELECT FROM installed i WHERE i.asset_id = r.asset_id AND i.device_id = r.device_id
                AND i.channel = r.channel AND i.valid_to IS NULL)
            OR EXISTS (SELECT FROM installed i WHERE i.asset_id = r.asset_id
                       AND (i.device_id, i.channel) IS DISTINCT FROM (r.device_id, r.channel::smallint)))
        ORDER BY r.number;
END $$;

-- Takes an import back as one action. Rows that cannot be are left alone if leave is true; else nothing is done.
CREATE FUNCTION import_undo(given bigint, leave boolean, moment timestamptz)
RETURNS TABLE (removed integer, standing integer)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
#variable_conflict use_column
DECLARE
    towns integer[] := kraj_municipalities('register');
    stays integer[];
    gone integer[];
    gone_devices integer[];
BEGIN
    PERFORM FROM import WHERE import_id = given AND state = 'applied' FOR UPDATE;
    IF NOT FOUND OR EXISTS (SELECT FROM import_row r WHERE r.import_id = given AND r.asset_id IS NOT NULL
                            AND r.municipality_id <> ALL (towns)) THEN
        RAISE EXCEPTION 'import % cannot be taken back by this person', given USING ERRCODE = 'no_data_found';
    END IF;
    -- Who changes these meanwhile waits, and then finds them gone.
    PERFORM FROM asset JOIN import_row r USING (asset_id) WHERE r.import_id = given ORDER BY asset_id FOR UPDATE OF asset;
    PERFORM FROM device JOIN import_row r USING (device_id) WHERE r.import_id = given AND r.device_made
        ORDER BY device_id FOR UPDATE OF device;
    SELECT coalesce(array_agg(s.number), '{}') INTO stays FROM import_standing(given) s;
    IF cardinality(stays) > 0 AND NOT leave THEN
        RETURN QUERY SELECT 0, cardinality(stays);
        RETURN;
    END IF;
    SELECT coalesce(array_agg(r.asset_id), '{}') INTO gone FROM import_row r
    WHERE r.import_id = given AND r.asset_id IS NOT NULL AND NOT r.undone AND r.number <> ALL (stays);
    DELETE FROM installed WHERE asset_id = ANY (gone);
    DELETE FROM asset WHERE asset_id = ANY (gone);
    SELECT coalesce(array_agg(DISTINCT r.device_id), '{}') INTO gone_devices FROM import_row r
    WHERE r.import_id = given AND r.device_made AND r.asset_id = ANY (gone)
        AND NOT EXISTS (SELECT FROM installed i WHERE i.device_id = r.device_id);
    DELETE FROM device WHERE device_id = ANY (gone_devices);
    UPDATE import_row SET undone = true WHERE import_id = given AND asset_id = ANY (gone);
    UPDATE import SET state = 'undone', undone_at = moment WHERE import_id = given;
    RETURN QUERY SELECT cardinality(gone), cardinality(stays);
END $$;
REVOKE EXECUTE ON FUNCTION import_standing(bigint), import_undo(bigint, boolean, timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION import_standing(bigint), import_undo(bigint, boolean, timestamptz) TO kraj_api;
