-- What the wall asks is answered once a transaction.
--
-- A page of devices asks for the same rights once for each walled table that it reads, which cost more than the page. A
-- read-only transaction cannot change what the answer hangs on, so its first answer is kept in a setting of its own, behind
-- the principal and the scopes for whom it was given. Who can write such a setting can write kraj.principal as well.

DO $$
DECLARE name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['kraj_municipalities', 'kraj_assets', 'kraj_devices'] LOOP
        EXECUTE replace(pg_get_functiondef((name || '(text)')::regprocedure), '.' || name || '(', '.' || name || '_now(');
        EXECUTE format('REVOKE EXECUTE ON FUNCTION %I(text) FROM PUBLIC', name || '_now');
        -- Replaced, not renamed: policies hold to the function, whatever it is called.
        EXECUTE format($made$
            CREATE OR REPLACE FUNCTION %1$I(wanted text) RETURNS integer[]
            LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $body$
            DECLARE
                whose text := current_setting('kraj.principal', true) || '/' ||
                    coalesce(current_setting('kraj.scopes', true), '') || '=';
                kept text := current_setting('kraj.kept_%1$s_' || wanted, true);
                answer integer[];
            BEGIN
                IF starts_with(kept, whose) THEN
                    RETURN substr(kept, length(whose) + 1)::integer[];
                END IF;
                answer := %2$I(wanted);
                IF current_setting('transaction_read_only') = 'on' THEN
                    PERFORM set_config('kraj.kept_%1$s_' || wanted, whose || answer::text, true);
                END IF;
                RETURN answer;
            END $body$ $made$, name, name || '_now');
    END LOOP;
END $$;
