//! What the relay reads and where it stands: one face over two databases.
//!
//! In SQLite the position is enough: there is one writer, so positions become visible in their order. In PostgreSQL a transaction may
//! take a position and commit after one that took a later position, so what is read is the difference of two snapshots.

mod postgres;
mod sqlite;

use messaging::Message;
use store::{Change, Dialect, Error, Store};
use tokio::task::JoinSet;

/// The lane of the relay. There is one: a single relay drains faster than one database takes commits. The lane is in the key of every
/// row that says where a relay stands, so that more can come.
pub(crate) const LANE: i64 = 0;
/// Messages of one page at most: as many as a bus has on their way at once.
pub(crate) const PAGE_ROWS_MAX: i64 = 4096;
/// Payload bytes of one page, exceeded by one message at most: two pages are in memory, 8 MiB.
pub(crate) const PAGE_BYTES_MAX: i64 = 4 * 1024 * 1024;

/// Up to where everything is published.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Cursor {
    /// The last position that was published.
    pub(crate) position: i64,
    /// PostgreSQL: everything that is visible in this snapshot is published.
    pub(crate) from: String,
    /// PostgreSQL: the snapshot that bounds the batch at hand, of which everything up to `position` is published.
    pub(crate) to: Option<String>,
    /// PostgreSQL: no position above this one was taken before `from` was.
    pub(crate) floor: i64,
}

impl Cursor {
    /// Where it stands when the first `count` messages of a page are published.
    pub(crate) fn within(&self, page: &Page, count: usize) -> Self {
        if count == page.messages.len() {
            return self.after(page);
        }
        let position = count.checked_sub(1).and_then(|last| page.positions.get(last)).copied();
        let is_begun = position.is_some() || self.to.is_some();
        Cursor {
            position: position.unwrap_or(self.position),
            to: is_begun.then(|| page.seen.clone()).flatten(),
            ..self.clone()
        }
    }

    /// Where it stands when a page is published.
    pub(crate) fn after(&self, page: &Page) -> Self {
        let position = page.positions.last().copied().unwrap_or(self.position);
        match &page.seen {
            None => Cursor { position, ..Cursor::default() },
            Some(seen) if page.is_full => Cursor { position, to: Some(seen.clone()), ..self.clone() },
            Some(seen) => Cursor { position, from: seen.clone(), to: None, floor: page.top },
        }
    }
}

/// Messages in the order in which they are to be published.
#[derive(Debug, Default)]
pub(crate) struct Page {
    pub(crate) positions: Vec<i64>,
    pub(crate) messages: Vec<Message>,
    /// Whether more of the same batch may follow.
    pub(crate) is_full: bool,
    /// PostgreSQL: the snapshot that bounds the batch.
    pub(crate) seen: Option<String>,
    /// PostgreSQL: no position above this one was taken before the page was read.
    pub(crate) top: i64,
}

impl Page {
    fn with_room() -> Self {
        let rows = usize::try_from(PAGE_ROWS_MAX).unwrap_or_default();
        Page { positions: Vec::with_capacity(rows), messages: Vec::with_capacity(rows), ..Page::default() }
    }

    fn push(&mut self, position: i64, message: Message) {
        self.positions.push(position);
        self.messages.push(message);
    }

    fn close(&mut self) {
        let bytes: usize = self.messages.iter().map(|message| message.payload.len()).sum();
        let rows = i64::try_from(self.messages.len()).unwrap_or(i64::MAX);
        self.is_full = rows >= PAGE_ROWS_MAX || i64::try_from(bytes).unwrap_or(i64::MAX) >= PAGE_BYTES_MAX;
    }
}

/// What reading a page came to.
#[derive(Debug)]
pub(crate) enum Read {
    /// Messages, or none.
    Page(Page),
    /// Somebody has paused the relay.
    Paused,
    /// The reader no longer holds the lane, or must not trust what it remembers.
    Lost,
}

/// Reads what follows `cursor`, as the holder of `epoch`.
pub(crate) async fn read(store: &Store, epoch: i64, cursor: &Cursor) -> Result<Read, Error> {
    match store.dialect() {
        Dialect::Sqlite => sqlite::read(store, epoch, cursor).await,
        Dialect::Postgres => postgres::read(store, epoch, cursor).await,
    }
}

