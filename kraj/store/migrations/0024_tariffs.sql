-- Money and meters: prices, CO2 factors, the distributor's meters with what they and the invoices say.
--
-- Days are those of Prague, and valid_until is the last day that still holds. Prices and factors are only ever added: a
-- version that turned out wrong is withdrawn, not changed. There is no price in a gap, and no figure in crowns either.

-- Who may write here: who keeps the registry, and the energy manager, who controls.
CREATE FUNCTION in_town_metering(or_region boolean DEFAULT false) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, public AS
$$ SELECT in_town('register', or_region) || ' OR ' || in_town('control', or_region) $$;
REVOKE EXECUTE ON FUNCTION in_town_metering(boolean) FROM PUBLIC;

-- 18 digits, the last of which is the check digit of GS1: weights 3, 1, 3, … from the left.
CREATE FUNCTION ean_checks(ean text) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE STRICT SET search_path = pg_catalog AS $$
    SELECT ean ~ '^[0-9]{18}$' AND (SELECT sum(ascii(substr(ean, n, 1)) - 48) FILTER (WHERE n % 2 = 0)
        + 3 * sum(ascii(substr(ean, n, 1)) - 48) FILTER (WHERE n % 2 = 1 AND n < 18) FROM generate_series(1, 18) AS n) % 10 = 0
$$;

CREATE TABLE tariff (
    tariff_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    municipality_id integer NOT NULL REFERENCES municipality,
    name text NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
    direction text NOT NULL CHECK (direction IN ('import', 'export')),
    czk_per_kwh numeric(9, 5) NOT NULL CHECK (czk_per_kwh BETWEEN -100 AND 1000),  -- without VAT; below zero happens
    valid_from date NOT NULL CHECK (valid_from BETWEEN '2000-01-01' AND '2099-12-31'),
    valid_until date CHECK (valid_until BETWEEN valid_from AND '2099-12-31'),  -- NULL: until further notice
    asset_id integer REFERENCES asset,  -- neither: of the whole municipality
    group_id integer,
    source text NOT NULL CHECK (length(source) BETWEEN 1 AND 500),
    who text NOT NULL,
    at timestamptz NOT NULL,
    withdrawn_at timestamptz,
    withdrawn_why text CHECK (length(withdrawn_why) BETWEEN 1 AND 500),
    CHECK (asset_id IS NULL OR group_id IS NULL),
    CHECK ((withdrawn_at IS NULL) = (withdrawn_why IS NULL)),
    FOREIGN KEY (municipality_id, group_id) REFERENCES asset_group (municipality_id, group_id),
    -- Ranges of one number each: equality in GiST without an extension.
    CONSTRAINT tariff_overlap EXCLUDE USING gist (
        int4range(municipality_id, municipality_id, '[]') WITH =,
        int4range(coalesce(asset_id, 0), coalesce(asset_id, 0), '[]') WITH =,
        int4range(coalesce(group_id, 0), coalesce(group_id, 0), '[]') WITH =,
        int4range(ascii(direction), ascii(direction), '[]') WITH =,
        daterange(valid_from, valid_until, '[]') WITH &&
    ) WHERE (withdrawn_at IS NULL)
);
CREATE INDEX tariff_of_asset ON tariff (asset_id, direction, valid_from) WHERE asset_id IS NOT NULL;
CREATE INDEX tariff_of_group ON tariff (group_id, direction, valid_from) WHERE group_id IS NOT NULL;
CREATE INDEX tariff_of_town ON tariff (municipality_id, direction, valid_from);

CREATE TABLE co2_factor (
    co2_factor_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    municipality_id integer REFERENCES municipality,  -- NULL: the region's, for who declares none of its own
    g_per_kwh numeric(7, 2) NOT NULL CHECK (g_per_kwh BETWEEN 0 AND 3000),
    valid_from date NOT NULL CHECK (valid_from BETWEEN '2000-01-01' AND '2099-12-31'),
    source text NOT NULL CHECK (length(source) BETWEEN 1 AND 500),
    who text NOT NULL,
    at timestamptz NOT NULL
);
CREATE INDEX co2_factor_of ON co2_factor (municipality_id, valid_from DESC, co2_factor_id DESC);

