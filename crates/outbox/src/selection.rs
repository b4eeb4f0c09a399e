//! Which parked messages an operator means.

use serde::Serialize;
use store::Statement;

/// Which parked messages; what is not given is not asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Selection {
    /// One message. If it is redriven, those before it in its key are too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub number: Option<i64>,
    /// Those that this consumer parked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub consumer: Option<String>,
    /// Those of this key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Those of this kind.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Those whose reason contains this text, whatever the case of its letters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// Those that were parked at or after this time, in microseconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since_us: Option<i64>,
    /// Those that were parked before this time, in microseconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before_us: Option<i64>,
}

/// The condition that a message `p` is selected: parameters 1 to 7.
macro_rules! selected {
    ($p:literal) => {
        concat!(
            "(",
            $p,
            ".number = ?1 OR ?1 = 0) AND (",
            $p,
            ".consumer = ?2 OR ?2 = '') AND (",
            $p,
            ".key = ?3 OR ?3 = '') AND (",
            $p,
            ".kind = ?4 OR ?4 = '') AND lower(",
            $p,
            ".why) LIKE ?5 ESCAPE '!' AND ",
            $p,
            ".parked_us >= ?6 AND ",
            $p,
            ".parked_us < ?7"
        )
    };
}

/// The condition that a message `p` is the first of its key.
macro_rules! first {
    ($p:literal) => {
        concat!(
            "NOT EXISTS (SELECT 1 FROM parked e WHERE e.consumer = ",
            $p,
            ".consumer AND e.key = ",
            $p,
            ".key AND e.number < ",
            $p,
            ".number)"
        )
    };
}

/// The condition that the key `k` is redriven by a selection: by its first message, or by any if that is given by number.
macro_rules! redriven {
    () => {
        concat!(
            "EXISTS (SELECT 1 FROM parked h WHERE h.consumer = k.consumer AND h.key = k.key AND ",
            selected!("h"),
            " AND (?1 <> 0 OR ",
            first!("h"),
            "))"
        )
    };
}

pub(crate) use {first, redriven, selected};

impl Selection {
    /// Binds parameters 1 to 7.
    pub(crate) fn bind(&self, statement: Statement) -> Statement {
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        statement
            .bind(self.number.unwrap_or(0))
            .bind(text(&self.consumer))
            .bind(text(&self.key))
            .bind(text(&self.kind))
            .bind(pattern(self.why.as_deref().unwrap_or_default()))
            .bind(self.since_us.unwrap_or(0))
            .bind(self.before_us.unwrap_or(i64::MAX))
    }

    /// What was asked for, in words for the audit.
    pub(crate) fn to_text(&self) -> String {
        let numbers = [("number", self.number), ("since_us", self.since_us), ("before_us", self.before_us)];
        let texts = [("consumer", &self.consumer), ("key", &self.key), ("kind", &self.kind), ("why", &self.why)];
        let numbers = numbers.into_iter().filter_map(|(name, value)| Some(format!("{name}={}", value?)));
        let texts = texts.into_iter().filter_map(|(name, value)| Some(format!("{name}={:?}", value.as_ref()?)));
        let all: Vec<String> = numbers.chain(texts).collect();
        if all.is_empty() { "everything".to_owned() } else { all.join(" ") }
    }

    /// The same, of one consumer only.
    pub(crate) fn of(&self, consumer: &str) -> Self {
        Selection { consumer: Some(consumer.to_owned()), ..self.clone() }
    }
}

/// A pattern for texts in small letters that contain this one.
fn pattern(text: &str) -> String {
    let mut pattern = String::from("%");
    for character in text.to_ascii_lowercase().chars() {
        if matches!(character, '%' | '_' | '!') {
            pattern.push('!');
        }
        pattern.push(character);
    }
    pattern.push('%');
    pattern
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_searched_for_as_it_is_written() {
        assert_eq!(pattern("50% Off_!"), "%50!% off!_!!%");
        assert_eq!(pattern(""), "%%");
    }

    #[test]
    fn the_audit_names_only_what_was_asked_for() {
        let selection = Selection { key: Some("a".to_owned()), why: Some("broken".to_owned()), ..Selection::default() };

        assert_eq!(selection.to_text(), "key=\"a\" why=\"broken\"");
        assert_eq!(Selection::default().to_text(), "everything");
    }
}
