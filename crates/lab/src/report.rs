//! The figures: a table for people, JSON for programs.

use crate::Error;
use serde::Serialize;
use std::fmt;
use std::time::Duration;

/// How an order is validated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Way {
    /// By calls before the answer: the twin.
    Sync,
    /// By messages after it: the platform.
    Async,
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Way::Sync => "sync",
            Way::Async => "async",
        })
    }
}

/// What was measured of one way at one availability. Shares are from 0 to 1.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    /// The availability of each service that was taken away.
    pub availability: f64,
    /// How many those are.
    pub services: usize,
    /// How orders were validated.
    pub way: Way,
    /// Orders that were asked for.
    pub requests: u32,
    /// Orders that were accepted.
    pub succeeded: u32,
    /// The product of the services' availabilities: what is left to whoever needs all of them at once.
    pub predicted: f64,
    /// The share of time for which each service was there, as it came about.
    pub services_up: Vec<f64>,
    /// The share of time for which all of them were there at once, as it came about: `predicted`, and the luck of this run.
    pub all_up: f64,
    /// The lower end of the 95 % confidence interval of the measured availability.
    pub low: f64,
    /// Its upper end.
    pub high: f64,
    /// Half of the accepted orders were accepted within this time.
    pub accept_p50_ms: f64,
    /// 99 of a hundred.
    pub accept_p99_ms: f64,
    /// Accepted orders that were approved once all services were there again.
    pub decided: usize,
}

impl Row {
    /// The availability of `CreateOrder`.
    #[must_use]
    pub fn measured(&self) -> f64 {
        if self.requests == 0 { 0.0 } else { f64::from(self.succeeded) / f64::from(self.requests) }
    }
}

/// All that was measured, the highest availability first.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    rows: Vec<Row>,
}

impl Report {
    pub(crate) fn new(mut rows: Vec<Row>) -> Self {
        rows.sort_by(|a, b| b.availability.total_cmp(&a.availability).then(a.way.cmp(&b.way)));
        Report { rows }
    }

    /// One for each way at each availability.
    #[must_use]
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// Whether every order that was accepted was decided afterwards.
    #[must_use]
    pub fn is_kept(&self) -> bool {
        self.rows.iter().all(|row| row.decided == row.succeeded as usize)
    }

    /// The rows as an array of objects.
    ///
    /// # Errors
    /// When a figure is no number that JSON has.
    pub fn to_json(&self) -> Result<String, Error> {
        serde_json::to_string_pretty(&self.rows).map_err(Error::Json)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "each service  way     predicted  all up    measured  95 % interval      accept p50    p99        decided"
        )?;
        for row in &self.rows {
            let Row { availability, way, predicted, all_up, low, high, succeeded, requests, decided, .. } = row;
            writeln!(
                f,
                "{:>10.1} %  {way:<6}  {predicted:>9.4}  {all_up:<8.4}  {:<8.4}  {low:.4} to {high:.4}  {:>7.1} ms  {:>7.1} ms  {decided} of \
                 {succeeded} accepted of {requests}",
                availability * 100.0,
                row.measured(),
                row.accept_p50_ms,
                row.accept_p99_ms,
            )?;
        }
        Ok(())
    }
}

/// Milliseconds, to the microsecond.
pub(crate) fn millis(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn row(availability: f64, way: Way, succeeded: u32) -> Row {
        let measured = f64::from(succeeded) / 10_000.0;
        Row {
            availability,
            services: 2,
            way,
            requests: 10_000,
            succeeded,
            predicted: availability * availability,
            services_up: vec![availability; 2],
            all_up: availability * availability,
            low: (measured - 0.01).max(0.0),
            high: (measured + 0.01).min(1.0),
            accept_p50_ms: 4.25,
            accept_p99_ms: 9.0,
            decided: succeeded as usize,
        }
    }

    #[test]
    fn rows_are_sorted_by_availability_and_way() {
        let report =
            Report::new(vec![row(0.9, Way::Async, 10_000), row(0.9, Way::Sync, 8_100), row(0.99, Way::Async, 10_000)]);

        let order: Vec<(f64, Way)> = report.rows().iter().map(|row| (row.availability, row.way)).collect();
        assert_eq!(order, [(0.99, Way::Async), (0.9, Way::Sync), (0.9, Way::Async)]);
    }

    #[test]
    fn json_is_an_array_of_what_was_measured() {
        let json = Report::new(vec![row(0.9, Way::Sync, 8_100)]).to_json().unwrap();

        let rows: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(rows[0]["way"], "sync");
        assert_eq!((&rows[0]["availability"], &rows[0]["services"]), (&0.9.into(), &2.into()));
        assert_eq!((&rows[0]["requests"], &rows[0]["succeeded"]), (&10_000.into(), &8_100.into()));
        assert!((rows[0]["predicted"].as_f64().unwrap() - 0.81).abs() < 1e-9);
    }

    #[test]
    fn the_table_has_a_line_for_each_row() {
        let table = Report::new(vec![row(0.9, Way::Sync, 8_100)]).to_string();

        let line = table.lines().nth(1).unwrap();
        let figures = ["90.0 %", "sync", "0.8100", "0.8000 to 0.8200", "4.2 ms", "8100 of 8100 accepted of 10000"];
        assert!(figures.iter().all(|figure| line.contains(figure)), "{line}");
    }

    #[test]
    fn an_accepted_order_that_is_not_decided_is_a_promise_that_was_not_kept() {
        let kept = row(0.9, Way::Async, 10_000);
        let broken = Row { decided: 9_999, ..kept.clone() };

        assert!(Report::new(vec![kept.clone()]).is_kept());
        assert!(!Report::new(vec![kept, broken]).is_kept());
    }
}
