-- Restaurants, their menus, and the tickets of their kitchens. Ids are UUIDv7, so an index on an id is an index on the time of creation.
-- Documents are Protobuf messages of comanda.restaurant.v1, whose rules of evolution `buf breaking` guards.
CREATE TABLE restaurant (
    restaurant_id BYTEA PRIMARY KEY,
    -- Rises by one with each change of the restaurant or its menu.
    version BIGINT NOT NULL,
    -- A Restaurant without its menu.
    document BYTEA NOT NULL,
    -- Whether orders are taken since accepts_changed_us, and whether they were taken before.
    accepts_orders BIGINT NOT NULL,
    accepted_before BIGINT NOT NULL,
    accepts_changed_us BIGINT NOT NULL,
    menu_version BIGINT NOT NULL,
    create_us BIGINT NOT NULL,
    update_us BIGINT NOT NULL
-- Room in each page for the next version of a row, so that an update, which touches no index, stays in its page.
) WITH (fillfactor = 80);

CREATE TABLE menu (
    restaurant_id BYTEA NOT NULL REFERENCES restaurant (restaurant_id),
    version BIGINT NOT NULL,
    -- A Menu.
    document BYTEA NOT NULL,
    -- NULL while it is the current one.
    superseded_at_us BIGINT,
    PRIMARY KEY (restaurant_id, version)
);

-- Rows are inserted, and hardly ever changed: a ticket is called off at most once.
CREATE TABLE ticket (
    ticket_id BYTEA PRIMARY KEY,
    -- An order has at most one ticket, however often it is asked for.
    order_id BYTEA NOT NULL UNIQUE,
    -- Not a reference: a ticket can be called off before anything is known of its restaurant.
    restaurant_id BYTEA NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('CREATED', 'CANCELLED')),
    -- A Ticket of which only the lines are set.
    document BYTEA NOT NULL,
    create_us BIGINT NOT NULL,
    update_us BIGINT NOT NULL
);
CREATE INDEX ticket_by_restaurant ON ticket (restaurant_id, ticket_id);
