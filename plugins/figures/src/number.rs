//! Numbers as JSON has them, added without rounding: a sum does not depend on the order of its parts, and cents
//! stay cents. What has more than 38 digits is rounded to a double when it is read.

use bigdecimal::num_bigint::BigInt;
use bigdecimal::{BigDecimal, ToPrimitive};
use serde::{Deserialize, Serialize};
use std::str::FromStr;

/// Digits of a result that a division or a root makes. A double has 17: with more, it is the nearest one, as it is
/// rounded once.
const DIGITS: u64 = 40;

/// Digits of a number that is exact, where it is read and in a result: as many as a decimal of 128 bits has in SQL.
const EXACT: usize = 38;

/// Characters of a number that is read in one go: its digits are within 64 bits.
const SHORT: usize = 18;

/// Digits before the point from which on a sum is looked at: a double has at most 309 of them.
const FAR: i64 = 300;

/// A decimal number of any length, within the range of doubles.
#[derive(Clone, Debug, Default, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Decimal(BigDecimal);

impl Decimal {
    /// The number that stands in a payload.
    ///
    /// # Errors
    /// If it is out of the range of doubles.
    pub fn read(text: &str) -> Result<Self, String> {
        if let Some(number) = short(text) {
            return Ok(Self(number));
        }
        let double = text.parse::<f64>().ok().filter(|double| double.is_finite());
        let double = double.ok_or("number out of range")?;
        let mantissa = text.split(['e', 'E']).next().unwrap_or_default();
        let digits = mantissa.trim_start_matches(['-', '0', '.']);
        let digits = digits.bytes().filter(u8::is_ascii_digit).count();
        let number = match digits {
            0 => Ok(BigDecimal::default()),
            // So near to zero the digits would be many.
            1..=EXACT if double.is_normal() => BigDecimal::from_str(text),
            _ => BigDecimal::from_str(&format!("{double:e}")),
        };
        number.map(Self).map_err(|_| format!("{text} is no number"))
    }

    pub fn whole(number: u64) -> Self {
        Self(number.into())
    }

    /// Adds another one.
    ///
    /// # Errors
    /// If the sum is out of the range of doubles. It stays as it was.
    pub fn add(&mut self, other: &Self) -> Result<(), String> {
        if !self.is_far() && !other.is_far() {
            self.0 += &other.0;
            return Ok(());
        }
        let sum = Self(&self.0 + &other.0);
        if !sum.double().is_finite() {
            return Err("the sum is out of the range of numbers, which ends at 1.8e308".to_owned());
        }
        *self = sum;
        Ok(())
    }

    /// Whether it may be near to the end of the range of doubles.
    fn is_far(&self) -> bool {
        let (digits, scale) = self.0.as_bigint_and_scale();
        // Of 10 bits 3 digits and a little more.
        let digits = i64::try_from(digits.bits()).unwrap_or(i64::MAX) / 10 * 3;
        digits.saturating_sub(scale) > FAR - 20
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

    /// As it stands in a result that a division or a root makes: whole numbers of 64 bits exactly, others as the
    /// nearest double; null if there is none.
    pub fn rounded(&self) -> String {
        let whole = self.0.is_integer().then(|| self.0.to_i128());
        let is_whole =
            |whole: &i128| i64::try_from(*whole).is_ok() || u64::try_from(*whole).is_ok();
        match whole.flatten().filter(is_whole) {
            Some(whole) => whole.to_string(),
            None => serde_json::to_string(&self.double()).unwrap_or_default(),
        }
    }

    /// As it stands in the result of a sum: all digits, if they are at most 38, and otherwise the nearest double. It is
    /// the same for equal numbers.
    pub fn exact(&self) -> String {
        let plain = self.0.normalized();
        let (digits, scale) = plain.as_bigint_and_scale();
        // So many digits have at least so many bits, and zeros on either side.
        let bits = usize::try_from(digits.bits()).unwrap_or(usize::MAX);
        let zeros = usize::try_from(scale.unsigned_abs()).unwrap_or(usize::MAX);
        if bits <= 4 * EXACT && zeros <= EXACT {
            let text = plain.to_plain_string();
            if text.bytes().filter(u8::is_ascii_digit).count() <= EXACT {
                return text;
            }
        }
        serde_json::to_string(&self.double()).unwrap_or_default()
    }
}

/// A number of few digits without an exponent.
fn short(text: &str) -> Option<BigDecimal> {
    if text.len() > SHORT {
        return None;
    }
    let (mut digits, mut scale, mut is_fraction) = (0_i64, 0_i64, false);
    for byte in text.strip_prefix('-').unwrap_or(text).bytes() {
        match byte {
            b'0'..=b'9' => {
                digits = digits * 10 + i64::from(byte - b'0');
                scale += i64::from(is_fraction);
            }
            b'.' => is_fraction = true,
            _ => return None,
        }
    }
    let digits = if text.starts_with('-') {
        -digits
    } else {
        digits
    };
    Some(BigDecimal::new(BigInt::from(digits), scale))
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
