//! The configuration: what a result says besides when its session was and how many messages it has.

use figures::{Figure, Settings, Shown, count, pointer};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use weir_sdk::Refusal;

/// What every result has, and the figures that it is.
const ALWAYS: [(&str, &str); 4] = [
    ("start", "first-time"),
    ("end", "last-time"),
    ("duration", "duration"),
    ("count", "count"),
];

/// The keys of `config:`.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Fields of the first message: a name in the result, and the field as a JSON pointer.
    #[serde(default)]
    #[cfg_attr(test, schemars(with = "BTreeMap<String, String>"))]
    first: BTreeMap<String, Value>,
    /// Fields of the last message: a name in the result, and the field as a JSON pointer.
    #[serde(default)]
    #[cfg_attr(test, schemars(with = "BTreeMap<String, String>"))]
    last: BTreeMap<String, Value>,
    /// Lists the messages in the order of event time. By default results contain no messages.
    events: Option<Events>,
}

/// Which messages a result lists.
#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
struct Events {
    /// The greatest number of messages to list; the first ones.
    #[cfg_attr(test, schemars(with = "usize", range(min = 1, max = 1_000_000)))]
    most: Value,
    /// The part of each message to list: names and JSON pointers, or one JSON pointer; the whole payload by
    /// default.
    #[cfg_attr(test, schemars(with = "Option<Show>"))]
    show: Option<Value>,
}

#[cfg(test)]
#[derive(schemars::JsonSchema)]
#[schemars(untagged)]
#[expect(dead_code, reason = "the schema is made of the type")]
enum Show {
    Field(String),
    Fields(BTreeMap<String, String>),
}

impl Config {
    /// What is kept: a figure for each name in the result.
    pub fn settings(&self) -> Result<Settings, String> {
        let mut refusal = Refusal::default();
        let always = ALWAYS.map(|(name, figure)| (name, figure.into()));
        let mut definitions: BTreeMap<&str, Value> = always.into();
        let first = self.first.iter().map(|it| ("first", it));
        let last = self.last.iter().map(|it| ("last", it));
        for (which, (name, field)) in first.chain(last) {
            pointer(&mut refusal, &[which, name], field);
            let definition = json!({ which: field });
            if definitions.insert(name, definition).is_some() {
                refusal.add(&[which, name], twice(name));
            }
        }
        if let Some(events) = &self.events {
            refusal.under("events", |refusal| events.check(refusal));
            if definitions.insert("events", events.figure()).is_some() {
                refusal.add(&["events"], twice("events"));
            }
        }
        refusal.or(Some(()))?;
        let mut refusal = Refusal::default();
        let figures = definitions.iter();
        let figures =
            figures.filter_map(|(name, definition)| Figure::read(&mut refusal, name, definition));
        let figures = figures.collect();
        refusal.or(Some(Settings::new(Vec::new(), figures)))
    }
}

fn twice(name: &str) -> String {
    format!("two things in a result are called `{name}`")
}

impl Events {
    fn check(&self, refusal: &mut Refusal) {
        count(refusal, &["most"], &self.most);
        if let Some(show) = &self.show {
            refusal.under("show", |refusal| Shown::read(refusal, show));
        }
    }

    fn figure(&self) -> Value {
        let mut figure = json!({ "list": "", "most": self.most });
        if let (Some(figure), Some(show)) = (figure.as_object_mut(), &self.show) {
            figure.insert("show".to_owned(), show.clone());
        }
        figure
    }
}
