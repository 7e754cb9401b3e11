//! What the oracles of the examples do with JetStream: publish inputs, wait for results, and read them.
//!
//! They use the ordinary client and nothing of weir, so that they share no code with what they check. `compare.rs`
//! compares results in JSON, and `oracle.rs` is the command line of an oracle.

pub mod compare;
pub mod oracle;

use anyhow::{Context, Result, anyhow, bail};
use async_nats::HeaderMap;
use async_nats::jetstream::{self, consumer::pull};
use futures_util::StreamExt;
use std::collections::VecDeque;
use std::time::Duration;

/// Published and not yet acked by the server.
const UNACKED: usize = 1000;

/// Which server; for the command line of an oracle.
#[derive(clap::Args)]
pub struct Server {
    /// The server with the streams
    #[arg(long, value_name = "URL", env = "NATS_URL")]
    pub nats: String,
}

/// A message to publish.
pub struct Message {
    pub subject: String,
    /// Name and value of each.
    pub headers: Vec<(&'static str, String)>,
    pub payload: Vec<u8>,
}

/// A connection on which JetStream is asked.
pub struct Streams(jetstream::Context);

impl Server {
    /// # Errors
    /// When the server cannot be reached.
    pub async fn connect(&self) -> Result<Streams> {
        let client = async_nats::connect(&self.nats).await;
        let client = client.with_context(|| format!("cannot connect to `{}`", self.nats))?;
        Ok(Streams(jetstream::new(client)))
    }
}

impl Streams {
    /// Creates a stream of this subject, unless it is there.
    ///
    /// # Errors
    /// When it cannot be created.
    pub async fn create(&self, name: &str, subject: &str) -> Result<()> {
        let config = jetstream::stream::Config {
            name: name.to_owned(),
            subjects: vec![subject.to_owned()],
            ..Default::default()
        };
        let created = self.0.get_or_create_stream(config).await;
        created.with_context(|| format!("cannot create stream `{name}`"))?;
        Ok(())
    }

    /// Publishes all messages in their order, and returns when each is stored.
    ///
    /// # Errors
    /// When one cannot be stored.
    pub async fn publish(&self, messages: impl IntoIterator<Item = Message>) -> Result<()> {
        let mut unacked = VecDeque::new();
        for message in messages {
            let mut headers = HeaderMap::new();
            for (name, value) in message.headers {
                headers.insert(name, value);
            }
            let payload = message.payload.into();
            let publish = self
                .0
                .publish_with_headers(message.subject, headers, payload);
            unacked.push_back(publish.await?);
            if unacked.len() > UNACKED
                && let Some(ack) = unacked.pop_front()
            {
                ack.await.context("cannot store a message")?;
            }
        }
        for ack in unacked {
            ack.await.context("cannot store a message")?;
        }
        Ok(())
    }

    /// Waits until a stream has at least so many messages, and returns how many it has.
    ///
    /// # Errors
    /// When there is no such stream.
    pub async fn wait_for(&self, name: &str, messages: u64) -> Result<u64> {
        let mut stream = self.find(name).await?;
        loop {
            let stored = stream.info().await?.state.messages;
            if stored >= messages {
                return Ok(stored);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// When the first and the last message of a stream were stored, in seconds since the Unix epoch.
    ///
    /// # Errors
    /// When there is no such stream.
    pub async fn times(&self, name: &str) -> Result<(f64, f64)> {
        let mut stream = self.find(name).await?;
        let state = &stream.info().await?.state;
        let times = [state.first_timestamp, state.last_timestamp];
        let [first, last] = times.map(|time| time.unix_timestamp_nanos() as f64 / 1e9);
        Ok((first, last))
    }

    /// Subject and payload of each message of a stream, in its order.
    ///
    /// # Errors
    /// When there is no such stream, or it cannot be read to its end.
    pub async fn read(&self, name: &str) -> Result<Vec<(String, Vec<u8>)>> {
        let of = |message: &jetstream::Message, _: &jetstream::message::Info<'_>| {
            (message.subject.to_string(), message.payload.to_vec())
        };
        self.each(name, of).await
    }

    /// When each message of a stream was stored, in its order: milliseconds since the Unix epoch.
    ///
    /// # Errors
    /// As [`Streams::read`].
    pub async fn stored(&self, name: &str) -> Result<Vec<u64>> {
        let of = |_: &jetstream::Message, info: &jetstream::message::Info<'_>| {
            u64::try_from(info.published.unix_timestamp_nanos() / 1_000_000)
        };
        let times = self.each(name, of).await?.into_iter();
        Ok(times.collect::<Result<_, _>>()?)
    }

    async fn each<T>(
        &self,
        name: &str,
        of: impl Fn(&jetstream::Message, &jetstream::message::Info<'_>) -> T,
    ) -> Result<Vec<T>> {
        let mut stream = self.find(name).await?;
        let last = stream.info().await?.state.last_sequence;
        let mut found = Vec::new();
        if last == 0 {
            return Ok(found);
        }
        let config = pull::OrderedConfig::default();
        let mut messages = stream.create_consumer(config).await?.messages().await?;
        loop {
            let Some(message) = messages.next().await else {
                bail!("stream `{name}` ended before message {last}");
            };
            let message = message.with_context(|| format!("cannot read stream `{name}`"))?;
            let info = message.info();
            let info = info.map_err(|error| anyhow!("cannot read stream `{name}`: {error}"))?;
            found.push(of(&message, &info));
            if info.stream_sequence >= last {
                return Ok(found);
            }
        }
    }

    async fn find(&self, name: &str) -> Result<jetstream::stream::Stream> {
        let stream = self.0.get_stream(name).await;
        stream.with_context(|| format!("cannot find stream `{name}`"))
    }
}
