//! For `cargo test` on your own machine, where there is neither WebAssembly nor a host.

use crate::{Aggregator, Operator};
use serde::Serialize;

#[cfg(not(target_family = "wasm"))]
pub(crate) mod http;
#[cfg(not(target_family = "wasm"))]
mod memory;
#[cfg(not(target_family = "wasm"))]
pub(crate) use memory::{state as host, timers as host_timers};

/// The operator as the host would configure it, from what stands under `config:`.
///
/// ```
/// # use weir_sdk::{Error, Message, Operator, Outputs, testing};
/// # struct Pass;
/// # impl Operator for Pass {
/// #     type Config = ();
/// #     fn configure((): ()) -> Result<Self, String> { Ok(Self) }
/// #     fn process(&mut self, _: &Message) -> Result<Outputs, Error> { Ok(Outputs::pass()) }
/// # }
/// let mut operator: Pass = testing::configured(&())?;
/// let outputs = operator.process(&Message::new("orders.berlin", r#"{"total": 12}"#));
/// assert_eq!(outputs, Ok(Outputs::pass()));
/// # Ok::<(), String>(())
/// ```
///
/// # Errors
/// The reason with which the plugin refuses this configuration.
pub fn configured<O: Operator>(config: &impl Serialize) -> Result<O, String> {
    let text = serde_json::to_string(config).map_err(|error| error.to_string())?;
    O::configure(crate::config::read(&text)?)
}

/// The same for an aggregator. Call its [`add`](Aggregator::add), [`merge`](Aggregator::merge) and
/// [`emit`](Aggregator::emit) as the host would; [`Pane::new`](crate::Pane::new) makes a pane.
///
/// # Errors
/// The reason with which the plugin refuses this configuration.
pub fn aggregator<A: Aggregator>(config: &impl Serialize) -> Result<A, String> {
    let text = serde_json::to_string(config).map_err(|error| error.to_string())?;
    A::configure(crate::config::read(&text)?)
}

/// All messages of this thread are of this source from now on.
#[cfg(not(target_family = "wasm"))]
pub fn set_source(source: &str) {
    crate::source::now::set(source);
}

/// All [requests](crate::http) of this thread are answered by this function from now on.
#[cfg(not(target_family = "wasm"))]
pub fn serve(
    server: impl Fn(&crate::http::Request) -> Result<crate::http::Response, crate::http::Error>
    + 'static,
) {
    http::set(std::rc::Rc::new(server));
}

/// The timers that were set on this thread, in the order of their times. They are not set any more: hand
/// them to [`on_timer`](crate::Stateful::on_timer).
#[cfg(not(target_family = "wasm"))]
#[must_use]
pub fn take_timers() -> Vec<crate::Timer> {
    memory::take_timers()
}

/// Forgets all [`state`](crate::state) and [`timers`](crate::timers) of this thread.
#[cfg(not(target_family = "wasm"))]
pub fn clear_state() {
    memory::clear();
}
