//! The native loop: what a good Rust program without plugins does for the same promises.
//!
//! Its shape is that of a lane: one thread, one connection, one inbox for pulls and one for publish
//! acks over the core client, a bounded window, what has arrived taken in batches. It is the
//! fastest design that was measured with explicit acks, so that the comparison is not with a
//! straw man.

use std::collections::HashMap;

use anyhow::{Context, Result, bail};
use async_nats::{Client, HeaderMap, Message, Subject, Subscriber};
use bytes::Bytes;
use futures_util::{FutureExt, StreamExt};
use serde::Deserialize;

use crate::order;

/// Outputs that may wait for their publish ack at once; weir's default.
const WINDOW: usize = 1024;
/// Messages taken from the socket before acks are looked at again; weir's batch.
const BATCH: usize = 256;

/// What the loop reads, does and writes.
#[derive(clap::Args)]
pub(crate) struct Options {
    #[arg(long)]
    pub(crate) server: String,
    #[arg(long)]
    pub(crate) stream: String,
    #[arg(long)]
    pub(crate) consumer: String,
    /// The subject of the outputs
    #[arg(long)]
    pub(crate) to: String,
    #[arg(long)]
    pub(crate) work: Work,
    /// Part of every message id
    #[arg(long)]
    pub(crate) name: String,
    /// Messages to settle before the loop ends
    #[arg(long)]
    pub(crate) messages: u64,
}

/// What is done with each message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Work {
    /// 128 bytes, passed on as they came.
    Identity,
    /// The same with 1 KiB.
    Large,
    /// An order of about 300 bytes, to which its total is added.
    Json,
    /// 128 bytes that say when they were sent, a few at a time.
    Paced,
}

struct Loop<'a> {
    options: &'a Options,
    client: Client,
    inbox: String,
    pulls: Subscriber,
    acks: Subscriber,
    /// Messages asked for that have not come yet.
    asked: usize,
    /// Replies of inputs whose outputs wait for their ack, by the token in the ack's subject.
    waiting: HashMap<u64, Subject>,
    settled: u64,
}

/// Pulls, works, publishes, awaits, acks, until `messages` are settled.
pub(crate) async fn run(options: &Options) -> Result<()> {
    let connect = async_nats::ConnectOptions::new().subscription_capacity(65_536);
    let client = connect
        .connect(&options.server)
        .await
        .context("cannot connect")?;
    let inbox = client.new_inbox();
    let pulls = client
        .subscribe(format!("{inbox}.p"))
        .await
        .context("cannot subscribe")?;
    let acks = client
        .subscribe(format!("{inbox}.a.*"))
        .await
        .context("cannot subscribe")?;
    let (asked, waiting, settled) = (0, HashMap::with_capacity(WINDOW), 0);
    let mut this = Loop {
        options,
        client,
        inbox,
        pulls,
        acks,
        asked,
        waiting,
        settled,
    };
    while this.settled < options.messages {
        this.step().await?;
    }
    this.client.flush().await.context("cannot flush")
}

impl Loop<'_> {
    async fn step(&mut self) -> Result<()> {
        self.ask().await?;
        let room = self.waiting.len() < WINDOW;
        tokio::select! {
            biased;
            Some(ack) = self.acks.next() => self.confirmed(ack).await,
            Some(message) = self.pulls.next(), if room => self.pulled(message).await,
            else => bail!("the connection is closed"),
        }
    }

    /// Keeps a window of messages asked for.
    async fn ask(&mut self) -> Result<()> {
        let missing = WINDOW.saturating_sub(self.asked + self.waiting.len());
        if missing < BATCH {
            return Ok(());
        }
        let Options {
            stream, consumer, ..
        } = self.options;
        let api = format!("$JS.API.CONSUMER.MSG.NEXT.{stream}.{consumer}");
        let request = format!(r#"{{"batch":{missing},"expires":10000000000}}"#);
        self.asked += missing;
        let reply = format!("{}.p", self.inbox);
        self.client
            .publish_with_reply(api, reply, request.into())
            .await
            .context("cannot ask for messages")
    }

    /// One delivery and whatever else has already arrived.
    async fn pulled(&mut self, first: Message) -> Result<()> {
        let mut next = Some(first);
        let mut taken = 0;
        while let Some(message) = next.take() {
            if message.status.is_some() {
                self.asked = 0; // the request has run out; ask again
                return Ok(());
            }
            self.asked = self.asked.saturating_sub(1);
            self.publish(message).await?;
            taken += 1;
            if taken < BATCH && self.waiting.len() < WINDOW {
                next = self.pulls.next().now_or_never().flatten();
            }
        }
        Ok(())
    }

    async fn publish(&mut self, message: Message) -> Result<()> {
        let reply = message.reply.context("a delivery has no reply subject")?;
        let sequence = sequence(&reply)?;
        let payload = match self.options.work {
            Work::Identity | Work::Large | Work::Paced => message.payload,
            Work::Json => order::with_total(&message.payload)
                .context("cannot parse an order")?
                .into(),
        };
        let mut headers = HeaderMap::new();
        let Options {
            name, stream, to, ..
        } = self.options;
        headers.insert(
            "Nats-Msg-Id",
            format!("{name}/native/{stream}/{sequence}/0").as_str(),
        );
        self.waiting.insert(sequence, reply);
        let ack = format!("{}.a.{sequence}", self.inbox);
        self.client
            .publish_with_reply_and_headers(to.clone(), ack, headers, payload)
            .await
            .context("cannot publish")
    }

    /// One publish ack and whatever else has already arrived: the inputs are acked.
    async fn confirmed(&mut self, first: Message) -> Result<()> {
        let mut next = Some(first);
        while let Some(ack) = next.take() {
            let stored: Stored =
                serde_json::from_slice(&ack.payload).context("the server refused an output")?;
            if stored.duplicate {
                bail!("an output was taken for a repeat: the runs disturb each other");
            }
            let token = ack
                .subject
                .rsplit('.')
                .next()
                .and_then(|token| token.parse().ok());
            let reply = token.and_then(|token: u64| self.waiting.remove(&token));
            let reply = reply.context("an ack belongs to no output")?;
            let settle = self.client.publish(reply, Bytes::from_static(b"+ACK"));
            settle.await.context("cannot ack")?;
            self.settled += 1;
            next = self.acks.next().now_or_never().flatten();
        }
        Ok(())
    }
}

/// A publish ack; an error has no `seq`.
#[derive(Deserialize)]
struct Stored {
    #[serde(rename = "seq")]
    _sequence: u64,
    #[serde(default)]
    duplicate: bool,
}

/// The stream sequence in `$JS.ACK.<stream>.<consumer>.<delivered>.<sequence>....`
fn sequence(reply: &str) -> Result<u64> {
    let token = reply
        .split('.')
        .nth(5)
        .context("a reply subject is too short")?;
    token.parse().context("a reply subject has no sequence")
}
