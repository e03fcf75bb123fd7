-- Things that words may mean, found in a region of 100,000 lamps while somebody waits.

-- Of stops alone: "VO" is in the label of nearly every lamp.
CREATE INDEX asset_stop_words ON asset USING gin (request_words(label)) WHERE retired_at IS NULL AND kind = 'stop';

-- As in 0034, with less work: a street's words are compared once a street instead of once a lamp in it, those of a label
-- once a label, and whether a town takes reports is asked once a town.
CREATE OR REPLACE FUNCTION request_find(words text[], town integer, kinds text[])
RETURNS TABLE (asset_id integer, kind text, label text, street text, municipality_id integer, municipality text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    WITH stop AS MATERIALIZED (
        SELECT a.asset_id, a.kind, a.label, nullif(a.metadata ->> 'street', '') AS street, a.municipality_id FROM asset a
        WHERE a.retired_at IS NULL AND a.kind = 'stop' AND 'stop' = ANY (kinds) AND request_words(a.label) <@ words
    ), open_town AS MATERIALIZED (
        SELECT m.municipality_id, m.title FROM municipality m
        WHERE m.municipality_id = coalesce(town, m.municipality_id) AND request_town_open(m.municipality_id)
    ), numbered AS MATERIALIZED (
        SELECT a.asset_id, a.kind, a.label, a.municipality_id FROM asset a
        WHERE a.retired_at IS NULL AND a.kind = ANY (kinds) AND a.kind IN ('lamp', 'cabinet')
            AND request_words(a.label) && ARRAY(SELECT w FROM unnest(words) AS w WHERE w ~ '[0-9]')
    ), label AS MATERIALIZED (
        SELECT n.label, (SELECT count(DISTINCT w) FROM unnest(request_words(n.label)) AS w WHERE w = ANY (words)) AS shared
        FROM (SELECT DISTINCT numbered.label FROM numbered) AS n
    ), named AS MATERIALIZED (
        SELECT DISTINCT a.metadata ->> 'street' AS street, a.municipality_id FROM asset a
        WHERE a.retired_at IS NULL AND a.metadata ? 'street'
            AND request_words(a.metadata ->> 'street') && ARRAY(SELECT w FROM unnest(words) AS w WHERE w ~ '[a-z]{3}')
    ), meant AS MATERIALIZED (
        SELECT s.street FROM (SELECT DISTINCT named.street FROM named) AS s WHERE request_words(s.street) <@ words
    )
    SELECT f.asset_id, f.kind, f.label, f.street, f.municipality_id, m.title FROM (
        (SELECT s.* FROM stop s JOIN open_town USING (municipality_id) ORDER BY s.asset_id LIMIT 100)
        UNION ALL
        (SELECT n.asset_id, n.kind, n.label, (SELECT nullif(a.metadata ->> 'street', '') FROM asset a
            WHERE a.asset_id = n.asset_id), n.municipality_id
         FROM (SELECT o.* FROM numbered o JOIN label l USING (label) JOIN open_town USING (municipality_id)
               ORDER BY l.shared DESC, o.asset_id LIMIT 200) AS n)
        UNION ALL
        (SELECT NULL, 'street', s.street, NULL, s.municipality_id FROM named s JOIN meant USING (street)
         JOIN open_town USING (municipality_id) ORDER BY s.municipality_id, s.street LIMIT 100)
    ) AS f JOIN open_town m ON m.municipality_id = f.municipality_id
$$;
