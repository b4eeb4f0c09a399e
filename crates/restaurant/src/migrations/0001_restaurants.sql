-- Restaurants, their menus, and the tickets of their kitchens. Ids are UUIDv7, so an index on an id is an index on the time of creation.
-- Documents are Protobuf messages of comanda.restaurant.v1, whose rules of evolution `buf breaking` guards.
CREATE TABLE restaurant (
    restaurant_id BLOB PRIMARY KEY,
    -- Rises by one with each change of the restaurant or its menu.
    version INTEGER NOT NULL,
    -- A Restaurant without its menu.
    document BLOB NOT NULL,
    -- Whether orders are taken since accepts_changed_us, and whether they were taken before.
    accepts_orders INTEGER NOT NULL,
    accepted_before INTEGER NOT NULL,
    accepts_changed_us INTEGER NOT NULL,
    menu_version INTEGER NOT NULL,
    create_us INTEGER NOT NULL,
    update_us INTEGER NOT NULL
);

CREATE TABLE menu (
    restaurant_id BLOB NOT NULL REFERENCES restaurant (restaurant_id),
    version INTEGER NOT NULL,
    -- A Menu.
    document BLOB NOT NULL,
    -- NULL while it is the current one.
    superseded_at_us INTEGER,
    PRIMARY KEY (restaurant_id, version)
);

CREATE TABLE ticket (
    ticket_id BLOB PRIMARY KEY,
    -- An order has at most one ticket, however often it is asked for.
    order_id BLOB NOT NULL UNIQUE,
    -- Not a reference: a ticket can be called off before anything is known of its restaurant.
    restaurant_id BLOB NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('CREATED', 'CANCELLED')),
    -- A Ticket of which only the lines are set.
    document BLOB NOT NULL,
    create_us INTEGER NOT NULL,
    update_us INTEGER NOT NULL
);
CREATE INDEX ticket_by_restaurant ON ticket (restaurant_id, ticket_id);
