-- After a restore: ask the devices for everything since a moment. Ingest sends the commands and marks it done.
CREATE TABLE resend (
    resend_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    requested_at timestamptz NOT NULL,
    from_ts timestamptz NOT NULL,
    done_at timestamptz
);
GRANT SELECT, UPDATE ON resend TO kraj_ingest;
GRANT SELECT ON resend TO kraj_api;
