//! Texts that clients send: which characters make no sense in them.
//!
//! A NUL is the worst of these, since PostgreSQL keeps none in a text; but no control character belongs in what people read.

use crate::Violation;

/// Refuses control characters, in a text of one line.
///
/// # Errors
/// When there is one.
pub fn check_line(field: &str, text: &str) -> Result<(), Violation> {
    if text.chars().any(char::is_control) {
        return Err(Violation::new(field, "must not hold control characters, such as line breaks"));
    }
    Ok(())
}

/// Refuses control characters other than tabs and line breaks, in a text of several lines.
///
/// # Errors
/// When there is one.
pub fn check_lines(field: &str, text: &str) -> Result<(), Violation> {
    if text.chars().any(|it| it.is_control() && !matches!(it, '\t' | '\n' | '\r')) {
        return Err(Violation::new(field, "must not hold control characters other than tabs and line breaks"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_holds_no_control_characters() {
        for bad in ["a\0b", "a\nb", "a\tb", "\u{7f}", "\u{85}"] {
            assert_eq!(check_line("name", bad).unwrap_err().field, "name", "{bad:?}");
        }
        assert_eq!(check_line("name", "Trattoria Ünïcödé \u{1f355}\u{200d}"), Ok(()));
    }

    #[test]
    fn lines_may_be_broken_and_hold_nothing_else_that_controls() {
        assert_eq!(check_lines("description", "with\r\n\tbasil"), Ok(()));
        for bad in ["a\0b", "\u{1b}[2J"] {
            assert_eq!(check_lines("description", bad).unwrap_err().field, "description", "{bad:?}");
        }
    }
}
