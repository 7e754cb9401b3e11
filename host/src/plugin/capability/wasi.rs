//! WASI 0.2 with an empty context: clocks, random numbers and stdio.
//!
//! Runtimes of languages import its other packages whether a program uses them or not. They are linked,
//! and there is nothing behind them: no files, no sockets, no environment, no arguments.

use super::Capability;
use crate::plugin::instance::State;
use wasmtime_wasi::cli::StdoutStream;
use wasmtime_wasi::{WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};

/// The most random bytes that one call may ask for.
const RANDOM: u64 = 1 << 20;

pub(super) const CAPABILITY: Capability = Capability {
    grant: None,
    interfaces: &[
        "wasi:cli@0.2",
        "wasi:clocks@0.2",
        "wasi:filesystem@0.2",
        "wasi:io@0.2",
        "wasi:random@0.2",
        "wasi:sockets@0.2",
    ],
    link: wasmtime_wasi::p2::add_to_linker_async,
};

/// The context of one instance.
pub(in crate::plugin) fn context(
    stdout: impl StdoutStream + 'static,
    stderr: impl StdoutStream + 'static,
) -> WasiCtx {
    WasiCtxBuilder::new()
        .stdout(stdout)
        .stderr(stderr)
        .allow_tcp(false)
        .allow_udp(false)
        .allow_ip_name_lookup(false)
        .max_random_size(RANDOM)
        .build()
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.table,
        }
    }
}
