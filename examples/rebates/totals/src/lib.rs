//! Running totals: what each customer has earned in a month, up to a cap.
//!
//! One booking in, one total out. What a customer has earned is kept in the state of the key, which is
//! the customer; the host stores it in one commit with the totals that were published. So no booking is
//! counted twice or left out, whatever is killed.
//!
//! - `month.rs` says which month a time is in.
//! - this file adds up.

mod month;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use weir_sdk::{Error, Message, Operator, OrFail, Output, Outputs, State, Stateful};

/// The operator's `config:`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Settings {
    /// The most that a customer is credited in a month.
    monthly_cap_cents: u32,
}

/// What a customer has earned by month, in cents: more than the cap, where the cap cuts it, because a
/// refund is taken from that first.
const EARNED: State<BTreeMap<String, i64>> = State::new("earned");

/// What is read: a booking of the operator before. Other fields of it are not needed here.
#[derive(Deserialize)]
struct Booking {
    id: String,
    user: String,
    cents: i64,
}

/// What is published.
#[derive(Serialize)]
struct Total {
    /// Of the booking.
    id: String,
    user: String,
    month: String,
    /// What this booking has changed.
    credited_cents: i64,
    /// The customer's credit of the month after it: at most the cap.
    total_cents: i64,
}

struct Totals {
    cap: i64,
}

impl Operator for Totals {
    type Config = Settings;

    fn configure(settings: Settings) -> Result<Self, String> {
        let cap = settings.monthly_cap_cents.into();
        Ok(Self { cap })
    }

    fn process(&mut self, message: &Message) -> Result<Outputs, Error> {
        let Booking { id, user, cents } = message.json()?;
        let month = month::of(message.event_time);
        let mut earned = EARNED.get(message.state_key())?.unwrap_or_default();
        let of_month = earned.entry(month.clone()).or_default();
        let before = *of_month;
        *of_month = before
            .checked_add(cents)
            .or_reject("the total of the month is too large")?;
        let total_cents = self.cap.min(*of_month);
        EARNED.set(message.state_key(), &earned)?;
        let total = Total {
            id,
            user,
            month,
            credited_cents: total_cents - self.cap.min(before),
            total_cents,
        };
        Ok(Output::json(&total)?.into())
    }
}

/// Nothing is to be done later: no timers.
impl Stateful for Totals {}

weir_sdk::export_stateful!(Totals);
