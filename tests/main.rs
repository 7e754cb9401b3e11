//! Promises: a table of contents. Each file opens with what it promises.
#![expect(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test says what it expects by failing, and nothing outside uses the harness"
)]

mod harness;

mod plugins;
