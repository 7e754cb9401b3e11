//! The native loop that does what a job does: results and the position in the source in one commit.
//!
//! One thread, one connection of weir's own wire. It reads in order without acks, and stores what has gathered
//! in an atomic batch that ends with a checkpoint, which the server refuses unless it follows the last one.
//! One commit is in flight at a time; the next gathers meanwhile. It gives up at the first failure: this is a
//! bench, on streams that nobody else writes to. Its [`Link`] is also that of the queries in `jobs/nexmark`.

use std::io::Write;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use weir::nats::wire::{Message, Parts, Subscription, Wire};

use crate::ingest::connect;
use crate::native::{Options, sequence};

/// What the subjects of its stream begin with, and those of its results; their own subjects follow.
pub(crate) const PREFIX: &str = "bench.job";
pub(crate) const RESULTS: &str = "bench.job.out.0";
pub(crate) const CHECKPOINT: &str = "bench.job.ckpt.0";
/// Messages of a commit; weir's default.
pub(crate) const MOST: usize = 900;
/// Messages that are written before the connection has its turn.
const RUN: usize = 128;
/// Messages that are asked for at once: none is waited for while there are some.
const WINDOW: usize = 8192;
/// How long a pull request waits at the server.
const EXPIRES: Duration = Duration::from_secs(10);

/// A consumer that is read in order, and a stream that is committed to.
pub(crate) struct Link {
    wire: Wire,
    inbox: String,
    stream: String,
    consumer: String,
    pub(crate) messages: Subscription,
    pub(crate) answers: Subscription,
    /// Messages asked for that have not come yet.
    asked: usize,
    /// The number of the batch that is open or comes next, and of the messages that it has.
    batch: u64,
    sent: usize,
    /// Whether an answer to a commit is waited for.
    pub(crate) in_flight: bool,
    /// Where the last checkpoint stands.
    fence: u64,
    headers: Vec<u8>,
}

/// Passes on what it reads.
struct Loop {
    link: Link,
    /// Read and not sent.
    gathered: Vec<Message>,
    subject: String,
}

/// The answer to a request or a commit.
#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    seq: u64,
    error: Option<serde_json::Value>,
}

/// Reads, gathers and commits, for ever.
pub(crate) async fn walk(options: &Options) -> Result<()> {
    let mut this = Loop {
        link: Link::open(&options.server, &options.stream, &options.consumer).await?,
        gathered: Vec::with_capacity(MOST),
        subject: format!("{RESULTS}.{}", options.to),
    };
    loop {
        this.step().await?;
    }
}

impl Loop {
    async fn step(&mut self) -> Result<()> {
        self.link.ask()?;
        let has_room = self.gathered.len() < MOST;
        tokio::select! {
            biased;
            Some(answer) = self.link.answers.next() => self.link.committed(&answer)?,
            Some(message) = self.link.messages.next(), if has_room => self.gather(message),
            else => bail!("the connection is closed"),
        }
        match self.link.in_flight || self.gathered.is_empty() {
            true => Ok(()),
            false => self.commit().await,
        }
    }

    /// One message and whatever else has already arrived.
    fn gather(&mut self, first: Message) {
        let mut next = Some(first);
        while let Some(message) = next.take() {
            if !self.link.is_delivery(&message) {
                return;
            }
            self.gathered.push(message);
            if self.gathered.len() < MOST {
                next = self.link.messages.has_come();
            }
        }
    }

    /// Sends what has gathered, and the checkpoint.
    async fn commit(&mut self) -> Result<()> {
        let last = self.gathered.last().context("nothing has gathered")?;
        let position = position(last)?;
        for message in self.gathered.drain(..) {
            self.link.add(&self.subject, &message.payload).await?;
        }
        self.link.commit(position)
    }
}

/// The stream sequence of a delivery.
pub(crate) fn position(message: &Message) -> Result<u64> {
    let reply = std::str::from_utf8(&message.reply).context("a reply subject is no text")?;
    sequence(reply)
}

