//! Figures of the messages of a window: counts, sums, averages, extremes, the number of different values,
//! quantiles and more, by the configuration alone.
//!
//! `function.rs` has the figures, `config.rs` reads which of them are asked for, `number.rs` adds exactly, and
//! `sketch.rs` has what is estimated.

mod config;
mod function;
mod number;
mod sketch;
#[cfg(test)]
mod tests;

use config::Settings;
use function::Partial;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use weir_sdk::{Aggregator, Error, Message, Output, Outputs, Pane};

struct Aggregate(Settings);

/// What is kept of each group: the values of `by` as a JSON list, and the figures in the order of `results`.
type Groups = BTreeMap<String, Vec<Partial>>;

impl Aggregator for Aggregate {
    type Config = Value;
    type Accumulator = Groups;

    fn configure(config: Value) -> Result<Self, String> {
        Settings::read(&config).map(Self)
    }

    fn add(&self, groups: &mut Groups, message: &Message) -> Result<(), Error> {
        let payload: Value = message.json()?;
        let values = self.0.by.iter();
        let values = values.map(|(_, field)| payload.pointer(field).cloned().unwrap_or_default());
        let group = values.collect::<Value>().to_string();
        self.make_room(groups, &group)?;
        let partials = match groups.entry(group) {
            Entry::Occupied(partials) => partials.into_mut(),
            Entry::Vacant(group) => group.insert(self.empty()?),
        };
        let at = (message.event_time, message.sequence);
        // Where one of them refuses the message, nothing of it is kept.
        for ((name, function), partial) in self.0.results.iter().zip(partials) {
            function
                .add(partial, &payload, at)
                .map_err(|why| Error::reject(format!("`{name}`: {why}")))?;
        }
        Ok(())
    }

    fn merge(&self, mut left: Groups, right: Groups) -> Result<Groups, Error> {
        for (group, others) in right {
            let Some(partials) = left.get_mut(&group) else {
                self.make_room(&left, &group)?;
                left.insert(group, others);
                continue;
            };
            for (((_, function), partial), other) in self.0.results.iter().zip(partials).zip(others)
            {
                function.merge(partial, other).map_err(Error::Reject)?;
            }
        }
        Ok(left)
    }

    fn emit(&self, _: &Pane, groups: Groups) -> Result<Outputs, Error> {
        let groups = groups.into_iter();
        let outputs = groups.map(|(group, partials)| {
            let values: Vec<Value> = serde_json::from_str(&group)?;
            let names = self.0.by.iter().map(|(name, _)| name.clone());
            let mut result: Map<String, Value> = names.zip(values).collect();
            let results = self.0.results.iter().zip(partials);
            result.extend(
                results.map(|((name, function), partial)| (name.clone(), function.result(partial))),
            );
            Output::json(&result)
        });
        outputs.collect()
    }
}

impl Aggregate {
    fn empty(&self) -> Result<Vec<Partial>, Error> {
        let empty = self.0.results.iter().map(|(_, function)| function.empty());
        empty.collect::<Result<_, _>>().map_err(Error::Reject)
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
