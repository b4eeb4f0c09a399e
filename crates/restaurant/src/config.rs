//! How the Restaurant Service is configured.

use serde::{Deserialize, Serialize};

/// Settings of the Restaurant Service.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// How its outbox and inbox work.
    pub outbox: outbox::Config,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_key_is_refused() {
        let error = serde_json::from_str::<Config>(r#"{"outbocks": {}}"#).unwrap_err();

        assert!(error.to_string().contains("unknown field `outbocks`"), "{error}");
    }
}
