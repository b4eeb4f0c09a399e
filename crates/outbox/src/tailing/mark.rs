//! A mark in the log: what was committed before it.
//!
//! First a snapshot is taken, then the log is written to, in one statement. So whatever is visible in the snapshot was committed at an
//! earlier place in the log, and whoever has published all that stands before the mark has published all that the snapshot sees. The log
//! itself tells then where the cursor may stand, and nobody has to compare places.

use pgwire_replication::Lsn;
use store::{Change, Error, Statement, Store};

/// What marks are called in the log.
pub(super) const PREFIX: &str = "outbox_tail";

/// One mark.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mark {
    /// Its number among those of its writer.
    pub(super) number: u64,
    /// Everything that is visible in this snapshot stands before it in the log.
    pub(super) snapshot: String,
    /// No position above this one was taken before the snapshot was.
    pub(super) floor: i64,
    /// Where it stands.
    pub(super) lsn: Lsn,
}

impl Mark {
    /// Reads a mark; `None` if it is not from this writer. Anybody who may connect to the database can write to its log, so a mark is
    /// believed only if it has the name that its reader alone knows.
    pub(super) fn parse(content: &[u8], writer: &str, lsn: Lsn) -> Option<Self> {
        let content = std::str::from_utf8(content).ok()?;
        let mut words = content.strip_prefix(writer)?.split(' ');
        let ("", number, snapshot, floor, None) =
            (words.next()?, words.next()?, words.next()?, words.next()?, words.next())
        else {
            return None;
        };
        Some(Mark { number: number.parse().ok()?, snapshot: snapshot.to_owned(), floor: floor.parse().ok()?, lsn })
    }
}

/// Writes a mark.
pub(super) async fn write(store: &Store, writer: &str, number: u64) -> Result<(), Error> {
    let sql =
        "SELECT pg_logical_emit_message(false, ?1::TEXT, concat_ws(' ', ?2::TEXT, ?3::BIGINT, pg_current_snapshot(),
        (SELECT last_value FROM outbox_position)))";
    let number = i64::try_from(number).unwrap_or(i64::MAX);
    let mut change = Change::new();
    change.push(Statement::new(sql).bind(PREFIX).bind(writer).bind(number));
    // A snapshot takes what its own transaction wrote for visible, though it stands behind the mark.
    change.keep_alone();
    store.commit(change).await.map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(content: &str) -> Option<Mark> {
        Mark::parse(content.as_bytes(), "me", Lsn(9))
    }

    #[test]
    fn a_mark_tells_its_number_its_snapshot_and_its_floor() {
        let mark = Mark { number: 7, snapshot: "3:5:4".to_owned(), floor: 12, lsn: Lsn(9) };

        assert_eq!(read("me 7 3:5:4 12"), Some(mark));
    }

    #[test]
    fn the_mark_of_another_writer_is_not_believed() {
        assert_eq!(read("you 7 3:5:4 12"), None);
        assert_eq!(read("mellow 7 3:5:4 12"), None);
    }

    #[test]
    fn what_is_no_mark_is_not_believed() {
        for content in ["", "me", "me 7 3:5:4", "me x 3:5:4 12", "me 7 3:5:4 12 more"] {
            assert_eq!(read(content), None, "{content}");
        }
    }
}
