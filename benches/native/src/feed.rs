//! What the bench sends: messages of a fixed shape, the same in every run.

use anyhow::{Context, Result};
use async_nats::jetstream::{self, stream};
use bytes::Bytes;

/// Publishes that may be unacknowledged at once while a stream is filled.
const WINDOW: u64 = 2000;
/// Keys of the messages that have one.
const KEYS: u64 = 100;

/// One stream that is read, by what is in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Feed {
    /// 128 bytes.
    Small,
    /// The same with 1 KiB.
    Large,
    /// Orders as JSON, of about 300 bytes.
    Orders,
    /// 128 bytes under the subjects of 100 keys.
    Keyed,
    /// 128 bytes, kept in memory as are the results.
    Memory,
    /// 128 bytes that say when they were sent, a few at a time.
    Paced,
    /// The same, kept in memory as are the results.
    PacedMemory,
}

impl Feed {
    /// The stream's name.
    pub(crate) fn stream(self) -> &'static str {
        match self {
            Feed::Small => "BENCH_SMALL",
            Feed::Large => "BENCH_LARGE",
            Feed::Orders => "BENCH_ORDERS",
            Feed::Keyed => "BENCH_KEYED",
            Feed::Memory => "BENCH_MEMORY",
            Feed::Paced => "BENCH_PACED",
            Feed::PacedMemory => "BENCH_PACED_MEMORY",
        }
    }

    /// What the stream captures, and a consumer reads.
    pub(crate) fn filter(self) -> &'static str {
        match self {
            Feed::Small => "bench.small",
            Feed::Large => "bench.large",
            Feed::Orders => "bench.orders",
            Feed::Keyed => "bench.keyed.*",
            Feed::Memory => "bench.memory",
            Feed::Paced => "bench.paced",
            Feed::PacedMemory => "bench.paced-memory",
        }
    }

    /// The subject of the message with this number.
    pub(crate) fn subject(self, number: u64) -> String {
        match self {
            Feed::Keyed => format!("bench.keyed.{}", number % KEYS),
            _ => self.filter().to_owned(),
        }
    }

    /// Where this stream and that of its results are kept.
    pub(crate) fn storage(self) -> stream::StorageType {
        match self {
            Feed::Memory | Feed::PacedMemory => stream::StorageType::Memory,
            _ => stream::StorageType::File,
        }
    }

    /// The message with this number.
    pub(crate) fn payload(self, number: u64) -> Bytes {
        match self {
            Feed::Large => format!("{number:01024}").into(),
            Feed::Orders => order(number).into(),
            _ => format!("{number:0128}").into(),
        }
    }
}

/// An order with one to six lines.
fn order(number: u64) -> String {
    let line = |index: u64| {
        let item = (number * 7 + index) % 5000;
        let cents = 99 + (number + index * 311) % 20_000;
        let quantity = 1 + index;
        format!(r#"{{"item":"item-{item}","quantity":{quantity},"unit-cents":{cents}}}"#)
    };
    let lines: Vec<String> = (0..1 + number % 6).map(line).collect();
    let (user, lines) = (number % 977, lines.join(","));
    format!(r#"{{"id":{number},"user":"user-{user}","currency":"EUR","lines":[{lines}]}}"#)
}

/// Creates the stream anew, without messages.
pub(crate) async fn create(context: &jetstream::Context, feed: Feed) -> Result<()> {
    drop(context.delete_stream(feed.stream()).await);
    let config = stream::Config {
        name: feed.stream().to_owned(),
        subjects: vec![feed.filter().to_owned()],
        storage: feed.storage(),
        ..Default::default()
    };
    let made = context.create_stream(config).await;
    made.map(drop).context("cannot create the stream to read")
}

/// Creates the stream and fills it.
pub(crate) async fn fill(context: &jetstream::Context, feed: Feed, messages: u64) -> Result<()> {
    eprintln!("bench: filling {} with {messages} messages", feed.stream());
    create(context, feed).await?;
    publish(context, feed, messages).await
}

/// Publishes so many messages, and awaits that all are stored.
pub(crate) async fn publish(context: &jetstream::Context, feed: Feed, messages: u64) -> Result<()> {
    for number in 0..messages {
        let future = context.publish(feed.subject(number), feed.payload(number));
        let future = future.await.context("cannot fill the stream")?;
        // Awaiting one in many bounds what is unacknowledged; the client's permit is in the future.
        if number % WINDOW == WINDOW - 1 || number + 1 == messages {
            future.await.context("the server refused a message")?;
        }
    }
    Ok(())
}

#[cfg(test)]
#[expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]
mod tests {
    use super::*;
    use crate::native::{long, order};

    #[test]
    fn the_orders_are_orders_and_get_their_total() {
        let payload = Feed::Orders.payload(1);
        let with_total = order::with_total(&payload).unwrap();
        let value: serde_json::Value = serde_json::from_slice(&with_total).unwrap();
        assert_eq!(value["total-cents"], 100 + 2 * 411);
    }

    #[test]
    fn half_of_the_orders_are_long() {
        let long = (0..600).filter(|&number| long::is_long(&Feed::Orders.payload(number)).unwrap());
        assert_eq!(long.count(), 300);
    }

    #[test]
    fn what_is_passed_on_has_128_bytes_or_1_kib() {
        assert_eq!(Feed::Small.payload(99_999).len(), 128);
        assert_eq!(Feed::Large.payload(99_999).len(), 1024);
    }
}
