//! `nexmark-oracle`: publishes the events of the NEXMark example, and checks the results of its queries.
//!
//! Exit codes: 0 done and in agreement, 1 a difference or a failure, 2 wrong usage.

use anyhow::{Context, Result, bail};
use clap::{Parser, Subcommand};
use example_streams::{Message, Server};
use nexmark_oracle::{Event, QUERIES, Query, events, rows};
use std::io::{self, BufWriter, Write};
use std::process::ExitCode;

/// Differences that are shown of a query.
const SHOWN: usize = 10;

/// Generates the events of NEXMark, and computes independently what its queries must find.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Write events as JSON lines to standard output, as `weir pipe` reads them
    Generate {
        #[command(flatten)]
        run: Run,
    },
    /// Publish events to the stream `NEXMARK`, which is created if it is missing
    Feed {
        #[command(flatten)]
        run: Run,
        #[command(flatten)]
        server: Server,
    },
    /// Wait until this share of the results is published
    Await {
        #[command(flatten)]
        run: Run,
        #[command(flatten)]
        server: Server,
        /// Of all results of each query
        #[arg(long, value_name = "N")]
        percent: usize,
    },
    /// Compare the results that were published with those that the events must lead to
    Verify {
        #[command(flatten)]
        run: Run,
        #[command(flatten)]
        server: Server,
    },
}

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

fn main() -> ExitCode {
    match run(Arguments::parse().command) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    match command {
        Command::Generate { run } => generate(&run)?,
        Command::Feed { run, server } => runtime.block_on(feed(&run, &server))?,
        Command::Await {
            run,
            server,
            percent,
        } => runtime.block_on(wait_for(&run, &server, percent))?,
        Command::Verify { run, server } => return runtime.block_on(verify(&run, &server)),
    }
    Ok(ExitCode::SUCCESS)
}

fn messages(run: &Run) -> impl Iterator<Item = serde_json::Result<Message>> {
    events(run.seed, run.count).map(|event| event.message())
}

fn generate(run: &Run) -> Result<()> {
    let mut output = BufWriter::new(io::stdout().lock());
    let mut write = |message: Message| -> io::Result<()> {
        let headers: serde_json::Map<_, _> = message
            .headers
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value.into()))
            .collect();
        let (subject, headers) = (message.subject, serde_json::Value::Object(headers));
        write!(
            output,
            "{{\"subject\":\"{subject}\",\"headers\":{headers},\"payload\":"
        )?;
        output.write_all(&message.payload)?;
        output.write_all(b"}\n")
    };
    for message in messages(run) {
        match write(message?) {
            // A reader such as `head` that has seen enough.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
            done => done.context("cannot write to standard output")?,
        }
    }
    Ok(())
}

async fn feed(run: &Run, server: &Server) -> Result<()> {
    let streams = server.connect().await?;
    let messages = messages(run).collect::<serde_json::Result<Vec<_>>>()?;
    streams.create("NEXMARK", "nexmark.*").await?;
    streams.publish(messages).await
}

async fn wait_for(run: &Run, server: &Server, percent: usize) -> Result<()> {
    let (streams, events) = (server.connect().await?, run.events());
    for query in run.queries()? {
        let events = query.events(&events, &streams).await?;
        let results = (query.results)(&events) * percent / 100;
        streams.wait_for(&query.stream(), results as u64).await?;
    }
    Ok(())
}

async fn verify(run: &Run, server: &Server) -> Result<ExitCode> {
    let (streams, events) = (server.connect().await?, run.events());
    let mut agree = true;
    let mut begin = f64::INFINITY;
    for query in run.queries()? {
        let (first, _) = streams.times(&query.stream()).await?;
        begin = begin.min(first);
    }
    println!(
        "{:<14}{:>10}{:>10}{:>18}",
        "query", "events", "results", "events a second"
    );
    for query in run.queries()? {
        let events = query.events(&events, &streams).await?;
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
    if !agree {
        println!("the two differ");
        return Ok(ExitCode::FAILURE);
    }
    println!("the two agree to the last row");
    Ok(ExitCode::SUCCESS)
}
