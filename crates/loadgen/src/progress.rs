//! Progress bars on standard error; nothing is shown where that is no terminal.

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

/// How far a run has come.
#[derive(Debug)]
pub struct Progress {
    bars: MultiProgress,
    placed: ProgressBar,
    decided: Option<ProgressBar>,
}

impl Progress {
    /// Shows how many of `count` orders are placed.
    #[must_use]
    pub fn of_one(count: u64) -> Self {
        let bars = MultiProgress::new();
        let placed = bars.add(bar(count, "placed"));
        Progress { bars, placed, decided: None }
    }

    /// Shows how many of `count` orders are placed, and how many decided.
    #[must_use]
    pub fn of_two(count: u64) -> Self {
        let mut progress = Progress::of_one(count);
        progress.decided = Some(progress.bars.add(bar(count, "decided")));
        progress
    }

    /// One more is placed, or was tried in vain.
    pub fn placed(&self) {
        self.placed.inc(1);
    }

    /// One more is decided, or was followed in vain.
    pub fn decided(&self) {
        if let Some(decided) = &self.decided {
            decided.inc(1);
        }
    }

    /// Takes the bars away.
    pub fn finish(&self) {
        self.placed.finish_and_clear();
        if let Some(decided) = &self.decided {
            decided.finish_and_clear();
        }
    }
}

fn bar(count: u64, what: &'static str) -> ProgressBar {
    let style = ProgressStyle::with_template("{msg:8} {bar:30} {pos}/{len} {per_sec} {eta}")
        .expect("the template is constant and every run renders it");
    ProgressBar::new(count).with_style(style).with_message(what)
}
