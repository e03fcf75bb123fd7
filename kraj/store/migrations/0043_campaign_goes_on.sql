-- A person may let a campaign go on after failures: those count no more, new ones do.
ALTER TABLE firmware_campaign ADD COLUMN failures_before integer NOT NULL DEFAULT 0 CHECK (failures_before >= 0);
GRANT UPDATE (failures_before) ON firmware_campaign TO kraj_api;
