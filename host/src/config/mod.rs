//! The configuration room: from the YAML that a person wrote to settings that cannot be invalid.
//!
//! Pure and synchronous: it reads files and an environment handed to it, and knows neither NATS
//! nor wasmtime.

mod event_time;
mod pointer;
pub mod resolved;
mod subject;
pub mod template;

pub use pointer::Pointer;
