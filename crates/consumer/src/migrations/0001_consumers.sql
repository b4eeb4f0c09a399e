-- Who may order, and for how much. Ids are UUIDv7, so the primary key is also the order of creation.
CREATE TABLE consumer (
    consumer_id BLOB PRIMARY KEY,
    version INTEGER NOT NULL,
    name TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('ACTIVE', 'SUSPENDED')),
    -- Minor units; both columns are NULL when there is no limit.
    order_limit_minor INTEGER,
    order_limit_currency TEXT,
    create_us INTEGER NOT NULL,
    update_us INTEGER NOT NULL,
    CHECK ((order_limit_minor IS NULL) = (order_limit_currency IS NULL))
) WITHOUT ROWID;
