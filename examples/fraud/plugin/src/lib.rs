//! Card payments that look like fraud, by rules that need memory.
//!
//! One payment in, an alert out for each rule that it breaks. What a rule needs of the payments before is
//! kept in the state of the key: the card, or the merchant in a second pipeline of the same plugin. Rules
//! go by the times in the payments and never by a clock, so the same payments give the same alerts,
//! whenever and however often they are processed.
//!
//! - `payment.rs` is what is read and what is published.
//! - `card.rs` has the memory and the rules of a card, `merchant.rs` those of a merchant.
//! - this file keeps the memory, and forgets it.

mod card;
mod merchant;
mod payment;
#[cfg(test)]
mod tests;

use card::Card;
use merchant::Merchant;
use payment::{Alert, Payment};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use weir_sdk::timers::{self, Clock};
use weir_sdk::{Error, Message, Operator, Output, Outputs, State, Stateful, Timer};

const CARD: State<Card> = State::new("card");
const MERCHANT: State<Merchant> = State::new("merchant");

/// The operator's `config:`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Settings {
    watch: Watch,
    /// Whoever has made no payment for so long is met as for the first time.
    forget_after_minutes: u32,
}

/// Whose payments are compared: what the pipeline's `key:` takes from a payment.
#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Watch {
    Cards,
    Merchants,
}

struct Fraud {
    watch: Watch,
    /// In milliseconds.
    forget_after: u64,
}

/// What is remembered of a card or of a merchant.
trait Memory: Default + Serialize + DeserializeOwned {
    /// When the last payment was, in milliseconds since the Unix epoch; 0 before the first.
    fn last(&self) -> u64;

    /// Judges a payment by those before it, and remembers it.
    fn see<'a>(&mut self, payment: &'a Payment) -> Vec<Alert<'a>>;
}

impl Operator for Fraud {
    type Config = Settings;

    fn configure(settings: Settings) -> Result<Self, String> {
        if settings.forget_after_minutes == 0 {
            return Err("`forget-after-minutes`: nothing would be remembered".to_owned());
        }
        Ok(Self {
            watch: settings.watch,
            forget_after: u64::from(settings.forget_after_minutes) * 60_000,
        })
    }

    fn process(&mut self, message: &Message) -> Result<Outputs, Error> {
        let payment = Payment::read(message)?;
        let alerts = match self.watch {
            Watch::Cards => self.judge(&CARD, message.state_key(), &payment)?,
            Watch::Merchants => self.judge(&MERCHANT, message.state_key(), &payment)?,
        };
        let mut outputs = Outputs::none();
        for alert in &alerts {
            outputs.push(Output::json(alert)?);
        }
        Ok(outputs)
    }
}

impl Fraud {
    fn judge<'a, M: Memory>(
        &self,
        state: &State<M>,
        key: &str,
        payment: &'a Payment,
    ) -> Result<Vec<Alert<'a>>, Error> {
        let mut memory = state.get(key)?.unwrap_or_default();
        // The timer may be late, and must not decide: it only frees the memory.
        let forgotten_at = memory.last() + self.forget_after;
        if payment.time > forgotten_at {
            memory = M::default();
        }
        let alerts = memory.see(payment);
        state.set(key, &memory)?;
        let forgotten_at = memory.last() + self.forget_after;
        timers::set(
            key,
            "forget",
            Clock::EventTime,
            (forgotten_at + 1) * 1_000_000,
        )?;
        Ok(alerts)
    }
}

impl Stateful for Fraud {
    fn on_timer(&mut self, timer: &Timer) -> Result<Outputs, Error> {
        CARD.delete(&timer.key);
        MERCHANT.delete(&timer.key);
        Ok(Outputs::none())
    }
}

weir_sdk::export_stateful!(Fraud);
