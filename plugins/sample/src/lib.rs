//! Passes a share of the messages, the same share at each delivery.
//!
//! Nothing is random: whether a message passes follows from its subject and sequence, or from a value of it. So it
//! is the same when a message is delivered again, and on every host.

#[cfg(test)]
mod tests;

use expression::Expression;
use fields::{Fields, Template};
use sha2::{Digest, Sha256};
use weir_sdk::{Error, Message, Operator, Outputs, Refusal, metrics};

/// The keys of `config:`.
#[derive(serde::Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Config {
    /// One of this many messages passes, on average.
    one_in: Option<u64>,
    /// The share that passes, between 0 and 1.
    fraction: Option<f64>,
    /// A template of the value that decides: either all messages with the same value pass, or none. By
    /// default the subject and the sequence decide.
    #[cfg_attr(test, schemars(extend("x-weir-headers" = "mentions")))]
    by: Option<String>,
    /// A text; a different text makes a different selection. Empty by default.
    #[serde(default)]
    seed: String,
    /// An expression: messages for which it is true pass in any case.
    #[cfg_attr(test, schemars(extend("x-weir-headers" = "mentions")))]
    always: Option<String>,
}

struct Sample {
    /// A message passes if its hash is below this, of 2^64.
    bound: u128,
    by: Option<Template>,
    seed: String,
    always: Option<Expression>,
}

impl Operator for Sample {
    type Config = Config;

    fn configure(config: Config) -> Result<Self, String> {
        let mut refusal = Refusal::default();
        let all = 1_u128 << 64;
        let bound = match (config.one_in, config.fraction) {
            (Some(0), None) => {
                refusal.add(&["one-in"], "it must be at least 1");
                None
            }
            (Some(number), None) => Some(all.div_ceil(number.into())),
            (None, Some(fraction)) if (0.0..=1.0).contains(&fraction) => Some(of_all(fraction)),
            (None, Some(fraction)) => {
                refusal.add(
                    &["fraction"],
                    format!("it must be between 0 and 1, not {fraction}"),
                );
                None
            }
            _ => return Err("give either `one-in` or `fraction`".into()),
        };
        let by = config.by.as_deref().map(Template::parse).transpose();
        let by = by.map_err(|error| refusal.add(&["by"], error));
        let always = config.always.as_deref();
        let always = always.and_then(|always| Expression::read(&mut refusal, &["always"], always));
        let made = bound.zip(by.ok()).map(|(bound, by)| Self {
            bound,
            by,
            seed: config.seed,
            always,
        });
        refusal.or(made)
    }

    fn process(&mut self, message: &Message) -> Result<Outputs, Error> {
        let value = match &self.by {
            Some(by) => by.render(&mut Fields::of(message)).map_err(Error::Reject)?,
            None => format!("{} {}", message.subject, message.sequence),
        };
        let passes = self.hash(&value) < self.bound || self.is_wanted(message)?;
        if passes {
            return Ok(Outputs::pass());
        }
        metrics::add("dropped", 1);
        Ok(Outputs::none())
    }
}

impl Sample {
    /// A number below 2^64 that follows from the value alone.
    fn hash(&self, value: &str) -> u128 {
        let hash = Sha256::new()
            .chain_update(&self.seed)
            .chain_update([0])
            .chain_update(value)
            .finalize();
        let first = hash.iter().take(8);
        first.fold(0, |number, byte| number << 8 | u128::from(*byte))
    }

    fn is_wanted(&self, message: &Message) -> Result<bool, Error> {
        match &self.always {
            Some(always) => always.is_true_for(message).map_err(Error::Reject),
            None => Ok(false),
        }
    }
}

/// This share of 2^64.
fn of_all(fraction: f64) -> u128 {
    // It is between 0 and 1, so nothing is cut off but what is behind the point.
    (fraction * 2_f64.powi(64)) as u128
}

weir_sdk::export!(Sample);
