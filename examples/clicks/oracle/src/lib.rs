//! A seeded generator of impressions and clicks, and an independent computation of what the pipelines must make of
//! them.
//!
//! The generator (`events.rs`) plays five campaigns, and plants bursts of clicks and messages that come twice. What
//! belongs to an impression follows from the seed and its number alone.
//!
//! The oracle ([`batch`]) joins arrays of all events, where a pipeline sees one at a time and keeps a state. They share
//! no code.

pub mod batch;
pub mod events;

pub use events::{Click, Event, Impression, events};
