//! A client of the server that waits for its answers, so that tests are plain functions.

use super::wait::{PATIENCE, wait_for};
use async_nats::jetstream::{self, consumer, stream};
use bytes::Bytes;
use futures_util::StreamExt;
use std::collections::VecDeque;
use std::time::Duration;

/// How long an answer may take before the question is asked again.
const ANSWER: Duration = Duration::from_secs(10);
/// How long the next message of a stream that has more may take, until the stream is read from its beginning again:
/// what it had may have been removed meanwhile.
const NEXT: Duration = Duration::from_secs(5);

/// A message as a stream holds it.
#[derive(Clone, Debug)]
pub struct Stored {
    pub subject: String,
    pub payload: Bytes,
    pub headers: async_nats::HeaderMap,
    pub sequence: u64,
}

impl Stored {
    /// The payload as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.payload).into_owned()
    }

    /// The payload as JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.payload).expect("the payload is not JSON")
    }

    /// The first value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.as_str())
    }
}

/// A connection whose work is done by a thread of its own; every call waits for its answer.
pub struct Client {
    runtime: tokio::runtime::Handle,
    pub nats: async_nats::Client,
    pub jetstream: jetstream::Context,
}

impl Client {
    /// Connects with credentials of the caller's choice.
    pub fn connect(url: &str, options: async_nats::ConnectOptions) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("cannot start a runtime");
        let handle = runtime.handle().clone();
        // Ends with the process: it holds nothing that outlives the server.
        std::thread::spawn(move || runtime.block_on(std::future::pending::<()>()));
        let nats = handle
            .block_on(options.connect(url))
            .unwrap_or_else(|error| panic!("cannot connect to {url}: {error}"));
        let mut jetstream = {
            let _context = handle.enter();
            jetstream::new(nats.clone())
        };
        jetstream.set_timeout(PATIENCE);
        Self {
            jetstream,
            runtime: handle,
            nats,
        }
    }

    /// Waits for anything asynchronous.
    pub fn run<F: Future>(&self, work: F) -> F::Output {
        self.runtime.block_on(work)
    }

    /// The answer to a question. It is asked again where none comes: a cluster without a leader is silent.
    fn ask<T>(&self, question: impl AsyncFn() -> T) -> T {
        wait_for("the server answers", || {
            let answer = self.run(async { tokio::time::timeout(ANSWER, question()).await });
            answer.map_err(|_| "it is silent".to_owned())
        })
    }

    /// Publishes text under an id that is this text, so that it is stored once however often that takes.
    pub fn publish_once(&self, subject: &str, text: &str) {
        wait_for("a message is stored", || {
            self.ask(async || {
                let mut headers = async_nats::HeaderMap::new();
                headers.insert("Nats-Msg-Id", text);
                let (subject, text) = (subject.to_owned(), text.to_owned());
                let sent = self
                    .jetstream
                    .publish_with_headers(subject, headers, text.into());
                Ok::<_, async_nats::Error>(sent.await?.await.map(drop)?)
            })
            .map_err(|error| error.to_string())
        });
    }

    /// Publishes messages of which each has an id among its headers, so that each is stored once however often that
    /// takes. Those that are stored only later come behind the others.
    pub fn publish_all_once(&self, messages: &[example_streams::Message]) {
        wait_for("messages are stored", || {
            self.ask(async || {
                let mut acks = Vec::new();
                for message in messages {
                    let mut headers = async_nats::HeaderMap::new();
                    for (name, value) in &message.headers {
                        headers.insert(*name, value.as_str());
                    }
                    let (subject, payload) = (message.subject.clone(), message.payload.clone());
                    let sent =
                        self.jetstream
                            .publish_with_headers(subject, headers, payload.into());
                    acks.push(sent.await?);
                }
                for ack in acks {
                    ack.await?;
                }
                Ok::<_, async_nats::Error>(())
            })
            .map_err(|error| error.to_string())
        });
    }

    /// Creates a stream over `subjects` with the server's defaults, in files.
    pub fn create_stream(&self, name: &str, subjects: &[&str]) {
        self.create_stream_with(stream::Config {
            name: name.to_owned(),
            subjects: subjects.iter().map(|&subject| subject.to_owned()).collect(),
            ..Default::default()
        });
    }

    /// Creates a stream as it is told.
    pub fn create_stream_with(&self, config: stream::Config) {
        wait_for("the stream is created", || {
            // A cluster without a leader does not answer.
            let created = self.run(async {
                let create = self.jetstream.create_stream(&config);
                tokio::time::timeout(Duration::from_secs(5), create).await
            });
            let created = created.map_err(|_| "no answer".to_owned())?;
            created.map(drop).map_err(|error| error.to_string())
        });
    }

    /// Publishes one message and waits until it is stored. Returns its sequence.
    pub fn publish(&self, subject: &str, payload: impl Into<Bytes>) -> u64 {
        self.publish_with_headers(subject, &[], payload)
    }

    /// As [`Client::publish`], with headers.
    pub fn publish_with_headers(
        &self,
        subject: &str,
        headers: &[(&str, &str)],
        payload: impl Into<Bytes>,
    ) -> u64 {
        let mut map = async_nats::HeaderMap::new();
        for &(name, value) in headers {
            map.append(name, value);
        }
        let payload = payload.into();
        self.run(async {
            self.jetstream
                .publish_with_headers(subject.to_owned(), map, payload)
                .await?
                .await
        })
        .expect("cannot publish")
        .sequence
    }

    /// Publishes many messages in their order and waits until all are stored.
    pub fn publish_all<S: Into<String>, P: Into<Bytes>>(
        &self,
        messages: impl IntoIterator<Item = (S, P)>,
    ) {
        self.run(async {
            let mut pending = VecDeque::new();
            for (subject, payload) in messages {
                let ack = self.jetstream.publish(subject.into(), payload.into());
                pending.push_back(ack.await.expect("cannot publish"));
                // Well below the client's bound on unawaited acks, which blocks for ever.
                if pending.len() > 1000 {
                    pending.pop_front().unwrap().await.expect("cannot publish");
                }
            }
            for ack in pending {
                ack.await.expect("cannot publish");
            }
        });
    }

    /// How many messages a stream holds; 0 when there is none of that name.
    pub fn count(&self, stream: &str) -> u64 {
        self.stream_info(stream)
            .map_or(0, |info| info.state.messages)
    }

    /// Removes one message of a stream.
    pub fn delete(&self, stream: &str, sequence: u64) {
        self.run(async {
            let stream = self.jetstream.get_stream(stream).await.expect("no stream");
            stream.delete_message(sequence).await
        })
        .expect("cannot delete the message");
    }

    /// Removes the first messages of a stream, so that this one is the first.
    pub fn begin_at(&self, stream: &str, sequence: u64) {
        self.run(async {
            let stream = self.jetstream.get_stream(stream).await.expect("no stream");
            stream.purge().sequence(sequence).await
        })
        .expect("cannot purge the stream");
    }

    /// When a message of a stream was stored, RFC 3339.
    pub fn stored(&self, stream: &str, sequence: u64) -> String {
        let time = self.run(async {
            let stream = self.jetstream.get_stream(stream).await.expect("no stream");
            let message = stream.get_raw_message(sequence).await;
            message.expect("no message").time
        });
        let time = jiff::Timestamp::from_nanosecond(time.unix_timestamp_nanos());
        time.expect("not a time").to_string()
    }

    /// Removes every message of a stream.
    pub fn purge(&self, stream: &str) {
        self.run(async {
            let stream = self.jetstream.get_stream(stream).await.expect("no stream");
            stream.purge().await
        })
        .expect("cannot purge the stream");
    }

    /// A stream's configuration and state.
    pub fn stream_info(&self, stream: &str) -> Option<stream::Info> {
        self.ask(async || {
            let stream = self.jetstream.get_stream(stream).await.ok()?;
            stream.get_info().await.ok()
        })
    }

    /// A consumer's configuration and state, when there is one.
    pub fn consumer(&self, stream: &str, consumer: &str) -> Option<consumer::Info> {
        self.ask(async || {
            let stream = self.jetstream.get_stream(stream).await.ok()?;
            stream.consumer_info(consumer).await.ok()
        })
    }

    /// The payload of the last message of a stream, if there is one.
    pub fn last(&self, stream: &str) -> Option<Bytes> {
        self.run(async {
            let stream = self.jetstream.get_stream(stream).await.ok()?;
            let last = stream.get_last_raw_message_by_subject(">").await;
            Some(last.ok()?.payload)
        })
    }

    /// Every message of a stream, in its order.
    pub fn messages(&self, stream: &str) -> Vec<Stored> {
        wait_for("a stream can be read to its end", || self.all(stream))
    }

    fn all(&self, stream: &str) -> Result<Vec<Stored>, String> {
        if self.count(stream) == 0 {
            return Ok(Vec::new());
        }
        let open = async || {
            let stream = self.jetstream.get_stream(stream).await?;
            let config = consumer::pull::OrderedConfig::default();
            let consumer = stream.create_consumer(config).await?;
            Ok::<_, async_nats::Error>(consumer.messages().await?)
        };
        let mut messages = self.ask(open).map_err(|error| error.to_string())?;
        self.run(async {
            let mut stored = Vec::new();
            loop {
                let next = tokio::time::timeout(NEXT, messages.next()).await;
                let Ok(Some(message)) = next else {
                    return Err(format!(
                        "after {} messages of stream `{stream}` the next one did not come",
                        stored.len()
                    ));
                };
                let message = message.expect("cannot read the stream");
                let info = message.info().expect("not a JetStream message");
                let (sequence, pending) = (info.stream_sequence, info.pending);
                let message = message.message.clone();
                stored.push(Stored {
                    subject: message.subject.to_string(),
                    payload: message.payload,
                    headers: message.headers.unwrap_or_default(),
                    sequence,
                });
                if pending == 0 {
                    return Ok(stored);
                }
            }
        })
    }
}