/// The same in a task of its own, which ends with the future. Whatever wakes a reader, a few rows at a time, would wake all that is done in the
/// same task.
pub(crate) async fn read_aside(store: &Store, epoch: i64, cursor: &Cursor) -> Result<Read, Error> {
    let (store, cursor) = (store.clone(), cursor.clone());
    let mut reading = JoinSet::new();
    reading.spawn(async move { read(&store, epoch, &cursor).await });
    match reading.join_next().await {
        Some(Ok(read)) => read,
        Some(Err(ended)) if ended.is_panic() => std::panic::resume_unwind(ended.into_panic()),
        Some(Err(_)) | None => Err(Error::Closed),
    }
}

/// Reads where the holder of a lane stands: its epoch and its cursor.
pub(crate) async fn stands(store: &Store) -> Result<(i64, Cursor), Error> {
    match store.dialect() {
        Dialect::Sqlite => sqlite::stands(store).await,
        Dialect::Postgres => postgres::stands(store).await,
    }
}

/// Adds to a change what a new holder of the lane has to note beside its lease.
pub(crate) fn begin(change: &mut Change, dialect: Dialect) {
    match dialect {
        Dialect::Sqlite => {}
        Dialect::Postgres => postgres::begin(change),
    }
}

/// What a holder writes: where it stands, and that it is alive.
#[derive(Debug)]
pub(crate) struct Mark<'a> {
    pub(crate) epoch: i64,
    pub(crate) cursor: &'a Cursor,
    /// Whether the cursor moved since it was last written.
    pub(crate) has_moved: bool,
    /// How long the lease is good from now on, in microseconds.
    pub(crate) lease_us: i64,
}

/// Adds to a change that the holder of an epoch stands at a cursor and keeps the lane; refused when it is no longer the holder.
pub(crate) fn write(change: &mut Change, dialect: Dialect, mark: &Mark<'_>) {
    match dialect {
        Dialect::Sqlite => sqlite::write(change, mark),
        Dialect::Postgres => postgres::write(change, mark),
    }
}

/// Adds to a change that room is made of what is published, where that is not done by [`write`]. Returns whether there is anything to do.
pub(crate) fn make_room(change: &mut Change, dialect: Dialect, epoch: i64) -> bool {
    match dialect {
        Dialect::Sqlite => false,
        Dialect::Postgres => {
            postgres::rotate(change, epoch);
            true
        }
    }
}

/// When the oldest unpublished message was created, in microseconds since 1970; `None` when everything is published.
///
/// Looks at the first page only: what stands further behind is younger, but for the clocks of different processes.
pub(crate) async fn oldest_unpublished_us(store: &Store) -> Result<Option<i64>, Error> {
    let sql = "SELECT min(created_us) FROM (SELECT created_us FROM outbox
        WHERE position > (SELECT position FROM outbox_cursor WHERE lane = 0) ORDER BY position LIMIT ?1)";
    let query = store::Statement::new(sql).on_postgres("SELECT min(created_us) FROM outbox_unpublished(?1)");
    let mut rows = store.query(query.bind(PAGE_ROWS_MAX)).await?;
    rows.first_mut().map_or(Ok(None), |row| row.take(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(positions: &[i64], is_full: bool) -> Page {
        let message = |position: &i64| Message::new("c", "T", String::new(), position.to_string(), Vec::new());
        Page {
            positions: positions.to_vec(),
            messages: positions.iter().map(message).collect(),
            is_full,
            seen: Some("9:9:".to_owned()),
            top: 99,
        }
    }

    fn cursor(position: i64, from: &str, to: Option<&str>) -> Cursor {
        let floor = if from == "9:9:" { 99 } else { 1 };
        Cursor { position, from: from.to_owned(), to: to.map(str::to_owned), floor }
    }

    #[test]
    fn a_batch_ends_with_a_page_that_is_not_full() {
        let before = cursor(5, "3:3:", None);

        assert_eq!(before.after(&page(&[7, 8], true)), cursor(8, "3:3:", Some("9:9:")));
        assert_eq!(before.after(&page(&[7, 8], false)), cursor(8, "9:9:", None));
        assert_eq!(before.after(&page(&[], false)), cursor(5, "9:9:", None));
    }

    #[test]
    fn a_part_of_a_page_is_a_part_of_its_batch() {
        let before = cursor(5, "3:3:", None);

        assert_eq!(before.within(&page(&[7, 8], false), 0), before);
        assert_eq!(before.within(&page(&[7, 8], false), 1), cursor(7, "3:3:", Some("9:9:")));
        assert_eq!(before.within(&page(&[7, 8], false), 2), cursor(8, "9:9:", None));
    }
}
