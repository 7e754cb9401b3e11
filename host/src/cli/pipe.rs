//! `weir pipe FILE`: a pipeline, or one plugin, from stdin to stdout, as lines of JSON, without a broker.

use super::offline::{self, Offline};
use super::{Console, files};
use crate::config::resolved::Bounds;
use crate::jsonl::{self, Dead, Line, Record};
use crate::plugin::Runtime;
use crate::report;
use anyhow::{Context, Result};
use std::io::{BufRead, Write};
use std::path::PathBuf;
use std::sync::mpsc;

#[derive(clap::Args)]
#[command(after_help = "\
Each line of stdin is a message: {\"subject\": \"orders.a\", \"payload\": {...}}. Use `text` or `base64` \
instead of `payload` if the payload is not JSON; `headers`, `key`, `event_time` and `sequence` are optional. \
Results go to stdout in the same form, dead letters and retries to stderr as \
{\"reject\": ...} and {\"retry\": ...}.

Exit codes: 0 every message gave results or was dropped, 1 there were dead letters, retries or \
invalid lines, 2 wrong usage or configuration.")]
pub(super) struct Arguments {
    /// The pipeline's file. Its source, sink stream and dead-letter stream are not used. Or one plugin: a component, or a
    /// standard plugin as `std:NAME`.
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// The configuration of a plugin without a pipeline, as JSON.
    #[arg(long, value_name = "JSON")]
    config: Option<String>,

    /// The pipeline, if the file has several.
    #[arg(long, value_name = "NAME")]
    pipeline: Option<String>,
}

/// Lines that are read ahead: one batch is filled while another is processed.
const READ_AHEAD: usize = 256;

/// A line with its number, from 1.
type Numbered = (usize, Vec<u8>);
type Lines = mpsc::Receiver<std::io::Result<Numbered>>;

pub(super) fn run(arguments: &Arguments, console: &Console) -> Result<u8> {
    let runtime = files::runtime(1)?;
    let mut chain = start(arguments, &runtime, console)?;
    let lines = read_ahead()?;
    let mut unusable = 0;
    while let Some(batch) = next_batch(&lines, chain.batch)? {
        let (mut good, mut out, mut bad) = (Vec::new(), String::new(), String::new());
        for (number, line) in batch {
            match parse(number, &line) {
                Ok(record) => good.push(record),
                Err(dead) => push(&mut bad, &Line::Dead(dead), &mut unusable),
            }
        }
        let now = jiff::Timestamp::now().as_nanosecond();
        let lines = chain.run(good, now.try_into().unwrap_or_default());
        for line in lines.into_iter().flatten() {
            sort(line, &mut out, &mut bad, &mut unusable);
        }
        print(&out, &bad, console)?;
    }
    let (mut out, mut bad) = (String::new(), String::new());
    for line in chain.finish() {
        sort(line, &mut out, &mut bad, &mut unusable);
    }
    print(&out, &bad, console)?;
    chain.note_waiting();
    chain.note_skipped();
    Ok(if unusable == 0 {
        report::DONE
    } else {
        report::FAILED
    })
}

fn start(arguments: &Arguments, runtime: &Runtime, console: &Console) -> Result<Offline> {
    let _progress = console.progress("compiling the plugins");
    let (config, name) = (arguments.config.as_deref(), arguments.pipeline.as_deref());
    offline::plugin::or_pipeline(&arguments.file, config, name, runtime)
}

/// Results go to stdout, and the rest to stderr.
fn sort(line: Line, out: &mut String, bad: &mut String, unusable: &mut usize) {
    match line {
        Line::Message(record) => {
            out.push_str(&record.to_string());
            out.push('\n');
        }
        line => push(bad, &line, unusable),
    }
}

fn print(out: &str, bad: &str, console: &Console) -> Result<()> {
    console.print(out)?;
    let written = std::io::stderr().lock().write_all(bad.as_bytes());
    written.context("cannot write to stderr")
}

fn push(text: &mut String, line: &Line, count: &mut usize) {
    text.push_str(&line.to_string());
    text.push('\n');
    *count += 1;
}

fn parse(number: usize, line: &[u8]) -> Result<Record, Dead> {
    let record = match std::str::from_utf8(line) {
        Ok(text) => jsonl::parse_message(text, number).map_err(|problem| problem.to_string()),
        Err(_) => Err(format!("line {number}: it is not UTF-8 text")),
    };
    record.map_err(|reject| Dead {
        reject,
        operator: None,
        kind: Some("line".to_owned()),
        traceback: Vec::new(),
        sequence: None,
    })
}

/// Reads stdin on a separate thread, because a read cannot be interrupted and plugins must not wait for a
/// full batch.
fn read_ahead() -> Result<Lines> {
    let (sender, receiver) = mpsc::sync_channel(READ_AHEAD);
    let read = move || {
        let mut stdin = std::io::stdin().lock();
        for number in 1.. {
            let mut line = Vec::new();
            let next = match stdin.read_until(b'\n', &mut line) {
                Ok(0) => break,
                Ok(_) if line.trim_ascii().is_empty() => continue,
                Ok(_) => Ok((number, line)),
                Err(error) => Err(error),
            };
            let ended = next.is_err();
            if sender.send(next).is_err() || ended {
                break;
            }
        }
    };
    std::thread::Builder::new()
        .name("stdin".to_owned())
        .spawn(read)
        .context("cannot start a thread")?;
    Ok(receiver)
}

/// The lines that have been read: at least one and at most one batch. `None` at the end.
fn next_batch(lines: &Lines, bounds: Bounds) -> Result<Option<Vec<Numbered>>> {
    let Ok(first) = lines.recv() else {
        return Ok(None);
    };
    let first = first.context("cannot read stdin")?;
    let mut bytes = first.1.len();
    let mut batch = vec![first];
    while batch.len() < bounds.messages && bytes < bounds.bytes {
        let Ok(next) = lines.try_recv() else { break };
        let next = next.context("cannot read stdin")?;
        bytes += next.1.len();
        batch.push(next);
    }
    Ok(Some(batch))
}
