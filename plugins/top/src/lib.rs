//! Emits the messages with the greatest or the least numbers in a field, with their ranks.
//!
//! `config.rs` says which. The library `figures` keeps them and ranks them.

mod config;
#[cfg(test)]
mod tests;

use config::{Config, RESULTS};
use fields::Node;
use figures::{Aggregate, Groups, object};
use weir_sdk::{Aggregator, Error, Message, Output, Outputs, Pane};

struct Top(Aggregate);

impl Aggregator for Top {
    type Config = Config;
    type Accumulator = Groups;

    fn configure(config: Config) -> Result<Self, String> {
        config.settings().map(Aggregate).map(Self)
    }

    fn add(&self, groups: &mut Groups, message: &Message) -> Result<(), Error> {
        self.0.add(groups, message)
    }

    fn merge(&self, left: Groups, right: Groups) -> Result<Groups, Error> {
        self.0.merge(left, right)
    }

    fn emit(&self, pane: &Pane, groups: Groups) -> Result<Outputs, Error> {
        let mut outputs = Vec::new();
        for mut group in self.0.results(pane, groups)? {
            let Some(Node::Array(results)) = group.remove(RESULTS) else {
                continue;
            };
            for result in results {
                let mut result = object(result);
                result.extend(group.clone());
                outputs.push(Output::json(&result)?);
            }
        }
        Ok(outputs.into())
    }
}

weir_sdk::export_aggregator!(Top);
