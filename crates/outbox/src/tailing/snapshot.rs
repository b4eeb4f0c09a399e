//! A snapshot of PostgreSQL: which transactions had ended when it was taken.

/// What `pg_current_snapshot()` says, as text `xmin:xmax:xip,xip`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Snapshot {
    /// Every transaction below has ended.
    xmin: u64,
    /// No transaction from here on had ended.
    xmax: u64,
    /// Those in between that had not, in order.
    running: Vec<u64>,
}

impl Snapshot {
    /// Reads one; `None` if it is none.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut parts = text.splitn(3, ':');
        let (xmin, xmax) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        let running = parts.next()?;
        let running: Result<Vec<u64>, _> = running.split(',').filter(|id| !id.is_empty()).map(str::parse).collect();
        let mut running = running.ok()?;
        running.sort_unstable();
        Some(Snapshot { xmin, xmax, running })
    }

    /// Whether what a transaction wrote is visible in it, if that was committed.
    pub(super) fn sees(&self, transaction: u64) -> bool {
        transaction < self.xmin || (transaction < self.xmax && self.running.binary_search(&transaction).is_err())
    }

    /// Whether every transaction below this one had ended.
    pub(super) fn is_past(&self, transaction: u64) -> bool {
        self.xmin >= transaction
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot(text: &str) -> Snapshot {
        Snapshot::parse(text).unwrap()
    }

    #[test]
    fn it_sees_what_had_ended() {
        let it = snapshot("10:20:10,14,15");

        let seen: Vec<u64> = (8..22).filter(|id| it.sees(*id)).collect();

        assert_eq!(seen, [8, 9, 11, 12, 13, 16, 17, 18, 19]);
    }

    #[test]
    fn without_running_transactions_it_sees_all_that_came_before() {
        let it = snapshot("3:3:");

        assert!(it.sees(2));
        assert!(!it.sees(3));
    }

    #[test]
    fn it_is_past_a_transaction_when_all_below_have_ended() {
        let it = snapshot("10:20:10,14");

        assert!(it.is_past(10));
        assert!(!it.is_past(11));
    }

    #[test]
    fn what_is_no_snapshot_is_refused() {
        for text in ["", "1", "1:2", "a:2:", "1:2:x", "1:-2:"] {
            assert_eq!(Snapshot::parse(text), None, "{text}");
        }
    }
}
