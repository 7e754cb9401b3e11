//! Event time: when the event of a message happened, and how far event time has advanced. START HERE.
//!
//! | file | what it does |
//! |---|---|
//! | `parse.rs` | reads an event time from text |
//! | `watermark.rs` | the watermark of an input: how far event time has come |
//! | `windows.rs` | which windows a time is in, and until when they count; it says what its files do |
//!
//! Pure and synchronous. Knows no message, no job and no clock: callers pass the time.

pub mod parse;
pub mod watermark;
pub mod windows;

#[cfg(test)]
mod tests;
