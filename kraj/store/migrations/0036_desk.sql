-- The town's desk counts what waits for a person each time its page is asked for; these keep the counting cheap.

CREATE INDEX enrolment_code_waiting ON enrolment_code (expires_at) WHERE used_at IS NULL;
CREATE INDEX service_request_open ON service_request (municipality_id) WHERE status = 'open' AND parent_id IS NULL;
CREATE INDEX import_preview ON import (uploaded_at) WHERE state = 'preview';
CREATE INDEX access_grant_ends ON access_grant (valid_to) WHERE valid_to IS NOT NULL;

-- How long data are kept holds for the towns: whoever is signed in may know the region's word.
CREATE POLICY of_the_region ON retention FOR SELECT TO kraj_api
    USING (municipality_id IS NULL AND (SELECT kraj_principal()) IS NOT NULL);
