//! Everything that knows wasmtime.

pub mod limits;
