//! Station 4: call the plugins of a chain with a batch, and judge each message by itself.
//!
//! All or nothing for each source message: its outputs are published only if every operator emitted
//! for every message derived from it. If one asks for a retry, the source message is retried; if
//! one rejects, the source message becomes a dead letter.
//!
//! A trap, a missed deadline, a refused allocation or a wrong number of outcomes never condemns a
//! batch. The batch is halved until the message that does it stands alone, and even then it is
//! condemned only by an instance that had served nothing before it.
//!
//! Knows no broker: `weir pipe` and `weir plugin test` run the same chain.

use super::message::{Few, Message, Outcome, Output};
use super::route::Stops;
use crate::config::resolved::Bounds;
use crate::plugin::{Fault, FaultKind, Worker};
use anyhow::{Context, Result};
use std::time::Duration;

/// What becomes of one source message.
#[derive(Debug)]
pub enum Verdict {
    /// Publish these, perhaps none; their subjects are those before the sink's template.
    Publish(Few<Message>),
    /// Deliver it again.
    Retry(Retry),
    /// Dead letter.
    Dead(Box<Condemned>),
}

/// Why a message is to be delivered again.
#[derive(Debug)]
pub struct Retry {
    pub operator: String,
    pub reason: String,
    /// As the plugin asked; `None` leaves it to the backoff.
    pub after: Option<Duration>,
    /// The plugin asked for it, so it counts against `retry.max-attempts`. Otherwise the host could
    /// not do its part, and the message is not to blame.
    pub counts: bool,
}

/// Why a message is a dead letter.
#[derive(Debug)]
pub struct Condemned {
    /// `None` when the sink refused what the chain returned.
    pub operator: Option<String>,
    pub kind: Kind,
    /// One line, unless it is the sink's.
    pub reason: String,
    /// The lines below the first of a plugin's rejection: SDKs put the traceback of an exception
    /// there, innermost call as the language has it.
    pub traceback: Vec<String>,
    /// blake3 of the component, and of the operator's `config:`.
    pub digest: String,
    pub config_hash: String,
    /// What the runtime saw, when it was a fault and not an answer.
    pub fault: Option<Fault>,
}

impl Condemned {
    /// The chain's results cannot be published.
    #[must_use]
    pub fn by_sink(reason: String) -> Self {
        let (digest, config_hash) = (String::new(), String::new());
        Self {
            operator: None,
            kind: Kind::Sink,
            reason,
            traceback: Vec::new(),
            digest,
            config_hash,
            fault: None,
        }
    }
}

/// What kind of end it was; the `Weir-Kind` header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Reject,
    Trap,
    Deadline,
    Memory,
    Output,
    Length,
    Retries,
    Sink,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Reject,
        Self::Trap,
        Self::Deadline,
        Self::Memory,
        Self::Output,
        Self::Length,
        Self::Retries,
        Self::Sink,
    ];

    /// As it stands in headers, JSON and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Reject => "reject",
            Kind::Trap => "trap",
            Kind::Deadline => "deadline",
            Kind::Memory => "memory",
            Kind::Output => "output",
            Kind::Length => "length",
            Kind::Retries => "retries",
            Kind::Sink => "sink",
        }
    }
}

/// Characters of a digest that results carry: 64 bits tell all plugins apart that there will be.
const SHORT_DIGEST: usize = 16;

/// The operators of one lane, each with its warm instance.
pub struct Chain {
    links: Vec<Link>,
    bounds: Bounds,
}

struct Link {
    worker: Worker,
    config_hash: String,
}

/// A message on its way through the chain, and the place of its source message in the batch.
struct Item {
    owner: usize,
    message: Message,
}

impl Chain {
    /// A chain of workers in the order of the pipeline; `bounds` is the most of one plugin call.
    #[must_use]
    pub fn new(workers: Vec<Worker>, bounds: Bounds) -> Self {
        let links = workers.into_iter().map(|worker| {
            let config_hash = blake3::hash(worker.settings().config.as_bytes()).to_hex();
            Link {
                config_hash: config_hash.to_string(),
                worker,
            }
        });
        Self {
            links: links.collect(),
            bounds,
        }
    }

