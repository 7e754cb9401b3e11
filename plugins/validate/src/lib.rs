//! Passes the messages whose payload is valid for a [JSON Schema](https://json-schema.org).
//!
//! The others become dead letters that say which field is wrong and how. The schema stands in the
//! pipeline file; references to other documents are refused, because a plugin has no network.
//! Nothing of a message that fits is copied.

mod far;
#[cfg(all(target_family = "wasm", target_os = "unknown"))]
mod random;
#[cfg(test)]
mod tests;

use jsonschema::{ValidationError, Validator};
use serde_json::Value;
use weir_sdk::{Error, Message, Operator, Outputs, Refusal, metrics};

/// Mistakes named in one reason; more do not help, and dead letters carry the reason as a header.
const NAMED_MISTAKES: usize = 5;
/// Characters of one mistake; the offending value is part of it.
const MISTAKE_LENGTH: usize = 200;

/// The keys of `config:`.
#[derive(serde::Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Config {
    /// The schema: draft 2020-12 unless its `$schema` says otherwise.
    schema: Value,
    /// Whether to check `format` (`email` and others), which is optional in the standard.
    #[serde(default = "yes")]
    formats: bool,
    /// What happens to an invalid message.
    #[serde(default)]
    on_invalid: OnInvalid,
}

fn yes() -> bool {
    true
}

#[derive(Clone, Copy, Default, serde::Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema, serde::Serialize))]
#[serde(rename_all = "kebab-case")]
enum OnInvalid {
    /// Make it a dead letter.
    #[default]
    Reject,
    /// Drop it.
    Drop,
}

struct Validate {
    validator: Validator,
    on_invalid: OnInvalid,
}

impl Operator for Validate {
    type Config = Config;

    fn configure(config: Config) -> Result<Self, String> {
        let validator = jsonschema::options()
            .should_validate_formats(config.formats)
            .should_ignore_unknown_formats(!config.formats)
            .with_retriever(NoNetwork)
            .build(&config.schema);
        let mut refusal = Refusal::default();
        if let Err(error) = &validator {
            mistakes(&config.schema, error, &mut refusal);
        }
        refusal.or(validator.ok().map(|validator| Self {
            validator,
            on_invalid: config.on_invalid,
        }))
    }

    fn process(&mut self, message: &Message) -> Result<Outputs, Error> {
        let Err(reason) = self.check(&message.payload) else {
            return Ok(Outputs::pass());
        };
        metrics::add("invalid", 1);
        match self.on_invalid {
            OnInvalid::Reject => Err(Error::reject(reason)),
            OnInvalid::Drop => Ok(Outputs::none()),
        }
    }
}

/// What is wrong with a schema: all that its meta-schema refuses, or else why it cannot be compiled.
fn mistakes(schema: &Value, error: &ValidationError<'_>, refusal: &mut Refusal) {
    let meta = jsonschema::meta::validator_for(schema);
    let found = meta
        .as_ref()
        .map(|meta| meta.iter_errors(schema))
        .into_iter()
        .flatten();
    let mut found = found.peekable();
    let only = found.peek().is_none().then_some(error);
    refusal.under("schema", |refusal| {
        for error in found {
            told(&error, refusal);
        }
        only.into_iter().for_each(|error| told(error, refusal));
    });
}

fn told(error: &ValidationError<'_>, refusal: &mut Refusal) {
    let path = error.instance_path().as_str();
    let keys = path.split('/').skip(1);
    let keys: Vec<_> = keys
        .map(|key| key.replace("~1", "/").replace("~0", "~"))
        .collect();
    let keys: Vec<_> = keys.iter().map(String::as_str).collect();
    refusal.add(&keys, error);
}

/// Refuses references to other documents.
struct NoNetwork;

impl jsonschema::Retrieve for NoNetwork {
    fn retrieve(
        &self,
        _: &jsonschema::Uri<String>,
    ) -> Result<Value, Box<dyn std::error::Error + Send + Sync>> {
        Err("a plugin has no network: copy it into the schema, under `$defs`".into())
    }
}

impl Validate {
    fn check(&self, payload: &[u8]) -> Result<(), String> {
        let read = serde_json::from_slice(payload).map(|value| (value, false));
        let (payload, is_far) = read.or_else(|_| far::value(payload).map(|value| (value, true)))?;
        if self.validator.is_valid(&payload) {
            return Ok(()); // several times as fast as looking for the mistakes
        }
        let mut mistakes = self.validator.iter_errors(&payload);
        let mut reason = Vec::new();
        for mistake in mistakes.by_ref().take(NAMED_MISTAKES) {
            let path = mistake.instance_path().as_str();
            let separator = if path.is_empty() { "" } else { ": " };
            let mistake = match is_far && far::is_bound(mistake.instance()) {
                true => mistake.masked_with("the number out of range").to_string(),
                false => mistake.to_string(),
            };
            reason.push(shortened(format!("{path}{separator}{mistake}")));
        }
        match mistakes.count() {
            0 => {}
            more => reason.push(format!("and {more} more")),
        }
        Err(reason.join("; "))
    }
}

fn shortened(mut text: String) -> String {
    if let Some((end, _)) = text.char_indices().nth(MISTAKE_LENGTH) {
        text.truncate(end);
        text.push('…');
    }
    text
}

weir_sdk::export!(Validate);
