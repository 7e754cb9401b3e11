//! Finds the messages or timers of a batch that make a plugin fault, so that the fault affects no others.
//!
//! Pure: its caller passes the function to call. A trap, a missed deadline, a refused allocation or a wrong
//! number of outcomes halves the batch until the message that causes the fault is alone. Even then only the
//! fault of a fresh instance counts.

use super::savepoint::Savepoints;
use crate::message::Outcome;
use crate::plugin::{Fault, FaultKind};
use crate::state::SharedState;

/// Calls with a batch; on a fault with its halves. Adds one result per message to `outcomes`, in
/// order; returns how often a batch was divided. What a faulty call wrote is rolled back.
pub(super) async fn isolate<T, S: Savepoints>(
    batch: &[T],
    outcomes: &mut Vec<Result<Outcome, Fault>>,
    state: &mut S,
    mut call: impl AsyncFnMut(&[T], Option<&SharedState>) -> Result<Vec<Outcome>, Fault>,
) -> u64 {
    let mut divided = 0;
    let mut work = vec![batch];
    while let Some(part) = work.pop() {
        let begin = state.savepoint();
        let fault = match call(part, state.keyed()).await {
            Ok(answers) => {
                outcomes.extend(answers.into_iter().map(Ok));
                continue;
            }
            Err(fault) => fault,
        };
        state.roll_back(begin);
        let alone = part.len() == 1;
        let wrong_length = matches!(fault.kind, FaultKind::Length { .. });
        // An instance that had served others may fail for what they left in it.
        if alone && !fault.first_call && !wrong_length {
            work.push(part);
        } else if alone || matches!(fault.kind, FaultKind::Start) {
            outcomes.extend(part.iter().map(|_| Err(fault.clone())));
        } else {
            divided += 1;
            let size = match wrong_length {
                true => 1,
                false => part.len().div_ceil(2),
            };
            work.extend(part.chunks(size).rev());
        }
    }
    divided
}
