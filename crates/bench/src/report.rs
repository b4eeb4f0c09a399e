//! What was measured: a table for people, a file for machines.

use crate::Measured;
use serde::Serialize;
use std::path::{Path, PathBuf};

/// The subject that is this platform; others are floors and peers.
pub(crate) const OURS: &str = "ours";

/// What is measured, and in which unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Metric {
    pub(crate) name: &'static str,
    pub(crate) unit: &'static str,
}

/// All figures of one benchmark.
#[derive(Debug)]
pub(crate) struct Report {
    name: &'static str,
    series: Vec<Series>,
    remarks: Vec<String>,
    also_to: Option<PathBuf>,
}

/// The values of one figure, one for each run.
#[derive(Debug)]
struct Series {
    case: String,
    metric: Metric,
    subject: &'static str,
    values: Vec<f64>,
}

#[derive(Debug, Serialize)]
struct Figure<'a> {
    case: &'a str,
    metric: &'a str,
    unit: &'a str,
    subject: &'a str,
    median: f64,
    min: f64,
    max: f64,
    runs: usize,
}

impl Report {
    pub(crate) fn new(name: &'static str) -> Self {
        Report { name, series: Vec::new(), remarks: Vec::new(), also_to: None }
    }

    /// Notes what one run came to.
    pub(crate) fn note(&mut self, case: &str, metric: Metric, subject: &'static str, value: f64) {
        let is_it = |it: &&mut Series| it.case == case && it.metric == metric && it.subject == subject;
        match self.series.iter_mut().find(is_it) {
            Some(series) => series.values.push(value),
            None => self.series.push(Series { case: case.to_owned(), metric, subject, values: vec![value] }),
        }
    }

    /// Says something below the table, such as what could not be measured.
    pub(crate) fn remark(&mut self, remark: String) {
        if !self.remarks.contains(&remark) {
            self.remarks.push(remark);
        }
    }

    /// Writes the figures to another file as well.
    pub(crate) fn also_to(&mut self, file: Option<PathBuf>) {
        self.also_to = file;
    }

    /// Prints the table and writes `target/bench/NAME.json`.
    pub(crate) fn publish(&self) -> Measured<()> {
        let path = folder().join(format!("{}.json", self.name));
        std::fs::create_dir_all(folder())?;
        let figures: Vec<Figure<'_>> = self.series.iter().map(Series::figure).collect();
        let text = serde_json::to_string_pretty(&figures)? + "\n";
        std::fs::write(&path, &text)?;
        print!("{}", self.table());
        println!("written to {}", path.display());
        if let Some(path) = &self.also_to {
            std::fs::write(path, &text)?;
            println!("written to {}", path.display());
        }
        for remark in &self.remarks {
            println!("{remark}");
        }
        Ok(())
    }

    /// Subjects of one case and metric stand together, ours first.
    fn table(&self) -> String {
        let mut groups: Vec<(&str, Metric)> = Vec::new();
        for series in &self.series {
            let group = (series.case.as_str(), series.metric);
            if !groups.contains(&group) {
                groups.push(group);
            }
        }
        let mut text = line(["case", "metric", "unit", "subject"], ["median", "min", "max", "runs"], "ours / it");
        for (case, metric) in groups {
            let mut of_group: Vec<&Series> =
                self.series.iter().filter(|it| it.case == case && it.metric == metric).collect();
            of_group.sort_by_key(|it| it.subject != OURS);
            let ours = of_group.first().filter(|it| it.subject == OURS).copied();
            for series in &of_group {
                let Figure { median, min, max, runs, .. } = series.figure();
                let ratio = ours.filter(|_| series.subject != OURS).map_or_else(String::new, |it| it.over(series));
                let [median, min, max, runs] = [shown(median), shown(min), shown(max), runs.to_string()];
                let numbers = [&median, &min, &max, &runs].map(String::as_str);
                text.push_str(&line([case, metric.name, metric.unit, series.subject], numbers, &ratio));
            }
        }
        text
    }
}

impl Series {
    fn figure(&self) -> Figure<'_> {
        let (median, min, max) = spread(&self.values);
        let Metric { name, unit } = self.metric;
        let (case, subject, runs) = (self.case.as_str(), self.subject, self.values.len());
        Figure { case, metric: name, unit, subject, median, min, max, runs }
    }

    /// The ratio to another subject, run by run, since a machine that is slow for one is slow for the other.
    fn over(&self, other: &Series) -> String {
        let ratios: Vec<f64> = self.values.iter().zip(&other.values).map(|(ours, theirs)| ours / theirs).collect();
        let (median, min, max) = spread(&ratios);
        format!("{median:.2} ({min:.2} to {max:.2})")
    }
}

/// Median, least and greatest.
pub(crate) fn spread(values: &[f64]) -> (f64, f64, f64) {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = |index: usize| sorted.get(index).copied().unwrap_or_default();
    let (middle, last) = (sorted.len() / 2, sorted.len().saturating_sub(1));
    let median = if sorted.len().is_multiple_of(2) {
        f64::midpoint(at(middle.saturating_sub(1)), at(middle))
    } else {
        at(middle)
    };
    (median, at(0), at(last))
}

/// The value below which a share of all lies.
pub(crate) fn percentile(sorted: &[f64], share: f64) -> f64 {
    let place = (sorted.len().saturating_sub(1) as f64 * share).round();
    sorted.get(place as usize).copied().unwrap_or_default()
}

fn line(names: [&str; 4], numbers: [&str; 4], ratio: &str) -> String {
    let [case, metric, unit, subject] = names;
    let [median, min, max, runs] = numbers;
    let text = format!("{case:<30}{metric:<26}{unit:<7}{subject:<16}{median:>10}{min:>10}{max:>10}{runs:>6}  {ratio}");
    format!("{}\n", text.trim_end())
}

/// Three digits that matter, and never fewer than the whole number has.
fn shown(value: f64) -> String {
    match value.abs() {
        100.0.. => format!("{value:.0}"),
        10.0.. => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/bench")
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Metric = Metric { name: "rate", unit: "1/s" };

    #[test]
    fn the_median_of_an_even_number_lies_between_the_middle_two() {
        assert_eq!(spread(&[4.0, 1.0, 3.0, 2.0]), (2.5, 1.0, 4.0));
        assert_eq!(spread(&[5.0]), (5.0, 5.0, 5.0));
    }

    #[test]
    fn ours_stands_first_and_is_compared_run_by_run() {
        let mut report = Report::new("test");
        for (peer, ours) in [(1.0, 2.0), (10.0, 30.0), (100.0, 400.0)] {
            report.note("case", RATE, "peer", peer);
            report.note("case", RATE, OURS, ours);
        }

        let table = report.table();

        let lines: Vec<&str> = table.lines().collect();
        assert!(lines[1].contains("ours") && lines[1].contains("30.0"), "{table}");
        assert!(lines[2].contains("peer") && lines[2].ends_with("3.00 (2.00 to 4.00)"), "{table}");
    }
}
