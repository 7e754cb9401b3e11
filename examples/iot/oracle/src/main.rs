//! `iot-oracle`: publishes the readings of the iot example, and checks what its pipelines find in them.

use anyhow::Result;
use example_streams::oracle::{self, Oracle};
use example_streams::{Message, Streams, compare};
use iot_oracle::{Reading, batch, readings};
use std::process::ExitCode;

/// Which readings; the same numbers give the same bytes on every machine.
#[derive(clap::Args)]
struct Run {
    /// What the randomness starts from
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// How many readings there would be if no sensor were silent
    #[arg(long, value_name = "N", default_value_t = 100_000)]
    count: u64,
}

impl Oracle for Run {
    const ABOUT: &'static str = "Generates the readings of sensors, and computes independently what pipelines must find in them";
    const TO_THE_LAST: &'static str = "alert";
    const STREAMS: &'static [(&'static str, &'static str)] = &[("SENSORS", "sensors.>")];

    fn inputs(&self) -> impl Iterator<Item = Result<Message>> {
        let message = |reading: Reading| Message {
            subject: reading.subject(),
            headers: Vec::new(),
            payload: reading.payload(),
        };
        let readings = readings(self.seed, self.count).into_iter();
        readings.map(message).map(Ok)
    }

    async fn expected(&self, _: &Streams) -> Result<Vec<(String, u64)>> {
        let expected = batch::expected(&readings(self.seed, self.count));
        Ok(compare::counts(&expected))
    }

    async fn agrees(&self, streams: &Streams) -> Result<bool> {
        let mut agree = true;
        for (stream, prefix, expected) in batch::expected(&readings(self.seed, self.count)) {
            let found = compare::results(&streams.read(stream).await?, prefix);
            agree &= compare::show(prefix, &expected, &found);
        }
        Ok(agree)
    }
}

fn main() -> ExitCode {
    oracle::run::<Run>("iot-oracle")
}
