//! The native loop with fast ingest: on the wire that weir uses, against a sink that allows batches.
//!
//! One thread, one connection, the window of the other loop. A batch is open while messages keep
//! coming; the last that is at hand commits it, so that the server answers at once. It gives up at
//! the first failure: this is a bench, on a stream that nobody else writes to.

use std::collections::VecDeque;
use std::io::Write;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use serde::Deserialize;
use weir::config::resolved::{API_PREFIX, Auth, Nats, Tls};
use weir::nats::wire::{Message, Parts, Subscription, Wire};
use weir::telemetry::metrics::Counter;

use crate::native::{Options, WINDOW, sequence};

/// The server acknowledges this many messages of a batch at a time.
const FLOW: usize = 64;
/// Messages taken before acks are looked at again; weir's batch.
const BATCH: usize = 256;
/// How long a pull request waits at the server.
const EXPIRES: Duration = Duration::from_secs(10);

struct Loop<'a> {
    options: &'a Options,
    wire: Wire,
    inbox: String,
    pulls: Subscription,
    acks: Subscription,
    asked: usize,
    /// The number of the batch that is open or comes next, and of the message in it that was last.
    batch: u64,
    last: u64,
    /// Inputs whose outputs wait for their ack: batch, number in it, reply subject.
    waiting: VecDeque<(u64, u64, Bytes)>,
    reply: Vec<u8>,
    headers: Vec<u8>,
}

/// What comes on the inbox of acks. A flow ack has `type`, the ack of a whole batch has `count`.
#[derive(Deserialize)]
struct Ack {
    #[serde(default, rename = "type")]
    kind: String,
    #[serde(default, rename = "seq")]
    sequence: u64,
    count: Option<u64>,
    error: Option<serde_json::Value>,
}

/// A connection of weir's own wire.
pub(crate) async fn connect(server: &str) -> Result<Wire> {
    let settings = Nats {
        servers: vec![server.to_owned()],
        auth: Auth::None,
        tls: Tls::default(),
        inbox_prefix: "_INBOX".to_owned(),
        api_prefix: API_PREFIX.to_owned(),
    };
    Wire::connect(&settings, "bench", Counter::default()).await
}

/// Pulls, publishes, awaits, acks, for ever.
pub(crate) async fn walk(options: &Options) -> Result<()> {
    let wire = connect(&options.server).await?;
    let inbox = wire.new_inbox();
    let mut this = Loop {
        options,
        pulls: wire.subscribe(&format!("{inbox}.p")),
        acks: wire.subscribe(&format!("{inbox}.a.>")),
        wire,
        inbox,
        asked: 0,
        batch: 0,
        last: 0,
        waiting: VecDeque::with_capacity(WINDOW),
        reply: Vec::new(),
        headers: Vec::new(),
    };
    loop {
        this.step().await?;
    }
}

impl Loop<'_> {
    async fn step(&mut self) -> Result<()> {
        self.ask()?;
        let room = self.waiting.len() < WINDOW;
        tokio::select! {
            biased;
            Some(ack) = self.acks.next() => self.confirmed(&ack),
            Some(message) = self.pulls.next(), if room => self.pulled(message),
            else => bail!("the connection is closed"),
        }
    }

    /// Keeps a window of messages asked for.
    fn ask(&mut self) -> Result<()> {
        let missing = WINDOW.saturating_sub(self.asked + self.waiting.len());
        if missing < BATCH {
            return Ok(());
        }
        let Options {
            stream, consumer, ..
        } = self.options;
        self.asked += missing;
        let expires = EXPIRES.as_nanos();
        self.publish(&Parts {
            subject: format!("$JS.API.CONSUMER.MSG.NEXT.{stream}.{consumer}").as_bytes(),
            reply: format!("{}.p", self.inbox).as_bytes(),
            payload: format!(r#"{{"batch":{missing},"expires":{expires}}}"#).as_bytes(),
            ..Parts::default()
        })
    }

    /// One delivery and whatever else has already arrived.
    fn pulled(&mut self, first: Message) -> Result<()> {
        let (mut next, mut taken) = (Some(first), 0);
        while let Some(message) = next.take() {
            if message.status().is_some() {
                self.asked = 0; // the request has run out; ask again
                return Ok(());
            }
            self.asked = self.asked.saturating_sub(1);
            taken += 1;
            let room = self.waiting.len() + 1 < WINDOW;
            if room && taken < BATCH {
                next = self.pulls.has_come();
            }
            // A window that is full waits for acks: these come for what is committed alone, or for
            // every so many.
            self.send(message, next.is_none() && taken < BATCH)?;
        }
        Ok(())
    }

    fn send(&mut self, message: Message, is_last: bool) -> Result<()> {
        let reply = std::str::from_utf8(&message.reply).context("a reply subject is no text")?;
        let sequence = sequence(reply)?;
        self.last += 1;
        let operation = match (is_last, self.last) {
            (true, _) => 2,
            (false, 1) => 0,
            (false, _) => 1,
        };
        let (inbox, batch, last) = (&self.inbox, self.batch, self.last);
        self.reply.clear();
        write!(
            self.reply,
            "{inbox}.a.{batch}.{FLOW}.fail.{last}.{operation}.$FI"
        )?;
        self.headers.clear();
        let Options {
            name, stream, to, ..
        } = self.options;
        let id = format_args!("{name}/native/{stream}/{sequence}/0");
        write!(self.headers, "NATS/1.0\r\nNats-Msg-Id: {id}\r\n\r\n")?;
        let parts = Parts {
            subject: to.as_bytes(),
            reply: &self.reply,
            headers: &self.headers,
            payload: &message.payload,
        };
        self.publish(&parts)?;
        self.waiting.push_back((batch, last, message.reply));
        if is_last {
            (self.batch, self.last) = (batch + 1, 0);
        }
        Ok(())
    }

    /// One ack and whatever else has already arrived: the inputs are acked.
    fn confirmed(&mut self, first: &Message) -> Result<()> {
        self.stored(first)?;
        while let Some(ack) = self.acks.has_come() {
            self.stored(&ack)?;
        }
        Ok(())
    }

    fn stored(&mut self, message: &Message) -> Result<()> {
        let ack: Ack = serde_json::from_slice(&message.payload).context("an ack is no JSON")?;
        if ack.error.is_some() || !matches!(&*ack.kind, "" | "ack") {
            bail!("the server refused an output: {:?}", message.payload);
        }
        let subject = String::from_utf8_lossy(&message.subject);
        let own = subject.strip_prefix(&self.inbox);
        let batch = own.and_then(|own| own.split('.').nth(2)?.parse::<u64>().ok());
        let batch = batch.context("an ack belongs to no batch")?;
        let stored = ack.count.unwrap_or(ack.sequence);
        while let Some((of, number, _)) = self.waiting.front()
            && (*of < batch || (*of == batch && *number <= stored))
        {
            let Some((.., reply)) = self.waiting.pop_front() else {
                break;
            };
            self.publish(&Parts {
                subject: &reply,
                payload: b"+ACK",
                ..Parts::default()
            })?;
        }
        Ok(())
    }

    fn publish(&self, parts: &Parts<'_>) -> Result<()> {
        let written = self.wire.publish(parts);
        written
            .map(drop)
            .map_err(|_| anyhow::anyhow!("a subject cannot be written"))
    }
}
