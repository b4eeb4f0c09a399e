-- Names are compared byte by byte, as in SQLite: it is quicker, and the same in every database.
--
-- The order of the columns matters: xid is computed before position, so that a transaction has its id before it takes a place. Were it
-- the other way round, a place below the floor of a cursor could belong to a transaction above it, and be skipped.
CREATE SEQUENCE outbox_position CACHE 1;
CREATE TABLE outbox (
    slot SMALLINT NOT NULL,
    xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
    position BIGINT NOT NULL DEFAULT nextval('outbox_position'),
    message_id BYTEA NOT NULL,
    effect_id TEXT COLLATE "C" NOT NULL,
    channel TEXT COLLATE "C" NOT NULL,
    key TEXT COLLATE "C" NOT NULL,
    kind TEXT COLLATE "C" NOT NULL,
    causation_id BYTEA,
    traceparent TEXT,
    created_us BIGINT NOT NULL,
    payload BYTEA NOT NULL
) PARTITION BY LIST (slot);
-- No vacuum: rows are never updated or deleted, a TRUNCATE takes all of them, and reading them again to note that they are visible would
-- cost more than they ever do. fillfactor 100 is the default, and right for the same reason.
CREATE TABLE outbox_0 PARTITION OF outbox FOR VALUES IN (0) WITH (autovacuum_enabled = false, toast.autovacuum_enabled = false);
CREATE TABLE outbox_1 PARTITION OF outbox FOR VALUES IN (1) WITH (autovacuum_enabled = false, toast.autovacuum_enabled = false);
CREATE TABLE outbox_2 PARTITION OF outbox FOR VALUES IN (2) WITH (autovacuum_enabled = false, toast.autovacuum_enabled = false);
CREATE INDEX outbox_by_position ON outbox (position);
CREATE INDEX outbox_by_xid ON outbox (xid);

CREATE TABLE outbox_rotation (current SMALLINT NOT NULL);
INSERT INTO outbox_rotation VALUES (0);

-- One row per lane. Everything visible in from_snapshot is published; of what is visible in to_snapshot but not in from_snapshot, what
-- stands at or below position. floor and floor_xid: a transaction with floor_xid or a later id took only places above floor.
CREATE TABLE outbox_cursor (
    lane BIGINT PRIMARY KEY,
    epoch BIGINT NOT NULL,
    owner TEXT NOT NULL DEFAULT '',
    taken_us BIGINT NOT NULL DEFAULT 0,
    until_us BIGINT NOT NULL DEFAULT 0,
    paused BIGINT NOT NULL DEFAULT 0,
    position BIGINT NOT NULL,
    from_snapshot TEXT NOT NULL DEFAULT '3:3:',
    to_snapshot TEXT,
    floor BIGINT NOT NULL DEFAULT 0,
    floor_xid xid8 NOT NULL DEFAULT '0'
) WITH (fillfactor = 10);
INSERT INTO outbox_cursor (lane, epoch, position) VALUES (0, 0, 0);

-- Empty after a crash of the server, since it is not logged. After a crash the server may give ids again that it gave before and that a
-- relay remembers as seen; a relay whose row is gone forgets what it remembers and starts from its cursor, which is logged.
CREATE UNLOGGED TABLE outbox_session (lane BIGINT NOT NULL, epoch BIGINT NOT NULL);

CREATE TABLE obligation (
    effect_id TEXT COLLATE "C" PRIMARY KEY,
    key TEXT COLLATE "C" NOT NULL,
    channel TEXT COLLATE "C" NOT NULL,
    kind TEXT COLLATE "C" NOT NULL,
    traceparent TEXT,
    payload BYTEA NOT NULL,
    message_id BYTEA NOT NULL,
    since_us BIGINT NOT NULL,
    due_us BIGINT NOT NULL,
    attempt BIGINT NOT NULL,
    sent_us BIGINT NOT NULL
-- Each row lives for milliseconds. Vacuumed after 1,000 of them, whatever the size of the table, so that it stays as large as its peak.
) WITH (autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_cost_delay = 0,
        autovacuum_analyze_scale_factor = 0.5, autovacuum_analyze_threshold = 10000);
