//! Figures of the messages of a window: counts, sums, averages, extremes, the number of different values,
//! quantiles and more, by the configuration alone. The plugins `aggregate`, `sessionize` and `top` are made of them.
//!
//! `function.rs` has the figures, `groups.rs` keeps them, `config.rs` reads which of them are asked for, `number.rs` adds exactly,
//! `payload.rs` finds what they look at, `value.rs` compares it, `sketch.rs` has what is estimated, `rank.rs` what comes first, `shown.rs` what a result shows of a message, and
//! `only.rs` which groups of a window have a result.

mod config;
mod function;
mod groups;
mod number;
mod only;
mod payload;
mod rank;
mod shown;
mod sketch;
#[cfg(test)]
mod tests;
mod value;

use config::Edge;
pub use config::{Figure, Settings, count, pointer};
use fields::Node;
use function::text_of;
pub use groups::Groups;
use groups::{Name, Partials};
use payload::Payload;
use serde_json::Value;
use serde_json::value::RawValue;
pub use shown::{Shown, object};
use std::collections::BTreeMap;
pub use value::Named;
use value::canonical;
use weir_sdk::{Aggregator, Error, Message, Output, Outputs, Pane};

/// An aggregator with these figures.
#[derive(Debug)]
pub struct Aggregate(pub Settings);

impl Aggregator for Aggregate {
    type Config = Value;
    type Accumulator = Groups;

    fn configure(config: Value) -> Result<Self, String> {
        Settings::read(&config).map(Self)
    }

    fn add(&self, groups: &mut Groups, message: &Message) -> Result<(), Error> {
        let payload = Payload::read(&message.payload, &self.0.wanted)
            .map_err(|cause| Error::reject(format!("cannot read the payload as JSON: {cause}")))?;
        let group = self.group(&payload)?;
        self.make_room(groups, &group)?;
        let partials = groups.entry(group).or_default();
        let at = (message.event_time, message.sequence);
        // Where one of them refuses the message, nothing of it is kept.
        for Figure { name, id, function } in &self.0.results {
            let partial = partials.entry(id, || function.empty());
            function
                .add(partial.map_err(Error::Reject)?, &payload, at)
                .map_err(|why| Error::reject(format!("`{name}`: {why}")))?;
        }
        Ok(())
    }

    fn merge(&self, mut left: Groups, right: Groups) -> Result<Groups, Error> {
        for (group, mut others) in right {
            self.make_room(&left, &group)?;
            let partials = left.entry(group).or_default();
            for Figure { id, function, .. } in &self.0.results {
                if let Some(other) = others.remove(id) {
                    let partial = partials.entry(id, || function.empty());
                    let merged = partial.and_then(|partial| function.merge(partial, other));
                    merged.map_err(Error::Reject)?;
                }
            }
        }
        Ok(left)
    }

    fn emit(&self, pane: &Pane, groups: Groups) -> Result<Outputs, Error> {
        let results = self.results(pane, groups)?;
        results.iter().map(Output::json).collect()
    }
}

impl Aggregate {
    /// The results of a window.
    pub fn results(&self, pane: &Pane, mut groups: Groups) -> Result<Vec<Named>, Error> {
        if groups.is_empty() && self.0.by.is_empty() {
            groups.insert(Name("{}".to_owned()), Partials::default());
        }
        let result = |(Name(group), partials)| self.result(pane, &group, partials);
        let results = groups.into_iter().map(result);
        let mut results = results.collect::<Result<Vec<_>, Error>>()?;
        if let Some(only) = &self.0.only {
            only.choose(&mut results);
        }
        Ok(results)
    }

    fn result(&self, pane: &Pane, group: &str, mut partials: Partials) -> Result<Named, Error> {
        let group: BTreeMap<String, Box<RawValue>> = serde_json::from_str(group)?;
        let group = group
            .into_iter()
            .map(|(name, value)| (name, Node::New(value)));
        let mut result: Named = group.collect();
        for Figure { name, id, function } in &self.0.results {
            let partial = match partials.remove(id) {
                Some(partial) => partial,
                None => function.empty().map_err(Error::Reject)?,
            };
            result.insert(name.clone(), function.result(partial));
        }
        for (name, edge) in &self.0.edges {
            let time = match edge {
                Edge::Start => pane.window.start,
                Edge::End => pane.window.end,
            };
            result.insert(name.clone(), text_of(time));
        }
        Ok(result)
    }

    /// What the message is told apart by, as a JSON object: the same for equal values.
    fn group(&self, payload: &Payload<'_>) -> Result<Name, Error> {
        let mut group = String::with_capacity(64);
        for (name, field) in &self.0.by {
            let value = canonical(payload.pointer(field).unwrap_or("null"));
            let value = value.map_err(|why| Error::reject(format!("`{name}`: {field}: {why}")))?;
            group.push(if group.is_empty() { '{' } else { ',' });
            group.push_str(&serde_json::to_string(name)?);
            group.push(':');
            group.push_str(&value);
        }
        group.push_str(if group.is_empty() { "{}" } else { "}" });
        Ok(Name(group))
    }

    fn make_room(&self, groups: &Groups, group: &Name) -> Result<(), Error> {
        let most = self.0.groups;
        match groups.len() < most || groups.contains_key(group) {
            true => Ok(()),
            false => Err(Error::reject(format!(
                "the window has {most} groups, which is all that `max-groups` allows"
            ))),
        }
    }
}
