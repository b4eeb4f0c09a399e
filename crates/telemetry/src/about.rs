//! What a log line is about.
//!
//! A span would say so too, but it is written out when it begins, for each request, while nearly none has a line. These fields are read when there is a
//! line.

use std::fmt::{self, Write};
use std::sync::Arc;
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::FmtContext;
use tracing_subscriber::fmt::format::{FormatEvent, FormatFields, Writer};
use tracing_subscriber::registry::LookupSpan;

tokio::task_local! {
    static ABOUT: Arc<dyn Fields>;
}

/// What stands in each line.
pub trait Fields: Send + Sync {
    /// Names and values; neither needs to be escaped in JSON.
    fn fields(&self) -> Vec<(&'static str, &str)>;
}

/// Runs a future, in whose lines the fields stand. What it spawns has lines of its own.
pub fn about<F: Future>(fields: Arc<dyn Fields>, future: F) -> impl Future<Output = F::Output> {
    ABOUT.scope(fields, future)
}

/// Writes a line as another format does, and what it is about at its end.
pub(crate) struct WithFields<F> {
    format: F,
    is_json: bool,
}

impl<F> WithFields<F> {
    pub(crate) fn text(format: F) -> Self {
        WithFields { format, is_json: false }
    }

    pub(crate) fn json(format: F) -> Self {
        WithFields { format, is_json: true }
    }

    fn append(&self, line: &mut String, fields: &dyn Fields) -> fmt::Result {
        let end = if self.is_json { "}" } else { "" };
        let content = line.trim_end().strip_suffix(end).map_or(line.len(), str::len);
        line.truncate(content);
        for (name, value) in fields.fields() {
            if self.is_json { write!(line, ",\"{name}\":\"{value}\"")? } else { write!(line, " {name}={value}")? }
        }
        writeln!(line, "{end}")
    }
}

impl<S, N, F> FormatEvent<S, N> for WithFields<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let Ok(fields) = ABOUT.try_with(Arc::clone) else {
            return self.format.format_event(context, writer, event);
        };
        let mut line = String::new();
        self.format.format_event(context, Writer::new(&mut line), event)?;
        self.append(&mut line, &*fields)?;
        writer.write_str(&line)
    }
}
