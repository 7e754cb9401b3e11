//! Computes fields of the payload with expressions, and removes or keeps other fields.
//!
//! The expressions are those of `filter`. All of them see the message as it came, and what none of them touches
//! stays as it was written.

#[cfg(test)]
mod tests;

use expression::{Expression, Variables};
use fields::{Node, OnError, Pattern, Pointer};
use std::collections::BTreeMap;
use weir_sdk::{Error, Message, Operator, Output, Outputs, Refusal};

/// The keys of `config:`.
#[derive(serde::Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Config {
    /// Fields to set: the name or JSON pointer of a field, and the expression of its value.
    #[cfg_attr(test, schemars(extend("x-weir-headers" = "mentions")))]
    #[serde(default)]
    fields: BTreeMap<String, String>,
    /// The fields to remove: JSON pointers, with `*` for every element.
    #[serde(default)]
    remove: Vec<String>,
    /// The fields of the input to keep; all fields by default.
    keep: Option<Vec<String>>,
    /// What happens to a message for which an expression has no value: a missing field, or a payload that is
    /// not JSON; `reject` by default.
    #[serde(default)]
    on_error: OnError,
}

struct Map {
    fields: Vec<(Pointer, Expression)>,
    remove: Vec<Pattern>,
    keep: Option<Vec<Pattern>>,
    on_error: OnError,
}

impl Operator for Map {
    type Config = Config;

    fn configure(config: Config) -> Result<Self, String> {
        let mut refusal = Refusal::default();
        if !config.remove.is_empty() && config.keep.is_some() {
            refusal.add(&["keep"], "give either `remove` or `keep`");
        }
        let mut fields: Vec<(Pointer, Expression)> = Vec::new();
        for (name, source) in config.fields {
            let place = ["fields", &name];
            let expression = Expression::read(&mut refusal, &place, &source);
            match Pointer::field(&name) {
                Err(error) => refusal.add(&place, error),
                Ok(pointer)
                    if pointer.steps().is_empty()
                        || fields.iter().any(|(other, _)| *other == pointer) =>
                {
                    refusal.add(&place, "a field has one expression, and a name");
                }
                Ok(pointer) => fields.extend(expression.map(|expression| (pointer, expression))),
            }
        }
        let remove = patterns("remove", &config.remove, &mut refusal);
        let keep = config.keep.as_deref();
        let keep = keep.map(|keep| patterns("keep", keep, &mut refusal));
        refusal.or(Some(Self {
            fields,
            remove,
            keep,
            on_error: config.on_error,
        }))
    }

    fn process(&mut self, message: &Message) -> Result<Outputs, Error> {
        match self.mapped(message) {
            Ok(payload) => Ok(Output::new(payload).into()),
            Err(error) => self.on_error.result(error),
        }
    }
}

/// Those that are sound.
fn patterns(name: &str, texts: &[String], refusal: &mut Refusal) -> Vec<Pattern> {
    let texts = texts.iter().enumerate();
    let patterns = texts.filter_map(|(index, text)| {
        let pattern = Pattern::field(text);
        if let Err(error) = &pattern {
            refusal.add(&[name, &index.to_string()], error);
        }
        pattern.ok()
    });
    patterns.collect()
}

impl Map {
    fn mapped(&self, message: &Message) -> Result<Vec<u8>, String> {
        let variables = Variables::of(message);
        let values = self.fields.iter().map(|(pointer, expression)| {
            let value = expression.value(&variables);
            let value = value.and_then(|value| Node::new(&value));
            value.map_err(|error| format!("field {pointer}: {error}"))
        });
        let values: Vec<Node<'_>> = values.collect::<Result<_, _>>()?;
        let mut payload = match &self.keep {
            // Nothing of the payload stays, so it need not be JSON.
            Some(keep) if keep.is_empty() => Node::Object(Vec::new()),
            _ => Node::read(&message.payload)?,
        };
        if let Some(keep) = &self.keep {
            payload.keep(keep)?;
        }
        for pattern in &self.remove {
            payload.remove(pattern)?;
        }
        for ((pointer, _), value) in self.fields.iter().zip(values) {
            payload.set(pointer, value)?;
        }
        Ok(payload.to_json())
    }
}

weir_sdk::export!(Map);
