CREATE TABLE bus_incarnation (
    channel TEXT COLLATE "C" PRIMARY KEY,
    created_us BIGINT NOT NULL,
    last_sequence BIGINT NOT NULL
) WITH (fillfactor = 10);
