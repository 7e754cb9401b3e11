//! The messages of a bench: the lines of a file, filtered by the pipeline's subjects and repeated.

use crate::cli::files;
use crate::config::resolved::Pipeline;
use crate::config::template::SubjectFilter;
use crate::headers::Headers;
use crate::headers::is_server_header;
use crate::jsonl::{self, Record};
use crate::report::{self, ResultExt};
use anyhow::{Context, Result, anyhow};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// At least one message.
pub(super) struct Input {
    records: Vec<Record>,
    /// Number of lines on subjects that the pipeline does not read.
    pub(super) skipped: usize,
}

/// The given file, or `input.jsonl` beside the pipeline.
pub(super) fn place(given: Option<&Path>, pipeline: &Path) -> PathBuf {
    let usual = || pipeline.with_file_name("input.jsonl");
    given.map_or_else(usual, Path::to_owned)
}

impl Input {
    /// Reads the file.
    ///
    /// # Errors
    ///
    /// Lines that cannot be parsed, with their numbers; a file without a message for this pipeline.
    pub(super) fn read(file: &Path, pipeline: &Pipeline) -> Result<Self> {
        let what = || format!("cannot read `{}`", file.display());
        if !file.is_file() {
            return Err(anyhow!("there is no such file"))
                .with_context(what)
                .hint(
                    || "write messages into it as JSON lines, or name another file with `--input`",
                )
                .usage();
        }
        let read = files::read_lines(file, jsonl::parse_message)?;
        let lines = read.len();
        let records: Vec<Record> = read
            .into_iter()
            .filter(|record| is_read(pipeline, &record.subject))
            .map(without_commands)
            .collect();
        if records.is_empty() {
            let subjects = pipeline.source.subjects.iter().map(SubjectFilter::as_str);
            let subjects = subjects.collect::<Vec<_>>().join(", ");
            let (cause, action) = match lines {
                0 => (
                    "it contains no message".to_owned(),
                    "write one per line: {\"subject\": \"orders.a\", \"payload\": {...}}"
                        .to_owned(),
                ),
                _ => (
                    "no message in it is on a subject that the pipeline reads".to_owned(),
                    format!("use messages on `{subjects}`"),
                ),
            };
            let error = report::hint(anyhow!(cause), action);
            return Err(report::usage(error)).with_context(what);
        }
        Ok(Self {
            skipped: lines - records.len(),
            records,
        })
    }

    /// The message with this number, from 0.
    pub(super) fn get(&self, number: u64) -> Option<&Record> {
        let index = number % self.records.len().max(1) as u64;
        self.records.get(usize::try_from(index).ok()?)
    }

    /// The number of different messages.
    pub(super) fn lines(&self) -> usize {
        self.records.len()
    }

    /// The subjects of all messages.
    pub(super) fn subjects(&self) -> BTreeSet<String> {
        let subjects = self.records.iter().map(|record| record.subject.to_string());
        subjects.collect()
    }

    /// Payload bytes of this many messages.
    pub(super) fn bytes(&self, messages: u64) -> u64 {
        let size = |record: &Record| record.payload.len() as u64;
        let count = self.records.len().max(1) as u64;
        let rest = usize::try_from(messages % count).unwrap_or_default();
        let round: u64 = self.records.iter().map(size).sum();
        messages / count * round + self.records.iter().take(rest).map(size).sum::<u64>()
    }
}

/// Whether the source captures the subject and the consumer filters for it.
fn is_read(pipeline: &Pipeline, subject: &str) -> bool {
    let source = &pipeline.source;
    let asked =
        source.subjects.is_empty() || source.subjects.iter().any(|filter| filter.matches(subject));
    let captured = source.create.as_ref().is_none_or(|create| {
        let filter = |text: &String| SubjectFilter::parse(text).ok();
        let mut filters = create.subjects.iter().filter_map(filter);
        create.subjects.is_empty() || filters.any(|filter| filter.matches(subject))
    });
    asked && captured
}

/// Removes headers that the server interprets: a message id would keep the second round out of the stream.
fn without_commands(record: Record) -> Record {
    let kept: Headers = record
        .headers
        .iter()
        .filter(|(name, _)| !is_server_header(name))
        .cloned()
        .collect();
    Record {
        headers: kept,
        ..record
    }
}