-- A distributor's meter, by the EAN of its connection point.
CREATE TABLE metering_point (
    ean text PRIMARY KEY CHECK (ean_checks(ean)),
    municipality_id integer NOT NULL REFERENCES municipality,
    title text NOT NULL CHECK (length(title) BETWEEN 1 AND 200),
    voltage text NOT NULL DEFAULT 'nn' CHECK (voltage IN ('nn', 'vn', 'vvn')),
    distributor text NOT NULL DEFAULT '' CHECK (length(distributor) <= 200),
    difference_pct_max numeric(5, 2) NOT NULL DEFAULT 2 CHECK (difference_pct_max BETWEEN 0.1 AND 100),
    at timestamptz NOT NULL,
    version integer NOT NULL DEFAULT 1,
    UNIQUE (ean, municipality_id)
);
CREATE INDEX metering_point_municipality ON metering_point (municipality_id);
CREATE TRIGGER raise_row_version BEFORE UPDATE ON metering_point FOR EACH ROW EXECUTE FUNCTION raise_row_version();

-- What hangs on a meter, since when and until when; a site is a group.
CREATE TABLE metering_point_asset (
    metering_point_asset_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    ean text NOT NULL,
    municipality_id integer NOT NULL,
    asset_id integer REFERENCES asset,
    group_id integer,
    valid_from date NOT NULL CHECK (valid_from BETWEEN '2000-01-01' AND '2099-12-31'),
    valid_until date CHECK (valid_until BETWEEN valid_from AND '2099-12-31'),
    who text NOT NULL,
    at timestamptz NOT NULL,
    CHECK ((asset_id IS NULL) <> (group_id IS NULL)),
    FOREIGN KEY (ean, municipality_id) REFERENCES metering_point (ean, municipality_id),
    FOREIGN KEY (municipality_id, group_id) REFERENCES asset_group (municipality_id, group_id),
    CONSTRAINT metering_point_asset_overlap EXCLUDE USING gist (
        numrange(ean::numeric, ean::numeric, '[]') WITH =,
        int4range(coalesce(asset_id, 0), coalesce(asset_id, 0), '[]') WITH =,
        int4range(coalesce(group_id, 0), coalesce(group_id, 0), '[]') WITH =,
        daterange(valid_from, valid_until, '[]') WITH &&
    )
);
CREATE INDEX metering_point_asset_ean ON metering_point_asset (ean);
CREATE INDEX metering_point_asset_asset ON metering_point_asset (asset_id);

-- A file of quarter-hours or invoices, and what came of it.
CREATE TABLE meter_import (
    meter_import_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    person_id integer REFERENCES person ON DELETE SET NULL,
    municipality_id integer REFERENCES municipality,  -- NULL: of several
    content text NOT NULL CHECK (content IN ('quarters', 'invoices')),
    file_name text NOT NULL,
    file_digest bytea NOT NULL,
    format text NOT NULL CHECK (format IN ('csv', 'xlsx')),
    encoding text,
    state text NOT NULL DEFAULT 'preview' CHECK (state IN ('preview', 'applied', 'undone')),
    findings jsonb NOT NULL,
    summary jsonb NOT NULL,            -- what the file says, by EAN
    invoices jsonb NOT NULL DEFAULT '[]',
    rows_all integer NOT NULL,
    rows_wrong integer NOT NULL,
    uploaded_at timestamptz NOT NULL,
    applied_at timestamptz,
    undone_at timestamptz
);
CREATE INDEX meter_import_person ON meter_import (person_id);
CREATE INDEX meter_import_municipality ON meter_import (municipality_id, meter_import_id DESC);

