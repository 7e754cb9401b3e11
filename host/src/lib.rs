//! weir runs WebAssembly components as stream processors on NATS JetStream.
//!
//! # The life of a message
//!
//! A lane pulls a batch of deliveries from a durable consumer, decodes each into a
//! [`message::Message`], routes it to the operators that see its subject, calls their
//! plugins with the whole batch, publishes what they return, awaits the publish acks, and only then
//! acks the input.

pub mod admin;
pub mod cli;
pub mod compare;
pub mod component;
pub mod config;
pub mod delivery;
pub mod failpoint;
pub mod headers;
pub mod host;
pub mod job;
pub mod jsonl;
pub mod message;
pub mod nats;
pub mod oci;
pub mod outgoing;
pub mod parked;
pub mod plugin;
pub mod process;
pub mod report;
pub mod rollout;
pub mod shutdown;
pub mod signature;
pub mod standard;
pub mod state;
pub mod telemetry;
pub mod threads;
pub mod time;
