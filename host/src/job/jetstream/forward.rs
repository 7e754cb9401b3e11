//! Publishes the committed results of a partition, if their stream may not source the job's stream.
//!
//! The job's stream contains what is still to be forwarded. The owner reads results or dead letters there in
//! order, publishes them one at a time, and removes them when they are acknowledged. One at a time, because
//! after a failed publish a later one could be stored first. The message ids let the server drop repeats, so
//! several hosts may forward the same results for a while: each forwards a result only after the previous one
//! is stored, so the order holds. A host that no longer owns the partition learns that within [`CHECK`].

use super::reader::Reader;
use super::{JetStream, answer};
use crate::headers::{MESSAGE_ID, SERVER_PREFIX, begins_with};
use crate::job::log::Log;
use crate::job::pause::pause;
use crate::nats::job_progress::{Task, Trouble};
use crate::nats::refusal::{Failure, judge};
use crate::nats::wire::{Message, Parts, Wire};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How often an owner looks whether it still is the owner. Much less than any duplicate window.
const CHECK: Duration = Duration::from_secs(1);
/// What was acknowledged is removed after so many, or when nothing comes for so long. A new owner publishes
/// what was not removed once more.
const MOST: u64 = 128;
const QUIET: Duration = Duration::from_millis(100);

/// What is forwarded, and where.
#[derive(Clone, Debug)]
pub struct Forward {
    pub task: Task,
    /// The subject of dead letters; each result has its own.
    pub to: Option<String>,
    /// What message ids begin with: `<stream of the job>@<incarnation>`.
    pub id: String,
}

/// What is around a partition that forwards.
pub trait Forwarding {
    /// The name of its present claim, whether or not that is stored.
    fn owner(&self) -> Option<Arc<str>>;
    /// One is acknowledged, be it a duplicate.
    fn forwarded(&self, task: Task, is_duplicate: bool);
    /// One could not be forwarded, and is tried again.
    fn not_forwarded(&self, task: Task, trouble: Trouble);
}

/// Forwards for one partition.
struct Forwarder<'a, F> {
    log: &'a JetStream,
    what: &'a Forward,
    around: &'a F,
    /// What the subjects begin with, and which are read.
    of: String,
    filter: String,
    /// When it was last the owner.
    checked: Option<Instant>,
    /// The last that was acknowledged, and how many since the last removal.
    done: (u64, u64),
}

impl JetStream {
    /// Forwards for its partition. Never ends.
    pub async fn forward(&self, what: &Forward, around: &impl Forwarding) {
        let of = self.subject(match what.task {
            Task::ForwardDeadLetters => "dead",
            _ => "out",
        });
        let forwarder = Forwarder {
            log: self,
            what,
            around,
            filter: match what.to {
                Some(_) => of.clone(),
                None => format!("{of}.>"),
            },
            of,
            checked: None,
            done: (0, 0),
        };
        forwarder.run().await;
    }
}

