//! Gives each message a subject that depends on its content.
//!
//! Either one template for all, or a table: the value that `by` finds chooses the template. What
//! has no route becomes a dead letter unless `otherwise` says what to do with it. The payload is
//! read only where a template asks for a field of it, and never copied.

mod template;
#[cfg(test)]
mod tests;

use fields::{Fields, Source};
use std::collections::BTreeMap;
use template::Template;
use weir_sdk::{Error, Message, Operator, Output, Outputs, Refusal, metrics};

/// The keys of `config:`: either `subject`, or `by` and `routes`.
#[derive(serde::Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Config {
    /// The template of every message's subject.
    #[cfg_attr(test, schemars(extend("x-weir-headers" = "mentions")))]
    subject: Option<String>,
    /// The value that selects the route, written like a placeholder of a template without its braces.
    #[cfg_attr(test, schemars(extend("x-weir-headers" = "mentions")))]
    by: Option<String>,
    /// Routes: a value, and the template of its subject.
    #[cfg_attr(test, schemars(extend("x-weir-headers" = "mentions")))]
    routes: Option<BTreeMap<String, String>>,
    /// What happens to a message that has no route, or whose values do not make a valid subject.
    #[serde(default)]
    otherwise: Otherwise<String>,
}

#[derive(Default, serde::Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema, serde::Serialize))]
#[serde(rename_all = "kebab-case")]
enum Otherwise<T> {
    /// Make it a dead letter.
    #[default]
    Reject,
    /// Drop it.
    Drop,
    /// Pass it on with its own subject.
    Keep,
    /// Publish it on this subject.
    #[cfg_attr(test, schemars(extend("x-weir-headers" = "mentions")))]
    Subject(T),
}

struct Route {
    rule: Rule,
    otherwise: Otherwise<Template>,
}

enum Rule {
    Always(Template),
    By(Source, BTreeMap<String, Template>),
}

impl Operator for Route {
    type Config = Config;

    fn configure(config: Config) -> Result<Self, String> {
        let mut refusal = Refusal::default();
        let mut parse = |keys: &[&str], text: &str| refusal.check(keys, Template::parse(text));
        let always = config.subject.as_deref();
        let always = always.and_then(|subject| parse(&["subject"], subject));
        let routes = config.routes.iter().flatten();
        let routes = routes.filter_map(|(value, subject)| {
            Some((value.clone(), parse(&["routes", value], subject)?))
        });
        let routes = routes.collect();
        let otherwise = match &config.otherwise {
            Otherwise::Reject => Some(Otherwise::Reject),
            Otherwise::Drop => Some(Otherwise::Drop),
            Otherwise::Keep => Some(Otherwise::Keep),
            Otherwise::Subject(subject) => {
                parse(&["otherwise", "subject"], subject).map(Otherwise::Subject)
            }
        };
        let by = config.by.as_deref();
        let by = by.map(|by| Source::parse(by.trim_start_matches('{').trim_end_matches('}')));
        let by = by.and_then(|by| refusal.check(&["by"], by));
        let rule = match (config.subject, config.by, config.routes) {
            (Some(_), None, None) => always.map(Rule::Always),
            (None, Some(_), Some(given)) if given.is_empty() => {
                refusal.add(&["routes"], "at least one route is needed");
                None
            }
            (None, Some(_), Some(_)) => by.map(|by| Rule::By(by, routes)),
            _ => {
                refusal.add(&[], "give either `subject`, or `by` and `routes`");
                None
            }
        };
        refusal.or(rule
            .zip(otherwise)
            .map(|(rule, otherwise)| Self { rule, otherwise }))
    }

    fn process(&mut self, message: &Message) -> Result<Outputs, Error> {
        let mut fields = Fields::of(message);
        let reason = match self.rule.subject(&mut fields) {
            Ok(subject) => return Ok(Output::pass().subject(subject).into()),
            Err(reason) => reason,
        };
        metrics::add("otherwise", 1);
        match &self.otherwise {
            Otherwise::Reject => Err(Error::reject(reason)),
            Otherwise::Drop => Ok(Outputs::none()),
            Otherwise::Keep => Ok(Outputs::pass()),
            Otherwise::Subject(template) => {
                let subject = template.render(&mut fields).map_err(Error::Reject)?;
                Ok(Output::pass().subject(subject).into())
            }
        }
    }
}

impl Rule {
    fn subject(&self, fields: &mut Fields<'_>) -> Result<String, String> {
        match self {
            Self::Always(template) => template.render(fields),
            Self::By(by, routes) => {
                let value = by.value(fields)?;
                let template = routes
                    .get(value.as_ref())
                    .ok_or_else(|| format!("there is no route for {by} = `{value}`"))?;
                template.render(fields)
            }
        }
    }
}

weir_sdk::export!(Route);
