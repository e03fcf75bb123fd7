-- What anybody may know of a municipality: pages without an account, open data and SensorThings show it while it wishes so.
-- The views public_* themselves hang on tables that are made from the kinds; kraj/store/public.py declares and makes them.

ALTER TABLE municipality ADD COLUMN published boolean NOT NULL DEFAULT true;

-- Who manages a municipality's people decides, also where only the region may rename it (0011): the data are the town's.
CREATE FUNCTION publish_town(town text, wanted boolean, expected integer) RETURNS integer
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    UPDATE municipality SET published = wanted
    WHERE name = town AND version = expected AND municipality_id = ANY (kraj_municipalities('people'))
    RETURNING version
$$;
REVOKE EXECUTE ON FUNCTION publish_town(text, boolean, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION publish_town(text, boolean, integer) TO kraj_api;
