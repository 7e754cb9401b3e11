//! Numbers as JSON has them, added without rounding: a sum does not depend on the order of its parts, and cents
//! stay cents. What has more than 38 digits is rounded to a double when it is read.

use bigdecimal::num_bigint::BigInt;
use bigdecimal::{BigDecimal, ToPrimitive};
use serde::Deserialize;
use std::borrow::Cow;
use std::cmp::Ordering;
use std::str::FromStr;

/// Digits of a result that a division or a root makes. A double has 17: with more, it is the nearest one, as it is
/// rounded once.
const DIGITS: u64 = 40;

/// Digits of a number that is exact, where it is read and in a result: as many as a decimal of 128 bits has in SQL.
const EXACT: usize = 38;

/// Characters of a number that is read in one go: its digits are within 64 bits.
const SHORT: usize = 18;

/// Digits behind or before the point, with zeros, of a number that is kept as one of 128 bits: far from the range of doubles.
const NEAR: i64 = 100;

/// Digits behind or before the point, with zeros, of a number that was kept: a square of a double with 38 digits has fewer.
const FARTHEST: u64 = 2_000;

/// Digits before the point from which on a sum is looked at: a double has at most 309 of them.
const FAR: i64 = 300;

/// A decimal number of any length, within the range of doubles.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "String")]
pub enum Decimal {
    /// Digits, and how many of them are behind the point: at most [`NEAR`] either way.
    Near(i128, i64),
    Far(BigDecimal),
}

impl Default for Decimal {
    fn default() -> Self {
        Self::Near(0, 0)
    }
}

impl From<BigDecimal> for Decimal {
    fn from(number: BigDecimal) -> Self {
        let (digits, scale) = number.as_bigint_and_scale();
        match digits.to_i128().filter(|_| is_near(scale)) {
            Some(digits) => Self::Near(digits, scale),
            None => Self::Far(number),
        }
    }
}

impl PartialEq for Decimal {
    fn eq(&self, other: &Self) -> bool {
        self.partial_cmp(other) == Some(Ordering::Equal)
    }
}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Near(one, scale), Self::Near(other, same)) if scale == same => {
                one.partial_cmp(other)
            }
            _ => self.big().partial_cmp(&other.big()),
        }
    }
}

impl Decimal {
    /// The number that stands in a payload.
    ///
    /// # Errors
    /// If it is out of the range of doubles.
    pub fn read(text: &str) -> Result<Self, String> {
        if let Some(number) = short(text) {
            return Ok(number);
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
        number
            .map(Self::from)
            .map_err(|_| format!("{text} is no number"))
    }

    /// The number that was kept as these digits, so many of them behind the point.
    ///
    /// # Errors
    /// If nothing that is within the range of doubles leads to it.
    pub fn of(digits: &[u8], scale: i64) -> Result<Self, String> {
        let number = match digits.len() {
            0..16 if is_near(scale) => {
                let is_negative = digits.last().is_some_and(|last| last >> 7 == 1);
                let mut bytes = [if is_negative { 0xff } else { 0 }; 16];
                for (to, from) in bytes.iter_mut().zip(digits) {
                    *to = *from;
                }
                Self::Near(i128::from_le_bytes(bytes), scale)
            }
            _ => BigDecimal::new(BigInt::from_signed_bytes_le(digits), scale).into(),
        };
        number.within()
    }

    /// The digits as the least bytes that have them and the sign, the last ones first, and how many of them are behind the
    /// point.
    pub fn parts(&self) -> (Vec<u8>, i64) {
        match self {
            Self::Near(digits, scale) => {
                // As many bits as there are up to the first that is not as the sign, and the sign.
                let bits = 129 - (digits ^ (digits >> 127)).leading_zeros() as usize;
                let bytes = digits.to_le_bytes();
                let bytes = bytes.into_iter().take(bits.div_ceil(8));
                (bytes.collect(), *scale)
            }
            Self::Far(number) => {
                let (digits, scale) = number.as_bigint_and_scale();
                (digits.to_signed_bytes_le(), scale)
            }
        }
    }

    /// Refuses what would have so many digits in a sum that nobody could wait for it.
    fn within(self) -> Result<Self, String> {
        match &self {
            Self::Far(number) if number.fractional_digit_count().unsigned_abs() > FARTHEST => {
                Err("it is out of the range of numbers".to_owned())
            }
            _ => Ok(self),
        }
    }

    fn big(&self) -> Cow<'_, BigDecimal> {
        match self {
            Self::Near(digits, scale) => Cow::Owned(BigDecimal::new(BigInt::from(*digits), *scale)),
            Self::Far(number) => Cow::Borrowed(number),
        }
    }

