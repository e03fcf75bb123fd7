-- One row of a municipality in nearly every table. What a statement returns is named behind its arrow.
UPDATE asset SET label = label || '/2', metadata = jsonb_build_object('note', %(w)s::text) WHERE asset_id =
    %(asset)s;
INSERT INTO asset_group (municipality_id, name) VALUES (%(town)s, %(w)s) RETURNING group_id; -- -> group
INSERT INTO asset_group_member VALUES (%(group)s, %(asset)s);
INSERT INTO lighting_baseline (municipality_id, group_id, version, valid_from, power_w, source, who, at)
    VALUES (%(town)s, %(group)s, 1, %(at)s, 115, %(w)s, %(w)s, %(at)s);
INSERT INTO boot_epoch VALUES (%(device)s, 7, 0);
INSERT INTO device_status VALUES (%(device)s, false, 7, '1', 'x', %(at)s);
INSERT INTO device_event (device_id, municipality_id, received_at, channel, body, batch_id) VALUES (%(device)s,
    %(town)s, %(at)s, 'result', jsonb_build_object('said', %(w)s::text), 1);
INSERT INTO quarantine (digest, first_at, last_at, topic, source, reason, detail, payload, payload_bytes,
    batch_id) VALUES (%(digest)s, %(at)s, %(at)s, 'kraj/' || %(name)s || '/nobody/telemetry', 'nobody-' || %(name)s,
    'unknown_device', %(w)s, '', 0, 1);
INSERT INTO quarantine_overflow VALUES (%(name)s || '-lamp', current_date, 'core', 1, %(at)s);
INSERT INTO unknown_key VALUES (%(device)s, %(w)s, %(at)s, 1);
INSERT INTO device_life (device_id, at, step, state, who, reason) VALUES (%(device)s, %(at)s, 'registered',
    'registered', %(w)s, %(w)s);
INSERT INTO device_certificate VALUES (md5(%(name)s), %(device)s, 1, %(at)s, %(at)s + interval '1 day',
    %(digest)s);
INSERT INTO enrolment_code VALUES (%(digest)s, %(device)s, %(at)s);
INSERT INTO device_command (device_id, payload, expires_at) VALUES (%(device)s, %(w)s, %(at)s);
INSERT INTO alert (key, rule, scope_type, scope_name, municipality_id, asset_id, severity, active, notify,
    assignee, since, opened_at, changed_at) VALUES (%(w)s, 'lamp_dark', 'asset', %(w)s, %(town)s, %(asset)s,
    'minor', true, true, %(w)s || ' Novák', %(at)s, %(at)s, %(at)s) RETURNING alert_id; -- -> alert
INSERT INTO alert_event (alert_id, at, step, who, note) VALUES (%(alert)s, %(at)s, 'x', %(w)s || ' Novák',
    %(w)s);
INSERT INTO outbox (alert_id, step, at) VALUES (%(alert)s, 'opened', %(at)s) RETURNING outbox_id; -- -> outbox
INSERT INTO notification_target (municipality_id, name, url) VALUES (%(town)s, %(w)s, 'json://' || %(w)s)
    RETURNING target_id; -- -> target
INSERT INTO target_test (target_id, who, asked_at) VALUES (%(target)s, %(w)s, %(at)s);
UPDATE notification_target SET url = 'mailto://' || %(w)s WHERE target_id = %(target)s;
INSERT INTO report_subscription (municipality_id, target_id, who, at) VALUES (%(town)s, %(target)s, %(w)s, %(at)s)
    RETURNING report_subscription_id; -- -> subscription
UPDATE notification_target SET url = 'json://' || %(w)s WHERE target_id = %(target)s;
INSERT INTO report_run (report_subscription_id, municipality_id, month, planned_at, due_at) VALUES (%(subscription)s,
    %(town)s, '2026-10-01', %(at)s, %(at)s);
INSERT INTO on_call (municipality_id, target_id, place, valid_from, valid_to) VALUES (%(town)s, %(target)s, 1,
    %(at)s, %(at)s + interval '1 day');
INSERT INTO delivery (outbox_id, target_id, due_at, wanted_at) VALUES (%(outbox)s, %(target)s, %(at)s, %(at)s);
INSERT INTO alert_photo (alert_id, at, who, media_type, width, height, content) VALUES (%(alert)s, %(at)s,
    %(w)s, 'image/png', 1, 1, %(digest)s);
