//! A commit as an atomic batch: its messages in order, and the wait for the answer.

use super::{JetStream, RECORD, answer};
use crate::headers::{self, ORIGIN, PART};
use crate::job::log::{Commit, Fence, LogError};
use crate::nats::wire::{Parts, Subscription, Wire};
use crate::outgoing::OutgoingMessage;

/// Messages that are written before there is a look at whether there is room for more.
const RUN: usize = 32;

/// A batch under way. The server gives it up when nothing of it has come for 10 s.
pub struct Batch {
    wire: Wire,
    inbox: String,
    answers: Subscription,
    text: Text,
    /// The place of its first message among all that were published.
    first: Option<u64>,
    /// The results and the dead letters that it has so far.
    outputs: usize,
    dead_letters: usize,
}

/// What is written for each message of a batch, into memory that all of them use.
struct Text {
    /// Of the batch.
    id: String,
    /// Messages so far.
    count: usize,
    subject: String,
    headers: Vec<u8>,
}

impl Text {
    /// Begins a message on the subject that has these parts, without headers.
    fn begin(&mut self, subject: &[&str]) {
        self.count += 1;
        self.subject.clear();
        self.subject.extend(subject.iter().copied());
        self.headers.clear();
    }

    /// Adds lines to the header block, which is empty or whole.
    fn add(&mut self, lines: &[(&str, &str)]) {
        match self.headers.strip_suffix(b"\r\n") {
            Some(open) => self.headers.truncate(open.len()),
            None => self.headers.extend_from_slice(b"NATS/1.0\r\n"),
        }
        let mut count = itoa::Buffer::new();
        let of_batch = [
            ("Nats-Batch-Id", &*self.id),
            ("Nats-Batch-Sequence", count.format(self.count)),
        ];
        for (name, value) in of_batch.iter().chain(lines) {
            for part in [name, ": ", value, "\r\n"] {
                self.headers.extend_from_slice(part.as_bytes());
            }
        }
        self.headers.extend_from_slice(b"\r\n");
    }
}

impl Batch {
    /// How many results and dead letters it has.
    pub(super) fn results(&self) -> usize {
        self.outputs + self.dead_letters
    }

    /// Whether its connection is not known to be there any more: no answer would come.
    pub(super) fn is_lost(&self) -> bool {
        let (lost, _) = self.wire.lost();
        self.first.is_none_or(|first| first <= lost)
    }

    /// Whether another message may be added without waiting for room.
    fn has_room(&self) -> bool {
        !self.text.count.is_multiple_of(RUN) || self.wire.has_room()
    }

    async fn add(
        &mut self,
        subject: &[&str],
        lines: &[(&str, &str)],
        payload: &[u8],
    ) -> Result<(), LogError> {
        if !self.has_room() {
            self.wire.room().await;
        }
        self.text.begin(subject);
        self.send(lines, payload)
    }

    fn result(&mut self, subject: &[&str], message: &OutgoingMessage) -> Result<(), LogError> {
        self.text.begin(subject);
        message.write_headers_as(ORIGIN, &mut self.text.headers);
        self.send(&[], &message.payload)
    }

    /// Sends the message that has begun, with these headers besides.
    fn send(&mut self, lines: &[(&str, &str)], payload: &[u8]) -> Result<(), LogError> {
        self.text.add(lines);
        let Text {
            count,
            subject,
            headers,
            ..
        } = &self.text;
        let is_last = lines.iter().any(|(name, _)| *name == COMMIT);
        let has_answer = *count == 1 || is_last;
        let sent = self.wire.publish(&Parts {
            subject: subject.as_bytes(),
            reply: if has_answer {
                self.inbox.as_bytes()
            } else {
                b""
            },
            headers,
            payload,
        });
        let sent =
            sent.map_err(|_| LogError::Permanent(format!("`{subject}` is not a valid subject")))?;
        self.first.get_or_insert(sent);
        Ok(())
    }

    /// Sends a record in as many messages as it needs, none of which is larger than `part`. `first` is a header of
    /// the first of them.
    async fn record(
        &mut self,
        (subject, part): (&str, usize),
        number: u64,
        content: &[u8],
        first: Option<(&str, &str)>,
    ) -> Result<(), LogError> {
        let part = part.max(1);
        let parts = content.len().div_ceil(part).max(1);
        let number = number.to_string();
        let mut rest = content;
        for place in 1..=parts {
            let (content, left) = rest.split_at(part.min(rest.len()));
            rest = left;
            let which = format!("{place}/{parts}");
            let mut lines = vec![(RECORD, &*number)];
            lines.extend((parts > 1).then_some((PART, &*which)));
            lines.extend(first.filter(|_| place == 1));
            self.add(&[subject], &lines, content).await?;
        }
        Ok(())
    }
}

/// Of the last message: the batch ends with it.
const COMMIT: &str = "Nats-Batch-Commit";
/// Of a message that takes the place of all others of its subject.
const ROLLUP: (&str, &str) = ("Nats-Rollup", "sub");

