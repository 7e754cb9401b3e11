//! The native loop: what a good Rust program without plugins does for the same promises.
//!
//! Its shape is that of a lane: one thread, one connection, one inbox for pulls and one for publish
//! acks over the core client, a bounded window, what has arrived taken in batches. It is the
//! fastest design that was measured with explicit acks, so that the comparison is not with a
//! straw man.

#[path = "../../guests/long-orders/src/long.rs"]
pub(crate) mod long;
#[path = "../../guests/json/src/order.rs"]
pub(crate) mod order;

use std::collections::HashMap;

use anyhow::{Context, Result, bail};
use async_nats::{Client, HeaderMap, Message, Subject, Subscriber};
use bytes::Bytes;
use futures_util::{FutureExt, StreamExt};
use serde::Deserialize;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use crate::{atomic, ingest};

/// Outputs that may wait for their publish ack at once; weir's default.
pub(crate) const WINDOW: usize = 1024;
/// Messages taken from the socket before acks are looked at again; weir's batch.
const BATCH: usize = 256;

/// What the loop reads, does and writes.
#[derive(Clone, clap::Args)]
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
    /// Loops, each a thread with a connection
    #[arg(long)]
    pub(crate) lanes: usize,
    /// Publish by fast ingest, over weir's wire
    #[arg(long)]
    pub(crate) ingest: bool,
    /// Store results and position in one commit, as a job does, over weir's wire
    #[arg(long)]
    pub(crate) job: bool,
}

/// What is done with each message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Work {
    /// Passed on as it came.
    Pass,
    /// The total is added to an order.
    Json,
    /// An order is passed on or dropped.
    Filter,
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
}

/// Runs the loops until it is asked to stop, or one fails.
pub(crate) fn run(options: Options) -> Result<()> {
    let runtime = || {
        // One thread, like a lane.
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder
            .enable_all()
            .build()
            .context("cannot start a runtime")
    };
    let (failed, mut failures) = mpsc::channel(1);
    for _ in 0..options.lanes {
        let (options, failed, runtime) = (options.clone(), failed.clone(), runtime()?);
        std::thread::spawn(move || {
            let done = runtime.block_on(async {
                match (options.job, options.ingest) {
                    (true, _) => atomic::walk(&options).await,
                    (false, true) => ingest::walk(&options).await,
                    (false, false) => walk(&options).await,
                }
            });
            drop(failed.try_send(done));
        });
    }
    runtime()?.block_on(async {
        let mut stop = signal(SignalKind::terminate()).context("cannot wait for signals")?;
        tokio::select! {
            _ = stop.recv() => Ok(()),
            failure = failures.recv() => failure.unwrap_or(Ok(())),
        }
    })
}

/// Pulls, works, publishes, awaits, acks, for ever.
async fn walk(options: &Options) -> Result<()> {
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
    let mut this = Loop {
        options,
        client,
        inbox,
        pulls,
        acks,
        asked: 0,
        waiting: HashMap::with_capacity(WINDOW),
    };
    loop {
        this.step().await?;
    }
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
            Work::Pass => message.payload,
            Work::Json => order::with_total(&message.payload)
                .context("cannot parse an order")?
                .into(),
            Work::Filter => {
                if !long::is_long(&message.payload).context("cannot parse an order")? {
                    return self.ack(reply).await;
                }
                message.payload
            }
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
            let token: u64 = token.context("an ack has no token")?;
            let reply = self.waiting.remove(&token);
            let reply = reply.context("an ack belongs to no output")?;
            self.ack(reply).await?;
            next = self.acks.next().now_or_never().flatten();
        }
        Ok(())
    }

    async fn ack(&self, reply: Subject) -> Result<()> {
        let settle = self.client.publish(reply, Bytes::from_static(b"+ACK"));
        settle.await.context("cannot ack")
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
pub(crate) fn sequence(reply: &str) -> Result<u64> {
    let token = reply
        .split('.')
        .nth(5)
        .context("a reply subject is too short")?;
    token.parse().context("a reply subject has no sequence")
}
