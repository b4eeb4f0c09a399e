//! Reads prices as people write them in a spreadsheet: `12.5`, `0.8`, `15.99 USD`, `USD 15.99`.
//!
//! Only a plain number is taken. A thousands separator is refused rather than guessed at, since `1.950` and `1,950` mean different
//! amounts in different countries.

use iso_currency::Currency;
use proto::{Amount, money};

/// Reads a price that must be in `currency`; without a code, it is taken to be.
///
/// # Errors
/// Says what is wrong, in words that follow "price": it is no plain number, negative, in another currency, too large, or has more
/// decimals than the currency.
pub fn parse(text: &str, currency: Currency) -> Result<Amount, String> {
    let text = text.trim();
    if text.is_empty() {
        return Err("is empty".to_owned());
    }
    let (number, code) = split_code(text);
    check_code(code, text, currency)?;
    if number.starts_with('-') {
        return Err(format!("{text:?} is negative"));
    }
    let (units, fraction) = split_number(number)
        .ok_or_else(|| format!("{text:?} is no plain number such as 12.50, with or without a currency code"))?;
    let decimals = money::decimals(currency) as usize;
    if fraction.len() > decimals {
        return Err(format!("{text:?} has {} decimals; {} has {decimals}", fraction.len(), currency.code()));
    }
    // The fraction is padded to the currency's decimals, so that all digits together count minor units.
    match format!("{units}{fraction:0<decimals$}").parse::<i64>() {
        Ok(minor) => Ok(Amount::new(minor, currency)),
        Err(_) => Err(format!("{text:?} is too large")),
    }
}

/// Parts the number from the currency's code: three letters, and no more, before or after it.
fn split_code(text: &str) -> (&str, Option<&str>) {
    let is_code = |part: &str| part.len() == 3 && part.bytes().all(|byte| byte.is_ascii_alphabetic());
    let before = text.split_at_checked(3);
    if let Some((code, number)) = before.filter(|(code, rest)| is_code(code) && !rest.starts_with(char::is_alphabetic))
    {
        return (number.trim_start(), Some(code));
    }
    let after = text.len().checked_sub(3).and_then(|at| text.split_at_checked(at));
    match after.filter(|(rest, code)| is_code(code) && !rest.ends_with(char::is_alphabetic)) {
        Some((number, code)) => (number.trim_end(), Some(code)),
        None => (text, None),
    }
}

fn check_code(code: Option<&str>, text: &str, currency: Currency) -> Result<(), String> {
    let Some(code) = code else { return Ok(()) };
    match Currency::from_code(&code.to_ascii_uppercase()) {
        None => Err(format!("{text:?} names no ISO 4217 currency")),
        Some(named) if named != currency => Err(format!("{text:?} is not in {}", currency.code())),
        Some(_) => Ok(()),
    }
}

/// Parts `12.5` into `12` and `5`; `None` when it is anything but digits with at most one point between them.
fn split_number(number: &str) -> Option<(&str, &str)> {
    let is_digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    match number.split_once('.') {
        Some((units, fraction)) => (is_digits(units) && is_digits(fraction)).then_some((units, fraction)),
        None => is_digits(number).then_some((number, "")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, currency: Currency, minor: i64) {
        assert_eq!(parse(text, currency), Ok(Amount::new(minor, currency)));
    }

    #[track_caller]
    fn check_refused(text: &str, currency: Currency, reason: &str) {
        let refused = parse(text, currency).unwrap_err();
        assert!(refused.contains(reason), "{refused}");
    }

    #[test]
    fn a_plain_number_is_in_the_currency_of_the_import() {
        check("12.5", Currency::GBP, 1250);
        check("0.8", Currency::GBP, 80);
        check(" 7 ", Currency::GBP, 700);
        check("0", Currency::GBP, 0);
        check("500", Currency::JPY, 500);
        check("1.234", Currency::KWD, 1234);
    }

    #[test]
    fn a_code_may_stand_before_or_after_the_number() {
        check("15.99 USD", Currency::USD, 1599);
        check("USD 15.99", Currency::USD, 1599);
        check("15.99USD", Currency::USD, 1599);
        check("usd 40.0", Currency::USD, 4000);
    }

    #[test]
    fn another_currency_is_refused() {
        check_refused("15.99 USD", Currency::GBP, "is not in GBP");
        check_refused("15.99 XQQ", Currency::GBP, "no ISO 4217 currency");
        check_refused("GBP 15.99 USD", Currency::GBP, "no plain number");
    }

    #[test]
    fn more_decimals_than_the_currency_has_are_refused() {
        check_refused("1.950", Currency::GBP, "has 3 decimals; GBP has 2");
        check_refused("500.0", Currency::JPY, "JPY has 0");
    }

    #[test]
    fn a_negative_price_is_refused() {
        check_refused("-1", Currency::GBP, "is negative");
        check_refused("GBP -0.50", Currency::GBP, "is negative");
    }

    #[test]
    fn what_is_no_plain_number_is_refused() {
        for text in ["1,950.00", "1 950", "£0.80", "+5", "1e3", ".5", "5.", "1.2.3", "free", "GBP", "٣"] {
            check_refused(text, Currency::GBP, "no plain number");
        }
        check_refused("  ", Currency::GBP, "is empty");
    }

    #[test]
    fn a_price_beyond_64_bits_is_refused() {
        check("92233720368547758.07", Currency::GBP, i64::MAX);
        check_refused("92233720368547758.08", Currency::GBP, "too large");
    }
}
