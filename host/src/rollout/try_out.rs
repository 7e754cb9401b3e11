//! Tries a candidate with recent messages of the pipeline, and with the state of their keys.
//!
//! The candidate may answer differently. But it must not fail on messages on which the previous version does
//! not fail, and it must be able to read what that version has written. Nothing is published, and no state
//! changes.

use crate::config::resolved::Operator;
use crate::message::Message;
use crate::process::chain::{Chain, Verdict};
use crate::process::route::Route;
use crate::process::samples::Sample;
use crate::report::ResultExt;
use crate::state::SharedState;
use anyhow::{Context, Result, anyhow};

/// Most bytes of a state: that of a sample, and what a few messages write to it.
const STATE: u64 = 64 << 20;

/// See the top of this file.
pub(super) struct TryOut<'a> {
    operators: &'a [Operator],
    route: Route,
    old: Chain,
    /// The same with the candidate.
    new: Chain,
}

impl<'a> TryOut<'a> {
    pub(super) fn new(operators: &'a [Operator], old: Chain, new: Chain) -> Self {
        Self {
            route: Route::compile(operators),
            operators,
            old,
            new,
        }
    }

    /// # Errors
    /// Why the candidate does not fit.
    pub(super) async fn run(mut self, sample: Sample) -> Result<()> {
        let Sample { messages, state } = sample;
        let found = state.as_deref();
        let (mut old, mut new) = (self.state(found)?, self.state(found)?);
        let mut empty = self.state(None)?;
        // Messages whose keys have state, and those of them that are rejected because of it.
        let (mut with_state, mut unreadable) = (0, Vec::new());
        for message in messages {
            let sequence = message.sequence;
            with_state += usize::from(has_state(&message, &old));
            let after = one(&mut self.new, &self.route, &message, &mut new).await;
            if after.ends_well() {
                continue;
            }
            let before = one(&mut self.old, &self.route, &message, &mut old).await;
            if let Some(reason) = failure(&after)
                && failure(&before).is_none()
            {
                return Err(anyhow!("{reason}"))
                    .with_context(|| format!("it fails on message {sequence} of the source"))
                    .hint(|| "fix it; the running version does not fail on that message");
            }
            if let Verdict::Dead(rejection) = after
                && before.ends_well()
                && has_state(&message, &old)
                && one(&mut self.new, &self.route, &message, &mut empty)
                    .await
                    .ends_well()
            {
                unreadable.push((sequence, rejection.reason));
            }
        }
        // One that rejects some because of what it reads has a rule for it.
        match unreadable.first() {
            Some((sequence, reason)) if unreadable.len() == with_state => Err(anyhow!("{reason}"))
                .with_context(|| {
                    format!(
                        "it cannot read the state: it rejects message {sequence} of the source, and would \
                         accept it without the state of the running version"
                    )
                })
                .hint(|| "make it read the existing values"),
            _ => Ok(()),
        }
    }

    /// A state with what was found; an empty one if nothing was.
    fn state(&self, found: Option<&[u8]>) -> Result<SharedState> {
        let ids = self.operators.iter().map(Operator::state_id);
        let ids: Vec<_> = ids.collect();
        let state = SharedState::scratch(ids.iter().map(|id| &**id), STATE)?;
        if let Some(found) = found {
            state.lock().replay(found, &|_| true)?;
        }
        Ok(state)
    }
}

/// Whether the key of a message has values or timers.
fn has_state(message: &Message, state: &SharedState) -> bool {
    let state = state.lock();
    state.sample([message.state_key()], usize::MAX).is_some()
}

/// Runs one message.
async fn one(
    chain: &mut Chain,
    route: &Route,
    message: &Message,
    state: &mut SharedState,
) -> Verdict {
    let operators = route.operators(&message.subject);
    let mut verdicts = chain
        .run_on(vec![(message.clone(), operators)], state)
        .await;
    verdicts
        .pop()
        .unwrap_or_else(|| Verdict::Publish(Default::default()))
}

/// Why a plugin gave no answer, if it gave none.
fn failure(verdict: &Verdict) -> Option<&str> {
    match verdict {
        Verdict::Dead(rejection) => rejection.fault.as_ref().map(|fault| fault.message.as_str()),
        // An instance that does not start is no answer either.
        Verdict::Retry(retry) if !retry.counts => Some(&retry.reason),
        _ => None,
    }
}
