ALTER TABLE parked ADD COLUMN tries BIGINT NOT NULL DEFAULT 1;
-- Commands that were sent again are parked once from now on; the first of each stays.
DELETE FROM parked WHERE effect_id <> '' AND EXISTS (
    SELECT 1 FROM parked AS earlier
    WHERE earlier.consumer = parked.consumer AND earlier.key = parked.key AND earlier.effect_id = parked.effect_id
      AND earlier.number < parked.number);
CREATE UNIQUE INDEX parked_effect ON parked (consumer, key, effect_id) WHERE effect_id <> '';
CREATE INDEX parked_by_key ON parked (consumer, key, number);
-- One row for each key that is parked. Its lock orders what is parked behind a key and what sets it free, so neither misses the other.
CREATE TABLE parked_key (
    consumer TEXT COLLATE "C" NOT NULL,
    key TEXT COLLATE "C" NOT NULL,
    version BIGINT NOT NULL DEFAULT 0,
    parked_us BIGINT NOT NULL,
    request TEXT NOT NULL DEFAULT '',
    upto BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (consumer, key)
);
CREATE INDEX parked_key_by_time ON parked_key (consumer, parked_us);
CREATE INDEX parked_key_by_request ON parked_key (request, key) WHERE request <> '';
INSERT INTO parked_key (consumer, key, parked_us) SELECT consumer, key, min(parked_us) FROM parked GROUP BY consumer, key;
CREATE TABLE parking_audit (
    request TEXT PRIMARY KEY,
    action TEXT NOT NULL,
    consumer TEXT COLLATE "C" NOT NULL,
    selection TEXT NOT NULL,
    who TEXT NOT NULL,
    why TEXT NOT NULL,
    asked_us BIGINT NOT NULL,
    per_second BIGINT NOT NULL,
    keys BIGINT NOT NULL DEFAULT 0,
    messages BIGINT NOT NULL DEFAULT 0,
    handled BIGINT NOT NULL DEFAULT 0,
    failed BIGINT NOT NULL DEFAULT 0,
    finished_us BIGINT,
    owner TEXT NOT NULL DEFAULT '',
    until_us BIGINT NOT NULL DEFAULT 0
) WITH (fillfactor = 50);
CREATE INDEX parking_audit_open ON parking_audit (consumer, asked_us) WHERE finished_us IS NULL;
