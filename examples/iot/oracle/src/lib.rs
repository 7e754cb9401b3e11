//! A seeded generator of sensor readings, and an independent computation of what the pipelines must make of them.
//!
//! The generator (`readings.rs`) plays two plants with three sensors each, and plants gaps, drifts and readings that
//! come late. Each reading follows from the seed and its number alone.
//!
//! The oracle ([`batch`]) groups arrays of all readings, where a pipeline sees one at a time and keeps a state. They
//! share no code.

pub mod batch;
pub mod readings;

pub use readings::{Reading, readings};