INSERT INTO maintenance_window (municipality_id, scope_type, scope_name, valid_from, valid_to, reason, who)
    VALUES (%(town)s, 'asset', %(w)s, %(at)s, %(at)s + interval '1 day', %(w)s, %(w)s);
INSERT INTO rule_mute (asset_id, rule, valid_to, reason, who, at) VALUES (%(asset)s, 'r', %(at)s, %(w)s, %(w)s,
    %(at)s);
INSERT INTO wiring_kept (municipality_id, asset_id, outages, reason, who, at) VALUES (%(town)s, %(asset)s,
    ARRAY[%(alert)s], %(w)s, %(w)s, %(at)s);
INSERT INTO rule_override (municipality_id, group_id, rule, reason) VALUES (%(town)s, %(group)s, 'r', %(w)s);
INSERT INTO custom_rule (municipality_id, text, who, at, name) VALUES (%(town)s, %(w)s, %(w)s, %(at)s, 'own_' ||
    %(name)s);
INSERT INTO rule_failure (rule, at, error, municipality_id) VALUES ('own_' || %(name)s, %(at)s, %(w)s, %(town)s);
INSERT INTO rule_trial (municipality_id, proposal, who, asked_at) VALUES (%(town)s, '{}', %(w)s, %(at)s);
INSERT INTO mapping (municipality_id, name, adapter, document, changed_at) VALUES (%(town)s, 'map', 'json',
    jsonb_build_object('note', %(w)s::text), %(at)s) RETURNING mapping_id; -- -> mapping
INSERT INTO foreign_device (device_id, municipality_id, adapter, mapping_id, credential, changed_at) VALUES
    (%(device)s, %(town)s, 'json', %(mapping)s, 's3cret', %(at)s);
INSERT INTO foreign_message VALUES (%(device)s, 0, 1, %(town)s, %(at)s, %(w)s, '', 0, '[]', 'stored', '[]');
INSERT INTO pull (municipality_id, name, device_id, url, headers, due_at) VALUES (%(town)s, 'pull', %(device)s,
    'https://' || %(w)s, 's3cret', %(at)s);
INSERT INTO person (name, title, created_at, password) VALUES (%(mail)s, %(w)s || ' Novák', %(at)s, 's3cret')
    RETURNING person_id; -- -> person
INSERT INTO membership (person_id, municipality_id, role, valid_from) VALUES (%(person)s, %(town)s,
    'municipality_admin', %(at)s);
INSERT INTO team (municipality_id, name) VALUES (%(town)s, %(w)s) RETURNING team_id; -- -> team
INSERT INTO team_member VALUES (%(team)s, %(person)s);
INSERT INTO access_grant (municipality_id, team_id, group_id, rights, valid_from, who) VALUES (%(town)s,
    %(team)s, %(group)s, '{read}', %(at)s, %(w)s);
INSERT INTO sign_in_session (digest, person_id, created_at, seen_at, expires_at, user_agent) VALUES (%(digest)s,
    %(person)s, %(at)s, %(at)s, %(at)s, %(w)s);
INSERT INTO access_token (digest, person_id, name, scopes, created_at, expires_at) VALUES (%(digest)s,
    %(person)s, %(w)s, '{read}', %(at)s, %(at)s);
INSERT INTO idempotency_key (person_id, key, route, digest, at, status, answer) VALUES (%(person)s, 'k',
    '/v1/x', ''::bytea, %(at)s, 201, json_build_object('municipality', %(name)s::text));
INSERT INTO job (person_id, kind, started_at, heard_at) VALUES (%(person)s, 'import', %(at)s, %(at)s);
INSERT INTO import (person_id, municipality_id, file_name, file_digest, format, columns, findings, rows_all,
    rows_new, rows_known, rows_wrong, uploaded_at) VALUES (%(person)s, %(town)s, %(w)s, '', 'csv', '[]', '[]', 1, 1,
    0, 0, %(at)s) RETURNING import_id; -- -> import
INSERT INTO import_row (import_id, number, municipality_id, label, channel, metadata, known, wrong, findings,
    asset_id, device_id) VALUES (%(import)s, 2, %(town)s, %(w)s, 0, '{}', false, false, '[]', %(asset)s, %(device)s);
