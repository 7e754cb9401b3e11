//! The loop that all native queries share: it reads in order, and stores results, what has changed in the state, and
//! the position in one commit, with the [`Link`] of the other native loop.

use std::fmt::{Display, Write};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::Serialize;
use tokio::signal::unix::{SignalKind, signal};
use weir::nats::wire::Message;

use super::STREAM;
use super::queries::{Each, Q3, Q5, Q7, Q8, Q11, q0, q1, q2};
use super::winning::WinningBids;
use crate::atomic::{self, Link, MOST, RESULTS};

/// The changes of the state, in messages of at most so many bytes: the server takes 1 MiB in one.
const CHANGES: &str = "bench.job.state.0";
const CHUNK: usize = 512 << 10;
/// Events and windows of a commit, at most, whose results are fewer than a commit takes.
const EVENTS: usize = 4096;
/// Milliseconds by which events come out of order, as the pipelines have it.
const BOUND: u64 = 1_000;
/// Without a message for so long, there are no more: all windows end.
pub(super) const IDLE: Duration = Duration::from_secs(2);

/// Where it runs, and what.
#[derive(clap::Args)]
pub(crate) struct Options {
    #[arg(long)]
    server: String,
    #[arg(long)]
    consumer: String,
    /// Its name: `q0`
    #[arg(long)]
    query: String,
}

pub(super) trait Query {
    /// Takes an event, and returns its time in milliseconds; 0 where time does not matter.
    fn read(&mut self, subject: &[u8], payload: &[u8], results: &mut Results) -> Result<u64>;

    /// Ends one of the windows that end up to this time, and whether there was one.
    fn fire(&mut self, _watermark: u64, _results: &mut Results) -> Result<bool> {
        Ok(false)
    }

    /// Appends what has changed since the last time.
    fn log(&mut self, _to: &mut Vec<u8>) -> Result<()> {
        Ok(())
    }
}

/// Results that are not sent: subject and payload of each.
pub(super) struct Results {
    prefix: String,
    list: Vec<(String, Vec<u8>)>,
}

impl Results {
    pub(super) fn add(&mut self, key: impl Display, result: &impl Serialize) -> Result<()> {
        let mut subject = String::with_capacity(self.prefix.len() + 20);
        subject.push_str(&self.prefix);
        write!(subject, "{key}")?;
        let payload = serde_json::to_vec(result).context("cannot write a result")?;
        self.list.push((subject, payload));
        Ok(())
    }
}

struct Lane {
    link: Link,
    query: Box<dyn Query>,
    results: Results,
    changes: Vec<u8>,
    /// Events and windows since the last commit.
    taken: usize,
    position: u64,
    watermark: u64,
    /// Whether windows may have ended that there was no room for.
    is_behind: bool,
}

fn query(name: &str) -> Result<Box<dyn Query>> {
    Ok(match name {
        "q0" => Box::new(Each(q0)),
        "q1" => Box::new(Each(q1)),
        "q2" => Box::new(Each(q2)),
        "q3" => Box::new(Q3::new()),
        "q4" => Box::new(WinningBids::q4()),
        "q5" => Box::new(Q5::new()),
        "q6" => Box::new(WinningBids::q6()),
        "q7" => Box::new(Q7::new()),
        "q8" => Box::new(Q8::new()),
        "q11" => Box::new(Q11::new()),
        _ => bail!("there is no native query `{name}`"),
    })
}

/// Runs a query until it is asked to stop, or fails.
pub(crate) fn run(options: &Options) -> Result<()> {
    // One thread, like a lane.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.context("cannot start a runtime")?.block_on(async {
        let mut stop = signal(SignalKind::terminate()).context("cannot wait for signals")?;
        tokio::select! {
            _ = stop.recv() => Ok(()),
            failed = walk(options) => failed,
        }
    })
}

async fn walk(options: &Options) -> Result<()> {
    let prefix = format!("{RESULTS}.nexmark.{}.", options.query);
    let mut this = Lane {
        link: Link::open(&options.server, STREAM, &options.consumer).await?,
        query: query(&options.query)?,
        results: Results {
            prefix,
            list: Vec::new(),
        },
        changes: Vec::new(),
        taken: 0,
        position: 0,
        watermark: 0,
        is_behind: false,
    };
    loop {
        this.step().await?;
    }
}

