//! An engine, the ticker that ends its calls, and a linker with the host's imports.
//!
//! A process has up to two. The usual one compiles plugins with checks of the epoch, which cost up to
//! 40 % of a parser's speed (`docs/performance/README.md`) and end a call at its deadline. The other
//! is for operators marked `trusted`: it compiles without the checks, and is made when the first such
//! operator is loaded.

use super::engine::Build;
use super::epoch_ticker::EpochTicker;
use super::instance::State;
use super::{capability, engine};
use anyhow::{Context, Result};
use std::sync::{Arc, Mutex, PoisonError};
use wasmtime::Engine;
use wasmtime::component::Linker;

/// One engine with what belongs to it.
pub(super) struct EngineContext {
    pub(super) engine: Engine,
    /// What code is compiled for to run in it.
    pub(super) build: Build,
    /// `None` for trusted operators, whose calls have no deadline while they compute.
    pub(super) ticker: Option<Arc<EpochTicker>>,
    /// With every capability; what a plugin may import of them is decided before it is linked.
    pub(super) linker: Linker<State>,
}

impl EngineContext {
    fn new(max_instances: u32, timed: bool) -> Result<Self> {
        let started = engine::start(max_instances, timed);
        let (engine, build) = started.context("cannot start wasmtime")?;
        let ticker = match timed {
            true => Some(Arc::new(EpochTicker::start(&engine)?)),
            false => None,
        };
        let linker = capability::linker(&engine).context("cannot link the host's imports")?;
        Ok(Self {
            engine,
            build,
            ticker,
            linker,
        })
    }
}

/// The engine contexts of a process.
pub(super) struct EngineContexts {
    max_instances: u32,
    usual: Arc<EngineContext>,
    trusted: Mutex<Option<Arc<EngineContext>>>,
}

impl EngineContexts {
    /// Starts the usual engine and its ticker.
    ///
    /// # Errors
    ///
    /// When wasmtime does not support this machine.
    pub(super) fn new(max_instances: u32) -> Result<Self> {
        Ok(Self {
            max_instances,
            usual: Arc::new(EngineContext::new(max_instances, true)?),
            trusted: Mutex::new(None),
        })
    }

    /// The context for an operator.
    ///
    /// # Errors
    ///
    /// When the second engine cannot be started.
    pub(super) fn of(&self, trusted: bool) -> Result<Arc<EngineContext>> {
        if !trusted {
            return Ok(Arc::clone(&self.usual));
        }
        let mut slot = self.trusted.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(context) = &*slot {
            return Ok(Arc::clone(context));
        }
        let context = Arc::new(EngineContext::new(self.max_instances, false)?);
        *slot = Some(Arc::clone(&context));
        Ok(context)
    }
}
