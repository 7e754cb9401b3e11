//! Threads with a runtime of their own: lanes, shadows, and the subcommands.

use anyhow::{Context, Result};
use std::future::Future;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::runtime::{Builder, Runtime};

/// The asynchronous runtime of one thread.
///
/// # Errors
/// If the system refuses the resources.
pub fn runtime() -> Result<Runtime> {
    Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start an asynchronous runtime")
}

/// Runs asynchronous work to its end. Must not be called from asynchronous work. Does not wait for blocking
/// work that nobody waits for any more, such as preparing a version of a plugin when the host ends.
///
/// # Errors
/// Those of the work.
pub fn block_on<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    let runtime = runtime()?;
    let done = runtime.block_on(work);
    runtime.shutdown_background();
    done
}

/// What a mutex holds, also after a panic: every change of it is whole.
pub fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