-- What each file says; it counts while its import is applied.
CREATE TABLE meter_quarter_said (
    bucket timestamptz NOT NULL CHECK (extract(epoch FROM bucket)::bigint % 900 = 0),
    meter_import_id bigint NOT NULL REFERENCES meter_import ON DELETE CASCADE,
    municipality_id integer NOT NULL,
    import_wh integer CHECK (import_wh >= 0),
    export_wh integer CHECK (export_wh >= 0),
    shared_wh integer CHECK (shared_wh >= 0),
    status text NOT NULL CHECK (status IN ('measured', 'substitute')),
    ean text NOT NULL,
    PRIMARY KEY (meter_import_id, ean, bucket),
    FOREIGN KEY (ean, municipality_id) REFERENCES metering_point (ean, municipality_id)
);
CREATE INDEX meter_quarter_said_ean ON meter_quarter_said (ean, bucket);

-- What holds of a quarter-hour: of each value what the latest applied file says. Made by meter_refresh().
CREATE TABLE meter_quarter (
    bucket timestamptz NOT NULL,       -- its beginning
    import_id bigint NOT NULL,         -- the latest that spoke of it
    municipality_id integer NOT NULL,
    import_wh integer,                 -- from the grid
    export_wh integer,                 -- into the grid
    shared_wh integer,                 -- of these, settled within a sharing group
    status text NOT NULL,
    ean text NOT NULL,
    PRIMARY KEY (ean, bucket)
);
CREATE INDEX meter_quarter_town ON meter_quarter (municipality_id, bucket);

CREATE TABLE invoice (
    invoice_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    municipality_id integer NOT NULL,
    ean text NOT NULL,
    period_from date NOT NULL CHECK (period_from BETWEEN '2000-01-01' AND '2099-12-31'),
    period_until date NOT NULL CHECK (period_until BETWEEN period_from AND '2099-12-31'),  -- the last day
    direction text NOT NULL DEFAULT 'import' CHECK (direction IN ('import', 'export')),
    kwh numeric(14, 3) NOT NULL CHECK (abs(kwh) <= 1e9),       -- a credit note is below zero
    czk numeric(14, 2) NOT NULL CHECK (abs(czk) <= 1e11),      -- without VAT
    number text NOT NULL CHECK (length(number) BETWEEN 1 AND 60),
    meter_import_id bigint REFERENCES meter_import,
    who text NOT NULL,
    at timestamptz NOT NULL,
    withdrawn_at timestamptz,
    withdrawn_why text CHECK (length(withdrawn_why) BETWEEN 1 AND 500),
    CHECK ((withdrawn_at IS NULL) = (withdrawn_why IS NULL)),
    FOREIGN KEY (ean, municipality_id) REFERENCES metering_point (ean, municipality_id)
);
CREATE UNIQUE INDEX invoice_once ON invoice (ean, number, direction) WHERE withdrawn_at IS NULL;
CREATE INDEX invoice_period ON invoice (ean, period_from);

-- Who shares with whom: of what a point feeds in, the per cent that another is to get. The rows of one source and one
-- day are a version, and the latest that has begun holds. The other side may be somebody else's.
CREATE TABLE allocation_key (
    allocation_key_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    municipality_id integer NOT NULL,
    ean text NOT NULL,                 -- feeds in
    ean_to text NOT NULL CHECK (ean_checks(ean_to) AND ean_to <> ean),
    share_pct numeric(6, 3) NOT NULL CHECK (share_pct BETWEEN 0 AND 100),
    valid_from date NOT NULL CHECK (valid_from BETWEEN '2000-01-01' AND '2099-12-31'),
    source text NOT NULL CHECK (length(source) BETWEEN 1 AND 500),
    who text NOT NULL,
    at timestamptz NOT NULL,
    UNIQUE (ean, valid_from, ean_to),
    FOREIGN KEY (ean, municipality_id) REFERENCES metering_point (ean, municipality_id)
);