impl<F: Forwarding> Forwarder<'_, F> {
    async fn run(mut self) {
        let (wire, place) = (self.log.wire.clone(), &self.log.place);
        let filters = vec![self.filter.clone()];
        let mut reader = Reader::new(wire, &place.stream, filters, place.patience);
        let mut attempt = 0;
        loop {
            let next = tokio::select! {
                biased;
                next = reader.next() => next,
                () = tokio::time::sleep(QUIET), if self.done.1 > 0 => {
                    self.remove().await;
                    continue;
                }
            };
            let trouble = match next {
                Ok((message, place)) => match self.publish(&message, place.sequence).await {
                    Ok(()) => {
                        attempt = 0;
                        continue;
                    }
                    Err(failure) => {
                        // It is read again, because somebody may remove it meanwhile.
                        reader.begin_at(place.sequence);
                        self.trouble(place.sequence, &failure)
                    }
                },
                Err(error) => Trouble {
                    words: format!("cannot read the results to forward: {error}"),
                    hint: None,
                    again: None,
                },
            };
            self.around.not_forwarded(self.what.task, trouble);
            self.remove().await;
            attempt += 1;
            pause(attempt).await;
        }
    }

    /// Publishes a message of the job's stream, and waits until it is stored.
    async fn publish(&mut self, message: &Message, sequence: u64) -> Result<(), Failure> {
        self.owned().await?;
        let own = || {
            message
                .subject
                .strip_prefix(self.of.as_bytes())?
                .strip_prefix(b".")
        };
        let subject = match &self.what.to {
            Some(subject) => subject.as_bytes(),
            None => own().unwrap_or_default(),
        };
        let shown = String::from_utf8_lossy(subject);
        let wire = &self.log.wire;
        let inbox = wire.new_inbox();
        let mut answers = wire.subscribe_once(&inbox);
        let began = Instant::now();
        let sent = wire.publish(&Parts {
            subject,
            reply: inbox.as_bytes(),
            headers: &headers(&message.headers, &self.what.id, sequence),
            payload: &message.payload,
        });
        sent.map_err(|_| Failure::Refused(format!("`{shown}` is not a valid subject")))?;
        let wait = answer::wait(wire, &mut answers, self.log.place.patience);
        let answer = tokio::select! {
            biased;
            answer = wait => answer,
            refused = refused(wire, &shown, began) => return Err(Failure::Unavailable(refused)),
        };
        let answer = answer.map_err(|error| Failure::NoAck {
            subject: shown.to_string(),
            reason: error.to_string(),
        })?;
        let status = answer.status().map(|(status, _)| status);
        let is_duplicate = judge(status, &answer.payload, &shown)?;
        self.around.forwarded(self.what.task, is_duplicate);
        self.done = (sequence, self.done.1 + 1);
        if self.done.1 >= MOST {
            self.remove().await;
        }
        Ok(())
    }

    /// Waits until there is a connection and the partition is owned, as the log said a moment ago.
    async fn owned(&mut self) -> Result<(), Failure> {
        loop {
            let connected = self.log.wire.health.is_connected();
            if connected
                && self
                    .checked
                    .is_some_and(|checked| checked.elapsed() < CHECK)
            {
                return Ok(());
            }
            self.checked = None;
            let asked = Instant::now();
            let found = self.log.checkpoint().await;
            let found = found.map_err(|error| Failure::Unavailable(error.to_string()))?;
            let owner = found.map(|held| held.checkpoint.owner);
            if connected && owner.is_some() && owner == self.around.owner() {
                self.checked = Some(asked);
                return Ok(());
            }
            tokio::time::sleep(CHECK).await;
        }
    }

    /// Removes what was acknowledged.
    async fn remove(&mut self) {
        let (last, count) = self.done;
        if count > 0 && self.log.remove(&self.filter, last + 1).await.is_ok() {
            self.done.1 = 0;
        }
    }

    fn trouble(&self, sequence: u64, failure: &Failure) -> Trouble {
        let (stream, why) = (&self.log.place.stream, failure.reason());
        let hint = match failure {
            Failure::Refused(_) | Failure::TooLarge(_) => Some(format!(
                "make the stream accept it, or delete it with `nats stream rmm {stream} {sequence}`: later \
                 results wait for it"
            )),
            Failure::NoAck { subject, .. } => Some(format!(
                "see that a stream captures `{subject}`, and that it has a leader"
            )),
            failure => failure.hint(),
        };
        Trouble {
            words: format!("cannot forward message {sequence} of stream `{stream}`: {why}"),
            hint,
            again: None,
        }
    }
}

/// The headers of a message as it is forwarded: those that its batch has added are left out.
fn headers(stored: &[u8], id: &str, sequence: u64) -> Vec<u8> {
    let mut headers = b"NATS/1.0\r\n".to_vec();
    let lines = stored.split(|byte| *byte == b'\n').skip(1);
    let lines = lines.map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    for line in lines.filter(|line| !line.is_empty() && !begins_with(line, SERVER_PREFIX)) {
        headers.extend_from_slice(line);
        headers.extend_from_slice(b"\r\n");
    }
    headers.extend_from_slice(format!("{MESSAGE_ID}: {id}/{sequence}\r\n\r\n").as_bytes());
    headers
}

/// Waits until the server says that it does not permit to publish there.
async fn refused(wire: &Wire, subject: &str, since: Instant) -> String {
    loop {
        let changed = wire.health.changed.notified();
        if let Some(words) = wire.health.violation(subject, since) {
            return words;
        }
        changed.await;
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may fail by panicking")]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_forwarded_with_its_own_headers_and_an_id_and_without_those_of_its_batch() {
        let stored = b"NATS/1.0\r\nA: b\r\nNats-Batch-Id: x\r\nNats-Batch-Sequence: 3\r\nWeir-Digest: d\r\n\r\n";
        let headers = headers(stored, "WEIR_JOB_P@k3x", 17);
        assert_eq!(
            str::from_utf8(&headers).unwrap(),
            "NATS/1.0\r\nA: b\r\nWeir-Digest: d\r\nNats-Msg-Id: WEIR_JOB_P@k3x/17\r\n\r\n"
        );
        assert_eq!(
            super::headers(b"", "J@k", 1),
            b"NATS/1.0\r\nNats-Msg-Id: J@k/1\r\n\r\n"
        );
    }
}
