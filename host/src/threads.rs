//! Threads that do asynchronous work by themselves: lanes, shadows, and the verbs of the command line.

use anyhow::{Context, Result};
use std::future::Future;
use tokio::runtime::{Builder, Runtime};

/// The asynchronous runtime of one thread.
///
/// # Errors
/// When the system refuses what it needs.
pub fn runtime() -> Result<Runtime> {
    Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start an asynchronous runtime")
}

/// Waits for asynchronous work. Not to be called within such work.
///
/// # Errors
/// Those of the work.
pub fn block_on<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    runtime()?.block_on(work)
}