-- An asset is its municipality's when something is said of it; a version ends once and is withdrawn once.
CREATE FUNCTION metering_own_asset() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
BEGIN
    IF NEW.asset_id IS NOT NULL AND NOT EXISTS (
        SELECT FROM asset a WHERE a.asset_id = NEW.asset_id AND a.municipality_id = NEW.municipality_id) THEN
        RAISE foreign_key_violation USING MESSAGE = format('asset %s is not of municipality %s',
                                                           NEW.asset_id, NEW.municipality_id);
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER own_asset BEFORE INSERT ON tariff FOR EACH ROW EXECUTE FUNCTION metering_own_asset();
CREATE TRIGGER own_asset BEFORE INSERT ON metering_point_asset FOR EACH ROW EXECUTE FUNCTION metering_own_asset();
CREATE FUNCTION tariff_only_ends() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, public AS $$
BEGIN
    IF OLD.valid_until IS DISTINCT FROM NEW.valid_until AND OLD.valid_until IS NOT NULL
        OR OLD.withdrawn_at IS NOT NULL AND OLD.withdrawn_at IS DISTINCT FROM NEW.withdrawn_at THEN
        RAISE check_violation USING CONSTRAINT = 'tariff_append_only',
            MESSAGE = format('tariff %s is closed: declare another version', OLD.tariff_id);
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER only_ends BEFORE UPDATE OF valid_until, withdrawn_at ON tariff
    FOR EACH ROW EXECUTE FUNCTION tariff_only_ends();
CREATE FUNCTION allocation_within_all() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
BEGIN
    IF EXISTS (SELECT FROM allocation_key k JOIN new_rows n USING (ean, valid_from)
               GROUP BY k.ean, k.valid_from, n.allocation_key_id HAVING sum(k.share_pct) > 100) THEN
        RAISE check_violation USING CONSTRAINT = 'allocation_key_sum', MESSAGE = 'shares of one version are over 100 %';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER within_all AFTER INSERT ON allocation_key REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION allocation_within_all();

-- The wall.
SELECT tenant_wall('tariff', in_town('read'), in_town_metering());
SELECT tenant_wall('co2_factor', in_town('read') || ' OR municipality_id IS NULL AND (SELECT kraj_principal()) IS NOT NULL',
                   in_town_metering(true));
SELECT tenant_wall('metering_point', in_town('read'), in_town_metering());
SELECT tenant_wall('metering_point_asset', in_town('read'), in_town_metering());
SELECT tenant_wall('meter_import', 'person_id = (SELECT kraj_principal()) OR ' || in_town('read'),
                   'person_id = (SELECT kraj_principal()) OR ' || in_town_metering());
SELECT tenant_wall('meter_quarter_said', in_town('read'), in_town_metering());
SELECT tenant_wall('meter_quarter', in_town('read'));
SELECT tenant_wall('invoice', in_town('read'), in_town_metering());
SELECT tenant_wall('allocation_key', in_town('read'), in_town_metering());
GRANT SELECT, INSERT, UPDATE (valid_until, withdrawn_at, withdrawn_why) ON tariff TO kraj_api;
GRANT SELECT, INSERT ON co2_factor, allocation_key TO kraj_api;
GRANT SELECT, INSERT, UPDATE (title, voltage, distributor, difference_pct_max), DELETE ON metering_point TO kraj_api;
GRANT SELECT, INSERT, UPDATE (valid_until), DELETE ON metering_point_asset TO kraj_api;
GRANT SELECT, INSERT, DELETE ON meter_import TO kraj_api;
GRANT SELECT, INSERT ON meter_quarter_said TO kraj_api;
GRANT SELECT ON meter_quarter TO kraj_api;
GRANT SELECT, INSERT, UPDATE (withdrawn_at, withdrawn_why) ON invoice TO kraj_api;
SELECT audited('tariff'::regclass);
SELECT audited('co2_factor'::regclass);
SELECT audited('metering_point'::regclass);
SELECT audited('metering_point_asset'::regclass);
SELECT audited('invoice'::regclass);
SELECT audited('allocation_key'::regclass);

-- Whether who asks may know a municipality's prices. Services and the owner serve everybody.
CREATE FUNCTION metering_seen(town integer) RETURNS boolean
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
BEGIN
    RETURN session_user = current_user OR session_user IN ('kraj_ingest', 'kraj_notify', 'kraj_rollup')
        OR town = ANY (kraj_municipalities('read'));
END $$;
REVOKE EXECUTE ON FUNCTION metering_seen(integer) FROM PUBLIC;