CREATE INDEX obligation_by_due ON obligation (due_us);
CREATE INDEX obligation_by_key ON obligation (key);

CREATE TABLE inbox (
    effect_id TEXT COLLATE "C" PRIMARY KEY,
    reply_effect_id TEXT COLLATE "C" NOT NULL,
    reply_channel TEXT COLLATE "C" NOT NULL,
    reply_key TEXT COLLATE "C" NOT NULL,
    reply_kind TEXT COLLATE "C" NOT NULL,
    reply_payload BYTEA NOT NULL,
    handled_us BIGINT NOT NULL
-- Grows at one end and shrinks at the other: whole pages fall free, and a vacuum at 2 % keeps what is free to 2 %.
) WITH (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 5000);
CREATE INDEX inbox_by_handled ON inbox (handled_us);

CREATE TABLE parked (
    number BIGINT PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    consumer TEXT COLLATE "C" NOT NULL,
    message_id BYTEA NOT NULL,
    effect_id TEXT COLLATE "C" NOT NULL,
    channel TEXT COLLATE "C" NOT NULL,
    key TEXT COLLATE "C" NOT NULL,
    kind TEXT COLLATE "C" NOT NULL,
    causation_id BYTEA,
    traceparent TEXT,
    created_us BIGINT NOT NULL,
    payload BYTEA NOT NULL,
    why TEXT NOT NULL,
    parked_us BIGINT NOT NULL,
    UNIQUE (consumer, message_id)
);

CREATE FUNCTION outbox_now_us() RETURNS BIGINT LANGUAGE sql VOLATILE
AS $$ SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::BIGINT $$;

CREATE TYPE outbox_row AS (
    position BIGINT, message_id BYTEA, effect_id TEXT, channel TEXT, key TEXT, kind TEXT, causation_id BYTEA, traceparent TEXT,
    created_us BIGINT, payload BYTEA,
    seen TEXT, top BIGINT, epoch BIGINT, paused BIGINT, is_known BIGINT
);

-- One page of what is visible in to_text and not in from_text, after after_position, in the order of positions. Its first row has no
-- position and says how things stand. Without to_text a new batch begins: what is visible now.
--
-- Two ways in, which share nothing: at or below the floor stand only rows of transactions that were running when from_text was taken,
-- found by their ids; above it everything is read in place. So a page costs what it holds, however much stands in the tables and however
-- long a transaction is open. The settings force these ways: the tables are never analysed, and a plan that was made while they were
-- empty must not stay when they hold millions.
CREATE FUNCTION outbox_page(the_lane BIGINT, the_epoch BIGINT, from_text TEXT, to_text TEXT, after_position BIGINT, rows_max BIGINT, bytes_max BIGINT)
RETURNS SETOF outbox_row LANGUAGE plpgsql STABLE
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off SET work_mem = '16MB'
AS $$
DECLARE
    it outbox_row;
    c outbox_cursor;
    since CONSTANT pg_snapshot := from_text::pg_snapshot;
    upto CONSTANT pg_snapshot := COALESCE(to_text::pg_snapshot, pg_current_snapshot());
    rows_left BIGINT := rows_max;
    bytes_left BIGINT := bytes_max;
