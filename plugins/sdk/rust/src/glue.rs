//! What [`export!`](crate::export) and [`export_stateful!`](crate::export_stateful) expand to calls: the
//! exports of the contract, over an [`Operator`]. Not for use by hand.

use crate::{Error, Message, Migrate, Operator, Outcome, Stateful, Stored, Timer};
use std::cell::RefCell;

/// `configurable.configure`: reads the configuration and puts the operator into its slot.
pub fn configure<O: Operator>(slot: &RefCell<Option<O>>, config: &str) -> Result<(), String> {
    report_panics();
    *slot.borrow_mut() = Some(O::configure(crate::config::read(config)?)?);
    Ok(())
}

/// `handler.process`.
///
/// # Panics
/// If the host did not call `configure` before, which the contract forbids.
pub fn process<O: Operator>(slot: &RefCell<Option<O>>, batch: &[Message]) -> Vec<Outcome> {
    with(slot, |operator| operator.process_batch(batch))
}

/// `timer-handler.on-timer`.
///
/// # Panics
/// As [`process`].
pub fn on_timer<O: Stateful>(slot: &RefCell<Option<O>>, due: &[Timer]) -> Vec<Outcome> {
    with(slot, |operator| operator.on_timer_batch(due))
}

/// `migration.migrate`.
pub fn migrate<O: Migrate>(values: &[Stored]) -> Vec<Result<Option<Vec<u8>>, String>> {
    let migrate = |value| match O::migrate(value) {
        Ok(value) => Ok(value),
        Err(Error::Reject(reason) | Error::Retry { reason, .. }) => Err(reason),
    };
    values.iter().map(migrate).collect()
}

fn with<O, T>(slot: &RefCell<Option<O>>, call: impl FnOnce(&mut O) -> T) -> T {
    match slot.borrow_mut().as_mut() {
        Some(operator) => call(operator),
        None => panic!("the host called before `configure`"),
    }
}

/// Sees to it that a panic's message is not lost.
///
/// On `wasm32-wasip2` the standard hook writes it to stderr, which the host logs and puts into the
/// dead letter. On `wasm32-unknown-unknown` there is no stderr, so it goes through the log import.
fn report_panics() {
    #[cfg(all(target_family = "wasm", not(target_os = "wasi")))]
    std::panic::set_hook(Box::new(|panic| crate::error!("{panic}")));
}
