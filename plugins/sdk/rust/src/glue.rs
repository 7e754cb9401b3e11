//! What [`export!`](crate::export) and the macros beside it expand to calls: the exports of the contract, over
//! an [`Operator`] or an [`Aggregator`]. Not for use by hand.

use crate::window_bindings::exports::weir::window::aggregation;
use crate::{
    Accumulator, Aggregator, Error, Message, Migrate, Operator, Outcome, Output, Pane, Stateful,
    Stored, Timer,
};
use std::cell::RefCell;

/// `configurable.configure`: reads the configuration and puts the operator into its slot.
pub fn configure<O: Operator>(slot: &RefCell<Option<O>>, config: &str) -> Result<(), String> {
    report_panics();
    *slot.borrow_mut() = Some(O::configure(crate::config::read(config)?)?);
    Ok(())
}

/// The same for an aggregator.
pub fn configure_aggregator<A: Aggregator>(
    slot: &RefCell<Option<A>>,
    config: &str,
) -> Result<(), String> {
    report_panics();
    *slot.borrow_mut() = Some(A::configure(crate::config::read(config)?)?);
    Ok(())
}

/// `handler.process`.
///
/// # Panics
/// If the host did not call `configure` before, which the contract forbids.
pub fn process<O: Operator>(slot: &RefCell<Option<O>>, batch: &[Message]) -> Vec<Outcome> {
    crate::source::now::is(batch);
    let outcomes = with(slot, |operator| operator.process_batch(batch));
    crate::source::now::is(&[]);
    outcomes
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
    let migrate = |value| O::migrate(value).map_err(reason);
    values.iter().map(migrate).collect()
}

/// `aggregation.add`.
///
/// # Panics
/// As [`process`].
pub fn add<A: Aggregator>(
    slot: &RefCell<Option<A>>,
    additions: Vec<aggregation::Addition>,
) -> Vec<Result<Vec<u8>, String>> {
    let add = |aggregator: &A, one: aggregation::Addition| {
        let mut accumulator = read(one.accumulator)?;
        for message in &one.messages {
            aggregator.add(&mut accumulator, message)?;
        }
        A::Accumulator::write(accumulator)
    };
    with(slot, |aggregator| {
        let added = additions
            .into_iter()
            .map(|one| add(aggregator, one).map_err(reason));
        added.collect()
    })
}

/// `aggregation.merge`.
///
/// # Panics
/// As [`process`].
pub fn merge<A: Aggregator>(
    slot: &RefCell<Option<A>>,
    pairs: Vec<aggregation::Pair>,
) -> Vec<Result<Vec<u8>, String>> {
    let merge = |aggregator: &A, pair: aggregation::Pair| {
        let (left, right) = (read(pair.left)?, read(pair.right)?);
        aggregator.merge(left, right)?.write()
    };
    with(slot, |aggregator| {
        let merged = pairs
            .into_iter()
            .map(|pair| merge(aggregator, pair).map_err(reason));
        merged.collect()
    })
}

/// `aggregation.emit`.
///
/// # Panics
/// As [`process`].
pub fn emit<A: Aggregator>(
    slot: &RefCell<Option<A>>,
    panes: Vec<aggregation::Pane>,
) -> Vec<Result<Vec<Output>, String>> {
    let emit = |aggregator: &A, pane: aggregation::Pane| {
        let accumulator = read(pane.accumulator)?;
        let pane = Pane {
            key: pane.key,
            window: pane.window,
            timing: pane.timing,
            index: pane.index,
        };
        Ok(aggregator.emit(&pane, accumulator)?.into_inner())
    };
    with(slot, |aggregator| {
        let emitted = panes
            .into_iter()
            .map(|pane| emit(aggregator, pane).map_err(reason));
        emitted.collect()
    })
}

/// Of no message yet, it is empty.
fn read<T: Accumulator>(bytes: Vec<u8>) -> Result<T, Error> {
    match bytes.is_empty() {
        true => Ok(T::default()),
        false => T::read(bytes),
    }
}

/// Nothing of this can be tried again by itself, so a retry is a rejection.
fn reason(error: Error) -> String {
    match error {
        Error::Reject(reason) | Error::Retry { reason, .. } => reason,
    }
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
