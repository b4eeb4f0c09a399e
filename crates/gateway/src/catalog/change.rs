//! What is different between two moments, entry by entry.

use serde::Serialize;
use std::collections::BTreeMap;

/// What has come, changed and gone.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Change {
    pub(crate) added: Vec<String>,
    pub(crate) changed: Vec<String>,
    pub(crate) removed: Vec<String>,
}

impl Change {
    pub(crate) fn between(before: &BTreeMap<String, String>, after: &BTreeMap<String, String>) -> Self {
        let mut change = Change::default();
        for (key, value) in after {
            match before.get(key) {
                None => change.added.push(key.clone()),
                Some(old) if old != value => change.changed.push(key.clone()),
                Some(_) => {}
            }
        }
        change.removed.extend(before.keys().filter(|key| !after.contains_key(*key)).cloned());
        change
    }

    pub(crate) fn is_none(&self) -> bool {
        self.added.is_empty() && self.changed.is_empty() && self.removed.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_the_same_is_not_mentioned() {
        let moment = |entries: &[(&str, &str)]| {
            entries.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect::<BTreeMap<_, _>>()
        };

        let change = Change::between(
            &moment(&[("same", "1"), ("changed", "1"), ("gone", "1")]),
            &moment(&[("same", "1"), ("changed", "2"), ("new", "1")]),
        );

        assert_eq!(
            (change.added, change.changed, change.removed),
            (vec!["new".to_owned()], vec!["changed".to_owned()], vec!["gone".to_owned()])
        );
    }
}
