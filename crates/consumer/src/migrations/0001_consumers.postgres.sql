-- Who may order, and for how much. Ids are UUIDv7, so the primary key is also the order of creation.
CREATE TABLE consumer (
    consumer_id BYTEA PRIMARY KEY,
    version BIGINT NOT NULL,
    name TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('ACTIVE', 'SUSPENDED')),
    -- Minor units; both columns are NULL when there is no limit.
    order_limit_minor BIGINT,
    order_limit_currency TEXT,
    create_us BIGINT NOT NULL,
    update_us BIGINT NOT NULL,
    CHECK ((order_limit_minor IS NULL) = (order_limit_currency IS NULL))
-- Room in each page for the next version of a row, so that an update, which touches no index, stays in its page.
) WITH (fillfactor = 90);