    /// Instantiates and configures every plugin now, so that the first message does not wait for it.
    ///
    /// # Errors
    /// What the first plugin that refuses said.
    pub async fn warm(&mut self) -> Result<()> {
        for link in &mut self.links {
            let operator = link.worker.settings().operator.clone();
            link.worker
                .warm()
                .await
                .with_context(|| format!("cannot start operator `{operator}`"))?;
        }
        Ok(())
    }

    /// Name of the last operator; the one that message ids carry.
    #[must_use]
    pub fn last_operator(&self) -> Option<&str> {
        self.links
            .last()
            .map(|link| link.worker.settings().operator.as_str())
    }

    /// Puts a worker in the place of another; the one before is dropped.
    pub fn replace(&mut self, operator: usize, worker: Worker) {
        if let Some(link) = self.links.get_mut(operator) {
            link.worker = worker;
        }
    }

    /// The beginnings of the plugins' digests, in the order of the chain.
    #[must_use]
    pub fn digests(&self) -> Vec<&str> {
        let digests = self.links.iter().map(|link| link.worker.plugin().digest());
        digests
            .map(|digest| digest.get(..SHORT_DIGEST).unwrap_or(digest))
            .collect()
    }

    /// Condemns a message on behalf of one of the operators.
    #[must_use]
    pub fn condemned(&self, operator: &str, kind: Kind, reason: String) -> Condemned {
        let link = self
            .links
            .iter()
            .find(|link| link.worker.settings().operator == operator);
        link.map_or_else(
            || Condemned::by_sink(reason.clone()),
            |link| link.condemned(kind, reason.clone(), None),
        )
    }

    /// Runs a batch through the chain. One verdict per message, in order.
    pub async fn run(&mut self, batch: Vec<(Message, Stops)>) -> Vec<Verdict> {
        let stops: Vec<Stops> = batch.iter().map(|(_, stops)| *stops).collect();
        let mut ends: Vec<Option<Verdict>> = stops.iter().map(|_| None).collect();
        let mut items: Vec<Item> = batch
            .into_iter()
            .enumerate()
            .map(|(owner, (message, _))| Item { owner, message })
            .collect();
        for (index, link) in self.links.iter_mut().enumerate() {
            let sees = |owner: usize| stops.get(owner).is_some_and(|stops| stops.includes(index));
            items = link.apply(items, &sees, &mut ends, self.bounds).await;
        }
        let mut outputs: Vec<Few<Message>> = stops.iter().map(|_| Few::new()).collect();
        for item in items {
            if let Some(outputs) = outputs.get_mut(item.owner) {
                outputs.push(item.message);
            }
        }
        let ended = ends.into_iter().zip(outputs);
        ended
            .map(|(end, outputs)| end.unwrap_or(Verdict::Publish(outputs)))
            .collect()
    }
}

impl Link {
    /// Replaces the items that this operator sees with what it emits for them.
    async fn apply(
        &mut self,
        items: Vec<Item>,
        sees: &impl Fn(usize) -> bool,
        ends: &mut [Option<Verdict>],
        bounds: Bounds,
    ) -> Vec<Item> {
        let mut inputs = Vec::with_capacity(items.len());
        let mut places = Vec::with_capacity(items.len());
        for item in items {
            let seen = sees(item.owner);
            places.push((item.owner, seen));
            inputs.push(item.message);
        }
        let skipped = places.iter().any(|(_, seen)| !seen);
        let (called, mut passing) = if skipped {
            part(inputs, &places)
        } else {
            (inputs, Vec::new())
        };
        let outcomes = self.call(&called, bounds).await;

        let mut results = called.iter().zip(outcomes);
        let mut passing = passing.drain(..);
        let mut out = Vec::with_capacity(places.len());
        for (owner, seen) in places {
            if !seen {
                out.extend(passing.next().map(|message| Item { owner, message }));
                continue;
            }
            let Some((input, judged)) = results.next() else {
                continue;
            };
            let end = match judged {
                Ok(Outcome::Emit(outputs)) => {
                    let messages = outputs.into_iter().map(|output: Output| output.onto(input));
                    out.extend(messages.map(|message| Item { owner, message }));
                    continue;
                }
                Ok(Outcome::Retry { after, reason }) => {
                    Verdict::Retry(self.retry(reason, after, true))
                }
                Ok(Outcome::Reject(reason)) => self.condemn(Kind::Reject, reason, None),
                Err(fault) => self.fault(fault),
            };
            if let Some(place) = ends.get_mut(owner) {
                place.get_or_insert(end);
            }
        }
        out.retain(|item| ends.get(item.owner).is_some_and(Option::is_none));
        out
    }

