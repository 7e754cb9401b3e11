//! A pipeline without a broker, from lines to lines: for `weir pipe`, `weir plugin test` and `weir bench`.
//!
//! The messages pass through the same processor as in `weir run`. Without JetStream there are no
//! redeliveries: a retry is only reported. The state of stateful plugins begins empty and is not stored.
//! `offline/time.rs` advances the time as in a job.

pub(super) mod plugin;
mod time;

use crate::config::limits::Limits;
use crate::config::resolved::{self, Bounds, HeaderSelection, OnMissingKey, Operator};
use crate::jsonl::{Dead, Line, Record, Retry};
use crate::message::Message;
use crate::outgoing::OutgoingMessage;
use crate::plugin::{LoadOptions, OperatorSettings, Runtime, Worker};
use crate::process::chain::{Chain, Rejection, Routed, Verdict};
use crate::process::disposition::Disposition;
use crate::process::outputs::Target;
use crate::process::{Judged, Processor, plugin_set};
use crate::report::{self, count};
use crate::state::SharedState;
use crate::telemetry::metrics::Metrics;
use crate::threads;
use anyhow::{Result, anyhow};
use bytestring::ByteString;

use std::path::Path;
use std::sync::Arc;
use time::Time;

/// The batch of one plugin call without a pipeline.
const CALL: Bounds = Bounds {
    messages: 256,
    bytes: 1 << 20,
};

/// Most bytes of state without a job: what a partition of one may have by default.
const STATE: u64 = 256 << 20;

/// A processor that is fed with lines.
pub(super) struct Offline {
    processor: Processor,
    /// `None` if no plugin keeps state.
    state: Option<SharedState>,
    time: Time,
    /// The largest useful batch.
    pub(super) batch: Bounds,
    /// Sequence of the last message; the next message without a sequence gets the following one.
    sequence: u64,
    /// Messages that no source reads.
    skipped: usize,
    /// Messages that were dropped because they have no key.
    keyless: usize,
    metrics: Arc<Metrics>,
    tokio: tokio::runtime::Runtime,
}

impl Offline {
    /// The plugins of a pipeline, loaded, configured and ready.
    ///
    /// # Errors
    ///
    /// If a plugin cannot be loaded or refuses its configuration.
    pub(super) fn of_pipeline(settings: &resolved::Pipeline, runtime: &Runtime) -> Result<Self> {
        let metrics = Metrics::new();
        let plugins = plugin_set::load(settings, runtime, &metrics)?;
        let chain = Chain::new(plugins.workers(runtime), settings.batch);
        let processor = Processor::new(settings, chain, &Target::nowhere());
        let ids: Vec<_> = settings.operators.iter().map(Operator::state_id).collect();
        let ids = ids.iter().map(|id| &**id);
        let warmed = Self::warmed(processor, ids.clone(), settings.batch, metrics)?;
        Ok(Self {
            time: Time::of(settings, ids),
            ..warmed
        })
    }

    /// A plugin without a pipeline, the component `bytes` that `file` names, with the default limits and all headers.
    ///
    /// # Errors
    ///
    /// See [`Offline::of_pipeline`].
    pub(super) fn of_plugin(
        file: &Path,
        bytes: &[u8],
        config: &str,
        runtime: &Runtime,
    ) -> Result<Self> {
        let options = LoadOptions {
            stateful: true,
            ..LoadOptions::default()
        };
        let plugin = runtime.load_bytes(bytes, &file.display().to_string(), options)?;
        let name = file.file_stem().unwrap_or_default().to_string_lossy();
        let metrics = Metrics::new();
        let settings = OperatorSettings {
            pipeline: name.clone().into_owned(),
            operator: name.clone().into_owned(),
            config: config.to_owned(),
            headers: HeaderSelection::All,
            limits: Limits::default(),
            windows: None,
            metrics: metrics.operator(&name, &name),
        };
        let worker = Worker::new(runtime, plugin, Arc::new(settings));
        let warmed = Self::warmed(Processor::of_plugin(worker, CALL), [&*name], CALL, metrics)?;
        Ok(Self {
            time: Time::of_operator(&name),
            ..warmed
        })
    }

