//! What a plugin may import, one file each.
//!
//! Every plugin gets what does not reach beyond the host process: `log`, `metrics`, `config`, and
//! WASI 0.2 with an empty context (no files, no sockets, no environment, no arguments). `http` is
//! linked for operators that grant it. Nothing else is.

pub(super) mod config;
pub(super) mod http;
pub(super) mod log;
pub(super) mod metrics;

use super::bindings::weir::plugin;
use super::error::foreign;
use super::instance::State;
use anyhow::Result;
use wasmtime::Engine;
use wasmtime::component::{HasSelf, Linker};

/// A linker with what every plugin gets.
///
/// # Errors
///
/// When two of them define the same import, which would be a fault of the host.
pub(super) fn linker(engine: &Engine) -> Result<Linker<State>> {
    let mut linker = Linker::new(engine);
    let linked = wasmtime_wasi::p2::add_to_linker_async(&mut linker)
        .and_then(|()| plugin::log::add_to_linker::<_, HasSelf<State>>(&mut linker, |state| state))
        .and_then(|()| {
            plugin::metrics::add_to_linker::<_, HasSelf<State>>(&mut linker, |state| state)
        })
        .and_then(|()| {
            plugin::config::add_to_linker::<_, HasSelf<State>>(&mut linker, |state| state)
        });
    linked.map_err(foreign)?;
    Ok(linker)
}

/// The same with requests over HTTP.
///
/// # Errors
///
/// As [`linker`].
pub(super) fn linker_with_http(linker: &Linker<State>) -> Result<Linker<State>> {
    let mut linker = linker.clone();
    http::add_to_linker(&mut linker)?;
    Ok(linker)
}