    pub fn whole(number: u64) -> Self {
        Self::Near(number.into(), 0)
    }

    /// Adds another one.
    ///
    /// # Errors
    /// If the sum is out of the range of doubles. It stays as it was.
    pub fn add(&mut self, other: &Self) -> Result<(), String> {
        if let Some(sum) = self.near_sum(other) {
            *self = sum;
            return Ok(());
        }
        let (one, other) = (self.big(), other.big());
        let is_far = is_far(&one) || is_far(&other);
        let sum = Self::from(one.as_ref() + other.as_ref());
        if is_far && !sum.double().is_finite() {
            return Err("the sum is out of the range of numbers, which ends at 1.8e308".to_owned());
        }
        *self = sum;
        Ok(())
    }

    /// The sum of numbers of 128 bits, if it is one.
    fn near_sum(&self, other: &Self) -> Option<Self> {
        let (Self::Near(one, scale), Self::Near(other, of_other)) = (self, other) else {
            return None;
        };
        let to = (*scale).max(*of_other);
        let aligned = |digits: i128, scale: i64| match to - scale {
            0 => Some(digits),
            more => digits.checked_mul(10_i128.checked_pow(u32::try_from(more).ok()?)?),
        };
        let sum = aligned(*one, *scale)?.checked_add(aligned(*other, *of_other)?)?;
        Some(Self::Near(sum, to))
    }

    pub fn times(&self, other: &Self) -> Self {
        if let (Self::Near(one, scale), Self::Near(other, more)) = (self, other)
            && let Some(product) = one.checked_mul(*other)
            && is_near(scale + more)
        {
            return Self::Near(product, scale + more);
        }
        Self::from(self.big().as_ref() * other.big().as_ref())
    }

    pub fn minus(&self, other: &Self) -> Self {
        Self::from(self.big().as_ref() - other.big().as_ref())
    }

    /// To so many digits that the double is the nearest.
    pub fn divided_by(&self, other: &Self) -> Self {
        Self::from((self.big().as_ref() / other.big().as_ref()).with_prec(DIGITS))
    }

    /// The same of a square root; 0 of what is negative.
    pub fn root(&self) -> Self {
        Self::from(self.big().sqrt().unwrap_or_default().with_prec(DIGITS))
    }

    /// As sketches take it.
    pub fn double(&self) -> f64 {
        // The text is read to the nearest double.
        self.big().to_string().parse().unwrap_or(f64::NAN)
    }

    /// As it stands in a result that a division or a root makes: whole numbers of 64 bits exactly, others as the
    /// nearest double; null if there is none.
    pub fn rounded(&self) -> String {
        let number = self.big();
        let whole = number.is_integer().then(|| number.to_i128());
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
        if let Self::Near(digits, 0) = self
            && let Ok(digits) = i64::try_from(*digits)
        {
            return digits.to_string();
        }
        let plain = self.big().normalized();
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

/// Whether a number of 128 bits with so many digits behind the point is kept as such.
fn is_near(scale: i64) -> bool {
    (-NEAR..=NEAR).contains(&scale)
}

/// Whether a number may be near to the end of the range of doubles.
fn is_far(number: &BigDecimal) -> bool {
    let (digits, scale) = number.as_bigint_and_scale();
    // Of 10 bits 3 digits and a little more.
    let digits = i64::try_from(digits.bits()).unwrap_or(i64::MAX) / 10 * 3;
    digits.saturating_sub(scale) > FAR - 20
}

/// A number of few digits without an exponent.
fn short(text: &str) -> Option<Decimal> {
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
    Some(Decimal::Near(digits.into(), scale))
}

/// As it was kept before there was a shorter form.
impl TryFrom<String> for Decimal {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let number = BigDecimal::from_str(&text);
        let number = number.map_err(|_| format!("`{text}` is no number"))?;
        Self::from(number).within()
    }
}
