//! Measures the plugins alone: the chain of the pipeline over the same messages, on one thread and without a
//! server. Its processor time is the plugins' share of the host's, including the border.

use super::child::Page;
use super::input::Input;
use super::usage;
use crate::cli::files;
use crate::cli::offline::Offline;
use crate::config::resolved::Pipeline;
use crate::message::Message;
use crate::process::chain::Verdict;
use crate::process::route::OperatorSet;
use crate::telemetry::metrics::Name;
use anyhow::{Context, Result, anyhow};
use serde::Serialize;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Processor time of one round. The kernel counts it by ticks of up to 10 ms while a thread runs.
const ROUND: Duration = Duration::from_millis(200);
/// The maximum number of messages that are prepared for a round.
const MOST: usize = 1 << 16;
/// The number of measured rounds.
const ROUNDS: usize = 5;
/// No new round begins after this time.
const LONGEST: Duration = Duration::from_secs(10);

/// The cost of the plugins alone.
#[derive(Clone, Debug, Serialize)]
pub(super) struct PluginCost {
    /// Processor time for each message, in microseconds.
    pub(super) us: f64,
    /// The number of measured messages.
    pub(super) messages: u64,
    pub(super) operators: Vec<Operator>,
    /// The subjects of results, if the sink's template allows any subject.
    #[serde(skip)]
    pub(super) subjects: BTreeSet<String>,
}

/// The share of one operator.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Operator {
    pub(super) name: String,
    /// Its share of the chain's time according to the times of its calls, in microseconds per source
    /// message.
    pub(super) us: f64,
    pub(super) trusted: bool,
}

/// Measures on a separate thread with a runtime of its own.
///
/// # Errors
///
/// If a plugin cannot be loaded or refuses its configuration.
pub(super) async fn measure(pipeline: &Pipeline, input: &Arc<Input>) -> Result<PluginCost> {
    let (pipeline, input) = (pipeline.clone(), Arc::clone(input));
    let (done, measured) = tokio::sync::oneshot::channel();
    let work = move || {
        // If the bench was stopped, nobody waits for the result.
        let _ = done.send(on_this_thread(&pipeline, &input));
    };
    std::thread::Builder::new()
        .name("plugins".to_owned())
        .spawn(work)
        .context("cannot start a thread")?;
    measured
        .await
        .map_err(|_| anyhow!("the thread that measures the plugins has ended"))?
}

fn on_this_thread(pipeline: &Pipeline, input: &Input) -> Result<PluginCost> {
    let chain = Offline::of_pipeline(pipeline, &files::runtime(1)?)?;
    let mut round = Round {
        chain,
        input,
        next: 0,
    };
    let subjects = round.warm_up(pipeline);
    let began = Instant::now();
    let mut size = pipeline.batch.messages.clamp(1, MOST);
    let (mut measured, mut spent, mut rounds) = (0, Duration::ZERO, 0);
    while rounds < ROUNDS {
        let (messages, took) = round.run(size)?;
        let late = began.elapsed() > LONGEST;
        if took < ROUND && size < MOST && !late {
            size *= 2;
            continue;
        }
        measured += messages;
        spent += took;
        rounds += 1;
        if late {
            break;
        }
    }
    let us = spent.as_secs_f64() * 1e6 / measured.max(1) as f64;
    let page = Page(round.chain.metrics());
    let seconds = |name: &str| page.sum(Name::CallSeconds, &pipeline.name, name);
    let all: f64 = pipeline
        .operators
        .iter()
        .map(|one| seconds(&one.name))
        .sum();
    let operators = pipeline.operators.iter().map(|operator| Operator {
        name: operator.name.clone(),
        us: us * seconds(&operator.name) / all.max(f64::MIN_POSITIVE),
        trusted: operator.trusted,
    });
    Ok(PluginCost {
        us,
        messages: measured,
        operators: operators.collect(),
        subjects,
    })
}

struct Round<'i> {
    chain: Offline,
    input: &'i Input,
    /// Number of the next message.
    next: u64,
}

impl Round<'_> {
    /// Calls the plugins with every message once, or with as many as there is time for. Returns the subjects
    /// of the results, if the sink's template allows any subject.
    fn warm_up(&mut self, pipeline: &Pipeline) -> BTreeSet<String> {
        let anywhere = pipeline.sink.subject.reach().is_none();
        let (began, mut subjects) = (Instant::now(), BTreeSet::new());
        while (self.next as usize) < self.input.lines() {
            let batch = self.batch(self.input.lines() - self.next as usize);
            for verdict in self.chain.call(batch) {
                let Verdict::Publish(results) = verdict else {
                    continue;
                };
                if anywhere {
                    let rendered = results.iter().map(|one| pipeline.sink.subject.render(one));
                    subjects.extend(rendered.flatten().map(|subject| subject.to_string()));
                }
            }
            if !anywhere && began.elapsed() > LONGEST / 4 {
                break;
            }
        }
        subjects
    }

    /// Calls the plugins with this many messages, or with as many as there is time for. Returns their number
    /// and the processor time. The messages are prepared before.
    fn run(&mut self, size: usize) -> Result<(u64, Duration)> {
        let (began, end) = (Instant::now(), self.next + size as u64);
        let mut batches = Vec::new();
        while self.next < end {
            batches.push(self.batch((end - self.next) as usize));
        }
        let before = usage::this_thread()?;
        let mut called = 0;
        for batch in batches {
            called += batch.len() as u64;
            drop(self.chain.call(batch));
            if began.elapsed() > LONGEST {
                break;
            }
        }
        Ok((called, usage::this_thread()?.saturating_sub(before)))
    }

    /// A batch as the pipeline would form it, with at most this many messages.
    fn batch(&mut self, most: usize) -> Vec<(Message, OperatorSet)> {
        let (bounds, mut records, mut bytes) = (self.chain.batch, Vec::new(), 0);
        while records.len() < most.min(bounds.messages) && bytes < bounds.bytes {
            let Some(record) = self.input.get(self.next) else {
                break;
            };
            bytes += record.payload.len();
            records.push(record.clone());
            self.next += 1;
        }
        let now = jiff::Timestamp::now().as_nanosecond();
        self.chain
            .route(records, now.try_into().unwrap_or_default())
    }
}
