//! What reads what others wrote holds its promises for every input: one file for each reader.
//!
//! Each test tries the inputs in `corpus/`, those of the repository, and damaged ones. It runs a
//! fixed number of times with a fixed seed; `cargo xtask fuzz` runs for as long as it is told.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test says what it expects by failing"
)]

mod component;
mod config;
mod dead_letters;
mod edits;
mod engine;
mod facts;
mod headers;
mod members;
mod protocol;
mod receipts;
mod savepoint;
mod state;
mod wire;
