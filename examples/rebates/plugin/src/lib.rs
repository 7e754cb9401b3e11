//! Rebates for shops: reads order events, publishes what each customer earns and gives back.
//!
//! One message in, at most one message out, and no memory in between: everything that is needed to
//! decide stands in the event itself. That is what makes the plugin safe to restart, to run ten
//! times side by side, and to feed with the same message twice.
//!
//! - `order.rs` reads an event and refuses what is malformed, with a reason.
//! - `policy.rs` computes, in whole cents.
//! - this file says what becomes of each event.

mod order;
mod policy;

use order::{Event, Line, Order, RefundLine};
use policy::{Policy, Settings};
use serde::Serialize;
use weir_sdk::{Error, Message, Operator, Output, Outputs};

struct Rebates {
    policy: Policy,
}

/// What is published: one booking on a customer's account.
#[derive(Serialize)]
struct Rebate<'a> {
    /// The same for the same event, however often it is told: whoever adds these up counts each id
    /// once, and repeats do no harm.
    id: String,
    user: &'a str,
    order: &'a str,
    currency: &'a str,
    /// Negative when it is taken back.
    cents: i64,
}

impl Operator for Rebates {
    type Config = Settings;

    fn configure(settings: Settings) -> Result<Self, String> {
        Ok(Self {
            policy: Policy::new(&settings)?,
        })
    }

    fn process(&mut self, message: &Message) -> Result<Outputs, Error> {
        let Order { id, user, event } = Order::read(message)?;
        let (booking, currency, cents) = match event {
            Event::NoMoney => return Ok(Outputs::none()),
            Event::Purchase {
                paid,
                currency,
                lines,
            } => {
                let earned = self
                    .policy
                    .rebate(&currency, lines.iter().map(Line::bought))?;
                if !paid {
                    // Computed all the same: what cannot be is noticed before it is paid.
                    return Ok(Outputs::none());
                }
                (format!("{id}/paid"), currency, earned)
            }
            Event::Refunded {
                currency,
                number,
                lines,
            } => {
                // What the order deserved before less what it deserves after, not a share of the
                // pieces that go back: rounding and cap are of whole orders, and so the refunds of
                // an order add up to exactly what it had earned.
                let before = lines.iter().map(RefundLine::kept_before);
                let after = lines.iter().map(RefundLine::kept_after);
                let before = self.policy.rebate(&currency, before)?;
                let after = self.policy.rebate(&currency, after)?;
                (format!("{id}/refund-{number}"), currency, after - before)
            }
        };
        if cents == 0 {
            return Ok(Outputs::none());
        }
        let (id, order) = (booking, &*id);
        let rebate = Rebate {
            id,
            user: &user,
            order,
            currency: &currency,
            cents,
        };
        Ok(Output::json(&rebate)?
            .subject(format!("rebates.{user}"))
            .key(user)
            .into())
    }
}

weir_sdk::export!(Rebates);

#[cfg(test)]
mod tests;
