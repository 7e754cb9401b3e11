//! `fraud-oracle`: publishes the payments of the fraud example, and checks its alerts.
//!
//! Exit codes: 0 done and in agreement, 1 a difference or a failure, 2 wrong usage.

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};
use example_streams::{Message, Server};
use fraud_oracle::{Payment, batch, compare, payments};
use std::io::{self, BufWriter, Write};
use std::process::ExitCode;

/// As `forget-after-minutes` of the pipelines.
const FORGET_CARDS: u64 = 1440;
/// As `forget-after-minutes` of the pipelines.
const FORGET_MERCHANTS: u64 = 60;
/// Differences that are shown.
const SHOWN: usize = 20;

/// Generates card payments, and computes independently which of them a pipeline must report.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Write payments as JSON lines to standard output, as `weir pipe` reads them
    Generate {
        #[command(flatten)]
        run: Run,
    },
    /// Publish payments to the stream `PAYMENTS`
    Feed {
        #[command(flatten)]
        run: Run,
        #[command(flatten)]
        server: Server,
    },
    /// Wait until this share of the alerts is published
    Await {
        #[command(flatten)]
        run: Run,
        #[command(flatten)]
        server: Server,
        /// Of all alerts of cards
        #[arg(long, value_name = "N")]
        percent: u64,
    },
    /// Compare the alerts that were published with those that the payments must lead to
    Verify {
        #[command(flatten)]
        run: Run,
        #[command(flatten)]
        server: Server,
    },
}

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
        } => {
            let all = compare::count(&batch::of_cards(&all(&run), FORGET_CARDS));
            let wait = wait_for(all * percent / 100, &server);
            let stored = runtime.block_on(wait)?;
            println!("{stored} alerts are there");
        }
        Command::Verify { run, server } => return runtime.block_on(verify(&run, &server)),
    }
    Ok(ExitCode::SUCCESS)
}

fn all(run: &Run) -> Vec<Payment> {
    payments(run.seed, run.count).collect()
}

fn generate(run: &Run) -> io::Result<()> {
    let mut output = BufWriter::new(io::stdout().lock());
    for payment in payments(run.seed, run.count) {
        write!(
            output,
            "{{\"subject\":\"{}\",\"payload\":",
            payment.subject()
        )?;
        output.write_all(&payment.payload())?;
        output.write_all(b"}\n")?;
    }
    output.flush()
}

async fn feed(run: &Run, server: &Server) -> Result<()> {
    let message = |payment: Payment| Message {
        subject: payment.subject(),
        headers: Vec::new(),
        payload: payment.payload(),
    };
    let messages = payments(run.seed, run.count).map(message);
    server.connect().await?.publish(messages).await
}

async fn wait_for(alerts: u64, server: &Server) -> Result<u64> {
    server
        .connect()
        .await?
        .wait_for("FRAUD_CARDS", alerts)
        .await
}

async fn verify(run: &Run, server: &Server) -> Result<ExitCode> {
    let streams = server.connect().await?;
    let payments = all(run);
    let expected = [
        (
            "FRAUD_CARDS",
            "fraud.cards.",
            batch::of_cards(&payments, FORGET_CARDS),
        ),
        (
            "FRAUD_MERCHANTS",
            "fraud.merchants.",
            batch::of_merchants(&payments, FORGET_MERCHANTS),
        ),
    ];
    let mut agree = true;
    for (stream, prefix, expected) in expected {
        let published = streams.read(stream).await?;
        let differences = compare::differences(&expected, prefix, &published);
        let wanted = compare::count(&expected);
        println!(
            "{stream:<16} expected {wanted:>6}, found {:>6}",
            published.len()
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
    println!("the two agree to the last alert");
    Ok(ExitCode::SUCCESS)
}
