//! Promises, one file each. A file opens with its promise; a test's name is a sentence of it.
//!
//! Everything runs against the real thing: a `nats-server` on a free port, the `weir` binary, real
//! components. Waits are on conditions, never for a time; the harness holds the only clock.

#![expect(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test says what it expects by failing, and nothing outside uses the harness"
)]

mod harness;

mod admin;
mod admin_connections;
mod backpressure;
mod bad_input;
mod batching;
mod cache;
mod ci_for_plugins;
mod cli;
mod compiling;
mod config;
mod connection;
mod consumers;
mod contract;
mod core_module;
mod dead_letter;
mod delivery;
mod dev;
mod domains;
mod elections;
mod enrich;
mod exactly_once;
mod examples;
mod fast_ingest;
mod foreign;
mod grants;
mod hot_swap;
mod house_rules;
mod isolation;
mod job;
mod languages;
mod letters;
mod loops;
mod lost_answers;
mod members;
mod message_ids;
mod missing_key;
mod monitoring;
mod oci;
mod ordering;
mod outputs_gone;
mod parking;
mod permissions;
mod permitted;
mod plugins;
mod progress;
mod recovery;
mod redelivery;
mod refusals;
mod registry;
mod replay;
mod rollback;
mod rollout;
mod routing;
mod secrets;
mod shadow;
mod shutdown;
mod signatures;
mod standard;
mod state;
mod stateful;
mod trusted;
mod views;
mod watched_paths;
mod wire;
