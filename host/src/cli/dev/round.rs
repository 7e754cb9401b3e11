//! One round of `weir dev`: from the configuration to a summary, and then until something changes.

use super::Arguments;
use super::show::{Kind, Show};
use super::watch::Watch;
use crate::cli::plugin::input::{self, Input};
use crate::cli::{Console, files};
use crate::config::resolved::Pipeline;
use crate::host::{Host, Options};
use crate::jsonl::Record;
use crate::nats::feed::{Feed, Tap, catch_up};
use crate::nats::job;
use crate::nats::wire::Wire;
use crate::plugin::Runtime;
use crate::report::{self, ResultExt};
use crate::shutdown::{Shutdown, Stage, reached};
use crate::telemetry::metrics::{Counter, Metrics};
use anyhow::{Context, Result, anyhow};
use bytestring::ByteString;
use futures_util::StreamExt;
use futures_util::stream::SelectAll;
use std::io::{BufRead, BufReader, IsTerminal};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

/// Poll interval for whether the host is ready or done.
const LOOK: Duration = Duration::from_millis(20);

/// Why a round ended.
pub(super) enum Verdict {
    Changed,
    Stopped,
}

/// The context of a round.
pub(super) struct Round<'r> {
    pub(super) arguments: &'r Arguments,
    pub(super) console: &'r Console,
    pub(super) file: &'r Path,
    pub(super) url: &'r str,
    pub(super) runtime: &'r Runtime,
}

/// Messages that come out, with what they are and the pipeline they come from.
type Taps = SelectAll<Pin<Box<dyn futures_util::Stream<Item = (Kind, usize, Record)>>>>;

impl Round<'_> {
    /// Runs the pipelines, publishes the input, waits for a change or a signal, and stops softly.
    pub(super) async fn run(&self, signals: &Shutdown, watch: &mut Watch) -> Result<Verdict> {
        let mut pipelines = files::load(&[self.file.to_owned()])?;
        for pipeline in &mut pipelines {
            pipeline.nats.servers = vec![self.url.to_owned()];
        }
        let settings = pipelines
            .first()
            .context("the file has no pipeline")?
            .nats
            .clone();
        let connection = crate::nats::connect(&settings, "dev").await?;
        let wire = Wire::connect(&settings, "dev", Counter::default()).await?;
        let mut taps = tap(&wire, &pipelines).await;
        let streams = pipelines
            .iter()
            .flat_map(|pipeline| pipeline.streams())
            .map(ToOwned::to_owned)
            .collect();
        let shutdown = Shutdown::default();
        let options = Options {
            create: true,
            watch: false,
            runtime: self.runtime.clone(),
            metrics: Metrics::new(),
            shutdown: shutdown.clone(),
        };
        let host = {
            let _progress = self.console.progress("compiling the plugins");
            Host::new(pipelines, options)?
        };
        let running = Arc::clone(&host);
        let mut running = tokio::spawn(async move { running.run().await });
        let mut stages = signals.listen();
        let verdict = tokio::select! {
            ended = &mut running => {
                return ended?.map(|()| Verdict::Stopped);
            }
            through = self.feed((Feed::new(&connection), &wire), &host, &mut taps, streams) => match through {
                Err(error) => Err(error),
                Ok(()) if self.arguments.once => Ok(Verdict::Stopped),
                Ok(()) => {
                    report::note(match std::io::stdout().is_terminal() {
                        true => "waiting for a change; Ctrl-C to quit",
                        false => "waiting for a change until it is ended; `--once` does not wait",
                    });
                    tokio::select! {
                        ended = &mut running => {
                            return ended?.map(|()| Verdict::Stopped);
                        }
                        failed = self.keep_showing(&mut taps) => Err(failed),
                        () = watch.changed() => Ok(Verdict::Changed),
                        () = reached(&mut stages, Stage::Soft) => Ok(Verdict::Stopped),
                    }
                }
            },
            () = reached(&mut stages, Stage::Soft) => Ok(Verdict::Stopped),
        };
        let stopping = shutdown.stop(host.drain());
        tokio::select! {
            ended = &mut running => ended??,
            () = stopping => running.await??,
        }
        verdict
    }

    /// Publishes the input and shows the outputs, until all of it is settled.
    async fn feed(
        &self,
        (mut feed, wire): (Feed, &Wire),
        host: &Arc<Host>,
        taps: &mut Taps,
        streams: Vec<String>,
    ) -> Result<()> {
        while host.ready().is_err() {
            tokio::time::sleep(LOOK).await;
        }
        let arguments = self.arguments;
        let mut show = Show::new(
            self.console,
            arguments.show,
            arguments.outputs.as_deref(),
            arguments.dead.as_deref(),
        )?;
        let place = |stream: &str| streams.iter().position(|name| name == stream);
        if let Some(input) = self.input() {
            let lines = std::fs::read(&input).map_or(0, |bytes| {
                bytes.iter().filter(|byte| **byte == b'\n').count()
            });
            let progress = self.console.bar("feeding", lines as u64);
            for record in records(&input)? {
                let record = record?;
                progress.suspend(|| show.message(Kind::In, &record))?;
                progress.inc(1);
                if let Some(stored) = feed.publish(&record).await?
                    && let Some(stream) = place(&stored.stream)
                {
                    show.published(stream, stored.sequence, stored.published);
                }
                while let Some(Some(heard)) = futures_util::FutureExt::now_or_never(taps.next()) {
                    progress.suspend(|| hear(&mut show, heard))?;
                }
            }
            while let Some(stored) = feed.confirmed().await? {
                if let Some(stream) = place(&stored.stream) {
                    show.published(stream, stored.sequence, stored.published);
                }
            }
            progress.finish_and_clear();
        }
        loop {
            let heard = tokio::time::timeout(LOOK, taps.next()).await;
            match heard {
                Ok(Some(heard)) => hear(&mut show, heard)?,
                Ok(None) => return Err(anyhow!("the connection to the server is closed")),
                // Nothing has arrived for a while, and the publishes are in transit.
                Err(_) if host.is_drained().await => break,
                Err(_) => {}
            }
        }
        catch_up(wire).await;
        while let Some(Some(heard)) = futures_util::FutureExt::now_or_never(taps.next()) {
            hear(&mut show, heard)?;
        }
        show.summary(host.dropped())?;
        Ok(())
    }

    /// Shows further outputs after the input is processed, until it fails. Returns the reason.
    async fn keep_showing(&self, taps: &mut Taps) -> anyhow::Error {
        let mut show = match Show::new(self.console, self.arguments.show, None, None) {
            Ok(show) => show,
            Err(error) => return error,
        };
        while let Some(heard) = taps.next().await {
            if let Err(error) = hear(&mut show, heard) {
                return error;
            }
        }
        anyhow!("the connection to the server is closed")
    }

    fn input(&self) -> Option<PathBuf> {
        let usual = self.arguments.folder.join("input.jsonl");
        self.arguments
            .input
            .clone()
            .or_else(|| usual.is_file().then_some(usual))
    }
}

