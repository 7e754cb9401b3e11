//! What becomes of a batch: decode, route, call, judge. START HERE.
//!
//! A [`Processor`] does all of it for one pipeline. Lanes, `weir replay`, shadows, `weir pipe` and `weir
//! plugin test` all use it, so that a message has the same outcome in each. It ends with one [`Disposition`]
//! per message, in order. Its caller carries that out: `delivery/` publishes and settles, a dry run compares,
//! `weir pipe` prints.
//!
//! Knows no broker: no connection, no ack, no consumer.

pub mod activity;
pub mod chain;
pub mod changeover;
pub mod dead_letter;
pub mod decode;
pub mod disposition;
pub mod dry_run;
pub mod outputs;
pub mod plugin_set;
mod redaction;
pub mod retry;
pub mod route;
pub mod samples;

use crate::config::resolved::{self, Bounds, OnMissingKey};
use crate::headers::block::ForeignLines;
use crate::message::Message;
use crate::outgoing::OutgoingMessage;
use crate::state::{SharedState, Timer};
use anyhow::Result;
use bytestring::ByteString;
use chain::savepoint::Savepoints;
use chain::{Chain, Change, Kind, Rejection, Retry, Routed, Verdict};
use dead_letter::DeadLetterBuilder;
use decode::Decoder;
use disposition::{DeadLetter, Disposition};
use outputs::{OutputBuilder, Target};
use route::{OperatorSet, Route};
use std::sync::Arc;

/// One pipeline's way with messages, with a warm instance of each plugin.
pub struct Processor {
    decoder: Decoder,
    route: Route,
    chain: Chain,
    /// `None` for a lone plugin: its outputs leave as it made them.
    outputs: Option<OutputBuilder>,
    dead_letters: DeadLetterBuilder,
    max_attempts: u32,
    /// Whether results say which versions of the plugins they come from.
    has_provenance: bool,
}

/// A message of the source as a verdict on it is judged.
#[derive(Clone, Copy, Debug)]
pub struct Judged<'a> {
    pub message: &'a Message,
    /// `<stream>@<incarnation>` of where it was stored first.
    pub source_id: &'a ByteString,
    /// How often a plugin has asked for it again before.
    pub retries: u32,
    /// The tag of the timer that the message [stands for](Message::of_timer); empty otherwise.
    pub timer: &'a [u8],
}

impl Processor {
    /// `chain` is that of the pipeline, perhaps with other versions in it; `target` says where results
    /// would go.
    #[must_use]
    pub fn new(settings: &resolved::Pipeline, chain: Chain, target: &Target) -> Self {
        let last = chain.last_operator().unwrap_or("weir");
        let mut outputs = OutputBuilder::new(
            (settings.sink.message_ids).then(|| format!("{}/{last}/", settings.id())),
            settings.sink.subject.clone(),
            target,
        );
        if settings.has_windows() {
            outputs = outputs.with_windows(settings.late.clone(), target);
        }
        Self {
            decoder: Decoder::new(settings),
            route: Route::compile(&settings.operators),
            outputs: Some(outputs),
            dead_letters: DeadLetterBuilder {
                pipeline: settings.name.clone(),
                id: settings.id(),
                subject: target.dead_letters.clone(),
                max_payload: target.max_payload,
                redact: settings
                    .dead_letter
                    .as_ref()
                    .map(|dead| Arc::clone(&dead.redact))
                    .unwrap_or_default(),
            },
            max_attempts: settings.retry.max_attempts,
            has_provenance: false,
            chain,
        }
    }

    /// A lone plugin, whose outputs leave as it made them.
    #[must_use]
    pub fn of_plugin(worker: crate::plugin::Worker, bounds: Bounds) -> Self {
        Self {
            decoder: Decoder::default(),
            route: Route::everything(1),
            chain: Chain::new(vec![worker], bounds),
            outputs: None,
            dead_letters: DeadLetterBuilder {
                pipeline: String::new(),
                id: String::new(),
                subject: None,
                max_payload: usize::MAX,
                redact: Arc::default(),
            },
            max_attempts: u32::MAX,
            has_provenance: false,
        }
    }

    /// The same with results that leave as `outputs` makes them.
    #[must_use]
    pub fn with_outputs(mut self, outputs: OutputBuilder) -> Self {
        self.outputs = Some(outputs);
        self
    }

    /// The same with results that say which versions of the plugins they come from.
    #[must_use]
    pub fn with_provenance(mut self) -> Self {
        self.has_provenance = true;
        self.say_provenance();
        self
    }

    /// Makes and configures all instances, so that the first message does not wait for it.
    ///
    /// # Errors
    /// What the first plugin that refuses said.
    pub async fn warm(&mut self) -> Result<()> {
        self.chain.warm().await
    }

    /// Step 2: key and event time. False if it has no valid event time.
    pub fn decode(&self, message: &mut Message) -> bool {
        self.decoder.decode(message)
    }

    /// Whether any source reads messages with this subject.
    #[must_use]
    pub fn reads(&self, subject: &str) -> bool {
        self.decoder.reads(subject)
    }

    /// What becomes of a message that was decoded, if it lacks the key that its source has a rule for.
    #[must_use]
    pub fn on_missing_key(&self, message: &Message) -> Option<OnMissingKey> {
        self.decoder.missing_key(message).map(|(_, then)| then)
    }

    /// Whether a message is one of a table.
    #[must_use]
    pub fn is_table(&self, message: &Message) -> bool {
        self.decoder.is_table(message)
    }

    /// Where a message has its event time; the stream's if `None`.
    #[must_use]
    pub fn event_time(&self, message: &Message) -> Option<&resolved::EventTime> {
        self.decoder.event_time(message)
    }