impl JetStream {
    /// A batch without messages.
    pub(super) fn begin(&self) -> Batch {
        let inbox = self.wire.new_inbox();
        Batch {
            answers: self.wire.subscribe_once(&inbox),
            inbox,
            text: Text {
                id: self.wire.new_id(),
                count: 0,
                subject: String::new(),
                headers: Vec::new(),
            },
            first: None,
            outputs: 0,
            dead_letters: 0,
            wire: self.wire.clone(),
        }
    }

    /// Sends the results and dead letters that the batch does not have yet. False if there is no room for all.
    pub(super) fn send_results(
        &self,
        batch: &mut Batch,
        commit: &Commit,
    ) -> Result<bool, LogError> {
        let (out, dead) = (self.subject("out"), self.subject("dead"));
        for output in commit.outputs.iter().skip(batch.outputs) {
            if !batch.has_room() {
                return Ok(false);
            }
            let below = [&*out, ".", &*output.subject];
            let subject = match self.place.keeps_results {
                true => &below[2..],
                false => &below,
            };
            batch.result(subject, output)?;
            batch.outputs += 1;
        }
        for letter in commit.dead_letters.iter().skip(batch.dead_letters) {
            if !batch.has_room() {
                return Ok(false);
            }
            batch.result(&[&dead], letter)?;
            batch.dead_letters += 1;
        }
        Ok(true)
    }

    /// Sends what the batch does not have of a commit, and waits for the answer.
    pub(super) async fn send(
        &self,
        mut batch: Batch,
        expected: Fence,
        commit: &Commit,
    ) -> Result<Fence, LogError> {
        while !self.send_results(&mut batch, commit)? {
            self.wire.room().await;
        }
        let number = format!("{}.{}", self.place.partition, commit.checkpoint.number);
        for value in &commit.views {
            if !batch.has_room() {
                self.wire.room().await;
            }
            let subject = [&*self.place.prefix, ".view.", &*value.subject];
            batch.text.begin(&subject);
            value.write_headers_as(ORIGIN, &mut batch.text.headers);
            batch.send(&[(headers::COMMIT, &*number)], &value.payload)?;
        }
        let part = self.place.part;
        if let Some(delta) = &commit.delta {
            let number = commit.checkpoint.log;
            batch
                .record((&self.subject("log"), part), number, delta, None)
                .await?;
        }
        for snapshot in &commit.snapshots {
            let subject = format!("{}.{}", self.subject("snap"), snapshot.group);
            let content = &snapshot.content;
            batch
                .record((&subject, part), snapshot.reach, content, Some(ROLLUP))
                .await?;
        }
        let checkpoint = serde_json::to_vec(&commit.checkpoint)
            .map_err(|why| LogError::Permanent(format!("cannot write a checkpoint: {why}")))?;
        let expected = expected.0.to_string();
        let lines = [
            ROLLUP,
            ("Nats-Expected-Last-Subject-Sequence", &*expected),
            (COMMIT, "1"),
        ];
        batch
            .add(&[&self.subject("ckpt")], &lines, &checkpoint)
            .await?;
        loop {
            let answer = answer::wait(&self.wire, &mut batch.answers, self.place.patience).await?;
            if let Some(fence) = answer::stored(&batch.text.id, &answer.payload)? {
                return Ok(fence);
            }
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may fail by panicking")]
mod tests {
    use super::*;
    use crate::headers::block::ForeignLines;
    use crate::telemetry::allocations::allocations;

    fn result() -> OutgoingMessage {
        OutgoingMessage {
            is_late: false,
            subject: "in.a".into(),
            id: None,
            digest: Some("d1".into()),
            headers: Vec::new(),
            foreign: ForeignLines::new(),
            payload: "x".into(),
            key: None,
        }
    }

    fn text() -> Text {
        Text {
            id: "b".to_owned(),
            count: 0,
            subject: String::new(),
            headers: Vec::new(),
        }
    }

    fn write(text: &mut Text, result: &OutgoingMessage) {
        text.begin(&["weir.job.p.out.0", ".", &result.subject]);
        result.write_headers_as(ORIGIN, &mut text.headers);
        text.add(&[]);
    }

    #[test]
    fn each_message_has_the_headers_of_its_batch_behind_its_own() {
        let mut text = text();
        write(&mut text, &result());
        text.begin(&["weir.job.p.ckpt.0"]);
        text.add(&[(COMMIT, "1")]);
        assert_eq!(text.subject, "weir.job.p.ckpt.0");
        let headers = str::from_utf8(&text.headers).unwrap();
        let last = "NATS/1.0\r\nNats-Batch-Id: b\r\nNats-Batch-Sequence: 2\r\nNats-Batch-Commit: 1\r\n\r\n";
        assert_eq!(headers, last);
        write(&mut text, &result());
        assert_eq!(text.subject, "weir.job.p.out.0.in.a");
        let headers = str::from_utf8(&text.headers).unwrap();
        let third =
            "NATS/1.0\r\nWeir-Digest: d1\r\nNats-Batch-Id: b\r\nNats-Batch-Sequence: 3\r\n\r\n";
        assert_eq!(headers, third);
    }

    #[test]
    fn a_result_asks_for_no_memory_while_its_batch_is_written() {
        let (mut text, result) = (text(), result());
        write(&mut text, &result);
        let count = allocations(|| (0..1000).for_each(|_| write(&mut text, &result)));
        assert!(count < 5, "{count} allocations");
    }
}
