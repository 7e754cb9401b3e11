//! Numbers as JSON has them, added without rounding: a sum does not depend on the order of its parts, and cents
//! stay cents. What a payload has with more than 17 digits was rounded to a double when it was read.

use bigdecimal::{BigDecimal, ToPrimitive};
use serde::{Deserialize, Serialize};
use serde_json::{Number, Value};
use std::str::FromStr;

/// Digits of a result that a division or a root makes. A double has 17: with more, it is the nearest one, as it is
/// rounded once.
const DIGITS: u64 = 40;

/// A decimal number of any length.
#[derive(Clone, Debug, Default, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Decimal(BigDecimal);

impl Decimal {
    /// The number that stands in a payload.
    pub fn of(number: &Number) -> Result<Self, String> {
        if let Some(whole) = number.as_i64() {
            return Ok(Self(whole.into()));
        }
        // The shortest text that stands for a double is what was written, up to 15 digits of it.
        let text = number.to_string();
        let number = BigDecimal::from_str(&text);
        number.map(Self).map_err(|_| format!("{text} is no number"))
    }

    pub fn whole(number: u64) -> Self {
        Self(number.into())
    }

    pub fn add(&mut self, other: &Self) {
        self.0 += &other.0;
    }

    pub fn times(&self, other: &Self) -> Self {
        Self(&self.0 * &other.0)
    }

    pub fn minus(&self, other: &Self) -> Self {
        Self(&self.0 - &other.0)
    }

    /// To so many digits that the double is the nearest.
    pub fn divided_by(&self, other: &Self) -> Self {
        Self((&self.0 / &other.0).with_prec(DIGITS))
    }

    /// The same of a square root; 0 of what is negative.
    pub fn root(&self) -> Self {
        Self(self.0.sqrt().unwrap_or_default().with_prec(DIGITS))
    }

    /// As sketches take it.
    pub fn double(&self) -> f64 {
        // The text is read to the nearest double.
        self.0.to_string().parse().unwrap_or(f64::NAN)
    }

    /// As it stands in a result: whole numbers of 64 bits exactly, others as the nearest double; null if there is
    /// none.
    pub fn json(&self) -> Value {
        match self.0.is_integer() {
            true => match (self.0.to_i64(), self.0.to_u64()) {
                (Some(number), _) => number.into(),
                (None, Some(number)) => number.into(),
                (None, None) => self.double().into(),
            },
            false => self.double().into(),
        }
    }
}

impl From<Decimal> for String {
    fn from(number: Decimal) -> Self {
        let number = number.0;
        let whole = (number.fractional_digit_count() == 0).then(|| number.to_i64());
        match whole.flatten() {
            Some(whole) => whole.to_string(),
            None => number.to_string(),
        }
    }
}

impl TryFrom<String> for Decimal {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if let Ok(whole) = text.parse::<i64>() {
            return Ok(Self(whole.into()));
        }
        let number = BigDecimal::from_str(&text);
        number
            .map(Self)
            .map_err(|_| format!("`{text}` is no number"))
    }
}
