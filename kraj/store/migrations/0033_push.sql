-- Web push: a person's own telephones and browsers are notification targets of theirs, so that severity, retries, tests
-- and the outbox hold for them as for any other.

-- The address is push+<endpoint>#<public key>.<secret>, as the browser gave it (RFC 8030, 8291): written, never read again.
ALTER TABLE notification_target
    ADD COLUMN person_id integer REFERENCES person ON DELETE CASCADE,
    ADD COLUMN made_at timestamptz NOT NULL DEFAULT now(),
    ADD CONSTRAINT push_is_a_persons CHECK ((person_id IS NOT NULL) = (url ~ '^push\+https?://')),
    ADD CONSTRAINT push_is_of_no_town CHECK (person_id IS NULL OR municipality_id IS NULL);
CREATE UNIQUE INDEX notification_target_endpoint ON notification_target (split_part(url, '#', 1)) WHERE person_id IS NOT NULL;
GRANT SELECT (person_id, made_at) ON notification_target TO kraj_api;

-- One's own are nobody else's to see, not even the region's, and to change by nobody but oneself.
CREATE POLICY personal ON notification_target AS RESTRICTIVE TO kraj_api
    USING (person_id IS NULL OR person_id = (SELECT kraj_principal()))
    WITH CHECK (person_id IS NULL OR person_id = (SELECT kraj_principal()));
CREATE POLICY own ON notification_target TO kraj_api
    USING (person_id = (SELECT kraj_principal())) WITH CHECK (person_id = (SELECT kraj_principal()));
CREATE POLICY own ON target_test TO kraj_api
    USING (EXISTS (SELECT FROM notification_target t WHERE t.target_id = target_test.target_id
                   AND t.person_id = (SELECT kraj_principal())))
    WITH CHECK (EXISTS (SELECT FROM notification_target t WHERE t.target_id = target_test.target_id
                        AND t.person_id = (SELECT kraj_principal())));

-- A browser is one person's: who switches it on takes it over from whoever had signed in there before.
CREATE FUNCTION push_on(address text, called text, severity_least text, tongue text) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE made integer;
BEGIN
    IF kraj_principal() IS NULL THEN
        RETURN NULL;
    END IF;
    DELETE FROM notification_target
    WHERE split_part(url, '#', 1) = split_part(address, '#', 1) AND person_id IS NOT NULL;
    INSERT INTO notification_target (name, url, severity_min, language, person_id)
    VALUES (called, address, severity_least, tongue, kraj_principal()) RETURNING target_id INTO made;
    RETURN made;
END $$;

-- The service says that there is no such browser any more. Of other targets the worker may forget none.
CREATE FUNCTION push_gone(gone integer) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    DELETE FROM notification_target WHERE target_id = gone AND person_id IS NOT NULL
$$;

-- Where each of those who have such a telephone may work on alerts now.
CREATE FUNCTION push_hearers() RETURNS TABLE (person integer, towns integer[], assets integer[], region boolean)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    PERFORM set_config('kraj.scopes', '', true);
    FOR person IN SELECT DISTINCT t.person_id FROM notification_target t WHERE t.person_id IS NOT NULL AND t.enabled LOOP
        PERFORM set_config('kraj.principal', person::text, true);
        towns := kraj_municipalities('act');
        assets := kraj_assets('act');
        region := kraj_region('act');
        RETURN NEXT;
    END LOOP;
    PERFORM set_config('kraj.principal', '', true);
END $$;
REVOKE EXECUTE ON FUNCTION push_on(text, text, text, text), push_gone(integer), push_hearers() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION push_on(text, text, text, text) TO kraj_api;
GRANT EXECUTE ON FUNCTION push_gone(integer), push_hearers() TO kraj_notify;
