//! `fraud-oracle`: publishes the payments of the fraud example, and checks its alerts.

use anyhow::Result;
use example_streams::oracle::{self, Oracle};
use example_streams::{Message, Streams, compare::shown};
use fraud_oracle::{Payment, batch, compare, payments};
use std::process::ExitCode;

/// As `forget-after-minutes` of the pipelines.
const FORGET_CARDS: u64 = 1440;
/// As `forget-after-minutes` of the pipelines.
const FORGET_MERCHANTS: u64 = 60;

/// Which payments; the same numbers give the same bytes on every machine.
#[derive(clap::Args)]
struct Run {
    /// What the randomness starts from
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// How many payments
    #[arg(long, value_name = "N", default_value_t = 200_000)]
    count: u64,
}

impl Run {
    fn payments(&self) -> Vec<Payment> {
        payments(self.seed, self.count).collect()
    }
}

impl Oracle for Run {
    const ABOUT: &'static str =
        "Generates card payments, and computes independently which of them a pipeline must report";
    const TO_THE_LAST: &'static str = "alert";
    const STREAMS: &'static [(&'static str, &'static str)] = &[];

    fn inputs(&self) -> impl Iterator<Item = Result<Message>> {
        let message = |payment: Payment| Message {
            subject: payment.subject(),
            headers: Vec::new(),
            payload: payment.payload(),
        };
        payments(self.seed, self.count).map(message).map(Ok)
    }

    async fn expected(&self, _: &Streams) -> Result<Vec<(String, u64)>> {
        let alerts = batch::of_cards(&self.payments(), FORGET_CARDS);
        Ok(vec![("FRAUD_CARDS".to_owned(), compare::count(&alerts))])
    }

    async fn agrees(&self, streams: &Streams) -> Result<bool> {
        let payments = self.payments();
        let cards = batch::of_cards(&payments, FORGET_CARDS);
        let merchants = batch::of_merchants(&payments, FORGET_MERCHANTS);
        let mut agree = true;
        for (stream, prefix, expected) in [
            ("FRAUD_CARDS", "fraud.cards.", cards),
            ("FRAUD_MERCHANTS", "fraud.merchants.", merchants),
        ] {
            let published = streams.read(stream).await?;
            let differences = compare::differences(&expected, prefix, &published);
            let counts = (compare::count(&expected), published.len() as u64);
            agree &= shown(prefix, counts, &differences);
        }
        Ok(agree)
    }
}

fn main() -> ExitCode {
    oracle::run::<Run>("fraud-oracle")
}