fn hear(show: &mut Show<'_>, (kind, pipeline, record): (Kind, usize, Record)) -> Result<()> {
    if let Some(sequence) = record.sequence {
        show.came(pipeline, sequence);
    }
    show.message(kind, &record)
}

async fn tap(wire: &Wire, pipelines: &[Pipeline]) -> Taps {
    let mut taps = Taps::new();
    for (index, pipeline) in pipelines.iter().enumerate() {
        let sink = pipeline
            .sink
            .subject
            .reach()
            .map(|reach| reach.as_str().to_owned());
        let dead = pipeline
            .dead_letter
            .as_ref()
            .map(|dead| dead.subject.clone());
        let (sink, dead) = match pipeline.job {
            None => (sink, dead),
            // The host publishes them there, and their streams source them.
            Some(_) => {
                let (prefix, _) = job::names(&pipeline.name);
                let out = match pipeline.sink.in_job_stream {
                    Some(_) => sink,
                    None => Some(format!("{prefix}.out.*.>")),
                };
                (out, Some(format!("{prefix}.dead.*")))
            }
        };
        if sink.is_none() {
            report::note(&format!(
                "the results of pipeline `{}` can have any subject and are not shown",
                pipeline.name
            ));
        }
        for (kind, filter) in [(Kind::Out, sink), (Kind::Dead, dead)] {
            let Some(filter) = filter else { continue };
            let tap = Tap::open(wire, &filter).await;
            let is_job = pipeline.job.is_some();
            let dead = pipeline.dead_letter.as_ref();
            let dead = dead.map_or_else(ByteString::new, |dead| dead.subject.clone().into());
            let shown = move |mut record: Record| {
                match (job::result_subject(&record.subject), kind) {
                    (Some(subject), _) if is_job => record.subject = subject.into(),
                    (None, Kind::Dead) if is_job => record.subject.clone_from(&dead),
                    _ => {}
                }
                (kind, index, record)
            };
            let heard = futures_util::stream::unfold(tap, async move |mut tap| {
                Some((tap.next().await?, tap))
            });
            let heard = futures_util::StreamExt::map(heard, shown);
            taps.push(Box::pin(heard));
        }
    }
    taps
}

/// The messages of a file. Lines that let time pass in a test are skipped: here it passes by itself.
fn records(input: &Path) -> Result<impl Iterator<Item = Result<Record>>> {
    let name = input.display().to_string();
    let file = std::fs::File::open(input)
        .with_context(|| format!("cannot read `{name}`"))
        .usage()?;
    let lines = (1..).zip(BufReader::new(file).lines());
    Ok(lines
        .filter(|(_, line)| !line.as_ref().is_ok_and(|line| line.trim().is_empty()))
        .filter_map(move |(number, line)| {
            let what = || format!("cannot publish `{name}`");
            let line = line.with_context(what).and_then(|line| {
                let parsed = input::parse(&line, number);
                parsed.with_context(what).usage()
            });
            match line {
                Ok(Input::Message(record)) => Some(Ok(record)),
                Ok(Input::Advance(by)) => {
                    report::note(&format!(
                        "line {number}: `advance` by {by:?} is skipped: time passes by the clock here, and \
                         `weir plugin test` lets it pass"
                    ));
                    None
                }
                Err(error) => Some(Err(error)),
            }
        }))
}
