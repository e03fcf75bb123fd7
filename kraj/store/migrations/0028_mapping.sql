-- Somebody has looked at a lamp whose wiring was to be looked at, and it is registered rightly: these outages (alerts) do
-- not speak against it any more.
CREATE TABLE wiring_kept (
    wiring_kept_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    municipality_id integer NOT NULL REFERENCES municipality,
    asset_id integer NOT NULL REFERENCES asset,
    outages bigint[] NOT NULL CHECK (cardinality(outages) BETWEEN 1 AND 100),
    reason text NOT NULL CHECK (length(reason) BETWEEN 1 AND 500),
    who text NOT NULL,
    at timestamptz NOT NULL
);
CREATE INDEX wiring_kept_asset ON wiring_kept (asset_id);
CREATE INDEX wiring_kept_municipality ON wiring_kept (municipality_id);

SELECT tenant_wall('wiring_kept', in_town_or_granted('read'), in_town('register'));
GRANT SELECT, INSERT ON wiring_kept TO kraj_api;
SELECT audited('wiring_kept'::regclass);
