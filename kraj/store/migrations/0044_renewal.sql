-- How certificates of devices are renewed over their own session: who is due, what each is told, and what proves it.

-- The serial number by which the device is connected, as its firmware says, which tells too that it can be renewed so.
-- NULL: its firmware does not say.
ALTER TABLE device_status ADD COLUMN certificate text;

-- public_key: SubjectPublicKeyInfo of P-256, as the device has shown it. proved: false for a certificate that was sent to
-- a device which has not said since that it is connected by it; until then it counts for nothing.
ALTER TABLE device_certificate ADD COLUMN public_key bytea CHECK (length(public_key) = 91),
    ADD COLUMN proved boolean NOT NULL DEFAULT true;
GRANT SELECT (serial, proved) ON device_certificate TO kraj_ingest;

-- payload: what the device is told, where the columns do not say it; not kept once the command is over. The `why` of a
-- renewal is the new certificate's serial number.
ALTER TABLE command ADD COLUMN payload text CHECK (length(payload) <= 16384),
    DROP CONSTRAINT command_do_check, ADD CONSTRAINT command_do_check CHECK ("do" IN ('set_level', 'release', 'renew')),
    DROP CONSTRAINT command_reason_check,
    ADD CONSTRAINT command_reason_check CHECK (reason IN ('manual', 'emergency', 'sensor', 'renewal')),
    ADD CONSTRAINT command_renewal CHECK (("do" = 'renew') = (reason = 'renewal'));
CREATE UNIQUE INDEX command_renewing ON command (device_id) WHERE "do" = 'renew' AND settled_at IS NULL;
CREATE INDEX command_renewal ON command (device_id, requested_at) WHERE "do" = 'renew';
CREATE FUNCTION forget_payload() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, public AS $$
BEGIN
    NEW.payload := NULL;
    RETURN NEW;
END $$;
CREATE TRIGGER forget_payload BEFORE UPDATE OF settled_at ON command FOR EACH ROW
    WHEN (NEW.settled_at IS NOT NULL AND NEW.payload IS NOT NULL) EXECUTE FUNCTION forget_payload();

-- Orders of people are written by the API; an order to renew is none of them.
CREATE FUNCTION refuse_renewal() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, public AS $$
BEGIN
    RAISE insufficient_privilege USING MESSAGE = 'certificates are renewed by begin_renewal';
END $$;
CREATE TRIGGER renewed_by_function BEFORE INSERT ON command FOR EACH ROW
    WHEN (NEW."do" = 'renew' AND current_user IN ('kraj_api', 'kraj_ingest')) EXECUTE FUNCTION refuse_renewal();

-- Who says that it is connected by a certificate of its own has it.
CREATE FUNCTION note_certificate() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
BEGIN
    UPDATE device_certificate SET proved = true
    WHERE serial = NEW.certificate AND device_id = NEW.device_id AND NOT proved;
    RETURN NULL;
END $$;
REVOKE EXECUTE ON FUNCTION note_certificate() FROM PUBLIC;
CREATE TRIGGER note_certificate AFTER INSERT OR UPDATE OF certificate ON device_status FOR EACH ROW
    WHEN (NEW.certificate IS NOT NULL AND NEW.online) EXECUTE FUNCTION note_certificate();

-- A device shows its certificate when it is asked: by the fingerprint it is known to be the one that we issued, whoever
-- has carried it here, and the key in it is the device's.
CREATE FUNCTION note_shown_certificate() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
DECLARE
    shown bytea;
    place integer;
BEGIN
    BEGIN
        shown := decode(NEW.body->>'certificate', 'base64');
    EXCEPTION WHEN invalid_parameter_value OR data_exception THEN
        RETURN NULL;
    END;
    place := position('\x3059301306072a8648ce3d020106082a8648ce3d03010703420004'::bytea IN shown);
    IF place > 0 AND length(shown) >= place + 90 THEN
        UPDATE device_certificate SET public_key = substring(shown FROM place FOR 91)
        WHERE device_id = NEW.device_id AND fingerprint = sha256(shown) AND public_key IS NULL;
    END IF;
    RETURN NULL;
END $$;
REVOKE EXECUTE ON FUNCTION note_shown_certificate() FROM PUBLIC;
CREATE TRIGGER note_shown_certificate AFTER INSERT ON device_event FOR EACH ROW
    WHEN (NEW.channel = 'result' AND length(NEW.body->>'certificate') BETWEEN 1 AND 4096)
    EXECUTE FUNCTION note_shown_certificate();

