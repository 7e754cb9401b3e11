//! Event time: when what a message tells of happened, and how far that has come. START HERE.
//!
//! | file | what it does |
//! |---|---|
//! | `parse.rs` | reads an event time from text |
//! | `watermark.rs` | the watermark of an input: how far event time has come |
//! | `windows.rs` | which windows a time is in, and until when they count; it says what its files do |
//!
//! Pure and synchronous. Knows no message, no job and no clock: whoever calls it says what time it is.

pub mod parse;
pub mod watermark;
pub mod windows;

#[cfg(test)]
mod tests;
