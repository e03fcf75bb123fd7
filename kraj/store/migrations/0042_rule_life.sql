-- A rule that failed is off until somebody lets it be tried again, and what was said last of a mute holds.

-- NULL: a rule of the catalogue, or what rules stand on. As they run everywhere, everybody may know which are off.
ALTER TABLE rule_failure ADD COLUMN municipality_id integer REFERENCES municipality;
UPDATE rule_failure f SET municipality_id = c.municipality_id FROM custom_rule c WHERE c.name = f.rule;
-- Nothing told of these any more: they are tried again, and told anew if they fail.
DELETE FROM rule_failure f
WHERE NOT EXISTS (SELECT FROM alert a WHERE a.rule = 'rule_failed' AND a.scope_name = f.rule AND a.active);

DROP POLICY services ON rule_failure;
DROP POLICY seen ON rule_failure;
SELECT tenant_wall('rule_failure', in_town('read') || ' OR municipality_id IS NULL AND (SELECT kraj_principal()) IS NOT NULL',
                   in_town('rules', true));
GRANT DELETE ON rule_failure TO kraj_api;   -- "try again"
SELECT audited('rule_failure');

-- The row comes and goes with its alert, in the same transaction; whoever takes it away has ingest ask the rule again.
CREATE FUNCTION follow_rule_failure() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    IF NEW.active THEN
        INSERT INTO rule_failure (rule, municipality_id, at, error)
        VALUES (NEW.scope_name, NEW.municipality_id, NEW.since, left(coalesce(NEW.evidence->>'error', ''), 2000))
        ON CONFLICT (rule) DO UPDATE SET municipality_id = EXCLUDED.municipality_id, at = EXCLUDED.at,
            error = EXCLUDED.error;
    ELSE
        DELETE FROM rule_failure WHERE rule = NEW.scope_name;
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER rule_failure_told AFTER INSERT ON alert
    FOR EACH ROW WHEN (NEW.rule = 'rule_failed' AND NEW.active) EXECUTE FUNCTION follow_rule_failure();
CREATE TRIGGER rule_failure_over AFTER UPDATE OF active ON alert
    FOR EACH ROW WHEN (NEW.rule = 'rule_failed' AND NEW.active <> OLD.active) EXECUTE FUNCTION follow_rule_failure();
-- Not where ingest itself has ended the alert: it knows, and holds the version's row already.
CREATE TRIGGER registry_changed AFTER DELETE ON rule_failure
    FOR EACH STATEMENT WHEN (pg_trigger_depth() = 0) EXECUTE FUNCTION raise_registry_version();

-- A rule of one's own in another version, or taken away, has not failed yet; that change has ingest look as well.
CREATE FUNCTION forget_rule_failure() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    DELETE FROM rule_failure WHERE rule IN (OLD.name, NEW.name)
        AND municipality_id IN (OLD.municipality_id, NEW.municipality_id);
    RETURN NULL;
END $$;
CREATE TRIGGER forget_rule_failure AFTER INSERT OR UPDATE OR DELETE ON custom_rule
    FOR EACH ROW EXECUTE FUNCTION forget_rule_failure();

-- The newest row of an asset and rule holds, also where it ends earlier; one that ends when it begins lifts the mute.
CREATE INDEX rule_mute_asset ON rule_mute (asset_id, rule, rule_mute_id DESC);