impl Lane {
    async fn step(&mut self) -> Result<()> {
        self.link.ask()?;
        if self.is_behind {
            self.fire()?;
        }
        let (has_room, in_flight) = (self.has_room(), self.link.in_flight);
        tokio::select! {
            biased;
            Some(answer) = self.link.answers.next() => self.link.committed(&answer)?,
            Some(message) = self.link.messages.next(), if has_room => self.gather(message)?,
            () = tokio::time::sleep(IDLE), if self.position > 0 && !in_flight => {
                self.watermark = u64::MAX;
                self.fire()?;
            }
            else => bail!("the connection is closed"),
        }
        match self.link.in_flight || self.taken == 0 {
            true => Ok(()),
            false => self.commit().await,
        }
    }

    /// A window that has ended goes before the next event.
    fn has_room(&self) -> bool {
        !self.is_behind && self.is_open()
    }

    fn is_open(&self) -> bool {
        self.taken < EVENTS && self.results.list.len() < MOST
    }

    /// One message and whatever else has already arrived.
    fn gather(&mut self, first: Message) -> Result<()> {
        let mut next = Some(first);
        while let Some(message) = next.take() {
            if !self.link.is_delivery(&message) {
                return Ok(());
            }
            self.position = atomic::position(&message)?;
            let (subject, payload) = (&message.subject, &message.payload);
            let time = self.query.read(subject, payload, &mut self.results)?;
            self.taken += 1;
            self.watermark = self.watermark.max(time.saturating_sub(BOUND));
            self.fire()?;
            if self.has_room() {
                next = self.link.messages.has_come();
            }
        }
        Ok(())
    }

    /// Ends the windows that the watermark has passed, as many as have room in the commit.
    fn fire(&mut self) -> Result<()> {
        self.is_behind = true;
        while self.is_open() {
            if !self.query.fire(self.watermark, &mut self.results)? {
                self.is_behind = false;
                break;
            }
            self.taken += 1;
        }
        Ok(())
    }

    /// Sends results and changes, and the checkpoint.
    async fn commit(&mut self) -> Result<()> {
        for (subject, payload) in self.results.list.drain(..) {
            self.link.add(&subject, &payload).await?;
        }
        self.query.log(&mut self.changes)?;
        for chunk in self.changes.chunks(CHUNK) {
            self.link.add(CHANGES, chunk).await?;
        }
        self.changes.clear();
        self.taken = 0;
        self.link.commit(self.position)
    }
}

#[cfg(test)]
mod tests {
    use super::super::asked::ASKED;
    use super::*;
    use nexmark_oracle::{Event, QUERIES, rows};

    #[test]
    fn each_query_by_hand_finds_the_rows_of_the_oracle() -> Result<()> {
        let events: Vec<Event> = nexmark_oracle::events(7, 20_000).collect();
        for asked in &ASKED {
            let oracle = QUERIES.iter().find(|query| query.name == asked.name);
            let oracle = oracle.context("the oracle has no such query")?;
            let mut query = query(asked.name)?;
            let mut results = Results {
                prefix: String::new(),
                list: Vec::new(),
            };
            let mut watermark = 0;
            let read = |event: &&Event| asked.reads.contains(&event.kind());
            for event in events.iter().filter(read) {
                let message = event.message()?;
                let (subject, payload) = (message.subject.as_bytes(), &message.payload);
                let time = query.read(subject, payload, &mut results)?;
                watermark = watermark.max(time.saturating_sub(BOUND));
                while query.fire(watermark, &mut results)? {}
            }
            while query.fire(u64::MAX, &mut results)? {}
            let (name, found) = (asked.name, &results.list);
            assert_eq!(found.len(), (oracle.results)(&events), "{name}");
            let differences = rows::differences(oracle, &(oracle.rows)(&events), found);
            assert_eq!(differences, Vec::<String>::new(), "{name}");
        }
        Ok(())
    }
}
