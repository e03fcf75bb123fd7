-- The least that each service needs. Owning and altering stays with whoever migrates.
-- The roles have no password here: the embedded database sets one, other installations do it themselves.
DO $$
BEGIN
    IF to_regrole('kraj_ingest') IS NULL THEN CREATE ROLE kraj_ingest NOLOGIN; END IF;
    IF to_regrole('kraj_api') IS NULL THEN CREATE ROLE kraj_api NOLOGIN; END IF;
END $$;
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO kraj_ingest, kraj_api;
