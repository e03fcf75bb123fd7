-- Who may do what: people, their roles in municipalities, teams, grants to others; sessions, tokens and codes.

CREATE TABLE person (
    person_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL UNIQUE CHECK (name = lower(name) AND name ~ '^[^@[:space:]]+@[^@[:space:]]+$' AND length(name) <= 254),
    title text NOT NULL CHECK (title <> ''),
    password text,                     -- argon2id; NULL: none yet, or signs in with an issuer
    issuer text,                       -- OpenID Connect
    subject text,
    totp_secret text,
    totp_confirmed_at timestamptz,
    totp_last_step bigint NOT NULL DEFAULT 0,   -- a code is taken once
    language text NOT NULL DEFAULT 'cs' CHECK (language IN ('cs', 'en')),
    pseudonym uuid NOT NULL UNIQUE DEFAULT gen_random_uuid(),
    break_glass boolean NOT NULL DEFAULT false,
    created_at timestamptz NOT NULL,
    disabled_at timestamptz,
    version integer NOT NULL DEFAULT 1,
    UNIQUE (issuer, subject)
);

-- A role in a municipality, or (NULL) in the region, which is all of them.
CREATE TABLE membership (
    membership_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    person_id integer NOT NULL REFERENCES person ON DELETE CASCADE,
    municipality_id integer REFERENCES municipality,
    role text NOT NULL,
    valid_from timestamptz NOT NULL,
    valid_to timestamptz CHECK (valid_to > valid_from)
);
CREATE INDEX membership_person ON membership (person_id);
CREATE INDEX membership_municipality ON membership (municipality_id);
CREATE UNIQUE INDEX membership_now ON membership (person_id, coalesce(municipality_id, 0), role) WHERE valid_to IS NULL;

CREATE TABLE team (
    team_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    municipality_id integer REFERENCES municipality,  -- NULL: the region's, such as a contractor's crew
    name text NOT NULL CHECK (name <> ''),
    UNIQUE NULLS NOT DISTINCT (municipality_id, name)
);
CREATE TABLE team_member (
    team_id integer NOT NULL REFERENCES team ON DELETE CASCADE,
    person_id integer NOT NULL REFERENCES person ON DELETE CASCADE,
    PRIMARY KEY (team_id, person_id)
);
CREATE INDEX team_member_person ON team_member (person_id);

-- A municipality lets somebody else at its assets: a person, a team or the region; which, with what right, until when.
CREATE TABLE access_grant (
    grant_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    municipality_id integer NOT NULL REFERENCES municipality,
    person_id integer REFERENCES person ON DELETE CASCADE,
    team_id integer REFERENCES team ON DELETE CASCADE,
    to_region boolean NOT NULL DEFAULT false,
    group_id integer REFERENCES asset_group,          -- NULL: all assets of the municipality
    rights text[] NOT NULL CHECK (cardinality(rights) > 0),
    valid_from timestamptz NOT NULL,
    valid_to timestamptz CHECK (valid_to > valid_from),
    who text NOT NULL,
    reason text NOT NULL DEFAULT '',
    CHECK ((person_id IS NOT NULL)::int + (team_id IS NOT NULL)::int + to_region::int = 1)
);
CREATE INDEX access_grant_person ON access_grant (person_id);
CREATE INDEX access_grant_team ON access_grant (team_id);
CREATE INDEX access_grant_municipality ON access_grant (municipality_id);

-- What each role may do; kraj/people.py declares it, a test holds the two together.
CREATE TABLE role_right (
    role text NOT NULL,
    right_name text NOT NULL,
    PRIMARY KEY (role, right_name)
);
INSERT INTO role_right
SELECT role, unnest(rights) FROM (VALUES
    ('region_admin', ARRAY['read', 'act', 'register', 'control', 'rules', 'export', 'people']),
    ('municipality_admin', ARRAY['read', 'act', 'register', 'control', 'rules', 'export', 'people']),
    ('energy_manager', ARRAY['read', 'control', 'rules', 'export']),
    ('crew', ARRAY['read', 'act']),
    ('viewer', ARRAY['read'])
) AS r(role, rights);
ALTER TABLE membership ADD CONSTRAINT membership_role
    CHECK (role IN ('region_admin', 'municipality_admin', 'energy_manager', 'crew', 'viewer'));
ALTER TABLE access_grant ADD CONSTRAINT access_grant_rights
    CHECK (rights <@ ARRAY['read', 'act', 'register', 'control', 'rules', 'export']);

-- Of secrets only digests (SHA-256) are kept: they are long and random, so that nothing slower is needed.
CREATE TABLE sign_in_session (
    session_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    digest bytea NOT NULL UNIQUE,
    person_id integer NOT NULL REFERENCES person ON DELETE CASCADE,
    created_at timestamptz NOT NULL,
    seen_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    second_factor boolean NOT NULL DEFAULT false,
    user_agent text NOT NULL DEFAULT ''
);
CREATE INDEX sign_in_session_person ON sign_in_session (person_id);
CREATE TABLE access_token (
    token_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    digest bytea NOT NULL,
    person_id integer NOT NULL REFERENCES person ON DELETE CASCADE,
    name text NOT NULL CHECK (name <> ''),
    scopes text[] NOT NULL,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    seen_at timestamptz,
    revoked_at timestamptz
);
CREATE INDEX access_token_person ON access_token (person_id);
CREATE TABLE one_time_code (
    code_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    digest bytea NOT NULL UNIQUE,
    purpose text NOT NULL CHECK (purpose IN ('sign_in', 'reset', 'invitation')),
    person_id integer REFERENCES person ON DELETE CASCADE,
    detail jsonb NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    used_at timestamptz
);
-- Attempts of a while, so that guessing stays slow for all processes together.
CREATE TABLE sign_in_attempt (
    attempt_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL,
    address text NOT NULL,
    at timestamptz NOT NULL
);
CREATE INDEX sign_in_attempt_name ON sign_in_attempt (name, at);
CREATE INDEX sign_in_attempt_address ON sign_in_attempt (address, at);

-- A token was made by somebody who had signed in with a second factor, or by somebody who need not.
ALTER TABLE access_token ADD COLUMN second_factor boolean NOT NULL DEFAULT false;
-- For who has lost the telephone; each is taken once.
CREATE TABLE recovery_code (
    person_id integer NOT NULL REFERENCES person ON DELETE CASCADE,
    digest bytea NOT NULL,
    used_at timestamptz,
    PRIMARY KEY (person_id, digest)
);
ALTER TABLE membership ADD CONSTRAINT membership_place
    CHECK ((role <> 'region_admin' OR municipality_id IS NULL) AND (role <> 'municipality_admin' OR municipality_id IS NOT NULL));
ALTER TABLE membership ADD COLUMN version integer NOT NULL DEFAULT 1;
ALTER TABLE team ADD COLUMN version integer NOT NULL DEFAULT 1, ADD COLUMN ended_at timestamptz;
ALTER TABLE access_grant ADD COLUMN version integer NOT NULL DEFAULT 1;
