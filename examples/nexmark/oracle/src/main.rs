//! `nexmark-oracle`: publishes the events of the NEXMark example, and checks the results of its queries.

use anyhow::{Result, bail};
use example_streams::oracle::{self, Oracle};
use example_streams::{Message, Streams};
use nexmark_oracle::{Event, QUERIES, Query, events, rows};
use std::process::ExitCode;

/// Differences that are shown of a query.
const SHOWN: usize = 10;

/// Which events, and which queries; the same numbers give the same events.
#[derive(clap::Args)]
struct Run {
    /// What the randomness starts from
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// How many events
    #[arg(long, value_name = "N", default_value_t = 100_000)]
    count: u64,
    /// Only these queries, instead of all
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    queries: Vec<String>,
}

impl Run {
    fn events(&self) -> Vec<Event> {
        events(self.seed, self.count).collect()
    }

    fn queries(&self) -> Result<Vec<&'static Query>> {
        let names = QUERIES.iter().map(|query| query.name);
        let names: Vec<&str> = names.collect();
        if let Some(other) = self.queries.iter().find(|name| !names.contains(&&***name)) {
            bail!("there is no query `{other}`, but {}", names.join(", "));
        }
        let named = |query: &&Query| {
            self.queries.is_empty() || self.queries.iter().any(|name| name == query.name)
        };
        Ok(QUERIES.iter().filter(named).collect())
    }
}

impl Oracle for Run {
    const ABOUT: &'static str =
        "Generates the events of NEXMark, and computes independently what its queries must find";
    const TO_THE_LAST: &'static str = "row";
    const STREAMS: &'static [(&'static str, &'static str)] = &[("NEXMARK", "nexmark.*")];

    fn inputs(&self) -> impl Iterator<Item = Result<Message>> {
        events(self.seed, self.count).map(|event| Ok(event.message()?))
    }

    async fn expected(&self, streams: &Streams) -> Result<Vec<(String, u64)>> {
        let (mut expected, events) = (Vec::new(), self.events());
        for query in self.queries()? {
            let events = query.events(&events, streams).await?;
            expected.push((query.stream(), (query.results)(&events) as u64));
        }
        Ok(expected)
    }

    async fn agrees(&self, streams: &Streams) -> Result<bool> {
        let events = self.events();
        let mut agree = true;
        let mut begin = f64::INFINITY;
        for query in self.queries()? {
            let (first, _) = streams.times(&query.stream()).await?;
            begin = begin.min(first);
        }
        println!(
            "{:<14}{:>10}{:>10}{:>18}",
            "query", "events", "results", "events a second"
        );
        for query in self.queries()? {
            let events = query.events(&events, streams).await?;
            let published = streams.read(&query.stream()).await?;
            let mut differences = rows::differences(query, &(query.rows)(&events), &published);
            let results = (query.results)(&events);
            if published.len() != results {
                let found = published.len();
                differences.push(format!("{found} results, expected {results}"));
            }
            let inputs = query.inputs(&events);
            let rate = match query.waits {
                true => String::new(),
                false => {
                    let (_, last) = streams.times(&query.stream()).await?;
                    format!("{:.0}", inputs as f64 / (last - begin))
                }
            };
            println!(
                "{:<14}{inputs:>10}{:>10}{:>18}",
                query.name,
                published.len(),
                rate
            );
            for difference in differences.iter().take(SHOWN) {
                println!("- {difference}");
            }
            agree &= differences.is_empty();
        }
        Ok(agree)
    }
}

fn main() -> ExitCode {
    oracle::run::<Run>("nexmark-oracle")
}
