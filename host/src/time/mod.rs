//! Event time: when what a message tells of happened, and how far that has come. START HERE.
//!
//! | file | what it does |
//! |---|---|
//! | `parse.rs` | reads an event time from text |
//! | `watermark.rs` | the watermark of an input: how far event time has come |
//!
//! Pure and synchronous. Knows no message, no job and no clock: whoever calls it says what time it is.

pub mod parse;
pub mod watermark;

#[cfg(test)]
mod tests;
