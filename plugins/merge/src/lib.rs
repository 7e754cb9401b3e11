//! Passes the messages of a key on in the order of their event times.
//!
//! A message waits in the state of its key (`held.rs`) until the watermark has reached its time: none with an earlier
//! time is expected then. Each has a timer of its own, and the host fires timers in order, as many as fit into a commit.

mod held;
#[cfg(test)]
mod tests;

use weir_sdk::timers::{self, Clock};
use weir_sdk::{Error, Message, Operator, Outputs, Stateful, Timer, metrics};

/// The keys of `config:`.
#[derive(serde::Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
struct Config {
    /// What happens to a message behind the watermark: its place in the order has passed.
    #[serde(default)]
    late: Late,
}

#[derive(Clone, Copy, Default, serde::Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema, serde::Serialize))]
#[serde(rename_all = "kebab-case")]
enum Late {
    /// Drop it.
    #[default]
    Drop,
    /// Pass it at once, out of order.
    Pass,
}

struct Merge {
    late: Late,
}

impl Operator for Merge {
    type Config = Config;

    fn configure(Config { late }: Config) -> Result<Self, String> {
        Ok(Self { late })
    }

    fn process(&mut self, message: &Message) -> Result<Outputs, Error> {
        if message.event_time >= timers::now(Clock::EventTime) {
            return held::hold(message).map(|()| Outputs::none());
        }
        metrics::add("late", 1);
        Ok(match self.late {
            Late::Drop => Outputs::none(),
            Late::Pass => Outputs::pass(),
        })
    }
}

impl Stateful for Merge {
    fn on_timer(&mut self, timer: &Timer) -> Result<Outputs, Error> {
        held::take(&timer.key, &timer.tag).map(Outputs::from)
    }
}

weir_sdk::export_stateful!(Merge);
