-- Who publishes: polling or tailing; empty: what the relay's configuration says.
ALTER TABLE outbox_cursor ADD COLUMN publisher TEXT NOT NULL DEFAULT '';

-- Slots of all databases of a server have their names in common.
CREATE FUNCTION outbox_tail_slot() RETURNS TEXT LANGUAGE sql STABLE
AS $$ SELECT 'outbox_tail_' || oid FROM pg_database WHERE datname = current_database() $$;

-- What the log tells about the outbox. Inserts only: to empty a table is nobody's news. Through the root, so that it does not matter which
-- of the tables a row went to. Must be there before the slot, which reads the catalogs as they were at its place in the log.
CREATE FUNCTION outbox_tail_publish() RETURNS VOID LANGUAGE plpgsql VOLATILE
SET client_min_messages = error
AS $$
BEGIN
    DROP PUBLICATION IF EXISTS outbox_tail;
    CREATE PUBLICATION outbox_tail FOR TABLE outbox WITH (publish = 'insert', publish_via_partition_root = true);
END $$;

CREATE FUNCTION outbox_tail_is_published() RETURNS BOOLEAN LANGUAGE sql STABLE
AS $$
    SELECT EXISTS (
        SELECT FROM pg_publication p JOIN pg_publication_rel r ON r.prpubid = p.oid
        WHERE p.pubname = 'outbox_tail' AND r.prrelid = 'outbox'::regclass
        AND p.pubviaroot AND p.pubinsert AND NOT (p.pubupdate OR p.pubdelete OR p.pubtruncate)
    )
$$;

-- Ends the line of whoever reads the slot. Only for the holder of the lane.
CREATE FUNCTION outbox_tail_free(the_lane BIGINT, the_epoch BIGINT) RETURNS VOID LANGUAGE sql VOLATILE
AS $$
    SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots
    WHERE slot_name = outbox_tail_slot() AND database = current_database() AND active_pid IS NOT NULL
    AND EXISTS (SELECT FROM outbox_cursor WHERE lane = the_lane AND epoch = the_epoch)
$$;

-- Drops the slot if nobody reads it. Only for the holder of the lane, who stays the holder meanwhile.
CREATE FUNCTION outbox_tail_drop(the_lane BIGINT, the_epoch BIGINT) RETURNS VOID LANGUAGE plpgsql VOLATILE
AS $$
BEGIN
    PERFORM FROM outbox_cursor WHERE lane = the_lane AND epoch = the_epoch FOR UPDATE;
    IF FOUND THEN
        PERFORM pg_drop_replication_slot(slot_name) FROM pg_replication_slots
            WHERE slot_name = outbox_tail_slot() AND database = current_database() AND plugin = 'pgoutput' AND NOT active;
    END IF;
EXCEPTION WHEN object_in_use OR undefined_object THEN
    NULL;
END $$;
