//! wasmtime's configuration.
//!
//! Instances are allocated from a pool where the machine grants the address space, and one by one where
//! it does not. Knows neither plugins nor pipelines.

use super::error::from_wasmtime;
use anyhow::Result;
use wasmtime::{
    Config, Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig,
    WasmBacktraceDetails,
};

/// Linear memory that a free slot of the pool keeps resident, so that its next instance takes no page
/// faults. Rust guests touch less than this.
const KEEP_RESIDENT: usize = 2 << 20;

/// Core instances, and tables, per component that the pool makes room for: a component encoded from
/// a preview 1 module has the module, the adapter and two shims.
const PARTS: u32 = 4;

/// Elements of one table. wasmtime's default of 20,000 is below what interpreters compiled to wasm
/// need; a table of this size reserves, and does not use, 800 KiB.
const TABLE_ELEMENTS: usize = 100_000;

/// Address space that a linear memory reserves where there is too little for a pool: the default
/// `memory` limit, so that such a memory grows without being moved.
const SCARCE: u64 = 64 << 20;

/// What code is compiled for. It runs only in an engine of the same build.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Build {
    /// Whether code checks the epoch: nothing ends other code while it computes.
    pub(super) timed: bool,
    /// Whether memories reserve little address space.
    pub(super) scarce: bool,
}

/// Starts an engine. `max_instances` bounds its pool; see [`Build`] for `timed`.
///
/// # Errors
///
/// When wasmtime does not support this machine.
pub(super) fn start(max_instances: u32, timed: bool) -> Result<(Engine, Build)> {
    let build = |scarce| Build { timed, scarce };
    match Engine::new(&pooling(max_instances, timed)) {
        Ok(engine) => Ok((engine, build(false))),
        Err(error) => {
            tracing::debug!(%error, "no address space for a pool of instances");
            Ok((for_compiling(build(true))?, build(true)))
        }
    }
}

/// An engine without a pool.
///
/// # Errors
///
/// When wasmtime does not support this machine.
pub(super) fn for_compiling(build: Build) -> Result<Engine> {
    let config = match build.scarce {
        true => scarce(build.timed),
        false => common(build.timed),
    };
    Engine::new(&config).map_err(from_wasmtime)
}

fn common(timed: bool) -> Config {
    let mut config = Config::new();
    config.epoch_interruption(timed);
    // Tasks and streams of WASI 0.3 are not part of the contract, and cost half a microsecond a call.
    config.concurrency_support(false);
    config.wasm_backtrace_details(WasmBacktraceDetails::Enable);
    config
}

/// For machines that limit a process's address space (`ulimit -v`): instances are allocated one by one
/// and reserve little, at the price of a bounds check at each access.
fn scarce(timed: bool) -> Config {
    let mut config = common(timed);
    config
        .memory_reservation(SCARCE)
        .memory_reservation_for_growth(SCARCE);
    config
}

fn pooling(max_instances: u32, timed: bool) -> Config {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(max_instances)
        .total_memories(max_instances)
        .total_stacks(max_instances)
        .total_core_instances(max_instances.saturating_mul(PARTS))
        .total_tables(max_instances.saturating_mul(PARTS))
        .table_elements(TABLE_ELEMENTS);
    // Without the scan, what is kept resident would be cleared byte by byte at each reuse.
    if PoolingAllocationConfig::is_pagemap_scan_available() {
        pool.pagemap_scan(Enabled::Yes)
            .linear_memory_keep_resident(KEEP_RESIDENT);
    }
    let mut config = common(timed);
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    config
}
