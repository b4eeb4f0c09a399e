//! Log lines on standard error, so that standard output stays free for what a command is asked for.

use serde::{Deserialize, Serialize};
use std::io::{IsTerminal, stderr};
use tracing_subscriber::EnvFilter;

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
    use tracing_subscriber::util::SubscriberInitExt;
    let filter =
        EnvFilter::try_new(&config.filter).map_err(|source| Error::Filter { filter: config.filter.clone(), source })?;
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(stderr).with_ansi(stderr().is_terminal());
    match config.format {
        Format::Text => lines.finish().try_init(),
        Format::Json => lines.json().finish().try_init(),
    }
    .map_err(Error::Installed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_that_is_not_valid_is_refused_and_named() {
        let config = Config { filter: "outbox=loud".to_owned(), ..Config::default() };

        let refused = init(&config).unwrap_err();

        assert!(matches!(&refused, Error::Filter { filter, .. } if filter == "outbox=loud"), "{refused:?}");
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
