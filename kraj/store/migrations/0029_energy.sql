-- Rest of the energy managers' figures.

-- A stop's light by night, in seconds: lit, known, and dark (the sun 6° below the horizon; 0 for a stop without a light).
-- NULL: a day that was made before.
ALTER TABLE stop_day ADD COLUMN light_lit_s real, ADD COLUMN light_known_s real, ADD COLUMN dark_s real;

-- A roof's expected energy of the time in which it ought to have given and is known (asked), and of that in which it gave
-- (available); and what its peers' modules gave a watt, at this roof's size, with what this one gave in the same time.
ALTER TABLE solar_day
    ADD COLUMN asked_wh double precision, ADD COLUMN available_wh double precision, ADD COLUMN asked_s real,
    ADD COLUMN peers_wh double precision, ADD COLUMN peers_of_wh double precision, ADD COLUMN peers_s real;

-- By which edition of the day step a day was made; days of an earlier one are made anew while their readings are kept.
ALTER TABLE kpi_day ADD COLUMN edition smallint NOT NULL DEFAULT 1;

-- Metering points by name, for Grafana's variables and tables; KPIs tell them apart by EAN alone.
CREATE VIEW seen_metering_point WITH (security_barrier) AS
SELECT ean, municipality_id, title, voltage, distributor FROM metering_point
WHERE municipality_id = ANY ((SELECT kraj_municipalities('read'))::integer[]);
GRANT SELECT ON seen_metering_point TO kraj_api;

-- What a file of several municipalities says in sum of a meter is kept by EAN in its import. When one of them leaves, its
-- share of the summary and of the invoices goes, before its metering points do.
CREATE FUNCTION forget_metered() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
BEGIN
    UPDATE meter_import i SET
        summary = coalesce((SELECT jsonb_agg(s.one ORDER BY s.n) FROM jsonb_array_elements(i.summary) WITH ORDINALITY AS s(one, n)
                            WHERE s.one->>'ean' IS DISTINCT FROM OLD.ean), '[]'),
        invoices = coalesce((SELECT jsonb_agg(s.one ORDER BY s.n) FROM jsonb_array_elements(i.invoices) WITH ORDINALITY AS s(one, n)
                             WHERE s.one->>'ean' IS DISTINCT FROM OLD.ean), '[]'),
        findings = coalesce((SELECT jsonb_agg(s.one ORDER BY s.n) FROM jsonb_array_elements(i.findings) WITH ORDINALITY AS s(one, n)
                             WHERE s.one->'values'->>'ean' IS DISTINCT FROM OLD.ean), '[]')
    WHERE i.summary @> jsonb_build_array(jsonb_build_object('ean', OLD.ean))
        OR i.invoices @> jsonb_build_array(jsonb_build_object('ean', OLD.ean))
        OR i.findings @> jsonb_build_array(jsonb_build_object('values', jsonb_build_object('ean', OLD.ean)));
    RETURN NULL;
END $$;
REVOKE EXECUTE ON FUNCTION forget_metered() FROM PUBLIC;
CREATE TRIGGER forget_metered AFTER DELETE ON metering_point FOR EACH ROW EXECUTE FUNCTION forget_metered();
