//! Windows over a real state, with an arithmetic in memory that lists what it was given. `tests/random.rs` has what
//! holds for any messages, batches and restarts, against `tests/definition.rs`; `tests/traps.rs` what users of other
//! engines fell into, `tests/many.rs` many windows of one key, `tests/refusals.rs` what a plugin refuses, `tests/transcripts.rs` what Beam says of panes.

mod definition;
mod job;
mod many;
mod random;
mod refusals;
mod transcripts;
mod traps;

use super::*;
