//! Log lines on standard error, so that standard output stays free for what a command is asked for.

use crate::about::WithFields;
use serde::{Deserialize, Serialize};
use std::io::{IsTerminal, stderr};
use tracing::Dispatch;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::{JsonFields, format};
use tracing_subscriber::util::SubscriberInitExt;

/// What is logged, and how.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Directives of `tracing-subscriber`, such as `info,outbox=debug`. `info`: changes of the system, no line per request.
    pub filter: String,
    /// One line of text or of JSON for each event. Text: the default is read by a person.
    pub format: Format,
}

/// How a log line is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// For people.
    Text,
    /// For collectors.
    Json,
}

impl Default for Config {
    fn default() -> Self {
        Config { filter: "info".to_owned(), format: Format::Text }
    }
}

/// Why logging could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The filter cannot be read.
    #[error("log filter {filter:?} is not valid; write it as in info,outbox=debug")]
    Filter {
        /// The filter as configured.
        filter: String,
        /// What is wrong with it.
        #[source]
        source: tracing_subscriber::filter::ParseError,
    },
    /// Another logger was installed before.
    #[error("a logger is already installed")]
    Installed(#[source] tracing_subscriber::util::TryInitError),
}

/// Installs the process's logger.
///
/// # Errors
/// When the filter is not valid, or a logger is there already.
pub fn init(config: &Config) -> Result<(), Error> {
    dispatch(config, stderr, stderr().is_terminal())?.try_init().map_err(Error::Installed)
}

fn dispatch<W>(config: &Config, writer: W, is_ansi: bool) -> Result<Dispatch, Error>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let filter =
        EnvFilter::try_new(&config.filter).map_err(|source| Error::Filter { filter: config.filter.clone(), source })?;
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer).with_ansi(is_ansi);
    Ok(match config.format {
        Format::Text => lines.event_format(WithFields::text(format().with_ansi(is_ansi))).into(),
        Format::Json => lines.fmt_fields(JsonFields::new()).event_format(WithFields::json(format().json())).into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::about::{Fields, about};
    use serde_json::{Value, json};
    use std::sync::{Arc, Mutex};
    use tracing::instrument::WithSubscriber;
    use tracing::warn;

    #[test]
    fn a_filter_that_is_not_valid_is_refused_and_named() {
        let config = Config { filter: "outbox=loud".to_owned(), ..Config::default() };

        let refused = init(&config).unwrap_err();

        assert!(matches!(&refused, Error::Filter { filter, .. } if filter == "outbox=loud"), "{refused:?}");
    }

    /// Lines that are kept.
    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl std::io::Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    struct OfRequest;

    impl Fields for OfRequest {
        fn fields(&self) -> Vec<(&'static str, &str)> {
            vec![("request.id", "a-1"), ("trace_id", "4bf9")]
        }
    }

    /// A line inside and one after it, as they are written.
    async fn lines(format: Format) -> String {
        let kept = Kept::default();
        let writer = kept.clone();
        let log = dispatch(&Config { format, ..Config::default() }, move || writer.clone(), false).unwrap();
        let request = about(Arc::new(OfRequest), async { warn!(left = 1, "it failed") }.with_subscriber(log.clone()));
        request.await;
        async { warn!("elsewhere") }.with_subscriber(log).await;
        let bytes = kept.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[tokio::test]
    async fn a_line_of_text_tells_what_it_is_about_at_its_end() {
        let text = lines(Format::Text).await;
        let [inside, after]: [&str; 2] = text.lines().collect::<Vec<_>>().try_into().unwrap();

        assert!(inside.ends_with("it failed left=1 request.id=a-1 trace_id=4bf9"), "{inside}");
        assert!(after.ends_with("elsewhere"), "{after}");
    }

    #[tokio::test]
    async fn a_line_of_json_tells_what_it_is_about_in_fields_of_its_own() {
        let text = lines(Format::Json).await;
        let [inside, after]: [&str; 2] = text.lines().collect::<Vec<_>>().try_into().unwrap();
        let (inside, after): (Value, Value) =
            (serde_json::from_str(inside).unwrap(), serde_json::from_str(after).unwrap());

        assert_eq!((&inside["request.id"], &inside["trace_id"]), (&"a-1".into(), &"4bf9".into()));
        assert_eq!(inside["fields"], json!({"message": "it failed", "left": 1}));
        assert_eq!(after["request.id"], Value::Null);
    }

    #[test]
    fn a_misspelt_key_is_refused() {
        let refused = serde_json::from_str::<Config>(r#"{"fromat": "json"}"#).unwrap_err();

        assert!(refused.to_string().contains("unknown field `fromat`"), "{refused}");
    }

    #[test]
    fn the_format_is_written_in_small_letters() {
        let config: Config = serde_json::from_str(r#"{"format": "json"}"#).unwrap();

        assert_eq!(config, Config { format: Format::Json, ..Config::default() });
    }
}
