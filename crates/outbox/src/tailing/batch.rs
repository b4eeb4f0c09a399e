//! What the log brought and is to be published together, and what is reached once a part of it is.

use super::mark::Mark;
use super::pgoutput::Row;
use crate::journal::{PAGE_BYTES_MAX, PAGE_ROWS_MAX};
use messaging::Message;
use pgwire_replication::Lsn;

/// Something that the log brings.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Item {
    Row(Box<Row>),
    /// Every transaction that ends below this place has been brought.
    Passed(Lsn),
    Marked(Mark),
}

/// Messages in the order of the log, as many as a page of the journal holds.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) messages: Vec<Message>,
    positions: Vec<i64>,
    bytes: usize,
    /// In the order of the log; at most one for each number of messages.
    reached: Vec<(usize, Reached)>,
}

/// Where the log is when everything before that is published.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Reached {
    pub(super) lsn: Option<Lsn>,
    pub(super) mark: Option<Mark>,
}

impl Batch {
    pub(super) fn take(&mut self, item: Item) {
        match item {
            Item::Row(row) => {
                let Row { transaction: _, position, message } = *row;
                self.bytes += message.payload.len();
                self.positions.push(position);
                self.messages.push(message);
            }
            Item::Passed(lsn) => self.reach().lsn = Some(lsn),
            Item::Marked(mark) => {
                let reached = self.reach();
                reached.lsn = Some(mark.lsn);
                reached.mark = Some(mark);
            }
        }
    }

    /// Whether there is nothing to publish and nothing was reached.
    pub(super) fn is_empty(&self) -> bool {
        self.messages.is_empty() && self.reached.is_empty()
    }

    /// Whether no more rows should be taken.
    pub(super) fn is_full(&self) -> bool {
        let (rows, bytes) = (i64::try_from(self.messages.len()), i64::try_from(self.bytes));
        rows.unwrap_or(i64::MAX) >= PAGE_ROWS_MAX || bytes.unwrap_or(i64::MAX) >= PAGE_BYTES_MAX
    }

    /// The position of the last of the first `count` messages.
    pub(super) fn position(&self, count: usize) -> Option<i64> {
        count.checked_sub(1).and_then(|last| self.positions.get(last)).copied()
    }

    /// What is reached when the first `count` messages are published; told once.
    pub(super) fn reached(&mut self, count: usize) -> Reached {
        let end = self.reached.partition_point(|(after, _)| *after <= count);
        let merge =
            |all: Reached, (_, it): (usize, Reached)| Reached { lsn: it.lsn.or(all.lsn), mark: it.mark.or(all.mark) };
        self.reached.drain(..end).fold(Reached::default(), merge)
    }

    /// What is reached behind the messages taken so far. A later place stands for an earlier one, so that waiting for a broker that is
    /// down takes no memory.
    fn reach(&mut self) -> &mut Reached {
        let after = self.messages.len();
        if self.reached.last().is_none_or(|(at, _)| *at != after) {
            self.reached.push((after, Reached::default()));
        }
        let last = self.reached.len() - 1;
        &mut self.reached[last].1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(position: i64, bytes: usize) -> Item {
        let message = Message::new("c", "T", String::new(), position.to_string(), vec![0; bytes]);
        Item::Row(Box::new(Row { transaction: 1, position, message }))
    }

    fn mark(number: u64, lsn: u64) -> Mark {
        Mark { number, snapshot: "3:3:".to_owned(), floor: 0, lsn: Lsn(lsn) }
    }

    fn batch(items: impl IntoIterator<Item = Item>) -> Batch {
        let mut batch = Batch::default();
        items.into_iter().for_each(|item| batch.take(item));
        batch
    }

    fn reached(lsn: u64, mark: Option<Mark>) -> Reached {
        Reached { lsn: Some(Lsn(lsn)), mark }
    }

    #[test]
    fn a_place_is_reached_when_all_before_it_is_published() {
        let mut batch = batch([row(5, 0), Item::Passed(Lsn(10)), row(4, 0), row(6, 0), Item::Passed(Lsn(20))]);

        assert_eq!(batch.reached(0), Reached::default());
        assert_eq!(batch.reached(1), reached(10, None));
        assert_eq!(batch.reached(2), Reached::default());
        assert_eq!(batch.reached(3), reached(20, None));
        assert_eq!([batch.position(0), batch.position(2), batch.position(3)], [None, Some(4), Some(6)]);
    }

    #[test]
    fn what_is_reached_at_once_is_told_at_once() {
        let mut batch = batch([
            Item::Passed(Lsn(5)),
            row(1, 0),
            Item::Marked(mark(1, 10)),
            row(2, 0),
            Item::Passed(Lsn(20)),
            row(3, 0),
            Item::Passed(Lsn(30)),
        ]);

        assert_eq!(batch.reached(2), reached(20, Some(mark(1, 10))));
        assert_eq!(batch.reached(3), reached(30, None));
    }

    #[test]
    fn places_and_marks_without_messages_between_them_take_no_room() {
        let mut batch = batch((1..1_000).flat_map(|at| [Item::Passed(Lsn(at)), Item::Marked(mark(at, at))]));

        assert_eq!(batch.reached.len(), 1);
        assert!(!batch.is_empty());
        assert_eq!(batch.reached(0), reached(999, Some(mark(999, 999))));
        assert!(batch.is_empty());
    }

    #[test]
    fn it_is_full_at_a_number_of_rows_or_bytes() {
        let rows = PAGE_BYTES_MAX / 1024;

        assert!(!batch((1..PAGE_ROWS_MAX).map(|at| row(at, 0))).is_full());
        assert!(batch((0..PAGE_ROWS_MAX).map(|at| row(at, 0))).is_full());
        assert!(!batch((1..10).map(|at| row(at, 1024))).is_full());
        assert!(batch((0..=rows / 4).map(|at| row(at, 4 * 1024 + 1))).is_full());
    }
}
