-- Safe mode: a device says whether it runs in it, which tells too that it knows the command; administrators ask for it.
ALTER TABLE device_status ADD COLUMN safe_mode boolean;   -- NULL: its firmware does not say

ALTER TABLE device_life DROP CONSTRAINT device_life_step_check, ADD CHECK (step IN ('registered', 'provisioned',
    'activated', 'suspended', 'resumed', 'replaced', 'decommissioned', 'claimed', 'safe_mode'));

-- Whoever has the API's role can leave this one command for ingest, and no other; who did is in the audit log. False:
-- the device's firmware does not know it, or the device may not be told anything; what waited before counts no more.
CREATE FUNCTION ask_safe_mode(asked integer, moment timestamptz, until timestamptz) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
DECLARE
    town integer;
BEGIN
    SELECT d.municipality_id INTO town FROM device d JOIN device_status s USING (device_id)
    WHERE d.device_id = asked AND s.safe_mode IS NOT NULL AND d.state IN ('registered', 'provisioned', 'active')
        AND NOT EXISTS (SELECT FROM foreign_device f WHERE f.device_id = asked);
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    IF NOT coalesce(town = ANY (kraj_municipalities('people')), false) THEN
        RAISE insufficient_privilege USING MESSAGE = 'safe mode is for administrators';
    END IF;
    UPDATE device_command SET done_at = moment
    WHERE device_id = asked AND done_at IS NULL AND payload::json->>'do' = 'safe_mode';
    INSERT INTO device_command (device_id, payload, expires_at)
    VALUES (asked, json_build_object('id', 'safe-mode-' || gen_random_uuid(), 'do', 'safe_mode')::text, until);
    PERFORM audit('device.safe_mode', 'device ' || asked, '{}', town);
    RETURN true;
END $$;
REVOKE EXECUTE ON FUNCTION ask_safe_mode(integer, timestamptz, timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ask_safe_mode(integer, timestamptz, timestamptz) TO kraj_api;
