//! `clicks-oracle`: publishes the events of the clicks example, and checks what its pipelines find in them.
//!
//! Exit codes: 0 done and in agreement, 1 a difference or a failure, 2 wrong usage.

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};
use clicks_oracle::{Event, batch, events};
use example_streams::{Message, Server, compare};
use std::io::{self, BufWriter, Write};
use std::process::ExitCode;

/// Differences that are shown of a stream.
const SHOWN: usize = 10;

/// Generates impressions and clicks, and computes independently what pipelines must find in them.
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
    /// Publish events to the streams `IMPRESSIONS` and `CLICKS`, which are created if they are missing
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
        /// Of all results of each stream
        #[arg(long, value_name = "N")]
        percent: u64,
        /// Only these streams, instead of all
        #[arg(long, value_name = "NAME", value_delimiter = ',')]
        streams: Vec<String>,
    },
    /// Compare the results that were published with those that the events must lead to
    Verify {
        #[command(flatten)]
        run: Run,
        #[command(flatten)]
        server: Server,
    },
}

/// Which events; the same numbers give the same bytes on every machine.
#[derive(clap::Args)]
struct Run {
    /// What the randomness starts from
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// How many impressions
    #[arg(long, value_name = "N", default_value_t = 100_000)]
    count: u64,
}

impl Run {
    fn events(&self) -> Vec<Event> {
        events(self.seed, self.count)
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
        Command::Generate { run } => match generate(&run) {
            // A reader such as `head` that has seen enough.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
            done => done.context("cannot write to standard output")?,
        },
        Command::Feed { run, server } => runtime.block_on(feed(&run, &server))?,
        Command::Await {
            run,
            server,
            percent,
            streams,
        } => runtime.block_on(wait_for(&run, &server, percent, &streams))?,
        Command::Verify { run, server } => return runtime.block_on(verify(&run, &server)),
    }
    Ok(ExitCode::SUCCESS)
}

fn generate(run: &Run) -> io::Result<()> {
    let mut output = BufWriter::new(io::stdout().lock());
    for event in run.events() {
        write!(output, "{{\"subject\":\"{}\",\"payload\":", event.subject())?;
        output.write_all(&event.payload())?;
        output.write_all(b"}\n")?;
    }
    output.flush()
}

async fn feed(run: &Run, server: &Server) -> Result<()> {
    let message = |event: Event| Message {
        subject: event.subject(),
        headers: Vec::new(),
        payload: event.payload(),
    };
    let streams = server.connect().await?;
    streams.create("IMPRESSIONS", "impressions.>").await?;
    streams.create("CLICKS", "clicks.>").await?;
    streams.publish(run.events().into_iter().map(message)).await
}

async fn wait_for(run: &Run, server: &Server, percent: u64, only: &[String]) -> Result<()> {
    let streams = server.connect().await?;
    for (stream, _, results) in batch::expected(&run.events()) {
        if !only.is_empty() && !only.iter().any(|name| name == stream) {
            continue;
        }
        let results = compare::count(&results) * percent / 100;
        streams.wait_for(stream, results).await?;
    }
    Ok(())
}

async fn verify(run: &Run, server: &Server) -> Result<ExitCode> {
    let streams = server.connect().await?;
    let mut agree = true;
    for (stream, prefix, expected) in batch::expected(&run.events()) {
        let found = batch::sorted(compare::results(&streams.read(stream).await?, prefix));
        let differences = compare::differences(&expected, &found);
        let (wanted, count) = (compare::count(&expected), compare::count(&found));
        println!(
            "{:<12} expected {wanted:>7}, found {count:>7}",
            format!("{prefix}>")
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
    println!("the two agree to the last click");
    Ok(ExitCode::SUCCESS)
}
