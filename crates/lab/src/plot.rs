//! The figures as a picture (SVG): the availability of `CreateOrder` over that of each service.

use crate::report::{Report, Row, Way};
use std::fmt::{self, Write};

/// The picture, and its part inside the axes, in pixels.
const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 400.0;
const LEFT: f64 = 64.0;
const RIGHT: f64 = 616.0;
const TOP: f64 = 56.0;
const BOTTOM: f64 = 344.0;
/// Pieces of the predicted curve; more would not be seen.
const PIECES: u32 = 32;
/// How far apart the two ways are drawn, so that neither hides the other's interval.
const APART: f64 = 4.0;
const STYLE: &str = "text{font:13px sans-serif;fill:#222}.title{font-size:15px;font-weight:bold}.grid{stroke:#ddd}\
    .predicted{fill:none;stroke:#777;stroke-dasharray:5 4}.sync{fill:#c0392b;stroke:#c0392b}.async{fill:#1f7a4d;stroke:#1f7a4d}";

/// Where values are in the picture.
struct Scale {
    /// The lowest availability of a service that is shown.
    from: f64,
    /// The lowest availability of `CreateOrder` that is shown.
    floor: f64,
}

impl Scale {
    /// Shows all that was measured and predicted, on whole steps of the grid.
    fn of(rows: &[Row]) -> Self {
        let lowest = |values: &mut dyn Iterator<Item = f64>| values.fold(0.99_f64, f64::min);
        let from = lowest(&mut rows.iter().map(|row| row.availability - 0.005));
        let floor = lowest(&mut rows.iter().flat_map(|row| [row.low, row.predicted - 0.005]));
        Scale { from: from.max(0.0), floor: ((floor * 20.0).floor() / 20.0).max(0.0) }
    }

    fn x(&self, availability: f64) -> f64 {
        LEFT + (availability - self.from) / (1.0 - self.from) * (RIGHT - LEFT)
    }

    fn y(&self, availability: f64) -> f64 {
        BOTTOM - (availability - self.floor) / (1.0 - self.floor) * (BOTTOM - TOP)
    }
}

/// Draws what was measured, with its confidence intervals, and what the product predicts.
#[must_use]
pub fn plot(report: &Report) -> String {
    let mut svg = String::new();
    draw(&mut svg, report.rows()).expect("a string takes whatever is written to it");
    svg
}

fn draw(svg: &mut String, rows: &[Row]) -> fmt::Result {
    let scale = Scale::of(rows);
    writeln!(svg, r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">"#)?;
    writeln!(svg, "<title>Availability of CreateOrder by the availability of each service</title>")?;
    writeln!(svg, r#"<style>{STYLE}</style><rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>"#)?;
    writeln!(svg, r#"<text class="title" x="{LEFT}" y="24">CreateOrder while services are taken away</text>"#)?;
    axes(svg, rows, &scale)?;
    curve(svg, rows, &scale)?;
    for row in rows {
        point(svg, row, &scale)?;
    }
    legend(svg)?;
    writeln!(svg, "</svg>")
}

fn axes(svg: &mut String, rows: &[Row], scale: &Scale) -> fmt::Result {
    let steps = 5;
    for step in 0..=steps {
        let value = scale.floor + (1.0 - scale.floor) * f64::from(step) / f64::from(steps);
        let y = scale.y(value);
        writeln!(svg, r#"<path class="grid" d="M{LEFT} {y:.1}H{RIGHT}"/>"#)?;
        writeln!(svg, r#"<text x="{}" y="{:.1}" text-anchor="end">{value:.2}</text>"#, LEFT - 8.0, y + 4.0)?;
    }
    let mut shown: Vec<f64> = rows.iter().map(|row| row.availability).collect();
    shown.dedup();
    for availability in shown {
        // To two digits, and no more of them than it takes.
        let (x, percent) = (scale.x(availability), (availability * 10_000.0).round() / 100.0);
        writeln!(svg, r#"<text x="{x:.1}" y="{}" text-anchor="middle">{percent} %</text>"#, BOTTOM + 20.0)?;
    }
    let middle = f64::midpoint(LEFT, RIGHT);
    writeln!(
        svg,
        r#"<text x="{middle}" y="{}" text-anchor="middle">availability of each service</text>"#,
        BOTTOM + 42.0
    )
}

/// What the product predicts between the points.
fn curve(svg: &mut String, rows: &[Row], scale: &Scale) -> fmt::Result {
    let services = rows.first().map_or(0, |row| i32::try_from(row.services).unwrap_or(i32::MAX));
    write!(svg, r#"<path class="predicted" d=""#)?;
    for piece in 0..=PIECES {
        let availability = scale.from + (1.0 - scale.from) * f64::from(piece) / f64::from(PIECES);
        let predicted = availability.powi(services).max(scale.floor);
        let word = if piece == 0 { 'M' } else { 'L' };
        write!(svg, "{word}{:.1} {:.1}", scale.x(availability), scale.y(predicted))?;
    }
    writeln!(svg, r#""/>"#)
}

fn point(svg: &mut String, row: &Row, scale: &Scale) -> fmt::Result {
    let x = scale.x(row.availability) + if row.way == Way::Sync { -APART } else { APART };
    let (y, low, high, way) = (scale.y(row.measured()), scale.y(row.low), scale.y(row.high), row.way);
    writeln!(
        svg,
        r#"<g class="{way}"><path d="M{x:.1} {low:.1}V{high:.1}"/><circle cx="{x:.1}" cy="{y:.1}" r="4"/></g>"#
    )
}

fn legend(svg: &mut String) -> fmt::Result {
    let y = 42.0;
    for (x, class, text) in [(LEFT, "async", "asynchronous"), (LEFT + 120.0, "sync", "synchronous twin")] {
        writeln!(svg, r#"<circle class="{class}" cx="{}" cy="{}" r="4"/>"#, x + 4.0, y - 4.0)?;
        writeln!(svg, r#"<text x="{}" y="{y}">{text}</text>"#, x + 14.0)?;
    }
    let x = LEFT + 270.0;
    writeln!(svg, r#"<path class="predicted" d="M{x} {}h24"/>"#, y - 4.0)?;
    writeln!(svg, r#"<text x="{}" y="{y}">product of availabilities</text>"#, x + 32.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::tests::row;

    fn report() -> Report {
        Report::new(vec![row(0.9, Way::Sync, 8_100), row(0.9, Way::Async, 10_000), row(0.99, Way::Sync, 9_800)])
    }

    #[test]
    fn every_row_is_a_point() {
        let svg = plot(&report());

        assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"), "{svg}");
        assert_eq!(svg.matches(r#"<g class="sync">"#).count(), 2);
        assert_eq!(svg.matches(r#"<g class="async">"#).count(), 1);
        assert!(svg.contains(">90 %</text>") && svg.contains(">99 %</text>"), "{svg}");
    }

    #[test]
    fn all_that_was_measured_is_inside_the_axes() {
        let report = report();
        let scale = Scale::of(report.rows());

        for row in report.rows() {
            for y in [row.measured(), row.low, row.high, row.predicted].map(|value| scale.y(value)) {
                assert!((TOP - 0.01..=BOTTOM + 0.01).contains(&y), "{y}");
            }
            assert!((LEFT + APART..=RIGHT - APART).contains(&scale.x(row.availability)));
        }
    }
}
