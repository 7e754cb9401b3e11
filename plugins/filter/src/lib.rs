//! Keeps the messages for which an expression is true, and drops the others.
//!
//! The expression is written in [CEL](https://cel.dev): no loops without end, no side effects, the
//! same one that Kubernetes and Envoy use. The crate `expression` is what is done with it. Nothing of a kept message is copied.

#[cfg(test)]
mod tests;

use expression::Expression;
use weir_sdk::{Error, Message, Operator, Outputs, Refusal, metrics};

/// The keys of `config:`.
#[derive(serde::Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Config {
    /// The expression, in CEL.
    #[cfg_attr(test, schemars(extend("x-weir-headers" = "mentions")))]
    when: String,
    /// What happens to a message for which the expression has no value: a missing field, or a payload that is
    /// not JSON.
    #[serde(default)]
    on_error: OnError,
}

#[derive(Clone, Copy, Default, serde::Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema, serde::Serialize))]
#[serde(rename_all = "kebab-case")]
enum OnError {
    /// Make it a dead letter.
    #[default]
    Reject,
    /// Drop it, as if the expression were false.
    Drop,
    /// Keep it, as if the expression were true.
    Keep,
}

struct Filter {
    when: Expression,
    on_error: OnError,
}

impl Operator for Filter {
    type Config = Config;

    fn configure(config: Config) -> Result<Self, String> {
        let mut refusal = Refusal::default();
        let when = Expression::read(&mut refusal, &["when"], &config.when);
        Ok(Self {
            when: refusal.or(when)?,
            on_error: config.on_error,
        })
    }

    fn process(&mut self, message: &Message) -> Result<Outputs, Error> {
        let keep = match self.when.is_true_for(message) {
            Ok(keep) => keep,
            Err(error) => {
                metrics::add("undecided", 1);
                match self.on_error {
                    OnError::Reject => return Err(Error::reject(error)),
                    OnError::Drop => false,
                    OnError::Keep => true,
                }
            }
        };
        Ok(if keep {
            Outputs::pass()
        } else {
            Outputs::none()
        })
    }
}

weir_sdk::export!(Filter);
