-- Who did what: a chain of digests over every entry, which only grows.
--
-- audit() notes an entry at once and chains it at COMMIT: the chain has one end, and whoever holds it while waiting for
-- rows of the registry would stand in everybody's way, or in a deadlock. What is rolled back was never there.

CREATE TABLE audit_entry (
    entry_id bigint PRIMARY KEY,       -- 1, 2, 3, ... without gaps
    at timestamptz NOT NULL,           -- when it was done; the order is that of the commits
    pseudonym uuid,                    -- who, by person.pseudonym; NULL: nobody signed in, or a service
    action text NOT NULL CHECK (action ~ '^[a-z][a-z_.]{1,59}$'),
    subject text NOT NULL,             -- of what: a table, or a word and a number such as 'import 17'
    municipality_id integer,           -- whose; NULL: the region's
    detail jsonb NOT NULL,
    previous bytea NOT NULL,           -- digest of the entry before; 32 zero bytes before the first
    digest bytea NOT NULL
);
CREATE INDEX audit_entry_municipality ON audit_entry (municipality_id, entry_id DESC);
SELECT tenant_wall('audit_entry', in_town('people', true));
GRANT SELECT ON audit_entry TO kraj_api;

-- Not for the owner either, as long as nobody takes the triggers away; then the signed heads outside tell.
CREATE FUNCTION audit_refuse() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, public AS $$
BEGIN
    RAISE EXCEPTION 'the audit log only grows: % is refused', TG_OP USING ERRCODE = 'insufficient_privilege';
END $$;
CREATE TRIGGER audit_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_entry
    FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse();

-- The end of the chain; its row is the lock.
CREATE TABLE audit_head (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    entry_id bigint NOT NULL,
    digest bytea NOT NULL
) WITH (fillfactor = 10);
INSERT INTO audit_head (entry_id, digest) VALUES (0, decode(repeat('00', 32), 'hex'));

-- Entries of transactions that are not committed yet: empty whenever nobody writes.
CREATE UNLOGGED TABLE audit_pending (
    pending_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL,
    pseudonym uuid,
    action text NOT NULL CHECK (action ~ '^[a-z][a-z_.]{1,59}$'),
    subject text NOT NULL,
    municipality_id integer,
    detail jsonb NOT NULL
);
REVOKE ALL ON audit_head, audit_pending FROM PUBLIC;

-- The bytes that are digested, as kraj/audit.py writes them: each field behind its length.
CREATE FUNCTION audit_field(field text) RETURNS bytea
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog AS
$$ SELECT int4send(octet_length(convert_to(field, 'UTF8'))) || convert_to(field, 'UTF8') $$;

CREATE FUNCTION audit_chain() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    number bigint;
    before bytea;
    made bytea;
BEGIN
    SELECT entry_id + 1, digest INTO STRICT number, before FROM audit_head FOR UPDATE;
    made := sha256(
        audit_field(number::text)
        || audit_field((extract(epoch FROM NEW.at) * 1000000)::bigint::text)
        || audit_field(coalesce(NEW.pseudonym::text, ''))
        || audit_field(NEW.action)
        || audit_field(NEW.subject)
        || audit_field(coalesce(NEW.municipality_id::text, ''))
        || audit_field(NEW.detail::text)
        || before);
    INSERT INTO audit_entry (entry_id, at, pseudonym, action, subject, municipality_id, detail, previous, digest)
    VALUES (number, NEW.at, NEW.pseudonym, NEW.action, NEW.subject, NEW.municipality_id, NEW.detail, before, made);
    UPDATE audit_head SET entry_id = number, digest = made;
    DELETE FROM audit_pending WHERE pending_id = NEW.pending_id;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER audit_chained AFTER INSERT ON audit_pending
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION audit_chain();

-- Notes an entry. Who it was is the principal of the transaction; doer (a person_id) counts only where there is none
-- yet, as in a sign-in. Nothing personal and nothing secret belongs into subject and detail: they stay for ever.
CREATE FUNCTION audit(action text, subject text, detail jsonb DEFAULT '{}', municipality integer DEFAULT NULL,
                      doer integer DEFAULT NULL) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    who integer := coalesce(kraj_principal(), doer);
BEGIN
    INSERT INTO audit_pending (at, pseudonym, action, subject, municipality_id, detail)
    VALUES (clock_timestamp(), (SELECT pseudonym FROM person WHERE person_id = who), action, subject, municipality,
            CASE WHEN who IS NULL THEN detail || jsonb_build_object('role', session_user) ELSE detail END);
