//! `clicks-oracle`: publishes the events of the clicks example, and checks what its pipelines find in them.

use anyhow::Result;
use clicks_oracle::{Event, batch, events};
use example_streams::oracle::{self, Oracle};
use example_streams::{Message, Streams, compare};
use std::process::ExitCode;

/// Which events; the same numbers give the same bytes on every machine.
#[derive(clap::Args)]
struct Run {
    /// What the randomness starts from
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// How many impressions
    #[arg(long, value_name = "N", default_value_t = 100_000)]
    count: u64,
    /// Only the results in these streams, instead of all
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    streams: Vec<String>,
}

impl Run {
    fn results(&self) -> Vec<(&'static str, &'static str, compare::Results)> {
        let mut expected = batch::expected(&events(self.seed, self.count));
        let is_asked = |stream: &str| self.streams.iter().any(|name| name == stream);
        expected.retain(|(stream, ..)| self.streams.is_empty() || is_asked(stream));
        expected
    }
}

impl Oracle for Run {
    const ABOUT: &'static str = "Generates impressions and clicks, and computes independently what pipelines must find in them";
    const TO_THE_LAST: &'static str = "click";
    const STREAMS: &'static [(&'static str, &'static str)] =
        &[("IMPRESSIONS", "impressions.>"), ("CLICKS", "clicks.>")];

    fn inputs(&self) -> impl Iterator<Item = Result<Message>> {
        let message = |event: Event| Message {
            subject: event.subject(),
            headers: Vec::new(),
            payload: event.payload(),
        };
        let events = events(self.seed, self.count).into_iter();
        events.map(message).map(Ok)
    }

    async fn expected(&self, _: &Streams) -> Result<Vec<(String, u64)>> {
        Ok(compare::counts(&self.results()))
    }

    async fn agrees(&self, streams: &Streams) -> Result<bool> {
        let mut agree = true;
        for (stream, prefix, expected) in self.results() {
            let found = compare::results(&streams.read(stream).await?, prefix);
            agree &= compare::show(prefix, &expected, &batch::sorted(found));
        }
        Ok(agree)
    }
}

fn main() -> ExitCode {
    oracle::run::<Run>("clicks-oracle")
}
