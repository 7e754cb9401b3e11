//! Passes one message of a key per time span, or the last message before a pause.
//!
//! The time is that of the job's clock. What waits is in the state of its key (`held.rs`).

mod config;
mod held;
#[cfg(test)]
mod tests;

use config::{Config, Keep, Rule};
use weir_sdk::timers::{self, Clock};
use weir_sdk::{Error, Message, Operator, Outputs, Stateful, Timer, metrics, state};

/// The name of the value that is there while an interval lasts, and of the timer that ends one.
const INTERVAL: &str = "interval";
/// The name of the value that says when a pause must have come: nanoseconds since the Unix epoch.
const DEADLINE: &str = "deadline";

struct Throttle(Rule);

impl Operator for Throttle {
    type Config = Config;

    fn configure(config: Config) -> Result<Self, String> {
        config.rule().map(Self)
    }

    fn process(&mut self, message: &Message) -> Result<Outputs, Error> {
        let key = fields::state_key(message)?;
        match self.0 {
            Rule::Every { time, keep } => {
                let is_first = state::get(key, INTERVAL).is_none();
                if is_first {
                    begin(key, time)?;
                }
                if is_first && keep != Keep::Last {
                    return Ok(Outputs::pass());
                }
                if keep == Keep::First {
                    metrics::add("dropped", 1);
                    return Ok(Outputs::none());
                }
            }
            Rule::Quiet { time, at_most } => {
                let now = timers::now(Clock::ProcessingTime);
                let deadline = match state::get(key, DEADLINE) {
                    Some(bytes) => u64::from_le_bytes(bytes.try_into().unwrap_or_default()),
                    None => {
                        let deadline = at_most.map_or(u64::MAX, |most| now.saturating_add(most));
                        state::set(key, DEADLINE, &deadline.to_le_bytes(), None)?;
                        deadline
                    }
                };
                let due = deadline.min(now.saturating_add(time));
                timers::set(key, INTERVAL, Clock::ProcessingTime, due)?;
            }
        }
        if held::hold(message)? {
            metrics::add("dropped", 1);
        }
        Ok(Outputs::none())
    }
}

impl Stateful for Throttle {
    fn on_timer(&mut self, timer: &Timer) -> Result<Outputs, Error> {
        let key = &timer.key;
        let held = held::take(key)?;
        state::delete(key, INTERVAL);
        state::delete(key, DEADLINE);
        if let (
            Rule::Every {
                time,
                keep: Keep::Both,
            },
            Some(_),
        ) = (&self.0, &held)
        {
            begin(key, *time)?;
        }
        Ok(held.into())
    }
}

/// An interval of a key begins.
fn begin(key: &str, time: u64) -> Result<(), Error> {
    state::set(key, INTERVAL, b"", None)?;
    let end = timers::now(Clock::ProcessingTime).saturating_add(time);
    timers::set(key, INTERVAL, Clock::ProcessingTime, end)
}

weir_sdk::export_stateful!(Throttle);
