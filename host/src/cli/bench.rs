//! `weir bench FILE`: measures your own pipeline with your own messages.
//!
//! Everything happens on a private `nats-server`: the servers in the file are never contacted. First the
//! plugins are measured alone, then `weir run` a few times in a separate process over a full stream, then
//! the delay at a low rate. It measures what runs in production: the same binary, the same file, the same
//! code.

mod bound;
mod child;
mod delay;
mod drain;
mod input;
mod plugins;
mod private;
mod report;
mod table;
mod usage;

use super::{Console, files, offline, server};
use crate::config::resolved::Pipeline;
use crate::nats::feed::Feed;
use crate::nats::streams::{self, Ensured};
use crate::nats::{self, Connection};
use crate::plugin;
use crate::report::{DONE, ResultExt, note};
use crate::shutdown::{Shutdown, Stage, reached};
use crate::threads;
use anyhow::{Context, Result, anyhow};
use input::Input;
pub(super) use private::{alone, stop_with_stdin};
use report::Report;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

#[derive(clap::Args)]
#[command(after_help = "\
The benchmark uses a private nats-server and does not contact the servers in the file. Plugins run \
unchanged, so a plugin with an HTTP grant sends requests. Linux only.")]
pub(super) struct Arguments {
    /// The pipeline's file
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// The pipeline, if the file has several
    #[arg(long, value_name = "NAME")]
    pipeline: Option<String>,

    /// Messages, as JSON lines; repeated as often as necessary [default: `input.jsonl` beside FILE]
    #[arg(long, value_name = "FILE")]
    input: Option<PathBuf>,

    /// Messages in each run
    #[arg(long, value_name = "COUNT", default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(1..))]
    messages: u64,

    /// Runs; the result is their median
    #[arg(long, value_name = "COUNT", default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=100))]
    runs: u64,

    /// Messages per second while the delay is measured
    #[arg(long, value_name = "RATE", default_value_t = 500, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    rate: u64,

    /// How long the delay is measured; 0 skips it
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u64).range(..=3600))]
    seconds: u64,

    /// Fail if a run takes longer than this
    #[arg(long, value_name = "SECONDS", default_value_t = 600, value_parser = clap::value_parser!(u64).range(1..))]
    limit: u64,

    /// The `nats-server` to start [default: the one on PATH]
    #[arg(long, value_name = "FILE", env = "WEIR_NATS_SERVER")]
    nats_server: Option<PathBuf>,

    #[command(flatten)]
    trust: files::Trust,
}

impl Arguments {
    fn limit(&self) -> Duration {
        Duration::from_secs(self.limit)
    }
}

/// The environment of the runs: the private server, and what runs on it.
struct Setup<'a> {
    arguments: &'a Arguments,
    console: &'a Console,
    input: &'a Input,
    /// Adapted to the private server.
    pipeline: Pipeline,
    connection: Connection,
    server: server::Server,
}

pub(super) fn run(arguments: &Arguments, console: &Console) -> Result<u8> {
    usage::is_known()?;
    let files = std::slice::from_ref(&arguments.file);
    let pipelines = arguments.trust.loader().load(files);
    let pipelines = pipelines.map_err(crate::report::usage)?;
    let pipeline = offline::choose(pipelines, arguments.pipeline.as_deref())?;
    let file = input::place(arguments.input.as_deref(), &arguments.file);
    let input = Arc::new(Input::read(&file, &pipeline)?);
    let program = server::find(arguments.nats_server.as_deref())?;
    warn_of_grants(&pipeline);
    let tokio = threads::runtime()?;
    let report = tokio.block_on(async {
        let signals = Shutdown::default();
        // Nothing must be finished: everything that was started ends on return.
        signals.on_signals(Duration::from_secs(3600))?;
        let mut stages = signals.listen();
        tokio::select! {
            report = measure(arguments, console, pipeline, &input, &program) => report,
            () = reached(&mut stages, Stage::Soft) => Err(anyhow!("interrupted")),
        }
    })?;
    if console.json {
        console.value(&report)?;
    } else {
        console.print(&report.to_string())?;
    }
    Ok(DONE)
}

/// Warns that HTTP requests are real.
fn warn_of_grants(pipeline: &Pipeline) {
    for operator in &pipeline.operators {
        if let Some(what) = plugin::sends(&operator.grants) {
            let name = &operator.name;
            note(&format!(
                "warning: `{name}` will send real {what}, at least once for each message"
            ));
        }
    }
}

async fn measure(
    arguments: &Arguments,
    console: &Console,
    mut pipeline: Pipeline,
    input: &Arc<Input>,
    program: &std::path::Path,
) -> Result<Report> {
    if pipeline.is_named() {
        return Err(anyhow!(
            "it has several `sources`, and `weir bench` measures only one"
        ))
        .with_context(|| format!("cannot measure pipeline `{}`", pipeline.name))
        .hint(|| "copy the file, and keep one of them as `source:`")
        .usage();
    }
    let plugins = {
        let _progress = console.progress("measuring the plugins alone");
        plugins::measure(&pipeline, input).await?
    };
    private::make_private(&mut pipeline);
    private::create_streams(&mut pipeline, &input.subjects(), &plugins.subjects)?;
    let server = server::start(program).await?;
    pipeline.nats.servers = vec![server.url.clone()];
    let setup = Setup {
        connection: nats::connect(&pipeline.nats, "bench").await?,
        arguments,
        console,
        input,
        pipeline,
        server,
    };
    let mut runs = Vec::new();
    for number in 1..=arguments.runs {
        let ensured = setup.prepare(arguments.messages).await?;
        let what = format!("run {number}/{}", arguments.runs);
        let bar = console.bar(&what, arguments.messages);
        runs.push(drain::run(&setup, &ensured, &bar).await?);
        bar.finish_and_clear();
    }
    let mut delay = None;
    let has_ids = setup.pipeline.sink.message_ids;
    if arguments.seconds > 0 && setup.pipeline.job.is_some() {
        note(
            "the delay of a job is not measured: the server does not report when it sources a result",
        );
    } else if arguments.seconds > 0 && !has_ids {
        note("the delay is not measured: results without message ids do not name their input");
    } else if arguments.seconds > 0 {
        let ensured = setup.prepare(0).await?;
        let bar = console.bar("delay", arguments.rate * (arguments.seconds + 1));
        delay = Some(delay::run(&setup, &ensured, &bar).await?);
        bar.finish_and_clear();
    }
    Report::new(&setup, plugins, runs, delay)
}

impl Setup<'_> {
    /// Creates a fresh consumer and fresh streams without message ids of the previous run, and puts this many
    /// messages into the source.
    async fn prepare(&self, messages: u64) -> Result<Ensured> {
        let source = &self.pipeline.source.stream;
        let is_full = nats::bench::clear(&self.connection, source, messages).await?;
        let ensured = streams::ensure(&self.connection, &self.pipeline, true, None).await?;
        if !is_full {
            self.fill(messages).await?;
        }
        Ok(ensured)
    }

    async fn fill(&self, messages: u64) -> Result<()> {
        let bar = self.console.bar("filling", messages);
        let mut feed = Feed::new(&self.connection);
        for number in 0..messages {
            let record = self.input.get(number).context("there is no message")?;
            feed.publish(record).await?;
            if number % 256 == 0 {
                bar.set_position(number);
                // Lets the signal handler run.
                tokio::task::yield_now().await;
            }
        }
        while feed.confirmed().await?.is_some() {}
        bar.finish_and_clear();
        Ok(())
    }
}
