//! The configuration: by what messages are ranked, and what a result shows.

use figures::{Figure, Settings, Shown, count, pointer};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// What the ranking is called while it is kept, and where a message is refused.
pub const RESULTS: &str = "by";

/// What stands under `config:`.
#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Config {
    /// The field with the number that a message is ranked by, as a JSON pointer.
    #[cfg_attr(test, schemars(with = "String"))]
    by: Value,
    /// How many messages have a result, from 1 on.
    #[cfg_attr(test, schemars(with = "usize", range(min = 1, max = 1_000_000)))]
    n: Value,
    /// Which messages come first.
    #[serde(default)]
    order: Order,
    /// What becomes of messages that are equal to the last one.
    #[serde(default)]
    ties: Ties,
    /// Fields by which messages are told apart: a name in the result, and the field as a JSON pointer. Each group has a
    /// ranking of its own.
    #[serde(default)]
    #[cfg_attr(test, schemars(with = "BTreeMap<String, String>"))]
    of: BTreeMap<String, Value>,
    /// What a result has of its message: names and JSON pointers, or one JSON pointer. The whole payload, if it is left
    /// out.
    #[cfg_attr(test, schemars(with = "Option<OneOf<BTreeMap<String, String>>>"))]
    show: Option<Value>,
    /// What the rank is called in a result: `rank`, if it is left out. `false` leaves the rank out.
    #[cfg_attr(test, schemars(with = "Option<OneOf<bool>>"))]
    rank: Option<Value>,
    /// How many groups there may be in a window of a key: 500, if it is left out.
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
    /// Those with the greatest numbers.
    #[default]
    Highest,
    /// Those with the least.
    Lowest,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema, serde::Serialize))]
#[serde(rename_all = "kebab-case")]
enum Ties {
    /// They have results, too. Equal numbers have the same rank.
    Keep,
    /// There are no more than `n` results. Of equal numbers the earlier message comes first.
    #[default]
    Cut,
}

impl Config {
    /// What is kept: one figure, which is the ranking.
    pub fn settings(&self) -> Result<Settings, String> {
        pointer("by", &self.by)?;
        count("n", &self.n)?;
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
            Some(other) => return Err(format!("`rank` is true, false or a name, not {other}")),
        };
        let shown = self.show.as_ref().and_then(Value::as_object);
        let has_name = |name: &str| shown.is_some_and(|shown| shown.contains_key(name));
        let is_twice = |name: &&str| has_name(name) || rank == Some(name);
        let of = self.of.keys().map(String::as_str);
        let twice = of
            .filter(is_twice)
            .chain(rank.filter(|name| has_name(name)));
        if let Some(name) = twice.into_iter().next() {
            return Err(format!("two things in a result are called `{name}`"));
        }
        let mut definition = json!({ order: self.by, "most": self.n, "ties": ties });
        if let Some(definition) = definition.as_object_mut() {
            let show = self.show.clone().map(|show| ("show".to_owned(), show));
            let rank = rank.map(|rank| ("rank".to_owned(), rank.into()));
            definition.extend(show.into_iter().chain(rank));
        }
        if let Some(show) = &self.show {
            Shown::read("show", show)?;
        }
        let figure = Figure::read(RESULTS, &definition)?;
        let of = self.of.iter();
        let of = of.map(|(name, field)| match &**name {
            RESULTS => Err(format!("`of`: `{RESULTS}` is no name for a field")),
            _ => Ok((name.clone(), pointer(name, field)?)),
        });
        let mut settings = Settings::new(of.collect::<Result<_, _>>()?, vec![figure]);
        if let Some(most) = &self.max_groups {
            settings.groups = count("max-groups", most)?;
        }
        Ok(settings)
    }
}
