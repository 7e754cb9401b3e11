//! What plugins stand on: an engine, and the host's imports linked for it.
//!
//! There are two grounds in a process. On the usual one the code of plugins looks at the clock, which
//! costs up to 40 % of a parser's speed (`docs/performance/README.md`) and ends a call at its deadline. The
//! other is for operators marked `trusted`, and is made when the first of them is loaded.

use super::clock::Clock;
use super::instance::State;
use super::{capability, engine};
use anyhow::{Context, Result};
use std::sync::{Arc, Mutex, PoisonError};
use wasmtime::Engine;
use wasmtime::component::Linker;

/// One engine with its linkers.
pub(super) struct Ground {
    pub(super) engine: Engine,
    /// Where calls end at their deadlines.
    pub(super) clock: Option<Arc<Clock>>,
    pub(super) linker: Linker<State>,
    /// For operators that grant `http`.
    pub(super) linker_with_http: Linker<State>,
}

impl Ground {
    fn new(max_instances: u32, timed: bool) -> Result<Self> {
        let engine = engine::start(max_instances, timed).context("cannot start wasmtime")?;
        let clock = match timed {
            true => Some(Arc::new(Clock::start(&engine)?)),
            false => None,
        };
        let linker = capability::linker(&engine).context("cannot link the host's imports")?;
        let linker_with_http =
            capability::linker_with_http(&linker).context("cannot link the host's imports")?;
        Ok(Self {
            engine,
            clock,
            linker,
            linker_with_http,
        })
    }
}

/// Both grounds of a process.
pub(super) struct Grounds {
    max_instances: u32,
    usual: Arc<Ground>,
    trusted: Mutex<Option<Arc<Ground>>>,
}

impl Grounds {
    /// Starts the usual engine and its ticker.
    ///
    /// # Errors
    ///
    /// When wasmtime does not support this machine.
    pub(super) fn new(max_instances: u32) -> Result<Self> {
        Ok(Self {
            max_instances,
            usual: Arc::new(Ground::new(max_instances, true)?),
            trusted: Mutex::new(None),
        })
    }

    /// The ground for an operator.
    ///
    /// # Errors
    ///
    /// When the second engine cannot be started.
    pub(super) fn of(&self, trusted: bool) -> Result<Arc<Ground>> {
        if !trusted {
            return Ok(Arc::clone(&self.usual));
        }
        let mut place = self.trusted.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(ground) = &*place {
            return Ok(Arc::clone(ground));
        }
        let ground = Arc::new(Ground::new(self.max_instances, false)?);
        *place = Some(Arc::clone(&ground));
        Ok(ground)
    }
}