-- What a kWh costs (import) or brings (export) on a day of Prague: by the asset's own versions, else by its groups', else
-- by the municipality's. NULL in a gap between versions of the narrower scope, where its groups disagree, and where
-- nobody has declared anything. Before the first and after the last version of a scope the wider one holds.
CREATE FUNCTION price_czk_per_kwh(municipality_id integer, asset_id integer, day date, direction text) RETURNS numeric
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
#variable_conflict use_variable
DECLARE
    price numeric;
    prices integer;
    has_earlier boolean;
    has_later boolean;
BEGIN
    IF NOT metering_seen(municipality_id) THEN
        RETURN NULL;
    END IF;
    SELECT max(t.czk_per_kwh) FILTER (WHERE day BETWEEN t.valid_from AND coalesce(t.valid_until, 'infinity')),
        bool_or(t.valid_from <= day), bool_or(t.valid_from > day)
    INTO price, has_earlier, has_later FROM tariff t
    WHERE t.asset_id = price_czk_per_kwh.asset_id AND t.municipality_id = price_czk_per_kwh.municipality_id
        AND t.direction = price_czk_per_kwh.direction AND t.withdrawn_at IS NULL;
    IF price IS NOT NULL OR has_earlier AND has_later THEN
        RETURN price;
    END IF;
    -- A group counts once it has a price for the day, or a gap there (NULL, which is unlike any price).
    SELECT max(g.price), count(DISTINCT g.price) + count(*) FILTER (WHERE g.price IS NULL) INTO price, prices FROM (
        SELECT max(t.czk_per_kwh) FILTER (WHERE day BETWEEN t.valid_from AND coalesce(t.valid_until, 'infinity')) AS price
        FROM tariff t JOIN asset_group_member m ON m.group_id = t.group_id
        WHERE m.asset_id = price_czk_per_kwh.asset_id AND t.municipality_id = price_czk_per_kwh.municipality_id
            AND t.direction = price_czk_per_kwh.direction AND t.withdrawn_at IS NULL
        GROUP BY t.group_id
        HAVING bool_or(day BETWEEN t.valid_from AND coalesce(t.valid_until, 'infinity'))
            OR bool_or(t.valid_from <= day) AND bool_or(t.valid_from > day)
    ) AS g;
    IF prices > 0 THEN
        RETURN CASE WHEN prices = 1 THEN price END;
    END IF;
    SELECT t.czk_per_kwh INTO price FROM tariff t
    WHERE t.municipality_id = price_czk_per_kwh.municipality_id AND t.asset_id IS NULL AND t.group_id IS NULL
        AND t.direction = price_czk_per_kwh.direction AND t.withdrawn_at IS NULL
        AND day BETWEEN t.valid_from AND coalesce(t.valid_until, 'infinity');
    RETURN price;
END $$;

-- Grams of CO2 a kWh on a day of Prague: the latest version of the municipality's own that has begun, else the region's.
CREATE FUNCTION co2_g_per_kwh(municipality_id integer, day date) RETURNS numeric
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
#variable_conflict use_variable
DECLARE
    factor numeric;
BEGIN
    IF metering_seen(municipality_id) THEN
        SELECT c.g_per_kwh INTO factor FROM co2_factor c
        WHERE c.municipality_id = co2_g_per_kwh.municipality_id AND c.valid_from <= day
        ORDER BY c.valid_from DESC, c.co2_factor_id DESC LIMIT 1;
        IF factor IS NULL THEN
            SELECT c.g_per_kwh INTO factor FROM co2_factor c WHERE c.municipality_id IS NULL AND c.valid_from <= day
            ORDER BY c.valid_from DESC, c.co2_factor_id DESC LIMIT 1;
        END IF;
    END IF;
    RETURN factor;
END $$;
REVOKE EXECUTE ON FUNCTION price_czk_per_kwh(integer, integer, date, text), co2_g_per_kwh(integer, date) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION price_czk_per_kwh(integer, integer, date, text), co2_g_per_kwh(integer, date)
    TO kraj_api, kraj_ingest, kraj_notify;

