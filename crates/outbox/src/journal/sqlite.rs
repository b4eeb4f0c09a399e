//! The journal in SQLite: positions become visible in their order, and published rows are deleted.

use super::{Cursor, LANE, Mark, PAGE_BYTES_MAX, PAGE_ROWS_MAX, Page, Read};
use crate::rows;
use store::{Change, Error, Statement, Store};

pub(super) async fn read(store: &Store, epoch: i64, cursor: &Cursor) -> Result<Read, Error> {
    let holder = Statement::new("SELECT epoch, paused FROM outbox_cursor WHERE lane = ?1").bind(LANE);
    let page = Statement::new(
        "SELECT position, message_id, effect_id, channel, key, kind, causation_id, traceparent, created_us, payload
         FROM (SELECT *, sum(length(payload)) OVER (ORDER BY position ROWS UNBOUNDED PRECEDING) AS so_far
               FROM (SELECT * FROM outbox WHERE position > ?1 ORDER BY position LIMIT ?2))
         WHERE so_far - length(payload) < ?3 ORDER BY position",
    );
    let page = page.bind(cursor.position).bind(PAGE_ROWS_MAX).bind(PAGE_BYTES_MAX);
    let mut results = store.snapshot(vec![holder, page]).await?.into_iter();
    let mut holder = results.next().unwrap_or_default();
    match holder.first_mut().map(|row| Ok::<(i64, i64), Error>((row.take(0)?, row.take(1)?))).transpose()? {
        Some((holder, 0)) if holder == epoch => {}
        Some((holder, _)) if holder == epoch => return Ok(Read::Paused),
        _ => return Ok(Read::Lost),
    }
    let mut page = Page::with_room();
    for mut row in results.next().unwrap_or_default() {
        page.push(row.take(0)?, rows::read(&mut row, 1)?);
    }
    page.close();
    Ok(Read::Page(page))
}

pub(super) async fn stands(store: &Store) -> Result<(i64, Cursor), Error> {
    let query = Statement::new("SELECT epoch, position FROM outbox_cursor WHERE lane = ?1").bind(LANE);
    let mut rows = store.query(query).await?;
    let row = rows.first_mut().ok_or(Error::Conflict { what: "the lane has a cursor" })?;
    Ok((row.take(0)?, Cursor { position: row.take(1)?, ..Cursor::default() }))
}

pub(super) fn write(change: &mut Change, mark: &Mark<'_>) {
    let sql = "UPDATE outbox_cursor SET position = ?3, until_us = CAST(unixepoch('subsec') * 1000000 AS INTEGER) + ?4
        WHERE lane = ?1 AND epoch = ?2";
    let update = Statement::new(sql).bind(LANE).bind(mark.epoch).bind(mark.cursor.position).bind(mark.lease_us);
    change.push(update.expecting(1, "this relay holds the lease"));
    if mark.has_moved {
        change.push(Statement::new("DELETE FROM outbox WHERE position <= ?1").bind(mark.cursor.position));
    }
}
