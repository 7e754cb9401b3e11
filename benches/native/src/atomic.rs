//! The native loop that does what a job does: results and the position in the source in one commit.
//!
//! One thread, one connection of weir's own wire. It reads in order without acks, and stores what has gathered
//! in an atomic batch that ends with a checkpoint, which the server refuses unless it follows the last one.
//! One commit is in flight at a time; the next gathers meanwhile. It gives up at the first failure: this is a
//! bench, on streams that nobody else writes to.

use std::io::Write;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use weir::nats::wire::{Message, Parts, Subscription, Wire};

use crate::ingest::connect;
use crate::native::{Options, sequence};

/// What the subjects of its stream begin with, and those of its results; their own subjects follow.
pub(crate) const PREFIX: &str = "bench.job";
const RESULTS: &str = "bench.job.out.0";
const CHECKPOINT: &str = "bench.job.ckpt.0";
/// Messages of a commit; weir's default.
const MOST: usize = 900;
/// Messages that are written before the connection has its turn.
const RUN: usize = 128;
/// Messages that are asked for at once: none is waited for while there are some.
const WINDOW: usize = 8192;
/// How long a pull request waits at the server.
const EXPIRES: Duration = Duration::from_secs(10);

struct Loop<'a> {
    options: &'a Options,
    wire: Wire,
    inbox: String,
    messages: Subscription,
    answers: Subscription,
    /// Messages asked for that have not come yet.
    asked: usize,
    /// Read and not sent.
    gathered: Vec<Message>,
    /// The number of the batch that is open or comes next, and whether its answer is waited for.
    batch: u64,
    in_flight: bool,
    /// Where the last checkpoint stands.
    fence: u64,
    subject: String,
    headers: Vec<u8>,
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
    let wire = connect(options).await?;
    let inbox = wire.new_inbox();
    let mut this = Loop {
        options,
        messages: wire.subscribe(&format!("{inbox}.m")),
        answers: wire.subscribe(&format!("{inbox}.a")),
        wire,
        inbox,
        asked: 0,
        gathered: Vec::with_capacity(MOST),
        batch: 1,
        in_flight: false,
        fence: 0,
        subject: format!("{RESULTS}.{}", options.to),
        headers: Vec::new(),
    };
    this.open().await?;
    loop {
        this.step().await?;
    }
}

impl Loop<'_> {
    /// Makes its consumer.
    async fn open(&mut self) -> Result<()> {
        let Options {
            stream, consumer, ..
        } = self.options;
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
        self.request(&api, "a", request.to_string().as_bytes())?;
        let answer = self.answers.next().await;
        answered(&answer.context("the connection is closed")?).map(drop)
    }

    async fn step(&mut self) -> Result<()> {
        self.ask()?;
        let has_room = self.gathered.len() < MOST;
        tokio::select! {
            biased;
            Some(answer) = self.answers.next() => {
                self.fence = answered(&answer)?.seq;
                self.in_flight = false;
            }
            Some(message) = self.messages.next(), if has_room => self.gather(message),
            else => bail!("the connection is closed"),
        }
        match self.in_flight || self.gathered.is_empty() {
            true => Ok(()),
            false => self.commit().await,
        }
    }

    /// Keeps a window of messages asked for.
    fn ask(&mut self) -> Result<()> {
        if self.asked > WINDOW / 2 {
            return Ok(());
        }
        let Options {
            stream, consumer, ..
        } = self.options;
        let api = format!("$JS.API.CONSUMER.MSG.NEXT.{stream}.{consumer}");
        let expires = EXPIRES.as_nanos();
        let request = format!(r#"{{"batch":{WINDOW},"expires":{expires}}}"#);
        self.asked += WINDOW;
        self.request(&api, "m", request.as_bytes())
    }

    /// One message and whatever else has already arrived.
    fn gather(&mut self, first: Message) {
        let mut next = Some(first);
        while let Some(message) = next.take() {
            if message.status().is_some() {
                self.asked = 0; // the request has run out; ask again
                return;
            }
            self.asked = self.asked.saturating_sub(1);
            self.gathered.push(message);
            if self.gathered.len() < MOST {
                next = self.messages.has_come();
            }
        }
    }

    /// Sends what has gathered, and the checkpoint.
    async fn commit(&mut self) -> Result<()> {
        let last = self.gathered.last().context("nothing has gathered")?;
        let reply = std::str::from_utf8(&last.reply).context("a reply subject is no text")?;
        let position = sequence(reply)?;
        let count = self.gathered.len();
        for index in 0..count {
            self.head(index + 1, format_args!(""))?;
            let payload = self.gathered.get(index).map(|message| &*message.payload);
            self.publish(&Parts {
                subject: self.subject.as_bytes(),
                headers: &self.headers,
                payload: payload.unwrap_or_default(),
                ..Parts::default()
            })?;
            if index % RUN == RUN - 1 {
                tokio::task::yield_now().await;
            }
        }
        let fence = self.fence;
        let lines = format_args!(
            "Nats-Rollup: sub\r\nNats-Expected-Last-Subject-Sequence: {fence}\r\n\
             Nats-Batch-Commit: 1\r\n"
        );
        self.head(count + 1, lines)?;
        self.publish(&Parts {
            subject: CHECKPOINT.as_bytes(),
            reply: format!("{}.a", self.inbox).as_bytes(),
            headers: &self.headers,
            payload: format!(r#"{{"position":{position}}}"#).as_bytes(),
        })?;
        self.gathered.clear();
        self.batch += 1;
        self.in_flight = true;
        Ok(())
    }

    /// The header block of a message of the batch.
    fn head(&mut self, number: usize, lines: std::fmt::Arguments<'_>) -> Result<()> {
        self.headers.clear();
        let batch = self.batch;
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