-- Devices that are there by a good certificate, two thirds of whose life is over or whose authority has been replaced
-- (`newest` is the generation that issues). Who was sent one in the last week is left alone, and who was asked today and has not shown
-- its own: it would keep others waiting. The first to end come first.
CREATE FUNCTION renewals_due(newest smallint, moment timestamptz, most integer)
RETURNS TABLE (device_id integer, device text, serial text, public_key bytea)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
    SELECT d.device_id, d.name, c.serial, c.public_key
    FROM device_status s JOIN device d USING (device_id)
    JOIN device_certificate c ON c.serial = s.certificate AND c.device_id = d.device_id
    WHERE s.online AND c.revoked_at IS NULL AND d.state IN ('registered', 'provisioned', 'active')
        AND (c.generation < newest OR moment >= c.issued_at + (c.not_after - c.issued_at) * 2 / 3)
        AND NOT EXISTS (SELECT FROM foreign_device f WHERE f.device_id = d.device_id)
        AND EXISTS (SELECT FROM installed i WHERE i.device_id = d.device_id AND i.valid_to IS NULL)
        AND NOT EXISTS (SELECT FROM command n WHERE n.device_id = d.device_id AND n."do" = 'renew'
                        AND (n.settled_at IS NULL OR n.requested_at > moment - interval '7 days'))
        AND (c.public_key IS NOT NULL OR NOT EXISTS (
            SELECT FROM device_command a WHERE a.device_id = d.device_id AND a.expires_at > moment
                AND a.payload::json->>'id' LIKE 'certificate-%'))
    ORDER BY c.not_after, d.device_id LIMIT most
$$;

-- How many may be begun now, of all: a month's share an hour, so that a fleet that was enrolled in a week is not renewed
-- in one. One process at a time asks; another gets 0.
CREATE FUNCTION renewals_left(moment timestamptz) RETURNS integer
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
    SELECT CASE WHEN pg_try_advisory_xact_lock(hashtext('renewal')) THEN greatest(0, (
        (SELECT greatest(5, ceil(count(*) / 720.0)) FROM device_status WHERE certificate IS NOT NULL)
        - (SELECT count(*) FROM command WHERE "do" = 'renew' AND requested_at > moment - interval '1 hour'))::integer)
    ELSE 0 END
$$;

-- Ask a device for its certificate, once a day; false where it was asked.
CREATE FUNCTION ask_certificate(asked integer, moment timestamptz) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
BEGIN
    IF EXISTS (SELECT FROM device_command WHERE device_id = asked AND payload::json->>'id' LIKE 'certificate-%'
               AND expires_at > moment) THEN
        RETURN false;
    END IF;
    INSERT INTO device_command (device_id, payload, expires_at)
    VALUES (asked, json_build_object('id', 'certificate-' || gen_random_uuid(), 'do', 'renew')::text,
            moment + interval '1 day');
    RETURN true;
END $$;

-- The new certificate, and the command that brings it, or neither: false where the old one or the device may not be
-- renewed (any more), or another command does. Nothing is revoked: both are for one key, and a device that comes back by
-- the old one must be let in. The old one ends by itself.
CREATE FUNCTION begin_renewal(renewed integer, old_serial text, new_serial text, new_fingerprint bytea,
                              new_generation smallint, new_not_after timestamptz, told uuid, what text,
                              ends timestamptz, moment timestamptz) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
DECLARE own_key bytea;
BEGIN
    SELECT c.public_key INTO own_key FROM device d JOIN device_certificate c USING (device_id)
    WHERE d.device_id = renewed AND d.state IN ('registered', 'provisioned', 'active')
        AND c.serial = old_serial AND c.revoked_at IS NULL AND c.public_key IS NOT NULL
        AND NOT EXISTS (SELECT FROM foreign_device f WHERE f.device_id = renewed)
    FOR UPDATE OF c FOR SHARE OF d;
    IF NOT FOUND THEN RETURN false; END IF;
    INSERT INTO command (command_id, municipality_id, device_id, channel, asset_id, "do", reason, until, requested_at,
                         next_at, who, why, payload)
    SELECT told, a.municipality_id, renewed, i.channel, i.asset_id, 'renew', 'renewal', ends, moment, moment, 'kraj',
           new_serial, what
    FROM installed i JOIN asset a USING (asset_id) WHERE i.device_id = renewed AND i.valid_to IS NULL
    ORDER BY i.channel LIMIT 1
    ON CONFLICT DO NOTHING;
    IF NOT FOUND THEN RETURN false; END IF;
    INSERT INTO device_certificate (serial, device_id, generation, issued_at, not_after, fingerprint, public_key, proved)
    VALUES (new_serial, renewed, new_generation, moment, new_not_after, new_fingerprint, own_key, false);
    RETURN true;
END $$;

DO $$
DECLARE made regprocedure;
BEGIN
    FOREACH made IN ARRAY ARRAY['renewals_due(smallint, timestamptz, integer)', 'renewals_left(timestamptz)',
        'ask_certificate(integer, timestamptz)', 'begin_renewal(integer, text, text, bytea, smallint, timestamptz, uuid, text,
        timestamptz, timestamptz)']::regprocedure[]
    LOOP
        EXECUTE format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', made);
        EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO kraj_api', made);
    END LOOP;
END $$;
