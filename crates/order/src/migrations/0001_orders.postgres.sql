-- Ids are UUIDv7 in text: they sort by time of creation, byte by byte, and can be read and joined by hand.
CREATE TABLE orders (
    order_id TEXT COLLATE "C" PRIMARY KEY,
    state BIGINT NOT NULL,
    version BIGINT NOT NULL,
    consumer_id TEXT COLLATE "C" NOT NULL,
    restaurant_id TEXT COLLATE "C" NOT NULL,
    update_us BIGINT NOT NULL,
    validate_by_us BIGINT,
    placed BYTEA NOT NULL,
    rejection BYTEA
-- An order is changed three times, soon after it was placed, and then no more: what it leaves behind is taken before it is spread out.
) WITH (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 5000, autovacuum_analyze_scale_factor = 0.05);
CREATE INDEX orders_by_consumer ON orders (consumer_id, order_id);
CREATE INDEX orders_by_restaurant ON orders (restaurant_id, order_id);
CREATE INDEX orders_by_state ON orders (state, order_id);
CREATE INDEX orders_by_expiry ON orders (validate_by_us) WHERE validate_by_us IS NOT NULL AND state <= 4;

CREATE TABLE history (
    order_id TEXT COLLATE "C" NOT NULL,
    version BIGINT NOT NULL,
    state BIGINT NOT NULL,
    at_us BIGINT NOT NULL,
    cause TEXT NOT NULL,
    rejection BYTEA,
    PRIMARY KEY (order_id, version)
);

CREATE TABLE idempotency (
    principal TEXT COLLATE "C" NOT NULL,
    request_id TEXT COLLATE "C" NOT NULL,
    fingerprint BYTEA NOT NULL,
    order_id TEXT COLLATE "C" NOT NULL,
    created_us BIGINT NOT NULL,
    PRIMARY KEY (principal, request_id)
);
CREATE INDEX idempotency_by_age ON idempotency (created_us);

CREATE TABLE restaurant_replica (
    restaurant_id TEXT COLLATE "C" PRIMARY KEY,
    version BIGINT NOT NULL,
    received_us BIGINT NOT NULL,
    document BYTEA NOT NULL
);
