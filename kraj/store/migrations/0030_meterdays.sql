-- Metering points by day of Prague: what a year of quarter-hours sums up to, so that nobody reads 35,000 rows a point.
--
-- Follows from meter_quarter alone and is made by its triggers, so it is right whoever writes there: a file applied,
-- applied again or taken back, a row mended by hand, a town that leaves.

CREATE TABLE meter_day (
    bucket timestamptz NOT NULL,       -- midnight in Prague
    import_wh bigint,                  -- sums over the quarter-hours of which the value is known; NULL: of none
    export_wh bigint,
    shared_wh bigint,
    unshared_wh bigint,                -- exported and used by nobody in the group
    municipality_id integer NOT NULL,
    due smallint NOT NULL,             -- quarter-hours of the day: 92, 96 or 100
    quarters smallint NOT NULL,        -- of which there is a row; 0: a day without any between two that have some
    import_known smallint NOT NULL,    -- of which the value is known
    export_known smallint NOT NULL,
    shared_known smallint NOT NULL,
    unshared_known smallint NOT NULL,
    ean text NOT NULL,
    PRIMARY KEY (ean, bucket)
);
CREATE INDEX meter_day_town ON meter_day (municipality_id, bucket);
SELECT tenant_wall('meter_day', in_town('read'));
GRANT SELECT ON meter_day TO kraj_api;

-- Makes these days of these points anew (the arrays go together), and fills the gaps between a point's first and last.
CREATE FUNCTION meter_days_make(eans text[], days date[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
DECLARE point text;
BEGIN
    DELETE FROM meter_day d USING unnest(eans, days) AS w(ean, day)
    WHERE d.ean = w.ean AND d.bucket = w.day::timestamp AT TIME ZONE 'Europe/Prague';
    INSERT INTO meter_day (ean, bucket, municipality_id, due, quarters, import_wh, import_known, export_wh, export_known,
                           shared_wh, shared_known, unshared_wh, unshared_known)
    SELECT w.ean, n.begins, max(q.municipality_id), extract(epoch FROM n.ends - n.begins) / 900, count(*),
        sum(q.import_wh), count(q.import_wh), sum(q.export_wh), count(q.export_wh),
        sum(q.shared_wh), count(q.shared_wh), sum(u.wh), count(u.wh)
    FROM unnest(eans, days) AS w(ean, day)
    CROSS JOIN LATERAL (SELECT w.day::timestamp AT TIME ZONE 'Europe/Prague' AS begins,
                               (w.day + 1)::timestamp AT TIME ZONE 'Europe/Prague' AS ends) n
    JOIN meter_quarter q ON q.ean = w.ean AND q.bucket >= n.begins AND q.bucket < n.ends
    CROSS JOIN LATERAL (SELECT CASE WHEN q.export_wh = 0 THEN 0
                                    WHEN q.shared_wh IS NOT NULL THEN greatest(q.export_wh - q.shared_wh, 0) END AS wh) u
    GROUP BY w.ean, n.begins, n.ends;
    FOR point IN SELECT DISTINCT e FROM unnest(eans) AS e LOOP
        -- Empty days at either end go, and those between two days with something come.
        DELETE FROM meter_day d WHERE d.ean = point AND d.quarters = 0 AND (
            NOT EXISTS (SELECT FROM meter_day o WHERE o.ean = point AND o.bucket < d.bucket AND o.quarters > 0)
            OR NOT EXISTS (SELECT FROM meter_day o WHERE o.ean = point AND o.bucket > d.bucket AND o.quarters > 0));
        INSERT INTO meter_day (ean, bucket, municipality_id, due, quarters, import_known, export_known, shared_known,
                               unshared_known)
        SELECT point, n.begins, s.municipality_id, extract(epoch FROM n.ends - n.begins) / 900, 0, 0, 0, 0, 0
        FROM (SELECT min(d.bucket) AS first, max(d.bucket) AS last, max(d.municipality_id) AS municipality_id
              FROM meter_day d WHERE d.ean = point) s
        CROSS JOIN LATERAL generate_series((s.first AT TIME ZONE 'Europe/Prague')::date,
                                           (s.last AT TIME ZONE 'Europe/Prague')::date, '1 day') AS i
        CROSS JOIN LATERAL (SELECT i::date::timestamp AT TIME ZONE 'Europe/Prague' AS begins,
                                   (i::date + 1)::timestamp AT TIME ZONE 'Europe/Prague' AS ends) n
        ON CONFLICT DO NOTHING;
    END LOOP;
END $$;
REVOKE EXECUTE ON FUNCTION meter_days_make(text[], date[]) FROM PUBLIC;

CREATE FUNCTION meter_quarter_changed() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
BEGIN
    PERFORM meter_days_make(array_agg(c.ean), array_agg(c.day)) FROM (
        SELECT DISTINCT ean, (bucket AT TIME ZONE 'Europe/Prague')::date AS day FROM changed) AS c
    HAVING count(*) > 0;
    RETURN NULL;
END $$;
CREATE TRIGGER days_came AFTER INSERT ON meter_quarter REFERENCING NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION meter_quarter_changed();
CREATE TRIGGER days_went AFTER DELETE ON meter_quarter REFERENCING OLD TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION meter_quarter_changed();
CREATE TRIGGER days_were AFTER UPDATE ON meter_quarter REFERENCING OLD TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION meter_quarter_changed();
CREATE TRIGGER days_are AFTER UPDATE ON meter_quarter REFERENCING NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION meter_quarter_changed();

-- What is there already.
SELECT meter_days_make(array_agg(q.ean), array_agg(q.day)) FROM (
    SELECT DISTINCT ean, (bucket AT TIME ZONE 'Europe/Prague')::date AS day FROM meter_quarter) AS q
HAVING count(*) > 0;