-- Makes the quarter-hours of which an import speaks anew, from all imports that are applied.
CREATE FUNCTION meter_refresh(given bigint) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
    DELETE FROM meter_quarter q USING meter_quarter_said s
    WHERE s.meter_import_id = given AND q.ean = s.ean AND q.bucket = s.bucket;
    INSERT INTO meter_quarter (ean, bucket, municipality_id, import_wh, export_wh, shared_wh, status, import_id)
    SELECT o.ean, o.bucket, o.municipality_id,
        (array_agg(o.import_wh ORDER BY i.applied_at DESC, i.meter_import_id DESC) FILTER (WHERE o.import_wh IS NOT NULL))[1],
        (array_agg(o.export_wh ORDER BY i.applied_at DESC, i.meter_import_id DESC) FILTER (WHERE o.export_wh IS NOT NULL))[1],
        (array_agg(o.shared_wh ORDER BY i.applied_at DESC, i.meter_import_id DESC) FILTER (WHERE o.shared_wh IS NOT NULL))[1],
        (array_agg(o.status ORDER BY i.applied_at DESC, i.meter_import_id DESC))[1],
        (array_agg(i.meter_import_id ORDER BY i.applied_at DESC, i.meter_import_id DESC))[1]
    FROM meter_quarter_said s JOIN meter_quarter_said o ON o.ean = s.ean AND o.bucket = s.bucket
    JOIN meter_import i ON i.meter_import_id = o.meter_import_id AND i.state = 'applied'
    WHERE s.meter_import_id = given
    GROUP BY o.ean, o.bucket, o.municipality_id
$$;
REVOKE EXECUTE ON FUNCTION meter_refresh(bigint) FROM PUBLIC;

-- Applies a preview, or takes back what is applied; how many quarter-hours or invoices it was about, NULL where the
-- import is not in that state or the principal may not write in each municipality of which it speaks.
CREATE FUNCTION meter_import_step(given bigint, undone boolean, doer text, moment timestamptz) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
DECLARE
    towns integer[] := kraj_municipalities('register') || kraj_municipalities('control');
    counted integer;
    billed integer;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('meter_import'));
    PERFORM FROM meter_import i WHERE i.meter_import_id = given
        AND i.state = CASE WHEN undone THEN 'applied' ELSE 'preview' END FOR UPDATE;
    IF NOT FOUND OR EXISTS (
        SELECT FROM meter_quarter_said s WHERE s.meter_import_id = given AND s.municipality_id <> ALL (towns)
        UNION ALL
        SELECT FROM meter_import i, jsonb_array_elements(i.invoices) AS r
        LEFT JOIN metering_point p ON p.ean = r->>'ean'
        WHERE i.meter_import_id = given AND (p.municipality_id IS NULL OR p.municipality_id <> ALL (towns))) THEN
        RETURN NULL;
    END IF;
    SELECT count(*) INTO counted FROM meter_quarter_said s WHERE s.meter_import_id = given;
    IF undone THEN
        UPDATE meter_import SET state = 'undone', undone_at = moment WHERE meter_import_id = given;
        UPDATE invoice SET withdrawn_at = moment, withdrawn_why = 'import ' || given || ' undone'
        WHERE meter_import_id = given AND withdrawn_at IS NULL;
    ELSE
        UPDATE meter_import SET state = 'applied', applied_at = moment WHERE meter_import_id = given;
        INSERT INTO invoice (municipality_id, ean, period_from, period_until, direction, kwh, czk, number,
                             meter_import_id, who, at)
        SELECT p.municipality_id, r.ean, r.period_from, r.period_until, r.direction, r.kwh, r.czk, r.number, given, doer, moment
        FROM meter_import i, jsonb_to_recordset(i.invoices) AS r(ean text, period_from date, period_until date,
            direction text, kwh numeric, czk numeric, number text)
        JOIN metering_point p ON p.ean = r.ean
        WHERE i.meter_import_id = given;
    END IF;
    GET DIAGNOSTICS billed = ROW_COUNT;
    PERFORM meter_refresh(given);
    RETURN counted + billed;
END $$;
REVOKE EXECUTE ON FUNCTION meter_import_step(bigint, boolean, text, timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION meter_import_step(bigint, boolean, text, timestamptz) TO kraj_api;
