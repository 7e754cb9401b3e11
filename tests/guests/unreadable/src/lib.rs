//! The counter of `migrating`, without a way from the form of `stateful` to its own.

#[path = "../../migrating/src/counter.rs"]
mod counter;

weir_sdk::export_stateful!(counter::Counter);
