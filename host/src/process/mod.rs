//! What becomes of a batch: decode, route, call, and what may leave. Knows no broker.

pub mod chain;
pub mod dead_letter;
pub mod dry_run;
pub mod outputs;
pub mod plugin_set;
pub mod retry;
pub mod route;