BEGIN
    SELECT * INTO STRICT c FROM outbox_cursor WHERE outbox_cursor.lane = the_lane;
    it.seen := upto::TEXT;
    SELECT last_value INTO it.top FROM outbox_position;
    it.epoch := c.epoch;
    it.paused := c.paused;
    it.is_known := (SELECT count(*) FROM outbox_session s WHERE s.lane = the_lane AND s.epoch = the_epoch);
    RETURN NEXT it;
    IF c.epoch <> the_epoch OR c.paused <> 0 OR it.is_known = 0 THEN
        RETURN;
    END IF;

    IF after_position < c.floor THEN
        FOR it IN
            SELECT o.position, o.message_id, o.effect_id, o.channel, o.key, o.kind, o.causation_id, o.traceparent, o.created_us, o.payload,
                NULL::TEXT, NULL::BIGINT, NULL::BIGINT, NULL::BIGINT, NULL::BIGINT
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
        RETURN QUERY
            SELECT w.position, w.message_id, w.effect_id, w.channel, w.key, w.kind, w.causation_id, w.traceparent, w.created_us, w.payload,
                NULL::TEXT, NULL::BIGINT, NULL::BIGINT, NULL::BIGINT, NULL::BIGINT
            FROM (
                SELECT n.*, sum(octet_length(n.payload)) OVER (ORDER BY n.position ROWS UNBOUNDED PRECEDING) AS so_far
                FROM (
                    SELECT o.* FROM outbox o
                    WHERE o.position > GREATEST(after_position, c.floor)
                      AND NOT pg_visible_in_snapshot(o.xid, since) AND pg_visible_in_snapshot(o.xid, upto)
                    ORDER BY o.position LIMIT rows_left
                ) n
            ) w
            WHERE w.so_far - octet_length(w.payload) < bytes_left
            ORDER BY w.position;
    END IF;
END $$;

CREATE TYPE outbox_waiting AS (position BIGINT, channel TEXT, created_us BIGINT);

-- What is not published according to the cursor, the first rows_max of it. While a backlog is read in one batch, it leaves out those of
-- transactions that ended after the batch began; they show with the next batch.
CREATE FUNCTION outbox_unpublished(rows_max BIGINT) RETURNS SETOF outbox_waiting LANGUAGE plpgsql STABLE
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off
AS $$
DECLARE
    c outbox_cursor;
    since pg_snapshot;
    late pg_snapshot;
    edge BIGINT;
BEGIN
    SELECT * INTO STRICT c FROM outbox_cursor WHERE lane = 0;
    since := c.from_snapshot::pg_snapshot;
    late := COALESCE(c.to_snapshot, c.from_snapshot)::pg_snapshot;
    edge := CASE WHEN c.to_snapshot IS NULL THEN c.floor ELSE c.position END;
    RETURN QUERY
        SELECT o.position, o.channel, o.created_us FROM (
            SELECT * FROM outbox WHERE xid = ANY (ARRAY(SELECT pg_snapshot_xip(late)))
            UNION ALL
            SELECT * FROM outbox WHERE xid >= pg_snapshot_xmax(late) AND xid < c.floor_xid
        ) o
        WHERE o.position + 0 <= edge ORDER BY o.position + 0 LIMIT rows_max;
    RETURN QUERY
        SELECT o.position, o.channel, o.created_us FROM outbox o
        WHERE o.position > edge AND NOT pg_visible_in_snapshot(o.xid, since)
        ORDER BY o.position LIMIT rows_max;
END $$;

-- Whether all rows of a slot are published according to the cursor. By the index alone.
CREATE FUNCTION outbox_is_published(the_slot INT) RETURNS BOOLEAN LANGUAGE plpgsql VOLATILE
SET enable_seqscan = off SET jit = off
AS $$
DECLARE
    c outbox_cursor;
    snapshots TEXT[];
    snap TEXT;
    is_left BOOLEAN;
