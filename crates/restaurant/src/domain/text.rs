//! Texts with bounds.

use proto::Violation;

/// A text of `MIN` to `MAX` characters, without blanks around.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Text<const MIN: usize, const MAX: usize>(String);

impl<const MIN: usize, const MAX: usize> Text<MIN, MAX> {
    /// Reads the text that a client sent in `field`.
    ///
    /// # Errors
    /// When it is too short or too long.
    pub(crate) fn parse(field: &str, text: &str) -> Result<Self, Violation> {
        let text = text.trim();
        let chars = text.chars().count();
        if chars < MIN {
            return Err(Violation::required(field));
        }
        if chars > MAX {
            return Err(Violation::new(field, format!("must be at most {MAX} characters")));
        }
        Ok(Text(text.to_owned()))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// ISO 3166-1 alpha-2, or nothing when nobody said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CountryCode(String);

impl CountryCode {
    /// Reads the code that a client sent in `field`.
    ///
    /// # Errors
    /// When it is neither empty nor two capital letters.
    pub(crate) fn parse(field: &str, code: &str) -> Result<Self, Violation> {
        if code.is_empty() || (code.len() == 2 && code.bytes().all(|letter| letter.is_ascii_uppercase())) {
            return Ok(CountryCode(code.to_owned()));
        }
        Err(Violation::new(field, "must be two capital letters (ISO 3166-1), such as GB, or empty"))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_counted_in_characters_without_the_blanks_around_it() {
        assert_eq!(Text::<1, 3>::parse("name", " äöü ").unwrap().as_str(), "äöü");
        assert!(Text::<1, 3>::parse("name", "abcd").unwrap_err().description.contains("at most 3"));
        assert!(Text::<1, 3>::parse("name", "  ").unwrap_err().description.contains("required"));
        assert_eq!(Text::<0, 3>::parse("description", "").unwrap().as_str(), "");
    }

    #[test]
    fn a_country_is_empty_or_two_capital_letters() {
        for good in ["", "GB", "DE"] {
            assert_eq!(CountryCode::parse("country_code", good).unwrap().as_str(), good);
        }
        for bad in ["gb", "GBR", "G", "G1", "É", " "] {
            assert_eq!(CountryCode::parse("country_code", bad).unwrap_err().field, "country_code", "{bad:?}");
        }
    }
}
