//! A commit as an atomic batch: its messages in their order, and the wait for the answer.

use super::{JetStream, RECORD, answer};
use crate::headers::PART;
use crate::job::log::{Commit, Fence, LogError};
use crate::nats::wire::Parts;
use crate::outgoing::OutgoingMessage;

/// Messages that are written before there is a look at whether there is room for more.
const RUN: usize = 32;

/// A batch under way.
struct Batch<'a> {
    log: &'a JetStream,
    id: String,
    inbox: String,
    /// Messages so far.
    count: usize,
    /// Used for each of them.
    headers: Vec<u8>,
}

impl Batch<'_> {
    /// Sends a message; `lines` are added to the header block that is in `headers` already.
    async fn add(
        &mut self,
        subject: &str,
        lines: &[(&str, &str)],
        payload: &[u8],
    ) -> Result<(), LogError> {
        self.count += 1;
        if self.count.is_multiple_of(RUN) {
            self.log.wire.room().await;
        }
        match self.headers.strip_suffix(b"\r\n") {
            Some(open) => self.headers.truncate(open.len()),
            None => self.headers.extend_from_slice(b"NATS/1.0\r\n"),
        }
        let count = self.count.to_string();
        let of_batch = [
            ("Nats-Batch-Id", &*self.id),
            ("Nats-Batch-Sequence", &*count),
        ];
        for (name, value) in of_batch.iter().chain(lines) {
            for part in [name, ": ", value, "\r\n"] {
                self.headers.extend_from_slice(part.as_bytes());
            }
        }
        self.headers.extend_from_slice(b"\r\n");
        let is_last = lines.iter().any(|(name, _)| *name == COMMIT);
        let reply = if self.count == 1 || is_last {
            &*self.inbox
        } else {
            ""
        };
        let sent = self.log.wire.publish(&Parts {
            subject: subject.as_bytes(),
            reply: reply.as_bytes(),
            headers: &self.headers,
            payload,
        });
        self.headers.clear();
        sent.map(drop)
            .map_err(|_| LogError::Permanent(format!("`{subject}` is no subject")))
    }

    async fn result(&mut self, subject: &str, message: &OutgoingMessage) -> Result<(), LogError> {
        message.write_headers(&mut self.headers);
        self.add(subject, &[], &message.payload).await
    }

    /// Sends a record in as many messages as it needs. `first` is a header of the first of them.
    async fn record(
        &mut self,
        subject: &str,
        number: u64,
        content: &[u8],
        first: Option<(&str, &str)>,
    ) -> Result<(), LogError> {
        let part = self.log.place.part.max(1);
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
            self.add(subject, &lines, content).await?;
        }
        Ok(())
    }
}

/// Of the last message: the batch ends with it.
const COMMIT: &str = "Nats-Batch-Commit";
/// Of a message that takes the place of all others of its subject.
const ROLLUP: (&str, &str) = ("Nats-Rollup", "sub");

impl JetStream {
    /// Sends a commit, and waits for the answer.
    pub(super) async fn send(&self, expected: Fence, commit: &Commit) -> Result<Fence, LogError> {
        let inbox = self.wire.new_inbox();
        let mut answers = self.wire.subscribe_once(&inbox);
        let mut batch = Batch {
            log: self,
            id: self.wire.new_id(),
            inbox,
            count: 0,
            headers: Vec::new(),
        };
        let out = self.subject("out");
        for output in &commit.outputs {
            batch
                .result(&format!("{out}.{}", output.subject), output)
                .await?;
        }
        for dead in &commit.dead_letters {
            batch.result(&self.subject("dead"), dead).await?;
        }
        if let Some(delta) = &commit.delta {
            let number = commit.checkpoint.log;
            batch
                .record(&self.subject("log"), number, delta, None)
                .await?;
        }
        for snapshot in &commit.snapshots {
            let subject = format!("{}.{}", self.subject("snap"), snapshot.group);
            let content = &snapshot.content;
            batch
                .record(&subject, snapshot.reach, content, Some(ROLLUP))
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
            .add(&self.subject("ckpt"), &lines, &checkpoint)
            .await?;
        loop {
            let answer = answer::wait(&self.wire, &mut answers, self.place.patience).await?;
            if let Some(fence) = answer::stored(&batch.id, &answer.payload)? {
                return Ok(fence);
            }
        }
    }
}
