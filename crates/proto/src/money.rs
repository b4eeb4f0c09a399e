//! Money: whole minor units of one ISO 4217 currency.

use crate::google::r#type::Money;
use crate::violation::Violation;
use iso_currency::Currency;
use std::fmt;

pub(crate) const NANOS_PER_UNIT: i128 = 1_000_000_000;

/// An amount of money: minor units (pence, cents) of one currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Amount {
    /// Minor units; may be negative.
    pub minor: i64,
    /// The currency.
    pub currency: Currency,
}

impl Amount {
    /// An amount of minor units.
    #[must_use]
    pub fn new(minor: i64, currency: Currency) -> Self {
        Amount { minor, currency }
    }

    /// Reads an amount that must be given and must not be negative.
    ///
    /// # Errors
    /// When it is missing, negative, malformed, or has a fraction of a minor unit.
    pub fn parse(field: &str, money: Option<&Money>) -> Result<Self, Violation> {
        let money = money.ok_or_else(|| Violation::required(field))?;
        let currency = parse_currency(&format!("{field}.currency_code"), &money.currency_code)?;
        if i64::from(money.nanos).abs() >= 1_000_000_000 {
            return Err(Violation::new(format!("{field}.nanos"), "must be within -999999999 to 999999999"));
        }
        let nanos = i128::from(money.units) * NANOS_PER_UNIT + i128::from(money.nanos);
        let signs_differ = money.units.signum() * i64::from(money.nanos.signum()) < 0;
        if nanos < 0 || signs_differ {
            return Err(Violation::new(field, "must not be negative"));
        }
        let nanos_per_minor = NANOS_PER_UNIT / i128::from(minor_per_unit(currency));
        if nanos % nanos_per_minor != 0 {
            return Err(Violation::new(
                format!("{field}.nanos"),
                format!("must be whole minor units: {} has {} decimal places", currency.code(), decimals(currency)),
            ));
        }
        match i64::try_from(nanos / nanos_per_minor) {
            Ok(minor) => Ok(Amount { minor, currency }),
            Err(_) => Err(Violation::new(
                format!("{field}.units"),
                format!("must be at most {}", i64::MAX / minor_per_unit(currency)),
            )),
        }
    }

    /// The amount times a count; `None` when it overflows.
    #[must_use]
    pub fn times(self, count: i64) -> Option<Amount> {
        Some(Amount { minor: self.minor.checked_mul(count)?, ..self })
    }

    /// The sum; `None` when it overflows or the currencies differ.
    #[must_use]
    pub fn plus(self, other: Amount) -> Option<Amount> {
        if self.currency != other.currency {
            return None;
        }
        Some(Amount { minor: self.minor.checked_add(other.minor)?, ..self })
    }
}

impl From<Amount> for Money {
    fn from(amount: Amount) -> Self {
        let per_unit = minor_per_unit(amount.currency);
        let nanos_per_minor = 1_000_000_000 / per_unit;
        Money {
            currency_code: amount.currency.code().to_owned(),
            units: amount.minor / per_unit,
            nanos: i32::try_from(amount.minor % per_unit * nanos_per_minor)
                .expect("less than one unit, so less than 10^9 nanos"),
        }
    }
}

impl fmt::Display for Amount {
    /// As in `12.95 GBP`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let per_unit = minor_per_unit(self.currency).unsigned_abs();
        let sign = if self.minor < 0 { "-" } else { "" };
        let (units, rest) = (self.minor.unsigned_abs() / per_unit, self.minor.unsigned_abs() % per_unit);
        match decimals(self.currency) {
            0 => write!(f, "{sign}{units} {}", self.currency.code()),
            decimals => write!(f, "{sign}{units}.{rest:0width$} {}", self.currency.code(), width = decimals as usize),
        }
    }
}

/// Reads an ISO 4217 code.
///
/// # Errors
/// When it is empty or no such code.
pub fn parse_currency(field: &str, code: &str) -> Result<Currency, Violation> {
    match Currency::from_code(code) {
        Some(currency) => Ok(currency),
        None if code.is_empty() => Err(Violation::required(field)),
        None => Err(Violation::new(field, "must be an ISO 4217 code in capital letters, such as GBP")),
    }
}

/// Digits after the point; none for currencies that have no minor unit.
#[must_use]
pub fn decimals(currency: Currency) -> u32 {
    u32::from(currency.exponent().unwrap_or(0))
}

fn minor_per_unit(currency: Currency) -> i64 {
    10_i64.pow(decimals(currency))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn money(code: &str, units: i64, nanos: i32) -> Money {
        Money { currency_code: code.to_owned(), units, nanos }
    }

    #[track_caller]
    fn check(money: &Money, expected: Result<(i64, Currency), &str>) {
        let parsed = Amount::parse("price", Some(money)).map(|it| (it.minor, it.currency));
        assert_eq!(parsed.map_err(|it| it.field), expected.map_err(str::to_owned));
    }

    #[test]
    fn pence_are_minor_units() {
        check(&money("GBP", 12, 950_000_000), Ok((1295, Currency::GBP)));
    }

    #[test]
    fn yen_have_no_minor_unit() {
        check(&money("JPY", 500, 0), Ok((500, Currency::JPY)));
        check(&money("JPY", 500, 500_000_000), Err("price.nanos"));
    }

    #[test]
    fn a_fraction_of_a_penny_is_refused() {
        check(&money("GBP", 1, 1), Err("price.nanos"));
    }

    #[test]
    fn a_negative_price_is_refused_however_it_is_written() {
        check(&money("GBP", -1, 0), Err("price"));
        check(&money("GBP", 0, -10_000_000), Err("price"));
        check(&money("GBP", 1, -10_000_000), Err("price"));
    }

    #[test]
    fn an_amount_beyond_64_bits_is_refused() {
        check(&money("GBP", i64::MAX, 0), Err("price.units"));
    }

    #[test]
    fn an_unknown_currency_is_refused() {
        check(&money("gbp", 1, 0), Err("price.currency_code"));
        check(&money("", 1, 0), Err("price.currency_code"));
    }

    #[test]
    fn an_amount_reads_as_people_write_it() {
        assert_eq!(Amount::new(1295, Currency::GBP).to_string(), "12.95 GBP");
        assert_eq!(Amount::new(5, Currency::GBP).to_string(), "0.05 GBP");
        assert_eq!(Amount::new(500, Currency::JPY).to_string(), "500 JPY");
    }

    proptest! {
        #[test]
        fn every_amount_survives_the_wire(minor in 0..i64::MAX) {
            for currency in [Currency::GBP, Currency::JPY, Currency::KWD] {
                let amount = Amount::new(minor, currency);
                prop_assert_eq!(Amount::parse("price", Some(&Money::from(amount))), Ok(amount));
            }
        }
    }
}
