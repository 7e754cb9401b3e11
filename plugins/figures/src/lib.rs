//! Figures of the messages of a window: counts, sums, averages, extremes, the number of different values,
//! quantiles and more, by the configuration alone. The plugins `aggregate`, `sessionize` and `top` are made of them.
//!
//! `function.rs` has the figures, `config.rs` reads which of them are asked for, `number.rs` adds exactly,
//! `sketch.rs` has what is estimated, `rank.rs` what comes first, `shown.rs` what a result shows of a message, and
//! `only.rs` which groups of a window have a result.

mod config;
mod function;
mod number;
mod only;
mod rank;
mod shown;
mod sketch;
#[cfg(test)]
mod tests;

use config::Edge;
pub use config::{Figure, Settings, count, pointer};
pub use function::Partial;
use function::text_of;
use serde_json::{Map, Value};
pub use shown::{Shown, object};
use std::collections::BTreeMap;
use weir_sdk::{Aggregator, Error, Message, Output, Outputs, Pane};

/// An aggregator with these figures.
#[derive(Debug)]
pub struct Aggregate(pub Settings);

/// What is kept of each group: the group as a JSON object, and what its figures have by their ids.
pub type Groups = BTreeMap<String, BTreeMap<String, Partial>>;

impl Aggregator for Aggregate {
    type Config = Value;
    type Accumulator = Groups;

    fn configure(config: Value) -> Result<Self, String> {
        Settings::read(&config).map(Self)
    }

    fn add(&self, groups: &mut Groups, message: &Message) -> Result<(), Error> {
        let payload: Value = message.json()?;
        let group = Value::Object(shown::named(&self.0.by, &payload)).to_string();
        self.make_room(groups, &group)?;
        let partials = groups.entry(group).or_default();
        let at = (message.event_time, message.sequence);
        // Where one of them refuses the message, nothing of it is kept.
        for Figure { name, id, function } in &self.0.results {
            let partial = match partials.get_mut(id) {
                Some(partial) => partial,
                None => {
                    let empty = function.empty().map_err(Error::Reject)?;
                    partials.entry(id.clone()).or_insert(empty)
                }
            };
            function
                .add(partial, &payload, at)
                .map_err(|why| Error::reject(format!("`{name}`: {why}")))?;
        }
        Ok(())
    }

    fn merge(&self, mut left: Groups, right: Groups) -> Result<Groups, Error> {
        for (group, mut others) in right {
            self.make_room(&left, &group)?;
            let partials = left.entry(group).or_default();
            for Figure { id, function, .. } in &self.0.results {
                match (partials.get_mut(id), others.remove(id)) {
                    (Some(partial), Some(other)) => {
                        function.merge(partial, other).map_err(Error::Reject)?;
                    }
                    (None, Some(other)) => drop(partials.insert(id.clone(), other)),
                    (_, None) => {}
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
    pub fn results(
        &self,
        pane: &Pane,
        mut groups: Groups,
    ) -> Result<Vec<Map<String, Value>>, Error> {
        if groups.is_empty() && self.0.by.is_empty() {
            groups.insert("{}".to_owned(), BTreeMap::new());
        }
        let result = |(group, partials): (String, _)| self.result(pane, &group, partials);
        let results = groups.into_iter().map(result);
        let mut results = results.collect::<Result<Vec<_>, Error>>()?;
        if let Some(only) = &self.0.only {
            only.choose(&mut results);
        }
        Ok(results)
    }

    fn result(
        &self,
        pane: &Pane,
        group: &str,
        mut partials: BTreeMap<String, Partial>,
    ) -> Result<Map<String, Value>, Error> {
        let mut result: Map<String, Value> = serde_json::from_str(group)?;
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

    fn make_room(&self, groups: &Groups, group: &str) -> Result<(), Error> {
        let most = self.0.groups;
        match groups.len() < most || groups.contains_key(group) {
            true => Ok(()),
            false => Err(Error::reject(format!(
                "the window has {most} groups, which is all that `max-groups` allows"
            ))),
        }
    }
}