END $$;
REVOKE EXECUTE ON FUNCTION audit(text, text, jsonb, integer, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION audit(text, text, jsonb, integer, integer) TO kraj_api;

-- Erasure: from now on nobody knows whose the earlier entries are; the chain stays whole.
CREATE FUNCTION audit_forget(person integer) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS
$$ UPDATE person p SET pseudonym = gen_random_uuid() WHERE p.person_id = person $$;
REVOKE EXECUTE ON FUNCTION audit_forget(integer) FROM PUBLIC;

-- One trigger for every table of the registry: its name, the keys of the rows, and the names of the columns that
-- changed. Never their values, which may be secret or personal. One entry for up to 500 rows of a statement.
-- Arguments: the key's columns (comma-separated), and the row's municipality as SQL about r.
CREATE FUNCTION audit_rows() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    key_columns text[] := string_to_array(TG_ARGV[0], ',');
    key_sql text := (SELECT CASE count(*) WHEN 1 THEN format('to_jsonb(r.%s)', min(quote_ident(c)))
                            ELSE format('jsonb_build_array(%s)', string_agg('r.' || quote_ident(c), ', ' ORDER BY n)) END
                     FROM unnest(key_columns) WITH ORDINALITY AS k(c, n));
    rows_sql text;
    -- What changes by itself, or beside something else.
    quiet text[] := ARRAY['version', 'seen_at', 'totp_last_step', 'changed_at', 'due_at', 'last_at', 'last_error', 'failures'];
    found record;
BEGIN
    rows_sql := CASE TG_OP
        WHEN 'INSERT' THEN format('SELECT %s AS town, NULL::text[] AS changed, %s AS key FROM new_rows r', TG_ARGV[1], key_sql)
        WHEN 'DELETE' THEN format('SELECT %s AS town, NULL::text[] AS changed, %s AS key FROM old_rows r', TG_ARGV[1], key_sql)
        ELSE format($q$
            SELECT %s AS town, ARRAY(
                SELECT a.key FROM jsonb_each(to_jsonb(r)) a JOIN jsonb_each(to_jsonb(o)) b USING (key)
                WHERE a.value IS DISTINCT FROM b.value AND a.key <> ALL (%L::text[]) ORDER BY a.key) AS changed, %s AS key
            FROM new_rows r JOIN old_rows o USING (%s)$q$, TG_ARGV[1], quiet, key_sql,
            (SELECT string_agg(quote_ident(c), ', ') FROM unnest(key_columns) AS k(c)))
    END;
    FOR found IN EXECUTE format($q$
        SELECT town, changed, jsonb_agg(key) AS keys FROM (
            SELECT town, changed, key, (row_number() OVER (PARTITION BY town, changed) - 1) / 500 AS part
            FROM (%s) AS r WHERE changed IS NULL OR cardinality(changed) > 0) AS parted
        GROUP BY town, changed, part ORDER BY town, changed, part$q$, rows_sql)
    LOOP
        PERFORM audit(CASE TG_OP WHEN 'INSERT' THEN 'created' WHEN 'DELETE' THEN 'removed' ELSE 'changed' END,
                      TG_TABLE_NAME,
                      jsonb_build_object('keys', found.keys)
                      || CASE WHEN found.changed IS NULL THEN '{}' ELSE jsonb_build_object('columns', found.changed) END,
                      found.town);
    END LOOP;
    RETURN NULL;
END $$;

-- Has a table's changes noted from now on; later migrations call it for theirs.
CREATE FUNCTION audited(noted regclass, municipality_sql text DEFAULT NULL) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, public AS $$
DECLARE
    keys text := (SELECT string_agg(attname, ',' ORDER BY array_position(indkey::int2[], attnum))
                  FROM pg_index JOIN pg_attribute ON attrelid = indrelid AND attnum = ANY (indkey)
                  WHERE indrelid = noted AND indisprimary);
    town text := coalesce(municipality_sql, (SELECT 'r.municipality_id' FROM pg_attribute
        WHERE attrelid = noted AND attname = 'municipality_id' AND NOT attisdropped), 'NULL::integer');
BEGIN
    EXECUTE format('CREATE TRIGGER audit_insert AFTER INSERT ON %s REFERENCING NEW TABLE AS new_rows'
                   ' FOR EACH STATEMENT EXECUTE FUNCTION audit_rows(%L, %L)', noted, keys, town);
    EXECUTE format('CREATE TRIGGER audit_update AFTER UPDATE ON %s REFERENCING NEW TABLE AS new_rows OLD TABLE AS old_rows'
                   ' FOR EACH STATEMENT EXECUTE FUNCTION audit_rows(%L, %L)', noted, keys, town);
    EXECUTE format('CREATE TRIGGER audit_delete AFTER DELETE ON %s REFERENCING OLD TABLE AS old_rows'
                   ' FOR EACH STATEMENT EXECUTE FUNCTION audit_rows(%L, %L)', noted, keys, town);
END $$;
REVOKE EXECUTE ON FUNCTION audited(regclass, text) FROM PUBLIC;

DO $$
DECLARE
    of_asset text := '(SELECT a.municipality_id FROM asset a WHERE a.asset_id = r.asset_id)';
    of_device text := '(SELECT d.municipality_id FROM device d WHERE d.device_id = r.device_id)';
    of_group text := '(SELECT g.municipality_id FROM asset_group g WHERE g.group_id = r.group_id)';
    of_team text := '(SELECT t.municipality_id FROM team t WHERE t.team_id = r.team_id)';
    found text;
BEGIN
    FOREACH found IN ARRAY ARRAY['municipality', 'asset', 'device', 'asset_group', 'membership', 'team', 'access_grant',
                                 'person', 'access_token', 'notification_target', 'on_call', 'maintenance_window',
                                 'rule_override', 'custom_rule', 'installed', 'mapping', 'foreign_device', 'pull'] LOOP
        PERFORM audited(found::regclass);
    END LOOP;
    PERFORM audited('device_certificate', of_device);
    PERFORM audited('rule_mute', of_asset);
    PERFORM audited('asset_group_member', of_group);
    PERFORM audited('team_member', of_team);
END $$;
