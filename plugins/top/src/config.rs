//! The configuration: by what messages are ranked, and what a result shows.

use figures::{Figure, Settings, Shown, count, pointer};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use weir_sdk::Refusal;

/// What the ranking is called while it is kept, and where a message is refused.
pub const RESULTS: &str = "by";

/// The keys of `config:`.
#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Config {
    /// The field with the number that ranks a message, as a JSON pointer.
    #[cfg_attr(test, schemars(with = "String"))]
    by: Value,
    /// The number of messages with a result; at least 1.
    #[cfg_attr(test, schemars(with = "usize", range(min = 1, max = 1_000_000)))]
    n: Value,
    /// The order of the ranking.
    #[serde(default)]
    order: Order,
    /// What happens to messages that equal the last one.
    #[serde(default)]
    ties: Ties,
    /// Fields that divide the messages into groups, each with its own ranking: a name in the result, and the
    /// field as a JSON pointer.
    #[serde(default)]
    #[cfg_attr(test, schemars(with = "BTreeMap<String, String>"))]
    of: BTreeMap<String, Value>,
    /// The part of the message in a result: names and JSON pointers, or one JSON pointer; the whole payload
    /// by default.
    #[cfg_attr(test, schemars(with = "Option<OneOf<BTreeMap<String, String>>>"))]
    show: Option<Value>,
    /// The name of the rank in a result; `rank` by default. `false` omits the rank.
    #[cfg_attr(test, schemars(with = "Option<OneOf<bool>>"))]
    rank: Option<Value>,
    /// The greatest number of groups in a window of a key; 500 by default.
    #[cfg_attr(
        test,
        schemars(with = "Option<usize>", range(min = 1, max = 1_000_000))
    )]
    max_groups: Option<Value>,
}

/// A text, or something else.
#[cfg(test)]
#[derive(schemars::JsonSchema)]
#[schemars(untagged)]
#[expect(dead_code, reason = "the schema is made of the type")]
enum OneOf<T> {
    Text(String),
    Other(T),
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema, serde::Serialize))]
#[serde(rename_all = "kebab-case")]
enum Order {
    /// The greatest numbers first.
    #[default]
    Highest,
    /// The least numbers first.
    Lowest,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema, serde::Serialize))]
#[serde(rename_all = "kebab-case")]
enum Ties {
    /// They also have results. Equal numbers have the same rank.
    Keep,
    /// There are at most `n` results. Of equal numbers, the earlier message comes first.
    #[default]
    Cut,
}

impl Config {
    /// What is kept: one figure, which is the ranking.
    pub fn settings(&self) -> Result<Settings, String> {
        let mut refusal = Refusal::default();
        pointer(&mut refusal, &["by"], &self.by);
        count(&mut refusal, &["n"], &self.n);
        let order = match self.order {
            Order::Highest => "highest",
            Order::Lowest => "lowest",
        };
        let ties = match self.ties {
            Ties::Keep => "keep",
            Ties::Cut => "cut",
        };
        let rank = match &self.rank {
            None | Some(Value::Bool(true)) => Some("rank"),
            Some(Value::Bool(false)) => None,
            Some(Value::String(name)) if !name.is_empty() => Some(&**name),
            Some(other) => {
                refusal.add(
                    &["rank"],
                    format!("it is true, false or a name, not {other}"),
                );
                None
            }
        };
        if let Some(show) = &self.show {
            refusal.under("show", |refusal| Shown::read(refusal, show));
        }
        let shown = self.show.as_ref().and_then(Value::as_object);
        let has_name = |name: &str| shown.is_some_and(|shown| shown.contains_key(name));
        let twice = |name: &str| format!("two things in a result are called `{name}`");
        if let Some(name) = rank.filter(|name| has_name(name)) {
            refusal.add(&["show", name], twice(name));
        }
        let mut of = Vec::new();
        for (name, field) in &self.of {
            if has_name(name) || rank == Some(name) {
                refusal.add(&["of", name], twice(name));
            }
            if name == RESULTS {
                refusal.add(&["of", name], format!("`{RESULTS}` is no name for a field"));
            }
            of.extend(
                pointer(&mut refusal, &["of", name], field).map(|field| (name.clone(), field)),
            );
        }
        let groups = self.max_groups.as_ref();
        let groups = groups.and_then(|most| count(&mut refusal, &["max-groups"], most));
        refusal.or(Some(()))?;
        let mut definition = json!({ order: self.by, "most": self.n, "ties": ties });
        if let Some(definition) = definition.as_object_mut() {
            let show = self.show.clone().map(|show| ("show".to_owned(), show));
            let rank = rank.map(|rank| ("rank".to_owned(), rank.into()));
            definition.extend(show.into_iter().chain(rank));
        }
        let mut refusal = Refusal::default();
        let figure = Figure::read(&mut refusal, RESULTS, &definition);
        let mut settings = Settings::new(of, vec![refusal.or(figure)?]);
        if let Some(groups) = groups {
            settings.groups = groups;
        }
        Ok(settings)
    }
}
