//! wasmtime's errors as the host's.

/// wasmtime has an error type of its own, without a conversion unless one of its features is on.
/// The chain of causes is kept.
pub(super) fn from_wasmtime(error: wasmtime::Error) -> anyhow::Error {
    anyhow::Error::from_boxed(error.into())
}
