CREATE TABLE outbox (
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    message_id BLOB NOT NULL UNIQUE,
    effect_id TEXT NOT NULL,
    channel TEXT NOT NULL,
    key TEXT NOT NULL,
    kind TEXT NOT NULL,
    causation_id BLOB,
    traceparent TEXT,
    created_us INTEGER NOT NULL,
    payload BLOB NOT NULL
);
CREATE TABLE outbox_cursor (
    lane INTEGER PRIMARY KEY,
    epoch INTEGER NOT NULL,
    position INTEGER NOT NULL
);
INSERT INTO outbox_cursor (lane, epoch, position) VALUES (0, 0, 0);
CREATE TABLE obligation (
    effect_id TEXT PRIMARY KEY,
    key TEXT NOT NULL,
    channel TEXT NOT NULL,
    kind TEXT NOT NULL,
    traceparent TEXT,
    payload BLOB NOT NULL,
    message_id BLOB NOT NULL,
    since_us INTEGER NOT NULL,
    due_us INTEGER NOT NULL,
    attempt INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX obligation_by_due ON obligation (due_us);
CREATE INDEX obligation_by_key ON obligation (key);
CREATE TABLE inbox (
    effect_id TEXT PRIMARY KEY,
    reply_effect_id TEXT NOT NULL,
    reply_channel TEXT NOT NULL,
    reply_key TEXT NOT NULL,
    reply_kind TEXT NOT NULL,
    reply_payload BLOB NOT NULL,
    handled_us INTEGER NOT NULL
);
CREATE TABLE parked (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    consumer TEXT NOT NULL,
    message_id BLOB NOT NULL,
    effect_id TEXT NOT NULL,
    channel TEXT NOT NULL,
    key TEXT NOT NULL,
    kind TEXT NOT NULL,
    causation_id BLOB,
    traceparent TEXT,
    created_us INTEGER NOT NULL,
    payload BLOB NOT NULL,
    why TEXT NOT NULL,
    parked_us INTEGER NOT NULL,
    UNIQUE (consumer, message_id)
);