BEGIN
    SELECT * INTO STRICT c FROM outbox_cursor WHERE lane = 0;
    snapshots := ARRAY[c.from_snapshot];
    IF c.to_snapshot IS NOT NULL THEN
        EXECUTE format('SELECT EXISTS (SELECT FROM outbox_%s WHERE position > $1)', the_slot) INTO is_left USING c.position;
        IF NOT is_left THEN
            snapshots := snapshots || c.to_snapshot;
        END IF;
    END IF;
    FOREACH snap IN ARRAY snapshots LOOP
        EXECUTE format('SELECT EXISTS (SELECT FROM outbox_%1$s WHERE xid >= pg_snapshot_xmax($1))
            OR EXISTS (SELECT FROM outbox_%1$s WHERE xid = ANY (ARRAY(SELECT pg_snapshot_xip($1))))', the_slot)
            INTO is_left USING snap::pg_snapshot;
        IF NOT is_left THEN
            RETURN true;
        END IF;
    END LOOP;
    RETURN false;
END $$;

-- Empties the slots whose rows are all published, and moves on to an empty one when the current one is large or old. Does nothing when it
-- may not, or when somebody writes to a slot; the next call tries again. The lock keeps out who might still write to a slot that is no
-- longer current, and is waited for only as long as others may wait behind it.
CREATE FUNCTION outbox_rotate(the_lane BIGINT, the_epoch BIGINT, rows_max BIGINT, age_max_us BIGINT) RETURNS VOID LANGUAGE plpgsql VOLATILE
SET lock_timeout = '50ms' SET enable_seqscan = off SET jit = off
AS $$
DECLARE
    now_at CONSTANT SMALLINT := (SELECT current FROM outbox_rotation);
    other SMALLINT;
    is_empty BOOLEAN;
    free SMALLINT;
    bounds RECORD;
BEGIN
    -- What a check sees must be younger than the lock, so each statement needs a snapshot of its own.
    IF current_setting('transaction_isolation') <> 'read committed'
        OR NOT EXISTS (SELECT FROM outbox_cursor WHERE lane = the_lane AND epoch = the_epoch) THEN
        RETURN;
    END IF;
    FOREACH other IN ARRAY ARRAY[0, 1, 2]::SMALLINT[] LOOP
        CONTINUE WHEN other = now_at;
        EXECUTE format('SELECT NOT EXISTS (SELECT FROM outbox_%s)', other) INTO is_empty;
        IF NOT is_empty AND outbox_is_published(other) THEN
            BEGIN
                EXECUTE format('LOCK TABLE outbox_%s IN ACCESS EXCLUSIVE MODE', other);
                IF outbox_is_published(other) THEN
                    EXECUTE format('TRUNCATE outbox_%s', other);
                    is_empty := true;
                END IF;
            EXCEPTION WHEN lock_not_available OR object_in_use OR deadlock_detected THEN
                is_empty := false;
            END;
        END IF;
        IF is_empty THEN
            free := other;
        END IF;
    END LOOP;
    IF free IS NULL THEN
        RETURN;
    END IF;
    EXECUTE format('SELECT min(position) AS first, max(position) AS last,
        (SELECT created_us FROM outbox_%1$s ORDER BY position LIMIT 1) AS since_us FROM outbox_%1$s', now_at) INTO bounds;
    IF bounds.last - bounds.first >= rows_max OR bounds.since_us < outbox_now_us() - age_max_us THEN
        UPDATE outbox_rotation SET current = free;
    END IF;
END $$;

-- Sets the cursor back to before the first transaction that wrote a message created at or after since_us, or leaves it where it is. What
-- was not published before is not published now, so nothing is skipped. Whoever relays starts over from there.
CREATE FUNCTION outbox_replay(the_lane BIGINT, the_since_us BIGINT) RETURNS VOID LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
    since pg_snapshot;
    first xid8;
    running TEXT;
    oldest TEXT;
BEGIN
    SELECT from_snapshot INTO STRICT since FROM outbox_cursor WHERE lane = the_lane FOR UPDATE;
    SELECT xid INTO first FROM outbox WHERE created_us >= the_since_us ORDER BY xid LIMIT 1;
    IF first IS NULL THEN
        RETURN;
    END IF;
    first := LEAST(first, pg_snapshot_xmax(since));
    SELECT string_agg(xip::TEXT, ',' ORDER BY xip), (array_agg(xip::TEXT ORDER BY xip))[1] INTO running, oldest
        FROM pg_snapshot_xip(since) xip WHERE xip < first;
    UPDATE outbox_cursor SET epoch = epoch + 1, owner = '', until_us = 0, position = 0, floor = 0, floor_xid = '0', to_snapshot = NULL,
        from_snapshot = format('%s:%s:%s', COALESCE(oldest, first::TEXT), first, COALESCE(running, ''))
        WHERE lane = the_lane;
END $$;
