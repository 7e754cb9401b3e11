//! Drops repeated messages: of equal messages, only the first passes.
//!
//! What makes two messages the same is in `identity.rs`. That a message was there is kept in the state of
//! its key, for as long as the configuration says. So messages that are the same must have the same key.
//! Nothing of a message that passes is copied.

mod identity;
#[cfg(test)]
mod tests;

use identity::By;
use std::time::Duration;
use weir_sdk::{Error, Message, Operator, Outputs, Refusal, Stateful, config, metrics, state};

/// The keys of `config:`.
#[derive(serde::Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Config {
    /// The value that identifies a message: a field such as `/order/id`, `header:NAME`, `message-id`, or
    /// `payload`.
    #[cfg_attr(test, schemars(extend("x-weir-headers" = "mentions")))]
    by: String,
    /// How long to drop repeats, counted from the first message: `30s`, `1h`, `7d`.
    #[cfg_attr(test, schemars(extend("x-kind" = "duration")))]
    within: String,
    /// What happens to a message that lacks the value of `by`.
    #[serde(default)]
    without: Without,
}

#[derive(Clone, Copy, Default, serde::Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema, serde::Serialize))]
#[serde(rename_all = "kebab-case")]
enum Without {
    /// Pass it on.
    #[default]
    Pass,
    /// Drop it.
    Drop,
    /// Make it a dead letter.
    Reject,
}

struct Dedupe {
    by: By,
    within: Duration,
    without: Without,
}

impl Operator for Dedupe {
    type Config = Config;

    fn configure(config: Config) -> Result<Self, String> {
        let mut refusal = Refusal::default();
        let by = refusal.check(&["by"], By::parse(&config.by));
        let within = refusal.check(&["within"], duration(&config.within));
        refusal.or(by.zip(within).map(|(by, within)| Self {
            by,
            within,
            without: config.without,
        }))
    }

    fn process(&mut self, message: &Message) -> Result<Outputs, Error> {
        let identity = match self.by.identity(message) {
            Ok(identity) => identity,
            Err(reason) => {
                metrics::add("without", 1);
                return match self.without {
                    Without::Pass => Ok(Outputs::pass()),
                    Without::Drop => Ok(Outputs::none()),
                    Without::Reject => Err(Error::reject(reason)),
                };
            }
        };
        let key = fields::state_key(message)?;
        if state::get(key, &identity).is_some() {
            metrics::add("duplicates", 1);
            return Ok(Outputs::none());
        }
        state::set(key, &identity, b"", Some(self.within))?;
        Ok(Outputs::pass())
    }
}

/// What is remembered goes by itself, without a timer.
impl Stateful for Dedupe {}

/// How long a message is remembered.
fn duration(text: &str) -> Result<Duration, String> {
    match config::duration(text)? {
        Duration::ZERO => Err("nothing would be remembered".to_owned()),
        time => Ok(time),
    }
}

weir_sdk::export_stateful!(Dedupe);