    /// Step 3: the operators that see a message; none if it is refused for its missing key.
    #[must_use]
    pub fn route(&self, message: Message) -> Routed {
        let operators = match self.on_missing_key(&message) {
            None | Some(OnMissingKey::Share) => self.route.operators(&message.subject),
            Some(OnMissingKey::DeadLetter | OnMissingKey::Drop) => OperatorSet::default(),
        };
        (message, operators)
    }

    /// Step 4: calls the plugins, which keep no state. One verdict per message, in order.
    pub async fn call(&mut self, batch: Vec<Routed>) -> Vec<Verdict> {
        self.chain.run(batch).await
    }

    /// The same for plugins that write to `state`: what remains there is what the messages that end
    /// well have written.
    pub async fn call_on<S: Savepoints>(
        &mut self,
        batch: Vec<Routed>,
        state: &mut S,
    ) -> Vec<Verdict> {
        self.chain.run_on(batch, state).await
    }

    /// Calls an operator, by its place in the chain, with timers that are due, were taken out of `state`, and were
    /// retried so often before. One verdict per timer, in order, to be judged with [`Message::of_timer`].
    pub async fn fire(
        &mut self,
        operator: usize,
        timers: Vec<Timer>,
        retries: u32,
        state: &mut SharedState,
    ) -> Vec<Verdict> {
        let attempts = retries.saturating_add(1);
        let last = (attempts >= self.max_attempts).then_some(attempts);
        self.chain.fire(operator, timers, last, state).await
    }

    /// A timer of an operator, by its place in the chain, ended as a dead letter: its window goes with it.
    pub fn abandon(&self, operator: usize, timer: &Timer, state: &SharedState) {
        self.chain.abandon(operator, timer, state);
    }

    /// Whether a plugin of it was built to keep state.
    #[must_use]
    pub fn is_stateful(&self) -> bool {
        self.chain.is_stateful()
    }

    /// See [`Chain::formats`].
    pub fn formats(&self) -> impl Iterator<Item = (&str, u32)> {
        self.chain.formats()
    }

    /// What a verdict means for its message.
    #[must_use]
    pub fn judge(&mut self, source: Judged<'_>, verdict: Verdict) -> Disposition {
        match self.decoder.missing_key(source.message) {
            None | Some((_, OnMissingKey::Share)) => {}
            Some((_, OnMissingKey::Drop)) => return Disposition::Drop,
            Some((rule, OnMissingKey::DeadLetter)) => {
                let rule = rule.as_str();
                let reason = format!("the message lacks a part of its key `{rule}`");
                return self.reject(source, Rejection::by_source(Kind::MissingKey, reason));
            }
        }
        match verdict {
            Verdict::Publish(results) if results.is_empty() => Disposition::Drop,
            Verdict::Publish(results) => match &mut self.outputs {
                Some(outputs) => {
                    // A timer has nothing of its own that a dead letter could keep.
                    let emitted = (source.message.sequence == 0).then(|| results.to_vec());
                    match outputs.build(source, results) {
                        Ok(messages) => Disposition::Publish(messages),
                        Err(reason) => {
                            let rejection = Rejection::by_sink(reason);
                            self.reject(
                                source,
                                Rejection {
                                    emitted,
                                    ..rejection
                                },
                            )
                        }
                    }
                }
                None => Disposition::Publish(results.into_iter().map(as_made).collect()),
            },
            Verdict::Dead(rejection) => self.reject(source, *rejection),
            Verdict::Retry(retry) => self.retry(source, retry),
        }
    }

    /// A retry, unless the message has been tried as often as it may be.
    fn retry(&self, source: Judged<'_>, retry: Retry) -> Disposition {
        let attempts = source.retries.saturating_add(1);
        if !retry.counts || attempts < self.max_attempts {
            return Disposition::Retry(retry);
        }
        let rejection = self.chain.gave_up(source.message, &retry, attempts);
        self.reject(source, rejection)
    }

    /// A message whose results the sink will never take, or that ends for another reason: a dead letter of it, or of
    /// each result of a timer.
    #[must_use]
    pub fn reject(&self, source: Judged<'_>, rejection: Rejection) -> Disposition {
        let letter = |message| {
            let judged = Judged { message, ..source };
            self.dead_letters.build(judged, &rejection)
        };
        let messages = match &rejection.emitted {
            Some(results) => results.iter().flat_map(letter).collect(),
            None => letter(source.message),
        };
        Disposition::Dead(Box::new(DeadLetter {
            rejection,
            messages,
        }))
    }

    /// Makes dead letters smaller from now on, as the stream of dead letters refuses one of this size for its
    /// size. False if they cannot be much smaller.
    pub fn shrink_dead_letters(&mut self, refused: usize) -> bool {
        let most = refused / 2;
        let shrinks = most >= dead_letter::LEAST;
        if shrinks {
            self.dead_letters.max_payload = self.dead_letters.max_payload.min(most);
        }
        shrinks
    }

    /// Lets an operator run another version, for all or a share of what it sees.
    pub fn change(&mut self, operator: usize, change: Change) {
        self.chain.change(operator, change);
        self.say_provenance();
    }

    fn say_provenance(&mut self) {
        if let Some(outputs) = self.outputs.as_mut().filter(|_| self.has_provenance) {
            outputs.set_provenance(self.chain.provenance());
        }
    }
}

/// An output as the plugin made it.
fn as_made(output: Message) -> OutgoingMessage {
    OutgoingMessage {
        subject: output.subject,
        id: None,
        digest: None,
        headers: output.headers.iter().cloned().collect(),
        foreign: ForeignLines::new(),
        payload: output.payload,
        key: output.key,
        is_late: output.is_late,
    }
}