impl Link {
    /// Connects, and makes the consumer.
    pub(crate) async fn open(server: &str, stream: &str, consumer: &str) -> Result<Self> {
        let wire = connect(server).await?;
        let inbox = wire.new_inbox();
        let mut this = Self {
            messages: wire.subscribe(&format!("{inbox}.m")),
            answers: wire.subscribe(&format!("{inbox}.a")),
            wire,
            inbox,
            stream: stream.to_owned(),
            consumer: consumer.to_owned(),
            asked: 0,
            batch: 1,
            sent: 0,
            in_flight: false,
            fence: 0,
            headers: Vec::new(),
        };
        let request = serde_json::json!({
            "stream_name": stream,
            "config": {
                "name": consumer,
                "deliver_policy": "all",
                "ack_policy": "none",
                "mem_storage": true,
                "num_replicas": 1,
                "inactive_threshold": 30_000_000_000_u64,
            },
            "action": "create",
        });
        let api = format!("$JS.API.CONSUMER.CREATE.{stream}.{consumer}");
        this.request(&api, "a", request.to_string().as_bytes())?;
        let answer = this.answers.next().await;
        answered(&answer.context("the connection is closed")?)?;
        Ok(this)
    }

    /// Keeps a window of messages asked for.
    pub(crate) fn ask(&mut self) -> Result<()> {
        if self.asked > WINDOW / 2 {
            return Ok(());
        }
        let (stream, consumer) = (&self.stream, &self.consumer);
        let api = format!("$JS.API.CONSUMER.MSG.NEXT.{stream}.{consumer}");
        let expires = EXPIRES.as_nanos();
        let request = format!(r#"{{"batch":{WINDOW},"expires":{expires}}}"#);
        self.asked += WINDOW;
        self.request(&api, "m", request.as_bytes())
    }

    /// Whether this is a message of the stream, and not the end of a request: then more is asked for.
    pub(crate) fn is_delivery(&mut self, message: &Message) -> bool {
        let is_delivery = message.status().is_none();
        self.asked = match is_delivery {
            true => self.asked.saturating_sub(1),
            false => 0,
        };
        is_delivery
    }

    /// Sends a message of the batch.
    pub(crate) async fn add(&mut self, subject: &str, payload: &[u8]) -> Result<()> {
        self.head(format_args!(""))?;
        self.publish(&Parts {
            subject: subject.as_bytes(),
            headers: &self.headers,
            payload,
            ..Parts::default()
        })?;
        if self.sent.is_multiple_of(RUN) {
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    /// Commits the batch with a checkpoint: up to where the source is read.
    pub(crate) fn commit(&mut self, position: u64) -> Result<()> {
        let fence = self.fence;
        self.head(format_args!(
            "Nats-Rollup: sub\r\nNats-Expected-Last-Subject-Sequence: {fence}\r\n\
             Nats-Batch-Commit: 1\r\n"
        ))?;
        self.publish(&Parts {
            subject: CHECKPOINT.as_bytes(),
            reply: format!("{}.a", self.inbox).as_bytes(),
            headers: &self.headers,
            payload: format!(r#"{{"position":{position}}}"#).as_bytes(),
        })?;
        self.batch += 1;
        self.sent = 0;
        self.in_flight = true;
        Ok(())
    }

    /// The answer to a commit has come.
    pub(crate) fn committed(&mut self, answer: &Message) -> Result<()> {
        self.fence = answered(answer)?.seq;
        self.in_flight = false;
        Ok(())
    }

    /// The header block of the next message of the batch.
    fn head(&mut self, lines: std::fmt::Arguments<'_>) -> Result<()> {
        self.sent += 1;
        self.headers.clear();
        let (batch, number) = (self.batch, self.sent);
        write!(
            self.headers,
            "NATS/1.0\r\nNats-Batch-Id: {batch}\r\nNats-Batch-Sequence: {number}\r\n{lines}\r\n"
        )?;
        Ok(())
    }

    fn request(&self, api: &str, inbox: &str, payload: &[u8]) -> Result<()> {
        self.publish(&Parts {
            subject: api.as_bytes(),
            reply: format!("{}.{inbox}", self.inbox).as_bytes(),
            payload,
            ..Parts::default()
        })
    }

    fn publish(&self, parts: &Parts<'_>) -> Result<()> {
        let written = self.wire.publish(parts);
        written
            .map(drop)
            .map_err(|_| anyhow::anyhow!("a subject cannot be written"))
    }
}

fn answered(message: &Message) -> Result<Answer> {
    let answer: Answer =
        serde_json::from_slice(&message.payload).context("an answer is no JSON")?;
    match answer.error {
        None => Ok(answer),
        Some(error) => bail!("the server refused a request: {error}"),
    }
}
