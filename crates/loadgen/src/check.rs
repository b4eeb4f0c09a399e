//! Judges what became of the orders: each must be approved, at the total that the menu gives, and stand once in the platform's list.

use crate::client::{Failure, Seen};
use crate::follow::Followed;
use crate::latency::Latencies;
use crate::orders_csv::Order;
use proto::Amount;
use proto::comanda::order::v1::order::State;
use std::collections::HashMap;
use std::time::Duration;

/// Complaints that are kept in words; the rest is counted. A screenful.
const COMPLAINTS_MAX: usize = 20;

/// What was found so far.
#[derive(Debug, Default)]
pub struct Findings {
    /// Orders that ended approved.
    pub approved: u64,
    /// Orders that ended rejected.
    pub rejected: u64,
    /// Orders that ended cancelled, though nobody cancelled them.
    pub cancelled: u64,
    /// Orders that were not decided in time.
    pub undecided: u64,
    /// Orders whose total is not what the menu gives.
    pub wrong_total: u64,
    /// Acknowledged orders that the platform does not list.
    pub missing: u64,
    /// Orders that the platform lists and never acknowledged, or acknowledged as another one.
    pub unexpected: u64,
    /// Decided orders that the platform lists in another state.
    pub changed: u64,
    /// The sum of all totals, in minor units.
    pub total_minor: i128,
    /// Orders that had to wait for a stream; the time until their decision was seen is too long by that.
    pub watched_late: u64,
    /// Orders that the platform did not let be watched, or asked for.
    pub not_watched: u64,
    /// From sending an order until its decision was seen.
    pub decided: Latencies,
    /// From an order's `createTime` to its `updateTime`.
    pub decided_by_server: Latencies,
    /// How long it took until the last decision was seen.
    pub took: Duration,
    /// What is wrong, in words, as far as there is room.
    pub complaints: Vec<String>,
    /// Decided orders by id, for the comparison with the list.
    ends: HashMap<String, State>,
}

impl Findings {
    /// Takes note of an order that was not acknowledged.
    pub fn not_placed(&mut self, order: &Order, failure: &Failure) {
        self.complain(|| format!("order {} was not placed: {}", order.number, failure.text));
    }

    /// Judges an order that was followed to its end, `at` after the run began.
    pub fn judge(&mut self, order: &Order, followed: Followed, at: Duration) {
        let Followed { seen, decided_after, waited, failure, .. } = followed;
        let name = format!("order {} ({})", order.number, seen.order_id);
        self.check_total(&name, order.expected, seen.total);
        match seen.state {
            State::Approved => self.approved += 1,
            State::Rejected => {
                self.rejected += 1;
                self.complain(|| format!("{name} was rejected: {}", seen.reasons.join("; ")));
            }
            State::Cancelled => {
                self.cancelled += 1;
                self.complain(|| format!("{name} was cancelled"));
            }
            State::Unspecified
            | State::Pending
            | State::ConsumerValidated
            | State::OrderDetailsValidated
            | State::Validated => {
                self.undecided += 1;
                self.complain(|| format!("{name} was still {} at the end", seen.state.as_str_name()));
            }
        }
        if let Some(failure) = failure {
            self.not_watched += 1;
            self.complain(|| format!("{name} could not be followed: {}", failure.text));
        }
        if let Some(after) = decided_after {
            self.took = self.took.max(at);
            self.watched_late += u64::from(waited);
            self.decided.record(after);
            if let (Some(created), Some(updated)) = (seen.created, seen.updated) {
                self.decided_by_server.record(updated.since(created));
            }
        }
        if self.ends.insert(seen.order_id, seen.state).is_some() {
            self.unexpected += 1;
            self.complain(|| format!("{name} was acknowledged twice, for two orders"));
        }
    }

    /// Compares the orders that were followed with those that the platform lists.
    pub fn compare(&mut self, listed: &[Seen]) {
        let mut ends = std::mem::take(&mut self.ends);
        for seen in listed {
            match ends.remove(&seen.order_id) {
                None => {
                    self.unexpected += 1;
                    self.complain(|| {
                        format!("order {} is listed and was not acknowledged, or is listed twice", seen.order_id)
                    });
                }
                Some(end) if crate::client::is_decided(end) && end != seen.state => {
                    self.changed += 1;
                    let (end, now) = (end.as_str_name(), seen.state.as_str_name());
                    self.complain(|| format!("order {} was {end} and is listed as {now}", seen.order_id));
                }
                Some(_) => {}
            }
        }
        for order_id in ends.into_keys() {
            self.missing += 1;
            self.complain(|| format!("order {order_id} was acknowledged and is not listed"));
        }
    }

    fn check_total(&mut self, name: &str, expected: Amount, total: Option<Amount>) {
        self.total_minor += total.map_or(0, |it| i128::from(it.minor));
        if total != Some(expected) {
            self.wrong_total += 1;
            let total = total.map_or_else(|| "nothing".to_owned(), |it| it.to_string());
            self.complain(|| format!("{name} costs {total}; expected {expected}"));
        }
    }

    fn complain(&mut self, complaint: impl FnOnce() -> String) {
        if self.complaints.len() < COMPLAINTS_MAX {
            self.complaints.push(complaint());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use iso_currency::Currency;

    fn order(pence: i64) -> Order {
        Order {
            number: "1".to_owned(),
            lines: Vec::new(),
            expected: Amount::new(pence, Currency::GBP),
            other_price_lines: 0,
        }
    }

    fn seen(id: &str, state: State) -> Seen {
        Seen {
            order_id: id.to_owned(),
            state,
            version: 4,
            total: Some(Amount::new(260, Currency::GBP)),
            created: None,
            updated: None,
            reasons: vec!["RESTAURANT_CLOSED: It is closed.".to_owned()],
        }
    }

    fn judged(pence: i64, state: State) -> Findings {
        let mut findings = Findings::default();
        let followed = Followed { index: 0, seen: seen("a", state), decided_after: None, waited: false, failure: None };
        findings.judge(&order(pence), followed, Duration::ZERO);
        findings
    }

    #[test]
    fn an_approved_order_at_the_right_total_is_right() {
        let mut findings = judged(260, State::Approved);
        findings.compare(&[seen("a", State::Approved)]);

        assert_eq!((findings.approved, findings.total_minor), (1, 260));
        assert_eq!(findings.complaints, [""; 0]);
    }

    #[test]
    fn an_order_at_another_total_is_wrong() {
        let findings = judged(261, State::Approved);

        assert_eq!(findings.wrong_total, 1);
        assert_eq!(findings.complaints, ["order 1 (a) costs 2.60 GBP; expected 2.61 GBP"]);
    }

    #[test]
    fn a_rejected_order_is_told_with_its_reasons() {
        let findings = judged(260, State::Rejected);

        assert_eq!(findings.complaints, ["order 1 (a) was rejected: RESTAURANT_CLOSED: It is closed."]);
    }

    #[test]
    fn the_list_shows_what_was_lost_doubled_or_decided_twice() {
        let mut lost = judged(260, State::Approved);
        let mut doubled = judged(260, State::Approved);
        let mut changed = judged(260, State::Approved);

        lost.compare(&[]);
        doubled.compare(&[seen("a", State::Approved), seen("b", State::Approved)]);
        changed.compare(&[seen("a", State::Rejected)]);

        assert_eq!((lost.missing, doubled.unexpected, changed.changed), (1, 1, 1));
    }
}
