//! Several ways of doing something with messages, measured in turn: rounds of some milliseconds each,
//! so that what the machine does meanwhile meets all of them.

use crate::clock::thread_time;
use anyhow::{Context, Result, anyhow};
use serde::Serialize;
use std::hint::black_box;
use std::time::Duration;
use weir::message::{Message, Outcome};
use weir::plugin::Worker;
use weir::process::chain::Chain;
use weir::process::route::OperatorSet;
use weir_figures::median;

/// Calls before the first that is measured.
const WARM_UP: usize = 50;
/// Processor time of one runner's part of a round.
const PART: Duration = Duration::from_millis(30);
/// Rounds; the middle one counts.
const ROUNDS: usize = 21;

/// One way, and its messages.
pub(crate) enum Runner {
    /// A call of a plugin.
    Plugin(Box<Worker>, Vec<Message>),
    /// The same in native code.
    Native(fn(&[Message]) -> Vec<Outcome>, Vec<Message>),
    /// A chain of operators, as a lane walks it.
    Chain(Box<Chain>, Vec<(Message, OperatorSet)>),
}

impl Runner {
    /// Messages in a call.
    fn len(&self) -> usize {
        match self {
            Runner::Plugin(_, batch) | Runner::Native(_, batch) => batch.len(),
            Runner::Chain(_, batch) => batch.len(),
        }
    }

    async fn call(&mut self) -> Result<()> {
        match self {
            Runner::Plugin(worker, batch) => {
                let outcomes = worker.process(batch).await;
                black_box(outcomes.map_err(|fault| anyhow!("{fault}: {}", fault.stderr))?);
            }
            Runner::Native(transform, batch) => {
                black_box(transform(black_box(batch)));
            }
            Runner::Chain(chain, batch) => {
                black_box(chain.run(batch.clone()).await);
            }
        }
        Ok(())
    }

    /// Processor time of so many calls.
    async fn calls(&mut self, count: usize) -> Result<Duration> {
        let before = thread_time();
        for _ in 0..count {
            self.call().await?;
        }
        Ok(thread_time() - before)
    }
}

/// What one runner took, in microseconds of processor for each message.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Times {
    pub(crate) what: String,
    pub(crate) median: f64,
    pub(crate) rounds: Vec<f64>,
}

/// Runs them in turn on one thread, as a lane is, each round beginning with another.
pub(crate) fn race(quick: bool, mut runners: Vec<(String, Runner)>) -> Result<Vec<Times>> {
    let tokio = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start a runtime")?;
    let rounds = if quick { 3 } else { ROUNDS };
    let mut times: Vec<Vec<f64>> = vec![Vec::new(); runners.len()];
    tokio.block_on(async {
        let mut counts = Vec::new();
        for (_, runner) in &mut runners {
            runner.calls(WARM_UP).await?;
            let took = runner.calls(WARM_UP).await?;
            counts.push(calls_in(PART, took, WARM_UP));
        }
        for round in 0..rounds {
            for turn in 0..runners.len() {
                let index = (round + turn) % runners.len();
                let (Some((_, runner)), Some(times), Some(&count)) = (
                    runners.get_mut(index),
                    times.get_mut(index),
                    counts.get(index),
                ) else {
                    continue;
                };
                let took = runner.calls(count).await?;
                times.push(took.as_secs_f64() * 1e6 / (count * runner.len()) as f64);
            }
        }
        anyhow::Ok(())
    })?;
    let times = runners.into_iter().zip(times);
    Ok(times
        .map(|((what, _), rounds)| Times {
            what,
            median: median(rounds.iter().copied()),
            rounds,
        })
        .collect())
}

/// Calls that take about `part`, where so many `calls` took so long.
fn calls_in(part: Duration, took: Duration, calls: usize) -> usize {
    let one = took.as_secs_f64() / calls as f64;
    ((part.as_secs_f64() / one.max(1e-9)) as usize).clamp(1, 1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_has_as_many_calls_as_fit_and_one_at_least() {
        let ten = Duration::from_millis(10);
        assert_eq!(calls_in(ten, Duration::from_millis(50), 50), 10);
        assert_eq!(calls_in(ten, Duration::from_secs(50), 50), 1);
    }
}
