-- Device identity: certificates that we issued, one-time codes by which devices enrol; who is revoked is not heard.

-- The serial number is hexadecimal. generation tells which authority has signed: a rotation begins the next one.
CREATE TABLE device_certificate (
    serial text PRIMARY KEY CHECK (serial ~ '^[0-9a-f]{1,40}$'),
    device_id integer NOT NULL REFERENCES device,
    generation smallint NOT NULL CHECK (generation > 0),
    issued_at timestamptz NOT NULL,
    not_after timestamptz NOT NULL CHECK (not_after > issued_at),
    fingerprint bytea NOT NULL UNIQUE CHECK (length(fingerprint) = 32),
    revoked_at timestamptz,
    reason text CHECK ((reason IS NULL) = (revoked_at IS NULL))
);
CREATE INDEX device_certificate_device ON device_certificate (device_id);
CREATE INDEX device_certificate_revoked ON device_certificate (revoked_at) WHERE revoked_at IS NOT NULL;

-- Of a code only its digest is kept.
CREATE TABLE enrolment_code (
    digest bytea PRIMARY KEY CHECK (length(digest) = 32),
    device_id integer NOT NULL REFERENCES device,
    expires_at timestamptz NOT NULL,
    used_at timestamptz
);
CREATE INDEX enrolment_code_device ON enrolment_code (device_id);

-- A device is revoked when it had certificates and none is left. Ingest must know as soon as that may have changed;
-- a device's first certificate changes nothing.
CREATE FUNCTION device_certificate_changed() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
BEGIN
    IF EXISTS (SELECT FROM changed c JOIN device_certificate d USING (device_id) WHERE d.revoked_at IS NOT NULL) THEN
        UPDATE registry_version SET version = version + 1;
        PERFORM pg_notify('registry', '');
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER certificate_issued AFTER INSERT ON device_certificate
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION device_certificate_changed();
CREATE TRIGGER certificate_revoked AFTER UPDATE ON device_certificate
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION device_certificate_changed();

-- Who takes a device out of use for good need not think of its keys.
CREATE FUNCTION device_decommissioned() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
BEGIN
    DELETE FROM enrolment_code WHERE device_id = NEW.device_id AND used_at IS NULL;
    UPDATE device_certificate SET revoked_at = clock_timestamp(), reason = 'decommissioned'
    WHERE device_id = NEW.device_id AND revoked_at IS NULL;
    RETURN NULL;
END $$;
CREATE TRIGGER device_decommissioned AFTER UPDATE OF state ON device
    FOR EACH ROW WHEN (NEW.state = 'decommissioned' AND OLD.state <> 'decommissioned')
    EXECUTE FUNCTION device_decommissioned();

-- A device that enrols has nobody who asks for it: the code, or the old certificate, is what lets it in. So the API
-- reaches exactly these rows by exactly these functions.
CREATE FUNCTION enrolment_of_code(code_digest bytea)
RETURNS TABLE (device_id integer, device text, municipality text, state text, expires_at timestamptz, used_at timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
    SELECT d.device_id, d.name, m.name, d.state, c.expires_at, c.used_at
    FROM enrolment_code c JOIN device d USING (device_id) JOIN municipality m USING (municipality_id)
    WHERE c.digest = code_digest
$$;

CREATE FUNCTION certificate_of_fingerprint(wanted bytea)
RETURNS TABLE (serial text, device_id integer, device text, municipality text, state text, not_after timestamptz,
               revoked_at timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
    SELECT c.serial, d.device_id, d.name, m.name, d.state, c.not_after, c.revoked_at
    FROM device_certificate c JOIN device d USING (device_id) JOIN municipality m USING (municipality_id)
    WHERE c.fingerprint = wanted
$$;

-- Take the code and record the certificate: whoever comes second with the same code gets false. What the device had
-- before is replaced, as the code was given out because the old key is lost, or in other hands.
CREATE FUNCTION enrol_device(code_digest bytea, new_serial text, new_fingerprint bytea, new_generation smallint,
                             new_not_after timestamptz, now_at timestamptz) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
DECLARE enrolled integer;
BEGIN
    UPDATE enrolment_code SET used_at = now_at
    WHERE digest = code_digest AND used_at IS NULL AND expires_at > now_at RETURNING device_id INTO enrolled;
    IF enrolled IS NULL THEN RETURN false; END IF;
    UPDATE device SET state = 'provisioned' WHERE device_id = enrolled AND state = 'registered';
    IF FOUND THEN
        INSERT INTO device_life (device_id, at, step, state, who)
        VALUES (enrolled, now_at, 'provisioned', 'provisioned', 'enrolment');
    END IF;
    UPDATE device_certificate SET revoked_at = now_at, reason = 'replaced'
    WHERE device_id = enrolled AND revoked_at IS NULL;
    INSERT INTO device_certificate (serial, device_id, generation, issued_at, not_after, fingerprint)
    VALUES (new_serial, enrolled, new_generation, now_at, new_not_after, new_fingerprint);
    RETURN true;
END $$;

-- The certificate that was shown stays good until it ends, as the answer with the new one may get lost. Others than
-- these two go, so that a device that asks again and again has two at most.
CREATE FUNCTION renew_device(old_serial text, new_serial text, new_fingerprint bytea, new_generation smallint,
                             new_not_after timestamptz, now_at timestamptz) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
DECLARE renewed integer;
BEGIN
    SELECT device_id INTO renewed FROM device_certificate WHERE serial = old_serial AND revoked_at IS NULL FOR UPDATE;
    IF renewed IS NULL THEN RETURN false; END IF;
    UPDATE device_certificate SET revoked_at = now_at, reason = 'renewed'
    WHERE device_id = renewed AND serial <> old_serial AND revoked_at IS NULL;
    INSERT INTO device_certificate (serial, device_id, generation, issued_at, not_after, fingerprint)
    VALUES (new_serial, renewed, new_generation, now_at, new_not_after, new_fingerprint);
    RETURN true;
END $$;

DO $$
DECLARE made regprocedure;
BEGIN
    FOREACH made IN ARRAY ARRAY['enrolment_of_code(bytea)', 'certificate_of_fingerprint(bytea)',
        'enrol_device(bytea, text, bytea, smallint, timestamptz, timestamptz)',
        'renew_device(text, text, bytea, smallint, timestamptz, timestamptz)']::regprocedure[]
    LOOP
        EXECUTE format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', made);
        EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO kraj_api', made);
    END LOOP;
END $$;

-- People see and change these through their device: who may register it may give out codes and revoke.
SELECT tenant_wall('device_certificate',
                   'EXISTS (SELECT FROM device d WHERE d.device_id = device_certificate.device_id)',
                   'EXISTS (SELECT FROM device d WHERE d.device_id = device_certificate.device_id AND d.'
                   || in_town('register') || ')');
SELECT tenant_wall('enrolment_code',
                   'EXISTS (SELECT FROM device d WHERE d.device_id = enrolment_code.device_id AND d.'
                   || in_town('register') || ')',
                   'EXISTS (SELECT FROM device d WHERE d.device_id = enrolment_code.device_id AND d.'
                   || in_town('register') || ')');
GRANT SELECT, INSERT, UPDATE (revoked_at, reason) ON device_certificate TO kraj_api;
GRANT SELECT, INSERT, DELETE ON enrolment_code TO kraj_api;
GRANT SELECT (device_id, revoked_at) ON device_certificate TO kraj_ingest;
