//! Numbers for whoever watches the pipeline, on the host's `/metrics` with the pipeline's and the
//! operator's name on them.
//!
//! A name is 1 to 64 of `a-z 0-9 _`, beginning with a letter, and an operator may use up to 64
//! names; what breaks these rules is dropped and counted by the host. Nothing happens in a native
//! build, for tests.

#[cfg(target_family = "wasm")]
use crate::bindings::weir::plugin::metrics as host;

/// Adds to the counter `weir_plugin_counter_total{name}`.
pub fn add(name: &str, value: u64) {
    #[cfg(target_family = "wasm")]
    host::add(name, value);
    #[cfg(not(target_family = "wasm"))]
    let _ = (name, value);
}

/// Sets the gauge `weir_plugin_gauge{name}`.
pub fn set(name: &str, value: f64) {
    #[cfg(target_family = "wasm")]
    host::set(name, value);
    #[cfg(not(target_family = "wasm"))]
    let _ = (name, value);
}

/// Records an observation in the histogram `weir_plugin_histogram{name}`.
pub fn observe(name: &str, value: f64) {
    #[cfg(target_family = "wasm")]
    host::observe(name, value);
    #[cfg(not(target_family = "wasm"))]
    let _ = (name, value);
}