    /// Calls the plugin with everything, in calls of at most `bounds`.
    async fn call(&mut self, messages: &[Message], bounds: Bounds) -> Vec<Result<Outcome, Fault>> {
        let most = bounds.messages.min(self.worker.most());
        let mut outcomes = Vec::with_capacity(messages.len());
        let mut rest = messages;
        while !rest.is_empty() {
            let mut bytes = 0;
            let fitting = rest.iter().take(most).take_while(|message| {
                bytes += message.payload.len();
                bytes <= bounds.bytes
            });
            let (now, later) = rest.split_at(fitting.count().max(1));
            self.isolate(now, &mut outcomes).await;
            rest = later;
        }
        outcomes
    }

    /// Calls with a batch; on a fault with its halves, until what is at fault stands alone.
    async fn isolate(&mut self, batch: &[Message], outcomes: &mut Vec<Result<Outcome, Fault>>) {
        let mut work = vec![batch];
        while let Some(part) = work.pop() {
            let fault = match self.worker.process(part).await {
                Ok(answers) => {
                    outcomes.extend(answers.into_iter().map(Ok));
                    continue;
                }
                Err(fault) => fault,
            };
            let alone = part.len() == 1;
            let wrong_length = matches!(fault.kind, FaultKind::Length { .. });
            // An instance that had served others may fail for what they left in it.
            if alone && !fault.first_call && !wrong_length {
                work.push(part);
            } else if alone || matches!(fault.kind, FaultKind::Start) {
                outcomes.extend(part.iter().map(|_| Err(fault.clone())));
            } else {
                self.worker.settings().metrics.bisections.inc();
                let size = if wrong_length {
                    1
                } else {
                    part.len().div_ceil(2)
                };
                work.extend(part.chunks(size).rev());
            }
        }
    }

    fn fault(&self, fault: Fault) -> Verdict {
        let kind = match fault.kind {
            FaultKind::Trap => Kind::Trap,
            FaultKind::Deadline => Kind::Deadline,
            FaultKind::Memory => Kind::Memory,
            FaultKind::Output => Kind::Output,
            FaultKind::Length { .. } => Kind::Length,
            FaultKind::Start => return Verdict::Retry(self.retry(fault.message, None, false)),
        };
        self.condemn(kind, fault.message.clone(), Some(fault))
    }

    fn retry(&self, reason: String, after: Option<Duration>, counts: bool) -> Retry {
        Retry {
            operator: self.worker.settings().operator.clone(),
            reason,
            after,
            counts,
        }
    }

    fn condemn(&self, kind: Kind, reason: String, fault: Option<Fault>) -> Verdict {
        Verdict::Dead(Box::new(self.condemned(kind, reason, fault)))
    }

    fn condemned(&self, kind: Kind, reason: String, fault: Option<Fault>) -> Condemned {
        let (reason, traceback) = match kind {
            Kind::Reject => apart(&reason),
            _ => (reason, Vec::new()),
        };
        Condemned {
            operator: Some(self.worker.settings().operator.clone()),
            kind,
            reason,
            traceback,
            digest: self.worker.plugin().digest().to_owned(),
            config_hash: self.config_hash.clone(),
            fault,
        }
    }
}

/// The reason of a rejection, and the traceback below it.
fn apart(reason: &str) -> (String, Vec<String>) {
    let mut lines = reason.trim().lines().map(str::trim_end);
    let first = lines.next().unwrap_or_default().to_owned();
    (first, lines.map(str::to_owned).collect())
}

/// Those that the operator sees, and those that pass it by; both in order.
fn part(inputs: Vec<Message>, places: &[(usize, bool)]) -> (Vec<Message>, Vec<Message>) {
    let (seen, passing): (Vec<_>, Vec<_>) = inputs
        .into_iter()
        .zip(places)
        .partition(|(_, (_, seen))| *seen);
    let messages =
        |pairs: Vec<(Message, _)>| pairs.into_iter().map(|(message, _)| message).collect();
    (messages(seen), messages(passing))
}
