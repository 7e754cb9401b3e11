//! A plugin that is compiled and linked, as operators share it.

use super::capability::{self, PluginGrants};
use super::epoch_ticker::EpochTicker;
use super::guest::{Bind, Contract};
use super::instance::State;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use wasmtime::component::{Component, InstancePre};

/// A component that this host runs, compiled and linked. Instances of it are made by [`Worker`](super::Worker)s.
pub struct Plugin {
    pub(super) origin: String,
    pub(super) digest: String,
    pub(super) size: u64,
    pub(super) contract: &'static Contract,
    pub(super) imports: Vec<String>,
    pub(super) from_cache: bool,
    pub(super) trusted: bool,
    pub(super) signature: Option<String>,
    pub(super) grants: PluginGrants,
    /// Kept so that others that load the same bytes share it.
    pub(super) _component: Arc<Component>,
    /// Ends its calls at their deadlines; `None` for a trusted plugin.
    pub(super) ticker: Option<Arc<EpochTicker>>,
    pub(super) pre: InstancePre<State>,
    pub(super) bind: Bind,
    /// Of the values that it writes. Set when an instance starts.
    pub(super) format: AtomicU32,
}

impl Plugin {
    /// blake3 of the bytes as they were given, in hex.
    #[must_use]
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// The world and version of the contract that it was built for.
    #[must_use]
    pub fn contract(&self) -> &str {
        self.contract.world
    }

    /// Whether it was built for a world with state and timers.
    #[must_use]
    pub fn is_stateful(&self) -> bool {
        self.contract.is_stateful()
    }

    /// The format of the values that it reads and writes: 0 for one that exports no `migrate`, and before an
    /// instance of it has started.
    #[must_use]
    pub fn format(&self) -> u32 {
        self.format.load(Ordering::Relaxed)
    }

    /// Where it came from.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Bytes of the file.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Interfaces that it imports, in the component's order.
    #[must_use]
    pub fn imports(&self) -> &[String] {
        &self.imports
    }

    /// The minisign signature that was found with it.
    #[must_use]
    pub fn signature(&self) -> Option<&str> {
        self.signature.as_deref()
    }

    /// Keys of `grants:` that its operator gives it.
    #[must_use]
    pub fn grants(&self) -> &[&'static str] {
        &self.grants.names
    }

    /// Those of them for which it imports nothing.
    #[must_use]
    pub fn unused_grants(&self) -> Vec<&'static str> {
        let (needed, _) = capability::needed(&self.imports);
        let is_unused = |name: &&str| needed.iter().all(|grant| grant.name != *name);
        self.grants().iter().copied().filter(is_unused).collect()
    }

    /// Whether its component had been compiled before.
    #[must_use]
    pub fn from_cache(&self) -> bool {
        self.from_cache
    }

    /// Whether no deadline ends its calls while it computes.
    #[must_use]
    pub fn is_trusted(&self) -> bool {
        self.trusted
    }
}
