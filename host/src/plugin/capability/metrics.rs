//! `weir:plugin/metrics`: the plugin's own metrics, under the operator's labels.
//!
//! The rules for names are held by [`OperatorMetrics`](crate::telemetry::metrics::OperatorMetrics);
//! what breaks them is counted there and never fails the call.

use crate::plugin::guest::operator_0_1_0::weir::plugin::metrics::Host;
use crate::plugin::instance::State;

impl Host for State {
    fn add(&mut self, name: String, value: u64) {
        self.settings.metrics.plugin_add(&name, value);
    }

    fn set(&mut self, name: String, value: f64) {
        self.settings.metrics.plugin_set(&name, value);
    }

    fn observe(&mut self, name: String, value: f64) {
        self.settings.metrics.plugin_observe(&name, value);
    }
}
