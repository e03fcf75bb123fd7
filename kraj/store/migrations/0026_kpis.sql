-- What KPIs need besides rollups, by asset and day of Prague: a calendar in which silence is seen, and what SQL cannot work
-- out cheaply. Made by the day step (stack/kpi_days.py) and read by nobody but the views kpi_*, which stand behind the wall.

-- Who was to be heard on a day, also when nothing came: due_s is how long a device was installed. Two rows where the
-- asset changed hands on the day.
CREATE TABLE asset_day (
    bucket timestamptz NOT NULL,       -- midnight in Prague
    asset_id integer NOT NULL,
    municipality_id integer NOT NULL,  -- owner on that day
    due_s real NOT NULL CHECK (due_s >= 0),
    kind text NOT NULL,
    PRIMARY KEY (asset_id, bucket, municipality_id)
);
CREATE INDEX asset_day_town ON asset_day (municipality_id, kind, bucket);
CREATE INDEX asset_day_bucket ON asset_day (bucket, kind);

-- A lamp's day in the ledger, before anything is split: baselines may be declared later. Hours and kWh as in
-- rules/lighting/ledger.py; full_w is NULL where nobody knows the power at full light.
CREATE TABLE lamp_day (
    bucket timestamptz NOT NULL,
    due_h double precision NOT NULL,
    lit_h double precision NOT NULL,
    outage_h double precision NOT NULL,
    lit_kwh double precision NOT NULL,
    dark_kwh double precision NOT NULL,
    outside_kwh double precision NOT NULL,
    uncovered_kwh double precision NOT NULL,
    full_w double precision,
    asset_id integer NOT NULL,
    municipality_id integer NOT NULL,
    group_id integer,                  -- its segment on that day
    due_2200 boolean NOT NULL,
    lit_2200 boolean,                  -- NULL: not due, or not known
    PRIMARY KEY (asset_id, bucket)
);
CREATE INDEX lamp_day_town ON lamp_day (municipality_id, bucket);
CREATE INDEX lamp_day_bucket ON lamp_day (bucket);

-- A roof's day by quarter-hours in which both sides of a comparison are known.
CREATE TABLE solar_day (
    bucket timestamptz NOT NULL,
    expected_wh double precision NOT NULL,
    expected_of_wh double precision NOT NULL,   -- made in the same time
    reference_wh double precision NOT NULL,
    reference_of_wh double precision NOT NULL,
    light_s real,                      -- of light enough to ask; NULL: the place is not known
    expected_s real NOT NULL,
    reference_s real NOT NULL,
    known_s real NOT NULL,
    giving_s real NOT NULL,
    asset_id integer NOT NULL,
    municipality_id integer NOT NULL,
    PRIMARY KEY (asset_id, bucket)
);

-- A stop's day by quarter-hours.
CREATE TABLE stop_day (
    bucket timestamptz NOT NULL,
    asset_id integer NOT NULL,
    municipality_id integer NOT NULL,
    display_true_s real NOT NULL,
    display_known_s real NOT NULL,
    usb_up_s real NOT NULL,            -- summed over the ports
    usb_known_s real NOT NULL,
    PRIMARY KEY (asset_id, bucket, municipality_id)
);

-- Which days are made, of how many readings and up to when: a day to which more has come is made again.
CREATE TABLE kpi_day (
    bucket timestamptz PRIMARY KEY,
    readings bigint NOT NULL,
    until timestamptz NOT NULL,
    made_at timestamptz NOT NULL
);

GRANT SELECT, INSERT, UPDATE, DELETE ON asset_day, lamp_day, solar_day, stop_day, kpi_day TO kraj_rollup;
-- What the day step reads of the registry and of programs, for everybody.
DO $$
DECLARE t text;
BEGIN
    FOREACH t IN ARRAY ARRAY['installed', 'lighting_segment', 'lighting_baseline', 'rollout', 'lamp_program'] LOOP
        EXECUTE format('GRANT SELECT ON %I TO kraj_rollup', t);
        EXECUTE format('CREATE POLICY rollup ON %I FOR SELECT TO kraj_rollup USING (true)', t);
    END LOOP;
END $$;
-- Functions in a view are called in the name of who reads it.
GRANT EXECUTE ON FUNCTION price_czk_per_kwh(integer, integer, date, text), co2_g_per_kwh(integer, date) TO kraj_grafana;
