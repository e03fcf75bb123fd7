-- What a segment's lamps took before they were replaced: declared, with its source, and never changed, only declared anew.
CREATE TABLE lighting_baseline (
    lighting_baseline_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    municipality_id integer NOT NULL REFERENCES municipality,
    group_id integer NOT NULL,
    version integer NOT NULL CHECK (version > 0),   -- 1, 2, … of the segment
    valid_from date NOT NULL,                       -- in Prague; the latest version that has begun holds on a day
    power_w double precision NOT NULL CHECK (power_w BETWEEN 1 AND 2000),   -- of one old lamp, its ballast included
    source text NOT NULL CHECK (length(source) BETWEEN 1 AND 500),
    who text NOT NULL,
    at timestamptz NOT NULL,
    UNIQUE (group_id, version),
    FOREIGN KEY (municipality_id, group_id) REFERENCES asset_group (municipality_id, group_id) ON DELETE CASCADE
);
CREATE INDEX lighting_baseline_municipality ON lighting_baseline (municipality_id);

SELECT tenant_wall('lighting_baseline', in_town('read') || ' OR group_id IN (SELECT g.group_id FROM kraj_grants(''read'') g)',
                   in_town('control'));
-- Nobody may change or take back what was declared: an export of an earlier month names its version.
GRANT SELECT, INSERT ON lighting_baseline TO kraj_api;
SELECT audited('lighting_baseline'::regclass);