    fn warmed<'a>(
        mut processor: Processor,
        operators: impl IntoIterator<Item = &'a str>,
        batch: Bounds,
        metrics: Arc<Metrics>,
    ) -> Result<Self> {
        let state = processor.is_stateful();
        let state = state.then(|| SharedState::scratch(operators, STATE));
        let tokio = threads::runtime()?;
        tokio.block_on(processor.warm())?;
        Ok(Self {
            processor,
            state: state.transpose()?,
            time: Time::default(),
            batch,
            sequence: 0,
            skipped: 0,
            keyless: 0,
            metrics,
            tokio,
        })
    }

    /// Processes messages and returns the output lines of each that a source reads, in order; before them those of timers that the clock has
    /// reached by then, and behind them those of timers and windows that the messages make due. The event time is
    /// `now` if neither the line nor the pipeline has one.
    pub(super) fn run(&mut self, records: Vec<Record>, now: u64) -> Vec<Vec<Line>> {
        self.time.reach(now);
        let (mut messages, mut routed) = (Vec::with_capacity(records.len()), Vec::new());
        for record in records {
            if !self.processor.reads(&record.subject) {
                // It has its place in the stream all the same.
                self.sequence = record.sequence.unwrap_or(self.sequence + 1);
                self.skipped += 1;
                continue;
            }
            let (message, refusal) = self.message(record, now);
            if refusal.is_none() {
                routed.push(self.processor.route(message.clone()));
            }
            messages.push((message, refusal));
        }
        if let Some(state) = &self.state {
            state.lock().begin(self.time.now());
        }
        let mut lines = vec![self.fire_by_clock()];
        let mut verdicts = self.call(routed).into_iter();
        for (message, refusal) in messages {
            lines.push(match refusal {
                Some(refusal) => vec![refusal],
                None => match verdicts.next() {
                    Some(verdict) => self.lines(&message, b"", verdict),
                    None => Vec::new(),
                },
            });
        }
        lines.push(self.fire());
        lines
    }

    /// Routes messages to operators, for [`Offline::call`]; see [`Offline::run`] for `now`.
    pub(super) fn route(
        &mut self,
        records: impl IntoIterator<Item = Record>,
        now: u64,
    ) -> Vec<Routed> {
        let routed = records.into_iter().map(|record| {
            let (message, _) = self.message(record, now);
            self.processor.route(message)
        });
        routed.collect()
    }

    /// Calls the plugins with a batch. One verdict for each message, in order.
    pub(super) fn call(&mut self, batch: Vec<Routed>) -> Vec<Verdict> {
        let Some(state) = &mut self.state else {
            return self.tokio.block_on(self.processor.call(batch));
        };
        let verdicts = self.tokio.block_on(self.processor.call_on(batch, state));
        // Without this, what would undo all batches is kept.
        let mut state = state.lock();
        drop(state.seal());
        state.confirmed();
        verdicts
    }

    /// Says how many messages no source reads, and how many were dropped without a key, if there were any.
    pub(super) fn note_skipped(&self) {
        if self.skipped > 0 {
            let skipped = count(self.skipped, "message");
            report::note(&format!(
                "skipped {skipped} that no source of the pipeline reads (`subjects`, `keys`)"
            ));
        }
        if self.keyless > 0 {
            let keyless = count(self.keyless, "message");
            report::note(&format!(
                "dropped {keyless} without a key (`on-missing-key`)"
            ));
        }
    }

    /// The metrics of the plugins, in the format of `/metrics`.
    pub(super) fn metrics(&self) -> String {
        self.metrics.encode()
    }

    /// The message of a record, and why it is refused, as a job refuses it.
    fn message(&mut self, record: Record, now: u64) -> (Message, Option<Line>) {
        let given = record.event_time;
        let mut message = record.into_message(self.sequence + 1, now);
        self.sequence = message.sequence;
        let event_time = message.event_time;
        let is_timed = self.processor.decode(&mut message) || given.is_some();
        if given.is_some() {
            message.event_time = event_time;
        }
        let has_time = is_timed && !self.processor.is_table(&message);
        self.time.pass(&mut message, has_time);
        let refusal = (!is_timed).then(|| self.time.refusal(&self.processor, &message));
        (message, refusal.flatten())
    }

    fn lines(&mut self, input: &Message, timer: &[u8], verdict: Verdict) -> Vec<Line> {
        // Message ids name a stream, and there is none here.
        let nowhere = ByteString::new();
        let source = Judged {
            message: input,
            source_id: &nowhere,
            retries: 0,
            timer,
        };
        match self.processor.judge(source, verdict) {
            Disposition::Publish(messages) => {
                let goes =
                    |message: &OutgoingMessage| !message.is_late || !message.subject.is_empty();
                let lines = messages.into_iter().filter(goes);
                lines.map(|message| result(input, message)).collect()
            }
            Disposition::Drop => {
                let then = self.processor.on_missing_key(input);
                self.keyless += usize::from(then == Some(OnMissingKey::Drop));
                Vec::new()
            }
            Disposition::Dead(letter) => vec![dead(input, &letter.rejection)],
            Disposition::Retry(retry) => vec![Line::Retry(Retry {
                retry: retry.reason,
                operator: Some(retry.operator),
                after_ms: retry
                    .after
                    .and_then(|after| after.as_millis().try_into().ok()),
                sequence: sequence(input),
            })],
        }
    }
}

/// That of a message; none for a window.
fn sequence(input: &Message) -> Option<u64> {
    Some(input.sequence).filter(|sequence| *sequence > 0)
}

fn result(input: &Message, message: OutgoingMessage) -> Line {
    Line::Message(Record {
        subject: message.subject,
        payload: message.payload,
        headers: message.headers.into_iter().collect(),
        key: message.key,
        event_time: None,
        sequence: sequence(input),
    })
}

fn dead(input: &Message, rejection: &Rejection) -> Line {
    Line::Dead(Dead {
        reject: rejection.reason.clone(),
        operator: rejection.operator.clone(),
        kind: Some(rejection.kind.as_str().to_owned()),
        traceback: rejection.traceback.clone(),
        sequence: sequence(input),
    })
}

/// The one pipeline that a command uses: the only one in the file, or the one that is named.
///
/// # Errors
///
/// If there are several and none is named, or none has that name.
pub(super) fn choose(
    pipelines: Vec<resolved::Pipeline>,
    name: Option<&str>,
) -> Result<resolved::Pipeline> {
    use crate::report::{hint, usage};
    let names = pipelines
        .iter()
        .map(|pipeline| format!("`{}`", pipeline.name));
    let names = names.collect::<Vec<_>>().join(", ");
    let mut chosen = pipelines
        .into_iter()
        .filter(|pipeline| name.is_none_or(|name| name == pipeline.name));
    match (chosen.next(), chosen.next()) {
        (Some(pipeline), None) => Ok(pipeline),
        (None, _) => {
            let error = anyhow!("there is no pipeline `{}`", name.unwrap_or_default());
            Err(hint(usage(error), format!("choose one of {names}")))
        }
        _ => {
            let error = anyhow!("the file holds several pipelines");
            Err(hint(
                usage(error),
                format!("pass `--pipeline` with one of {names}"),
            ))
        }
    }
}
