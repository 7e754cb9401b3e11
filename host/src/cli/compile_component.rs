//! `weir compile-component`, hidden: the process in which a host compiles a component
//! (`plugin/compiler.rs`).

use crate::plugin::{CompileJob, NOT_WRITTEN, compile_as_child};
use crate::report;
use anyhow::{Context, Result};
use std::io::Write;

pub(super) fn run(job: &CompileJob) -> Result<u8> {
    let compiled = compile_as_child(job)?;
    let mut stdout = std::io::stdout().lock();
    let written = stdout.write_all(&compiled).and_then(|()| stdout.flush());
    match written.context("cannot write the compiled plugin") {
        Ok(()) => Ok(report::DONE),
        Err(error) => {
            let _ = report::print(&error, true);
            Ok(NOT_WRITTEN)
        }
    }
}
