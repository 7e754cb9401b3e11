//! What an order earns, in whole cents. Money never becomes a floating-point number: 0.1 has no
//! exact one, and the cents that get lost are found by an auditor, years later.

use crate::order::Pieces;
use serde::Deserialize;
use std::collections::HashMap;
use weir_sdk::{Error, OrFail};

/// The operator's `config:` as it is written. Amounts and percentages are text, because a bare
/// `7.25` in YAML is a floating-point number.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The only currency; an order in another one is malformed.
    currency: String,
    /// The most that one order earns, such as `25.00`.
    cap: String,
    /// Percentage of each category, such as `5%`, with up to two decimals. A category that is not
    /// listed earns nothing.
    categories: HashMap<String, String>,
}

/// The settings, ready for use.
#[derive(Debug)]
pub struct Policy {
    currency: String,
    cap_cents: u128,
    /// In hundredths of a percent, which are ten-thousandths of the price.
    rates: HashMap<String, u32>,
}

impl Policy {
    pub fn new(settings: &Settings) -> Result<Self, String> {
        let cap = hundredths(&settings.cap).ok_or_else(|| {
            format!(
                "`cap` must be an amount such as 25.00, not `{}`",
                settings.cap
            )
        })?;
        let mut rates = HashMap::new();
        for (category, rate) in &settings.categories {
            let parsed = rate
                .strip_suffix('%')
                .and_then(hundredths)
                .filter(|&rate| rate <= 10_000);
            let parsed = parsed.ok_or_else(|| {
                let wanted = "a percentage from 0% to 100%, such as 7.25%";
                format!("`categories.{category}` must be {wanted}, not `{rate}`")
            })?;
            rates.insert(category.clone(), parsed);
        }
        Ok(Self {
            currency: settings.currency.clone(),
            cap_cents: cap.into(),
            rates,
        })
    }

    /// What an order of these pieces earns, in cents.
    ///
    /// The lines are added up exactly; the sum is rounded once, half a cent up, and then capped.
    pub fn rebate<'a>(
        &self,
        currency: &str,
        order: impl IntoIterator<Item = Pieces<'a>>,
    ) -> Result<i64, Error> {
        if currency != self.currency {
            let known = &self.currency;
            return Err(Error::reject(format!(
                "`currency` is {currency:?}, not `{known}`"
            )));
        }
        // In ten-thousandths of a cent.
        let mut sum: u128 = 0;
        for Pieces {
            category,
            count,
            unit_cents,
        } in order
        {
            let rate = self.rates.get(category).copied().unwrap_or(0);
            sum = u128::from(count)
                .checked_mul(unit_cents.into())
                .and_then(|price| price.checked_mul(rate.into()))
                .and_then(|share| share.checked_add(sum))
                .or_reject("the amount of the order is too large")?;
        }
        let rounded = sum.div_euclid(10_000) + u128::from(sum % 10_000 >= 5_000);
        i64::try_from(rounded.min(self.cap_cents)).or_reject("the rebate is too large")
    }
}

/// `7.25` as 725, `7.2` as 720, `7` as 700; nothing else is a number here.
fn hundredths(text: &str) -> Option<u32> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "00"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(fraction) || fraction.len() > 2 {
        return None;
    }
    let fraction: u32 = format!("{fraction:0<2}").parse().ok()?;
    whole
        .parse::<u32>()
        .ok()?
        .checked_mul(100)?
        .checked_add(fraction)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read_without_floating_point() {
        assert_eq!(hundredths("7.25"), Some(725));
        assert_eq!(hundredths("7.2"), Some(720));
        assert_eq!(hundredths("0.05"), Some(5));
        assert_eq!(hundredths("25"), Some(2500));
        for wrong in [
            "",
            ".",
            "7.",
            ".5",
            "-1",
            "+1",
            "1e2",
            "7.255",
            " 7",
            "99999999999",
        ] {
            assert_eq!(hundredths(wrong), None, "{wrong}");
        }
    }
}
