//! What the bench sends: messages of a fixed shape, the same in every run.

use anyhow::{Context, Result};
use async_nats::jetstream::{self, stream};
use bytes::Bytes;

use crate::native::Work;

/// Publishes that may be unacknowledged at once while a stream is filled.
const WINDOW: u64 = 2000;

/// The stream that is read, by kind of work.
pub(crate) fn stream_name(work: Work) -> &'static str {
    match work {
        Work::Identity => "BENCH_IDENTITY",
        Work::Large => "BENCH_LARGE",
        Work::Paced => "BENCH_PACED",
        Work::Json => "BENCH_JSON",
    }
}

/// The subject of that stream.
pub(crate) fn subject(work: Work) -> &'static str {
    match work {
        Work::Identity => "bench.identity",
        Work::Large => "bench.large",
        Work::Paced => "bench.paced",
        Work::Json => "bench.json",
    }
}

/// Creates the stream, without messages.
pub(crate) async fn create(context: &jetstream::Context, work: Work) -> Result<()> {
    let config = stream::Config {
        name: stream_name(work).to_owned(),
        subjects: vec![subject(work).to_owned()],
        ..Default::default()
    };
    let made = context.create_stream(config).await;
    made.map(drop).context("cannot create the stream to read")
}

/// Creates the stream and fills it.
pub(crate) async fn fill(context: &jetstream::Context, work: Work, messages: u64) -> Result<()> {
    create(context, work).await?;
    for number in 0..messages {
        let future = context.publish(subject(work), payload(work, number)).await;
        let future = future.context("cannot fill the stream")?;
        // Awaiting one in many bounds what is unacknowledged; the client's permit is in the future.
        if number % WINDOW == WINDOW - 1 || number + 1 == messages {
            future.await.context("the server refused a message")?;
        }
    }
    Ok(())
}

/// The message with this number.
pub(crate) fn payload(work: Work, number: u64) -> Bytes {
    match work {
        Work::Identity | Work::Paced => format!("{number:0128}").into(),
        Work::Large => format!("{number:01024}").into(),
        Work::Json => {
            let line = |index: u64| {
                let item = (number * 7 + index) % 5000;
                let cents = 99 + (number + index * 311) % 20_000;
                format!(
                    r#"{{"item":"item-{item}","quantity":{},"unit-cents":{cents}}}"#,
                    1 + index
                )
            };
            let lines: Vec<String> = (0..1 + number % 6).map(line).collect();
            let user = number % 977;
            let lines = lines.join(",");
            format!(r#"{{"id":{number},"user":"user-{user}","currency":"EUR","lines":[{lines}]}}"#)
                .into()
        }
    }
}

#[cfg(test)]
#[expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]
mod tests {
    use super::*;
    use crate::order;

    #[test]
    fn the_orders_are_orders_and_get_their_total() {
        let payload = payload(Work::Json, 1);
        let with_total = order::with_total(&payload).unwrap();
        let value: serde_json::Value = serde_json::from_slice(&with_total).unwrap();
        assert_eq!(value["total-cents"], 100 + 2 * 411);
    }

    #[test]
    fn what_is_passed_on_has_128_bytes_or_1_kib() {
        assert_eq!(payload(Work::Identity, 99_999).len(), 128);
        assert_eq!(payload(Work::Large, 99_999).len(), 1024);
    }
}
