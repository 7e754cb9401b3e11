//! Entries for the host's log, with the pipeline's and the operator's name on them, rate limited.
//!
//! Use the macros [`trace!`](crate::trace), [`debug!`](crate::debug), [`info!`](crate::info),
//! [`warn!`](crate::warn) and [`error!`](crate::error): they format nothing when nobody listens.
//! In a native build, for tests, entries go to stderr.

pub use crate::bindings::weir::plugin::log::Level;

/// Whether entries of this level go anywhere.
#[must_use]
pub fn enabled(level: Level) -> bool {
    #[cfg(target_family = "wasm")]
    return crate::bindings::weir::plugin::log::enabled(level);
    #[cfg(not(target_family = "wasm"))]
    {
        let _ = level;
        true
    }
}

/// Writes one entry.
pub fn log(level: Level, message: &str) {
    #[cfg(target_family = "wasm")]
    crate::bindings::weir::plugin::log::log(level, message);
    #[cfg(not(target_family = "wasm"))]
    eprintln!("{level:?}: {message}");
}

/// Writes one entry to the host's log, of the level given, if anybody listens.
#[doc(hidden)]
#[macro_export]
macro_rules! __log {
    ($level:ident, $($format:tt)+) => {
        if $crate::log::enabled($crate::log::Level::$level) {
            $crate::log::log($crate::log::Level::$level, &::std::format!($($format)+));
        }
    };
}

/// What only the author of the plugin wants to see.
#[macro_export]
macro_rules! trace { ($($format:tt)+) => { $crate::__log!(Trace, $($format)+) }; }

/// What helps to find out why.
#[macro_export]
macro_rules! debug { ($($format:tt)+) => { $crate::__log!(Debug, $($format)+) }; }

/// What whoever runs the pipeline wants to know.
#[macro_export]
macro_rules! info { ($($format:tt)+) => { $crate::__log!(Info, $($format)+) }; }

/// What whoever runs the pipeline should look at.
#[macro_export]
macro_rules! warn { ($($format:tt)+) => { $crate::__log!(Warn, $($format)+) }; }

/// What whoever runs the pipeline must look at.
#[macro_export]
macro_rules! error { ($($format:tt)+) => { $crate::__log!(Error, $($format)+) }; }
