//! The journal in PostgreSQL: the difference of two snapshots, in the order of positions, from tables that rotate.
//!
//! Reading by position alone would skip a row whose transaction commits late; reading by transaction would invert a key, since a
//! transaction may take its id early and then wait for the lock of a row. So a batch is what is visible in `to` and not in `from`, and
//! within it positions give the order. `outbox_page_head` in the migrations says how a page is found without a sort or a scan of
//! what is published.

use super::{Cursor, LANE, Mark, PAGE_BYTES_MAX, PAGE_ROWS_MAX, Page, Read};
use crate::rows;
use std::time::Duration;
use store::{Change, Error, Row, Statement, Store};

/// Rows of a table before the next one is begun: some 100 MB with their indexes, so an idle backlog costs little and a TRUNCATE, which
/// takes tens of milliseconds, comes seldom.
const SLOT_ROWS_MAX: i64 = 100_000;
/// How old the first row of a table may be before the next one is begun, so that a quiet outbox becomes empty too.
const SLOT_AGE_MAX: Duration = Duration::from_secs(60);

pub(super) async fn read(store: &Store, epoch: i64, cursor: &Cursor) -> Result<Read, Error> {
    let query = Statement::new(
        "WITH head AS MATERIALIZED (SELECT * FROM outbox_page_head(?1, ?2, ?3, ?4, ?5, ?6, ?7)),
         stands AS MATERIALIZED (SELECT after, last, seen::pg_snapshot AS upto FROM head WHERE position IS NULL)
         SELECT position, message_id, effect_id, channel, key, kind, causation_id, traceparent, created_us, payload,
         seen, top, epoch, paused, is_known FROM head
         UNION ALL (
         SELECT o.position, o.message_id, o.effect_id, o.channel, o.key, o.kind, o.causation_id, o.traceparent, o.created_us, o.payload,
         NULL, NULL, NULL, NULL, NULL FROM outbox o
         WHERE o.position > (SELECT after FROM stands) AND o.position <= (SELECT last FROM stands)
         AND NOT pg_visible_in_snapshot(o.xid, (SELECT ?3::TEXT::pg_snapshot))
         AND pg_visible_in_snapshot(o.xid, (SELECT upto FROM stands))
         ORDER BY o.position)",
    );
    let after = if cursor.to.is_some() { cursor.position } else { 0 };
    let query = query.bind(LANE).bind(epoch).bind(cursor.from.as_str()).bind(cursor.to.clone());
    let rows = store.query(query.bind(after).bind(PAGE_ROWS_MAX).bind(PAGE_BYTES_MAX)).await?;
    let mut page = Page::with_room();
    let mut standing = None;
    for mut row in rows {
        match row.take(0)? {
            Some(position) => page.push(position, rows::read(&mut row, 1)?),
            None => standing = Some(Standing::read(&mut row)?),
        }
    }
    let Some(standing) = standing else { return Ok(Read::Lost) };
    if standing.epoch != epoch || !standing.is_known {
        return Ok(Read::Lost);
    }
    if standing.is_paused {
        return Ok(Read::Paused);
    }
    (page.seen, page.top) = (Some(standing.seen), standing.top);
    page.close();
    Ok(Read::Page(page))
}

/// How things stood when a page was read.
struct Standing {
    seen: String,
    top: i64,
    epoch: i64,
    is_paused: bool,
    is_known: bool,
}

impl Standing {
    fn read(row: &mut Row) -> Result<Self, Error> {
        Ok(Standing {
            seen: row.take(10)?,
            top: row.take(11)?,
            epoch: row.take(12)?,
            is_paused: row.take::<i64>(13)? != 0,
            is_known: row.take::<i64>(14)? != 0,
        })
    }
}

pub(super) async fn stands(store: &Store) -> Result<(i64, Cursor), Error> {
    let query =
        Statement::new("SELECT epoch, position, from_snapshot, to_snapshot, floor FROM outbox_cursor WHERE lane = ?1");
    let mut rows = store.query(query.bind(LANE)).await?;
    let row = rows.first_mut().ok_or(Error::Conflict { what: "the lane has a cursor" })?;
    Ok((row.take(0)?, Cursor { position: row.take(1)?, from: row.take(2)?, to: row.take(3)?, floor: row.take(4)? }))
}

pub(super) fn begin(change: &mut Change) {
    change.push(Statement::new("DELETE FROM outbox_session WHERE lane = ?1").bind(LANE));
    let sql = "INSERT INTO outbox_session SELECT lane, epoch FROM outbox_cursor WHERE lane = ?1";
    change.push(Statement::new(sql).bind(LANE));
}

pub(super) fn write(change: &mut Change, mark: &Mark<'_>) {
    // The floor moves with `from` only, so that it does not come to stand above what is still to be read. It was read before this
    // transaction has its id, so whoever has a later id took its positions above it. What is remembered from before a crash of the
    // server is not written: ids that it takes for seen may have been given again.
    let sql =
        "UPDATE outbox_cursor SET until_us = outbox_now_us() + ?3, position = ?4, from_snapshot = ?5, to_snapshot = ?6,
            floor = CASE WHEN from_snapshot = ?5 THEN floor ELSE ?7 END,
            floor_xid = CASE WHEN from_snapshot = ?5 THEN floor_xid ELSE pg_current_xact_id() END
        WHERE lane = ?1 AND epoch = ?2 AND EXISTS (SELECT FROM outbox_session s WHERE s.lane = ?1 AND s.epoch = ?2)";
    let Cursor { position, from, to, floor } = mark.cursor;
    let update = Statement::new(sql).bind(LANE).bind(mark.epoch).bind(mark.lease_us).bind(*position);
    let update = update.bind(from.as_str()).bind(to.clone()).bind(*floor);
    change.push(update.expecting(1, "this relay holds the lease"));
}

pub(super) fn rotate(change: &mut Change, epoch: i64) {
    let rotate = Statement::new("SELECT outbox_rotate(?1, ?2, ?3, ?4)").bind(LANE).bind(epoch);
    change.push(rotate.bind(SLOT_ROWS_MAX).bind(rows::micros(SLOT_AGE_MAX)));
    // It locks whole tables, and each of its statements must see what the one before waited for.
    change.keep_alone();
}
