-- Ids are UUIDv7 in text: they sort by time of creation, and can be read and joined by hand.
CREATE TABLE orders (
    order_id TEXT NOT NULL UNIQUE,
    state INTEGER NOT NULL,
    version INTEGER NOT NULL,
    consumer_id TEXT NOT NULL,
    restaurant_id TEXT NOT NULL,
    update_us INTEGER NOT NULL,
    validate_by_us INTEGER,
    placed BLOB NOT NULL,
    rejection BLOB
);
CREATE INDEX orders_by_consumer ON orders (consumer_id, order_id);
CREATE INDEX orders_by_restaurant ON orders (restaurant_id, order_id);
CREATE INDEX orders_by_state ON orders (state, order_id);
CREATE INDEX orders_by_expiry ON orders (validate_by_us) WHERE validate_by_us IS NOT NULL AND state <= 4;

CREATE TABLE history (
    order_id TEXT NOT NULL,
    version INTEGER NOT NULL,
    state INTEGER NOT NULL,
    at_us INTEGER NOT NULL,
    cause TEXT NOT NULL,
    rejection BLOB,
    PRIMARY KEY (order_id, version)
) WITHOUT ROWID;

CREATE TABLE idempotency (
    principal TEXT NOT NULL,
    request_id TEXT NOT NULL,
    fingerprint BLOB NOT NULL,
    order_id TEXT NOT NULL,
    created_us INTEGER NOT NULL,
    PRIMARY KEY (principal, request_id)
) WITHOUT ROWID;
CREATE INDEX idempotency_by_age ON idempotency (created_us);

CREATE TABLE restaurant_replica (
    restaurant_id TEXT PRIMARY KEY,
    version INTEGER NOT NULL,
    received_us INTEGER NOT NULL,
    document BLOB NOT NULL
) WITHOUT ROWID;
