//! Advances an engine's epoch while there are calls, so that each call can be ended at its deadline.
//!
//! It runs on a thread of its own, because a guest that spins holds up every timer of the tokio runtime
//! that called it. A second after the last call it pauses, so that an idle host does not wake a hundred
//! times a second, but sleeps. What a tick means for a call is decided in `instance.rs`.

use anyhow::{Context, Result};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, Thread};
use std::time::Duration;
use wasmtime::Engine;

/// The length of an epoch: a deadline is met up to two of these late. A shorter one wakes a host
/// more often for a precision that no deadline of a batch needs.
pub(super) const TICK: Duration = Duration::from_millis(10);

/// Ticks without a call after which the ticker pauses.
const IDLE: u32 = 100;

/// The ticker of one engine. Ends with the last of those who make calls.
pub(super) struct EpochTicker {
    state: Arc<State>,
    thread: Thread,
}

#[derive(Default)]
struct State {
    /// Calls in progress.
    calls: AtomicUsize,
    /// Set while the thread waits for a call.
    paused: AtomicBool,
    /// Set when there will be no further call.
    ended: AtomicBool,
}

/// A call in progress, until it is dropped.
pub(super) struct Call<'a>(&'a State);

impl EpochTicker {
    /// Starts the ticker of an engine.
    ///
    /// # Errors
    ///
    /// When a thread cannot be started.
    pub(super) fn start(engine: &Engine) -> Result<Self> {
        let (engine, state) = (engine.clone(), Arc::<State>::default());
        let ticking = Arc::clone(&state);
        let thread = thread::Builder::new()
            .name("weir-epochs".into())
            .spawn(move || ticking.tick(&engine))
            .context("cannot start the thread that keeps deadlines")?;
        Ok(Self {
            state,
            thread: thread.thread().clone(),
        })
    }

    /// Counts a call in progress: the ticker ticks at least until the result is dropped.
    pub(super) fn call(&self) -> Call<'_> {
        // Counted before `paused` is read: either this sees the pause, or the thread sees the call.
        self.state.calls.fetch_add(1, Ordering::SeqCst);
        if self.state.paused.load(Ordering::SeqCst) {
            self.thread.unpark();
        }
        Call(&self.state)
    }
}

impl Drop for EpochTicker {
    fn drop(&mut self) {
        self.state.ended.store(true, Ordering::SeqCst);
        self.thread.unpark();
    }
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        self.0.calls.fetch_sub(1, Ordering::SeqCst);
    }
}

impl State {
    /// Advances the epoch while there are calls.
    fn tick(&self, engine: &Engine) {
        let mut idle = 0;
        while !self.has_ended() {
            thread::sleep(TICK);
            engine.increment_epoch();
            let called = self.calls.load(Ordering::Relaxed) > 0;
            idle = if called { 0 } else { idle + 1 };
            if idle >= IDLE {
                self.pause();
                idle = 0;
            }
        }
    }

    /// Waits for a call, or for the end.
    fn pause(&self) {
        self.paused.store(true, Ordering::SeqCst);
        while self.calls.load(Ordering::SeqCst) == 0 && !self.has_ended() {
            thread::park();
        }
        self.paused.store(false, Ordering::SeqCst);
    }

    fn has_ended(&self) -> bool {
        self.ended.load(Ordering::SeqCst)
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may fail by panicking")]
mod tests {
    use super::*;
    use wasmtime::{Config, Instance, Module, Store};

    #[test]
    fn a_ticker_pauses_without_calls_and_still_ends_the_next_one() {
        let mut config = Config::new();
        config.epoch_interruption(true);
        let engine = Engine::new(&config).unwrap();
        let ticker = EpochTicker::start(&engine).unwrap();
        while !ticker.state.paused.load(Ordering::SeqCst) {
            thread::yield_now();
        }
        let endless = wat::parse_str(r#"(module (func (export "spin") (loop (br 0))))"#);
        let endless = Module::new(&engine, endless.unwrap());
        let mut store = Store::new(&engine, ());
        store.set_epoch_deadline(2);
        let instance = Instance::new(&mut store, &endless.unwrap(), &[]).unwrap();
        let spin = instance.get_typed_func::<(), ()>(&mut store, "spin");
        let call = ticker.call();
        assert!(spin.unwrap().call(&mut store, ()).is_err());
        drop(call);
        assert_eq!(ticker.state.calls.load(Ordering::SeqCst), 0);
    }

    #[test]
    fn a_ticker_that_pauses_ends_when_nobody_can_make_a_call_any_more() {
        let ticker = EpochTicker::start(&Engine::default()).unwrap();
        let state = Arc::clone(&ticker.state);
        while !state.paused.load(Ordering::SeqCst) {
            thread::yield_now();
        }
        drop(ticker);
        while Arc::strong_count(&state) > 1 {
            thread::yield_now();
        }
    }
}
