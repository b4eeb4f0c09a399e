//! What a replay came to: figures for people, the same for programs, and whether all of it is right.

use crate::check::Findings;
use crate::latency::Percentiles;
use crate::orders_csv::{Menu, Orders};
use crate::place::Placed;
use crate::replay::Options;
use proto::Amount;
use serde::Serialize;
use std::fmt;
use std::time::Duration;

/// The figures of a replay.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// What orders were placed over.
    pub protocol: &'static str,
    /// Orders that were placed at once.
    pub concurrency: usize,
    /// What the files say.
    pub file: FileFigures,
    /// Orders that were acknowledged.
    pub placed: u64,
    /// Orders that ended approved.
    pub approved: u64,
    /// Orders that ended rejected.
    pub rejected: u64,
    /// Orders that ended cancelled.
    pub cancelled: u64,
    /// Orders that were refused or given up.
    pub failed: u64,
    /// Orders that were not begun, since the platform stayed away.
    pub not_begun: u64,
    /// Orders that were not decided in time.
    pub undecided: u64,
    /// Acknowledged orders that are not listed.
    pub missing: u64,
    /// Listed orders that were not acknowledged.
    pub unexpected: u64,
    /// Decided orders that are listed in another state.
    pub changed: u64,
    /// Orders at another total than the menu gives.
    pub wrong_total: u64,
    /// Attempts after the first of an order.
    pub retried: u64,
    /// The sum of the orders' totals, as the platform says.
    pub total: String,
    /// The sum that the menu gives for the orders that were to be placed.
    pub expected_total: String,
    /// From sending an order until it was acknowledged.
    pub accepted_in: Percentiles,
    /// From sending an order until its decision was seen.
    pub decided_in: Percentiles,
    /// From `createTime` to `updateTime` of decided orders.
    pub decided_by_server_in: Percentiles,
    /// Orders whose decision may have been seen late, since no stream was free.
    pub watched_late: u64,
    /// Orders that could not be watched.
    pub not_watched: u64,
    /// Acknowledged orders per second, until the last was acknowledged.
    pub accepted_per_second: f64,
    /// Decided orders per second, until the last was decided.
    pub decided_per_second: f64,
    /// What went wrong, in words; the first of it.
    pub complaints: Vec<String>,
}

/// What the files say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct FileFigures {
    /// Orders that were to be placed.
    pub orders: usize,
    /// Rows of orders that can be used.
    pub lines: usize,
    /// Names on the menu.
    pub items: usize,
    /// Rows with another price than the menu has.
    pub other_price_lines: usize,
    /// Rows that cannot be used.
    pub bad_lines: usize,
    /// Orders that were withheld, since a row cannot be used.
    pub withheld_orders: usize,
}

impl Report {
    /// Puts the figures together.
    #[must_use]
    pub fn new(
        protocol: &'static str,
        options: &Options,
        menu: &Menu,
        orders: &Orders,
        (placed, found): (&Placed, Findings),
    ) -> Self {
        let expected: i128 = orders.orders.iter().map(|order| i128::from(order.expected.minor)).sum();
        let money = |minor: i128| match i64::try_from(minor) {
            Ok(minor) => Amount::new(minor, options.currency).to_string(),
            Err(_) => format!("{minor} minor units of {}", options.currency.code()),
        };
        let decided = found.approved + found.rejected + found.cancelled;
        Report {
            protocol,
            concurrency: options.concurrency,
            file: FileFigures {
                orders: orders.orders.len(),
                lines: orders.lines(),
                items: menu.len(),
                other_price_lines: orders.other_price_lines(),
                bad_lines: orders.bad_lines.len(),
                withheld_orders: orders.withheld,
            },
            placed: placed.accepted,
            approved: found.approved,
            rejected: found.rejected,
            cancelled: found.cancelled,
            failed: placed.failed,
            not_begun: (orders.orders.len() as u64).saturating_sub(placed.accepted + placed.failed),
            undecided: found.undecided,
            missing: found.missing,
            unexpected: found.unexpected,
            changed: found.changed,
            wrong_total: found.wrong_total,
            retried: placed.retried,
            total: money(found.total_minor),
            expected_total: money(expected),
            accepted_in: placed.latencies.percentiles(),
            decided_in: found.decided.percentiles(),
            decided_by_server_in: found.decided_by_server.percentiles(),
            watched_late: found.watched_late,
            not_watched: found.not_watched,
            accepted_per_second: per_second(placed.accepted, placed.took),
            decided_per_second: per_second(decided, found.took),
            complaints: found.complaints,
        }
    }

    /// Whether every order of the file was placed, approved, right, and is there once.
    #[must_use]
    pub fn is_right(&self) -> bool {
        let wrong = [
            self.rejected,
            self.cancelled,
            self.failed,
            self.not_begun,
            self.undecided,
            self.missing,
            self.unexpected,
            self.changed,
            self.wrong_total,
        ];
        wrong.iter().all(|count| *count == 0)
            && self.file.bad_lines == 0
            && self.total == self.expected_total
            && self.approved == self.file.orders as u64
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let FileFigures { orders, lines, items, other_price_lines, bad_lines, withheld_orders } = self.file;
        writeln!(
            f,
            "file        {orders} orders; {lines} lines, {other_price_lines} with another price than the menu; {items} items"
        )?;
        if bad_lines > 0 {
            writeln!(f, "bad data    {bad_lines} lines; {withheld_orders} orders withheld")?;
        }
        writeln!(
            f,
            "placed      {} over {}, {} at once; {} failed, {} not begun, {} retried",
            self.placed, self.protocol, self.concurrency, self.failed, self.not_begun, self.retried
        )?;
        writeln!(
            f,
            "ended       {} approved, {} rejected, {} cancelled, {} undecided",
            self.approved, self.rejected, self.cancelled, self.undecided
        )?;
        writeln!(f, "listed      {} missing, {} unexpected, {} changed", self.missing, self.unexpected, self.changed)?;
        writeln!(
            f,
            "total       {}; expected {}; {} orders differ",
            self.total, self.expected_total, self.wrong_total
        )?;
        writeln!(f, "accepted    {}; {:.0}/s", self.accepted_in, self.accepted_per_second)?;
        writeln!(f, "decided     {}; {:.0}/s", self.decided_in, self.decided_per_second)?;
        writeln!(f, "by server   {}", self.decided_by_server_in)?;
        if self.watched_late + self.not_watched > 0 {
            writeln!(f, "watched     {} late, {} not at all", self.watched_late, self.not_watched)?;
        }
        for complaint in &self.complaints {
            writeln!(f, "note        {complaint}")?;
        }
        writeln!(f, "{}", if self.is_right() { "all right" } else { "NOT right" })
    }
}

/// Events per second; 0 when no time has passed.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "a run has far fewer than 2^53 orders")]
pub fn per_second(count: u64, took: Duration) -> f64 {
    if took.is_zero() { 0.0 } else { count as f64 / took.as_secs_f64() }
}
