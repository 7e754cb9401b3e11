//! `weir:plugin/config`: the operator's own part of the pipeline file, by JSON pointer.

use crate::plugin::guest::operator_0_1_0::weir::plugin::config::Host;
use crate::plugin::instance::State;
use serde_json::Value;

impl Host for State {
    /// The text is parsed on the first lookup of an instance: most plugins keep what `configure`
    /// gave them and never ask.
    fn get(&mut self, pointer: String) -> Option<String> {
        let settings = &self.settings;
        let config = self
            .config
            .get_or_insert_with(|| serde_json::from_str(&settings.config).unwrap_or(Value::Null));
        config.pointer(&pointer).map(Value::to_string)
    }

    fn pipeline(&mut self) -> String {
        self.settings.pipeline.clone()
    }

    fn operator(&mut self) -> String {
        self.settings.operator.clone()
    }
}
