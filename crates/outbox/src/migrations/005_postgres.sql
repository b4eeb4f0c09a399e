-- A page was copied on its way out of a function, which cost as much as all the rest. A function finds its bounds now, and who reads it
-- takes the rows themselves from the tables.
DROP FUNCTION outbox_page;
DROP TYPE outbox_row;

CREATE TYPE outbox_head AS (
    position BIGINT, message_id BYTEA, effect_id TEXT, channel TEXT, key TEXT, kind TEXT, causation_id BYTEA, traceparent TEXT,
    created_us BIGINT, payload BYTEA,
    seen TEXT, top BIGINT, epoch BIGINT, paused BIGINT, is_known BIGINT, after BIGINT, last BIGINT
);

-- The head of a page of what is visible in to_text and not in from_text, after after_position, in the order of positions. Without to_text
-- a new batch begins: what is visible now. Its last row has no position and says how things stand; the rest of the page are the rows after
-- its after up to its last.
--
-- Two ways in, which share nothing: at or below the floor stand only rows of transactions that were running when from_text was taken,
-- found by their ids, and are the head; above it everything is read in place. So a page costs what it holds, however much stands in the
-- tables and however long a transaction is open. The settings force these ways: the tables are never analysed, and a plan that was made
-- while they were empty must not stay when they hold millions.
CREATE FUNCTION outbox_page_head(the_lane BIGINT, the_epoch BIGINT, from_text TEXT, to_text TEXT, after_position BIGINT, rows_max BIGINT, bytes_max BIGINT)
RETURNS SETOF outbox_head LANGUAGE plpgsql STABLE
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off SET work_mem = '16MB'
AS $$
DECLARE
    it outbox_head;
    stands outbox_head;
    c outbox_cursor;
    since CONSTANT pg_snapshot := from_text::pg_snapshot;
    upto CONSTANT pg_snapshot := COALESCE(to_text::pg_snapshot, pg_current_snapshot());
    rows_left BIGINT := rows_max;
    bytes_left BIGINT := bytes_max;
    bytes BIGINT;
BEGIN
    SELECT * INTO STRICT c FROM outbox_cursor WHERE outbox_cursor.lane = the_lane;
    stands.seen := upto::TEXT;
    SELECT last_value INTO stands.top FROM outbox_position;
    stands.epoch := c.epoch;
    stands.paused := c.paused;
    stands.is_known := (SELECT count(*) FROM outbox_session s WHERE s.lane = the_lane AND s.epoch = the_epoch);
    IF c.epoch <> the_epoch OR c.paused <> 0 OR stands.is_known = 0 THEN
        RETURN NEXT stands;
        RETURN;
    END IF;

    IF after_position < c.floor THEN
        FOR it IN
            SELECT o.position, o.message_id, o.effect_id, o.channel, o.key, o.kind, o.causation_id, o.traceparent, o.created_us, o.payload,
                NULL::TEXT, NULL::BIGINT, NULL::BIGINT, NULL::BIGINT, NULL::BIGINT, NULL::BIGINT, NULL::BIGINT
            FROM (
                SELECT * FROM outbox WHERE xid = ANY (ARRAY(SELECT pg_snapshot_xip(since)))
                UNION ALL
                SELECT * FROM outbox WHERE xid >= pg_snapshot_xmax(since) AND xid < c.floor_xid
            ) o
            WHERE o.position + 0 > after_position AND o.position + 0 <= c.floor AND pg_visible_in_snapshot(o.xid, upto)
            ORDER BY o.position + 0 LIMIT rows_max
        LOOP
            RETURN NEXT it;
            rows_left := rows_left - 1;
            bytes_left := bytes_left - octet_length(it.payload);
            EXIT WHEN bytes_left <= 0;
        END LOOP;
    END IF;

    IF rows_left > 0 AND bytes_left > 0 THEN
        stands.after := GREATEST(after_position, c.floor);
        SELECT max(n.position), sum(n.size) INTO stands.last, bytes
        FROM (
            SELECT o.position, octet_length(o.payload) AS size FROM outbox o
            WHERE o.position > stands.after
              AND NOT pg_visible_in_snapshot(o.xid, since) AND pg_visible_in_snapshot(o.xid, upto)
            ORDER BY o.position LIMIT rows_left
        ) n;
        IF bytes > bytes_left THEN
            SELECT max(w.position) INTO stands.last
            FROM (
                SELECT n.position, sum(n.size) OVER (ORDER BY n.position ROWS UNBOUNDED PRECEDING) - n.size AS before
                FROM (
                    SELECT o.position, octet_length(o.payload) AS size FROM outbox o
                    WHERE o.position > stands.after AND o.position <= stands.last
                      AND NOT pg_visible_in_snapshot(o.xid, since) AND pg_visible_in_snapshot(o.xid, upto)
                ) n
            ) w
            WHERE w.before < bytes_left;
        END IF;
    END IF;
    RETURN NEXT stands;
END $$;
