//! Removes, masks, replaces or hashes sensitive data.
//!
//! A rule says where (`rule.rs`) and how (`method.rs`). The rest of a payload stays as it was written. A message
//! that cannot be redacted never passes.

mod config;
mod method;
mod rule;
#[cfg(test)]
mod tests;

use config::Config;
use fields::Node;
use rule::{Found, Rule};
use weir_sdk::{Error, Message, Operator, Output, Outputs, metrics};

struct Redact {
    rules: Vec<Rule>,
    is_text: bool,
    drops: bool,
}

impl Operator for Redact {
    type Config = Config;

    fn configure(config: Config) -> Result<Self, String> {
        config.redact()
    }

    fn process(&mut self, message: &Message) -> Result<Outputs, Error> {
        let mut found = Found::default();
        let output = match self.redacted(message, &mut found) {
            Ok(output) => output,
            Err(_) if self.drops => {
                metrics::add("dropped", 1);
                return Ok(Outputs::none());
            }
            Err(reason) => return Err(Error::Reject(reason)),
        };
        if found.count > 0 {
            metrics::add("redacted", found.count);
        }
        Ok(output.into())
    }
}

impl Redact {
    fn redacted(&self, message: &Message, found: &mut Found) -> Result<Output, String> {
        let mut output = Output::pass();
        if self.rules.iter().any(Rule::is_of_payload) {
            output.payload = match self.is_text {
                true => self.text(message, found)?,
                false => self.json(message, found)?,
            };
        }
        if self.rules.iter().any(Rule::is_of_headers) {
            // What no rule could see does not go on: a header that `headers:` of the operator does not name.
            let mut headers = fields::headers_of(message);
            for rule in &self.rules {
                rule.redact_headers(&mut headers, found);
            }
            output.headers = Some(headers);
        }
        Ok(output)
    }

    /// The payload, if something of it changes.
    fn json(&self, message: &Message, found: &mut Found) -> Result<Option<Vec<u8>>, String> {
        let mut payload = Node::read(&message.payload)?;
        let before = found.count;
        for rule in &self.rules {
            rule.redact(&mut payload, found)?;
        }
        Ok((found.count > before).then(|| payload.to_json()))
    }

    fn text(&self, message: &Message, found: &mut Found) -> Result<Option<Vec<u8>>, String> {
        let mut text = str::from_utf8(&message.payload)
            .map_err(|error| format!("the payload is not text: {error}"))?
            .to_owned();
        let before = found.count;
        for rule in &self.rules {
            if let Some(redacted) = rule.redact_text(&text, found) {
                text = redacted;
            }
        }
        Ok((found.count > before).then(|| text.into_bytes()))
    }
}

weir_sdk::export!(Redact);
