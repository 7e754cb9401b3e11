//! Emits one result per session: its time, the number of its messages, and values from them.
//!
//! `config.rs` says what is shown. The library `figures` keeps it; the host knows which messages are one session.

mod config;
#[cfg(test)]
mod tests;

use config::Config;
use figures::{Aggregate, Groups};
use weir_sdk::{Aggregator, Error, Message, Outputs, Pane};

struct Sessionize(Aggregate);

impl Aggregator for Sessionize {
    /// Without `config:` it is null.
    type Config = Option<Config>;
    type Accumulator = Groups;

    fn configure(config: Option<Config>) -> Result<Self, String> {
        config
            .unwrap_or_default()
            .settings()
            .map(Aggregate)
            .map(Self)
    }

    fn add(&self, groups: &mut Groups, message: &Message) -> Result<(), Error> {
        self.0.add(groups, message)
    }

    fn merge(&self, left: Groups, right: Groups) -> Result<Groups, Error> {
        self.0.merge(left, right)
    }

    fn emit(&self, pane: &Pane, groups: Groups) -> Result<Outputs, Error> {
        self.0.emit(pane, groups)
    }
}

weir_sdk::export_aggregator!(Sessionize);
