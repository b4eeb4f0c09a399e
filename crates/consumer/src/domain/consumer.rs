//! A consumer, and how one changes.

use proto::text::check_line;
use proto::time::Instant;
use proto::{Amount, ConsumerId, Violation};

/// Characters of a name at most, as the contract says.
const NAME_CHARS_MAX: usize = 200;

/// What somebody is called: 1 to 200 characters, without blanks around.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Name(String);

impl Name {
    /// Reads the text that a client sent in `field`.
    ///
    /// # Errors
    /// When nothing but blanks is there, or more than 200 characters, or a control character.
    pub(crate) fn parse(field: &str, text: &str) -> Result<Self, Violation> {
        let text = text.trim();
        check_line(field, text)?;
        match text.chars().count() {
            0 => Err(Violation::required(field)),
            1..=NAME_CHARS_MAX => Ok(Name(text.to_owned())),
            _ => Err(Violation::new(field, format!("must be at most {NAME_CHARS_MAX} characters"))),
        }
    }

    /// A name that was taken in before, maybe by looser rules.
    pub(crate) fn stored(text: String) -> Self {
        Name(text)
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whether a consumer may order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// Orders are validated as usual.
    Active,
    /// Every order is refused.
    Suspended,
}

/// What clients set of a consumer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Profile {
    pub(crate) name: Name,
    pub(crate) state: State,
    /// The most that one order may cost; `None`: no limit.
    pub(crate) order_limit: Option<Amount>,
}

/// Somebody who orders.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Consumer {
    pub(crate) id: ConsumerId,
    /// Rises by one with each change, from 1.
    pub(crate) version: i64,
    pub(crate) profile: Profile,
    pub(crate) create_time: Instant,
    pub(crate) update_time: Instant,
}

/// New values for some fields of a consumer; `None` leaves a field as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Revision {
    pub(crate) name: Option<Name>,
    pub(crate) state: Option<State>,
    /// `Some(None)` takes the limit away.
    pub(crate) order_limit: Option<Option<Amount>>,
}

impl Consumer {
    /// A consumer who was not there before.
    pub(crate) fn new(profile: Profile, now: Instant) -> Self {
        Consumer { id: ConsumerId::generate(), version: 1, profile, create_time: now, update_time: now }
    }

    /// The consumer after a revision; `None` when the revision changes nothing, so that a repeated call leaves no trace.
    pub(crate) fn revised(&self, revision: &Revision, now: Instant) -> Option<Consumer> {
        let profile = Profile {
            name: revision.name.clone().unwrap_or_else(|| self.profile.name.clone()),
            state: revision.state.unwrap_or(self.profile.state),
            order_limit: revision.order_limit.unwrap_or(self.profile.order_limit),
        };
        if profile == self.profile {
            return None;
        }
        Some(Consumer { version: self.version + 1, profile, update_time: now, ..self.clone() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use iso_currency::Currency;

    #[track_caller]
    fn check_name(text: &str, expected: Result<&str, ()>) {
        assert_eq!(Name::parse("consumer.name", text).as_ref().map(Name::as_str).map_err(|_| ()), expected, "{text:?}");
    }

    fn ada() -> Consumer {
        let profile = Profile {
            name: Name::parse("name", "Ada").unwrap(),
            state: State::Active,
            order_limit: Some(Amount::new(2_000, Currency::GBP)),
        };
        Consumer::new(profile, Instant(1))
    }

    #[test]
    fn a_name_has_1_to_200_characters_without_blanks_around() {
        let longest = "é".repeat(200);

        check_name("A", Ok("A"));
        check_name("  Ada \t", Ok("Ada"));
        check_name(&longest, Ok(&longest));
        check_name(&format!(" {longest} "), Ok(&longest));
        check_name(&format!("{longest}é"), Err(()));
        check_name("", Err(()));
        check_name(" \u{3000}", Err(()));
    }

    #[test]
    fn a_name_holds_no_control_characters() {
        for bad in ["A\0da", "\0", "A\nda", "\u{1b}[2J"] {
            check_name(bad, Err(()));
        }
    }

    #[test]
    fn a_revision_changes_only_what_it_names() {
        let before = ada();

        let after = before.revised(&Revision { state: Some(State::Suspended), ..Revision::default() }, Instant(2));

        let profile = Profile { state: State::Suspended, ..before.profile.clone() };
        assert_eq!(after, Some(Consumer { version: 2, profile, update_time: Instant(2), ..before }));
    }

    #[test]
    fn a_revision_can_take_the_limit_away() {
        let after = ada().revised(&Revision { order_limit: Some(None), ..Revision::default() }, Instant(2)).unwrap();

        assert_eq!(after.profile.order_limit, None);
    }

    #[test]
    fn a_revision_that_changes_nothing_leaves_no_trace() {
        let before = ada();
        let same = Revision { name: Some(before.profile.name.clone()), ..Revision::default() };

        assert_eq!(before.revised(&same, Instant(2)), None);
        assert_eq!(before.revised(&Revision::default(), Instant(2)), None);
    }
}
