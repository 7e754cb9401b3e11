//! Figures of the messages of a window: counts, sums, averages, extremes, the number of different values,
//! quantiles and more, by the configuration alone. The plugins `aggregate`, `sessionize` and `top` are made of them.
//!
//! `function.rs` has the figures, `partial.rs` and `groups.rs` keep them, as `bytes.rs` writes them, `config.rs` reads which of them are asked for, `number.rs` adds exactly,
//! `payload.rs` finds what they look at, `value.rs` compares it, `sketch.rs` has what is estimated, `rank.rs` what comes first, `shown.rs` what a result shows of a message, and
//! `only.rs` which groups of a window have a result.

mod bytes;
mod config;
mod function;
mod groups;
mod number;
mod only;
mod partial;
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
use value::{canonical, node, null};
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
        groups.open(&self.0).map_err(Error::Reject)?;
        let payload = Payload::read(&message.payload, &self.0.wanted)
            .map_err(|cause| Error::reject(format!("cannot read the payload as JSON: {cause}")))?;
        let group = self.group(&payload)?;
        let partials = groups.entry(&self.0, group).map_err(Error::Reject)?;
        let at = (message.event_time, message.sequence);
        // Where one of them refuses the message, nothing of it is kept.
        for (Figure { name, function, .. }, partial) in self.0.results.iter().zip(partials) {
            function
                .add(partial, &payload, at)
                .map_err(|why| Error::reject(format!("`{name}`: {why}")))?;
        }
        Ok(())
    }

    fn merge(&self, mut left: Groups, right: Groups) -> Result<Groups, Error> {
        left.merge(&self.0, right).map_err(Error::Reject)?;
        Ok(left)
    }

    fn emit(&self, pane: &Pane, groups: Groups) -> Result<Outputs, Error> {
        let results = self.results(pane, groups)?;
        results.iter().map(Output::json).collect()
    }
}

impl Aggregate {
    /// The results of a window.
    pub fn results(&self, pane: &Pane, groups: Groups) -> Result<Vec<Named>, Error> {
        let mut groups = groups.all(&self.0).map_err(Error::Reject)?;
        if groups.is_empty() && self.0.by.is_empty() {
            groups.push((b"{}".to_vec(), self.0.empty().map_err(Error::Reject)?));
        }
        let Some(only) = &self.0.only else {
            let results = groups.into_iter();
            let results = results.map(|(group, partials)| self.result(pane, &group, partials));
            return results.collect();
        };
        let values = groups
            .iter()
            .map(|group| self.values(pane, &only.by, group));
        let values = values.collect::<Result<Vec<_>, Error>>()?;
        let chosen = only.choose(&values).into_iter().map(|(place, rank)| {
            let (group, partials) =
                std::mem::take(groups.get_mut(place).unwrap_or(&mut Default::default()));
            let mut result = self.result(pane, &group, partials)?;
            if let Some(name) = &only.rank {
                result.insert(name.clone(), node(&rank));
            }
            Ok(result)
        });
        chosen.collect()
    }

    /// What a result has under these names.
    fn values(
        &self,
        pane: &Pane,
        names: &[String],
        (group, partials): &(Vec<u8>, Partials),
    ) -> Result<Vec<Node<'static>>, Error> {
        let value = |name: &String| {
            let mut figures = self.0.results.iter().zip(partials);
            if let Some((figure, partial)) = figures.find(|(figure, _)| figure.name == *name) {
                return Ok(figure.function.result(partial.clone()));
            }
            let mut result = self.result(pane, group, Partials::new())?;
            Ok(result.remove(name).unwrap_or_else(null))
        };
        names.iter().map(value).collect()
    }

    /// With the figures that something is kept of.
    fn result(&self, pane: &Pane, group: &[u8], partials: Partials) -> Result<Named, Error> {
        let group: BTreeMap<String, Box<RawValue>> = serde_json::from_slice(group)?;
        let group = group
            .into_iter()
            .map(|(name, value)| (name, Node::New(value)));
        let mut result: Named = group.collect();
        for (Figure { name, function, .. }, partial) in self.0.results.iter().zip(partials) {
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
        for ((name, field), quoted) in self.0.by.iter().zip(&self.0.names) {
            let value = canonical(payload.pointer(field).unwrap_or("null"));
            let value = value.map_err(|why| Error::reject(format!("`{name}`: {field}: {why}")))?;
            group.push(if group.is_empty() { '{' } else { ',' });
            group.push_str(quoted);
            group.push_str(&value);
        }
        group.push_str(if group.is_empty() { "{}" } else { "}" });
        Ok(Name(group))
    }
}
