-- Signed webhooks: a target whose address begins with webhook+https:// (or webhook+http://) has a secret of ours.

-- Like the address it is written and never read again: kraj_api has no SELECT on these columns (0008), kraj_notify signs.
ALTER TABLE notification_target
    ADD COLUMN webhook boolean NOT NULL GENERATED ALWAYS AS (url ~* '^webhook\+https?://') STORED,
    ADD COLUMN webhook_secret text,
    ADD COLUMN webhook_secret_before text,          -- signs, too, until webhook_before_until
    ADD COLUMN webhook_before_until timestamptz,    -- by the database's clock
    ADD CONSTRAINT webhook_signed CHECK (webhook = (webhook_secret IS NOT NULL));
GRANT SELECT (webhook) ON notification_target TO kraj_api;

-- A new secret leaves the receiver a day to learn it. Another address is another receiver: its secret counts alone.
CREATE FUNCTION keep_webhook_secret() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, public AS $$
BEGIN
    IF NEW.url !~* '^webhook\+https?://' THEN
        NEW.webhook_secret := NULL;
    END IF;
    IF NEW.url <> OLD.url THEN
        NEW.webhook_secret_before := NULL;
        NEW.webhook_before_until := NULL;
    ELSIF NEW.webhook_secret IS DISTINCT FROM OLD.webhook_secret THEN
        NEW.webhook_secret_before := OLD.webhook_secret;
        NEW.webhook_before_until := clock_timestamp() + interval '24 hours';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER keep_webhook_secret BEFORE UPDATE OF url, webhook_secret ON notification_target
    FOR EACH ROW EXECUTE FUNCTION keep_webhook_secret();
