//! Figures of the messages of a window: counts, sums, averages, extremes, the number of different values,
//! quantiles and more, by the configuration alone.
//!
//! `function.rs` has the figures, `config.rs` reads which of them are asked for, `number.rs` adds exactly,
//! `sketch.rs` has what is estimated, and `only.rs` which groups of a window have a result.

mod config;
mod function;
mod number;
mod only;
mod sketch;
#[cfg(test)]
mod tests;

use config::{Edge, Figure, Settings};
use function::Partial;
use jiff::Timestamp;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use weir_sdk::{Aggregator, Error, Message, Output, Outputs, Pane};

struct Aggregate(Settings);

/// What is kept of each group: the group as a JSON object, and what its figures have by their ids.
type Groups = BTreeMap<String, BTreeMap<String, Partial>>;

impl Aggregator for Aggregate {
    type Config = Value;
    type Accumulator = Groups;

    fn configure(config: Value) -> Result<Self, String> {
        Settings::read(&config).map(Self)
    }

    fn add(&self, groups: &mut Groups, message: &Message) -> Result<(), Error> {
        let payload: Value = message.json()?;
        let of = |(name, field): &(String, String)| {
            let value = payload.pointer(field).cloned();
            (name.clone(), value.unwrap_or_default())
        };
        let group = Value::Object(self.0.by.iter().map(of).collect()).to_string();
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

    fn emit(&self, pane: &Pane, mut groups: Groups) -> Result<Outputs, Error> {
        if groups.is_empty() && self.0.by.is_empty() {
            groups.insert("{}".to_owned(), BTreeMap::new());
        }
        let result = |(group, partials): (String, _)| self.result(pane, &group, partials);
        let results = groups.into_iter().map(result);
        let mut results = results.collect::<Result<Vec<_>, Error>>()?;
        if let Some(only) = &self.0.only {
            only.choose(&mut results);
        }
        results.iter().map(Output::json).collect()
    }
}

impl Aggregate {
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
            let time = Timestamp::from_nanosecond(time.into())?;
            result.insert(name.clone(), time.to_string().into());
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

weir_sdk::export_aggregator!(Aggregate);
