//! weir runs WebAssembly components as stream processors on NATS JetStream.
//!
//! # The life of a message
//!
//! A lane pulls a batch of deliveries from a durable consumer, decodes each into a
//! [`pipeline::message::Message`], routes it to the operators that see its subject, calls their
//! plugins with the whole batch, publishes what they return, awaits the publish acks, and only then
//! acks the input.

pub mod admin;
pub mod cli;
pub mod compare;
pub mod component;
pub mod config;
pub mod jsonl;
pub mod nats;
pub mod oci;
pub mod pipeline;
pub mod plugin;
pub mod report;
pub mod shutdown;
pub mod signature;
pub mod telemetry;
pub mod threads;
