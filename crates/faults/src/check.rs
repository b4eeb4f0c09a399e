//! Compares what was promised with what stands in the databases.

use crate::load::Ledger;
use crate::rows::Rows;
use proto::comanda::order::v1::order::State;
use std::collections::{HashMap, HashSet};
use std::fmt;

/// What is wrong; all zeros is right.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Orders that were acknowledged.
    pub orders: usize,
    /// Faults that were caused.
    pub faults: usize,
    /// Acknowledged orders that are not there, or that another order is promised for.
    pub lost: usize,
    /// Orders that are not decided, or that were turned away though nothing is wrong with them.
    pub stuck: usize,
    /// Keys with two orders, orders with two tickets, orders decided twice.
    pub double: usize,
    /// Orders that nobody asked for, and tickets without an order.
    pub phantom: usize,
    /// What `comanda verify` found, and other sentences.
    pub remarks: Vec<String>,
}

impl Verdict {
    /// Whether everything is as it must be.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.lost + self.stuck + self.double + self.phantom == 0 && self.remarks.is_empty()
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Verdict { orders, faults, lost, stuck, double, phantom, .. } = self;
        write!(f, "orders={orders} faults={faults} lost={lost} stuck={stuck} double={double} phantom={phantom}")
    }
}

/// Judges.
#[must_use]
pub fn judge(ledger: &Ledger, rows: &Rows, faults: usize) -> Verdict {
    let promised = ledger.promised();
    let tried: HashSet<String> = ledger.tried().into_iter().collect();
    let kept: HashMap<&str, &str> = rows.keys.iter().map(|(key, order)| (key.as_str(), order.as_str())).collect();
    let orders: HashSet<&str> = rows.orders.iter().map(|(id, _)| id.as_str()).collect();
    let lost = promised
        .iter()
        .filter(|(key, order)| kept.get(key.as_str()) != Some(&order.as_str()) || !orders.contains(order.as_str()));
    let keyed: HashSet<&str> =
        rows.keys.iter().filter(|(key, _)| tried.contains(key)).map(|(_, id)| id.as_str()).collect();
    let remarks = ledger.refused().into_iter().map(|refused| format!("refused: {refused}"));
    Verdict {
        orders: promised.len(),
        faults,
        lost: lost.count(),
        stuck: rows.orders.iter().filter(|(_, state)| *state != State::Approved).count(),
        double: doubles(rows),
        phantom: rows.orders.iter().filter(|(id, _)| !keyed.contains(id.as_str())).count()
            + rows.tickets.iter().filter(|order| !orders.contains(order.as_str())).count(),
        remarks: remarks.collect(),
    }
}

fn doubles(rows: &Rows) -> usize {
    let by_order = repeated(rows.keys.iter().map(|(_, order)| order.as_str()));
    let tickets = repeated(rows.tickets.iter().map(String::as_str));
    let decided = repeated(rows.decided.iter().map(String::as_str));
    by_order + tickets + decided
}

/// How many things come more than once.
fn repeated<'a>(things: impl Iterator<Item = &'a str>) -> usize {
    let mut counts: HashMap<&str, usize> = HashMap::new();
    for thing in things {
        *counts.entry(thing).or_default() += 1;
    }
    counts.values().filter(|count| **count > 1).count()
}
