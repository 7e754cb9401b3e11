//! What a lane does for the guests that run on it.
//!
//! A capability that is the same wherever a guest runs needs nothing from here. One that belongs to the
//! lane asks its [`HostServices`], so that this module knows neither the broker nor what kind of lane it
//! is. `PluginLog` serves lanes that offer nothing else.

use tracing::Level;

/// The lane's side of what guests import. One for each operator of a lane, which all instances of the
/// operator on that lane share, one after the other.
pub trait HostServices: Send + Sync {
    /// Whether entries of this level are written anywhere.
    fn is_logged(&self, level: Level) -> bool;

    /// Takes an entry of the plugin's log, a line of its stdout or stderr, or the host's word on what
    /// it tried. Never blocks and never fails.
    fn log(&self, level: Level, entry: &str);
}
