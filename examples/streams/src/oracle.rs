//! The command line of an oracle: it writes or publishes the inputs of its example, waits for results, and compares them.
//!
//! Exit codes: 0 done and in agreement, 1 a difference or a failure, 2 wrong usage.

use crate::{Message, Server, Streams};
use anyhow::{Context, Result};
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use serde_json::Value;
use std::io::{self, BufWriter, Write};
use std::process::ExitCode;

/// What an oracle knows. Its fields say which inputs: the same numbers give the same ones on every machine.
#[expect(async_fn_in_trait, reason = "an oracle runs on one thread")]
pub trait Oracle: clap::Args {
    /// What it does, in a sentence.
    const ABOUT: &'static str;
    /// What both agree to when they do.
    const TO_THE_LAST: &'static str;
    /// The streams of the inputs, which are created if they are missing, and their subjects.
    const STREAMS: &'static [(&'static str, &'static str)];

    /// # Errors
    /// When one cannot be written as a message.
    fn inputs(&self) -> impl Iterator<Item = Result<Message>>;

    /// The streams of the results, and how many each must have.
    ///
    /// # Errors
    /// When what they depend on cannot be read.
    async fn expected(&self, streams: &Streams) -> Result<Vec<(String, u64)>>;

    /// Compares the results that were published with those that the inputs must lead to, and prints how they differ.
    ///
    /// # Errors
    /// When they cannot be read.
    async fn agrees(&self, streams: &Streams) -> Result<bool>;
}

#[derive(Parser)]
#[command(version)]
struct Arguments<O: Oracle> {
    #[command(subcommand)]
    command: Command<O>,
}

#[derive(Subcommand)]
enum Command<O: Oracle> {
    /// Write the inputs as JSON lines to standard output, as `weir pipe` reads them
    Generate {
        #[command(flatten)]
        oracle: O,
    },
    /// Publish the inputs
    Feed {
        #[command(flatten)]
        oracle: O,
        #[command(flatten)]
        server: Server,
    },
    /// Wait until this share of the results is published
    Await {
        #[command(flatten)]
        oracle: O,
        #[command(flatten)]
        server: Server,
        /// Of all results of each stream
        #[arg(long, value_name = "N")]
        percent: u64,
    },
    /// Compare the results that were published with those that the inputs must lead to
    Verify {
        #[command(flatten)]
        oracle: O,
        #[command(flatten)]
        server: Server,
    },
}

/// The whole program of the oracle with this name.
#[must_use]
pub fn run<O: Oracle>(name: &'static str) -> ExitCode {
    let command = Arguments::<O>::command().name(name).about(O::ABOUT);
    let arguments = Arguments::<O>::from_arg_matches(&command.get_matches());
    match carry_out(arguments.unwrap_or_else(|error| error.exit())) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// False if the results differ.
#[tokio::main(flavor = "current_thread")]
async fn carry_out<O: Oracle>(arguments: Arguments<O>) -> Result<bool> {
    match arguments.command {
        Command::Generate { oracle } => generate(&oracle)?,
        Command::Feed { oracle, server } => {
            let streams = server.connect().await?;
            for (name, subject) in O::STREAMS {
                streams.create(name, subject).await?;
            }
            let inputs = oracle.inputs().collect::<Result<Vec<_>>>()?;
            streams.publish(inputs).await?;
        }
        Command::Await {
            oracle,
            server,
            percent,
        } => {
            let streams = server.connect().await?;
            for (stream, results) in oracle.expected(&streams).await? {
                streams.wait_for(&stream, results * percent / 100).await?;
            }
        }
        Command::Verify { oracle, server } => {
            let agree = oracle.agrees(&server.connect().await?).await?;
            match agree {
                true => println!("the two agree to the last {}", O::TO_THE_LAST),
                false => println!("the two differ"),
            }
            return Ok(agree);
        }
    }
    Ok(true)
}

fn generate(oracle: &impl Oracle) -> Result<()> {
    let mut output = BufWriter::new(io::stdout().lock());
    let written = oracle.inputs().try_for_each(|message| {
        write(&mut output, message?)?;
        Ok(())
    });
    let written = written.and_then(|()| Ok(output.flush()?));
    match written.as_ref().map_err(anyhow::Error::downcast_ref) {
        // A reader such as `head` that has seen enough.
        Err(Some(error)) if io::Error::kind(error) == io::ErrorKind::BrokenPipe => Ok(()),
        _ => written.context("cannot write to standard output"),
    }
}

fn write(output: &mut impl Write, message: Message) -> io::Result<()> {
    write!(output, "{{\"subject\":\"{}\",", message.subject)?;
    if !message.headers.is_empty() {
        let headers = message.headers.into_iter();
        let headers = headers.map(|(name, value)| (name.to_owned(), value.into()));
        write!(output, "\"headers\":{},", Value::Object(headers.collect()))?;
    }
    output.write_all(b"\"payload\":")?;
    output.write_all(&message.payload)?;
    output.write_all(b"}\n")
}
