//! `weir replay FILE`: runs a version over stored messages, at full speed, beside the live pipeline.
//!
//! The inputs are read with a separate consumer, so the pipeline's consumer is not affected. The outputs are
//! written as lines of JSON, or compared with what the pipeline has published for the same inputs. Nothing is
//! published.

mod inputs;
mod job;
mod lanes;
mod live;
mod origin;
mod range;
mod verdict;
mod windows;
mod work;

use super::{Console, files, offline};
use crate::compare::report::SAMPLES;
use crate::config::component::Reference;
use crate::config::resolved::{Operator, Pipeline};
use crate::nats::history::History;
use crate::nats::{self, Connection};
use crate::plugin;
use crate::process::dry_run::DryRun;
use crate::process::outputs::Target;
use crate::process::plugin_set;
use crate::report::{self, ResultExt};
use crate::telemetry::metrics::Metrics;
use crate::threads;
use anyhow::{Context, Result, anyhow};
use inputs::{Inputs, is_table};
use job::JobLanes;
use lanes::{Lanes, Threads};
use live::Live;
use origin::{Origin, Published};
pub(super) use range::Edge;
use range::{From, Range};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;
use verdict::{Compared, Written};
use work::Work;

#[derive(clap::Args)]
#[command(after_help = "\
Without --compare the command writes the outputs (results and dead letters) as lines of JSON, in the order of \
their inputs. With --compare it compares them with the published outputs of the pipeline, by the sequence of the \
input and the index of the output; outputs of timers, and of a job that reads several streams, by subject and \
payload. The pipeline may run at the same time: the command publishes nothing, and does not use the pipeline's \
consumer. If a plugin asks to retry a message, the command processes it again at once.

Exit codes: 0 done, and no output differs, 1 outputs differ or the run failed, 2 wrong usage or \
configuration.")]
pub(super) struct Arguments {
    /// The pipeline's file.
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// The pipeline, if the file has several.
    #[arg(long, value_name = "NAME")]
    pipeline: Option<String>,

    #[command(flatten)]
    servers: files::Servers,

    /// The first input: its sequence in the source's stream, or a time as in 2026-03-02T10:00:00Z. For a job it can
    /// also be the name of a savepoint: the replay starts with the state and positions of the savepoint. If a job reads
    /// several streams, it cannot be a sequence. [default: the first message in the stream, with an empty state]
    #[arg(long, value_name = "SEQUENCE|TIME|SAVEPOINT", value_parser = From::parse)]
    from: Option<From>,

    /// The last input, a sequence or a time. A message that was stored at exactly that time is included.
    /// [default: the last message in the stream]
    #[arg(long, visible_alias = "until", value_name = "SEQUENCE|TIME", value_parser = Edge::parse)]
    to: Option<Edge>,

    /// Another version of an operator's plugin: a file, or a reference in the form of `plugin:`.
    #[arg(long = "operator", value_name = "NAME=PLUGIN")]
    operators: Vec<String>,

    /// Write the outputs here instead of to stdout.
    #[arg(long, value_name = "FILE", conflicts_with = "compare")]
    output: Option<PathBuf>,

    /// Compare the outputs with the published outputs of the pipeline.
    #[arg(long)]
    compare: bool,

    /// The stream of the results, if the sink's subject does not determine it. May be repeated.
    #[arg(long, value_name = "STREAM", requires = "compare")]
    results: Vec<String>,

    /// Differences of each kind to show.
    #[arg(long, value_name = "COUNT", default_value_t = SAMPLES, requires = "compare")]
    samples: usize,

    /// Batches to process in parallel. [default: the pipeline's `lanes`]
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u16).range(1..=256))]
    lanes: Option<u16>,

    /// Allow plugins to send HTTP requests, as far as the file grants them. They send them again for each message.
    #[arg(long)]
    allow_http: bool,
}

pub(super) fn run(arguments: &Arguments, console: &Console) -> Result<u8> {
    let file = &arguments.file;
    let pipelines = arguments.servers.load_unbuilt(file)?;
    let mut pipeline = offline::choose(pipelines, arguments.pipeline.as_deref())?;
    for given in &arguments.operators {
        replace(&mut pipeline, given).usage()?;
    }
    arguments.refuse_requests(&pipeline).usage()?;
    threads::block_on(arguments.replay(pipeline, console))
}

/// Replaces an operator's plugin by `NAME=PLUGIN`.
fn replace(pipeline: &mut Pipeline, given: &str) -> Result<()> {
    let (name, plugin) = given
        .split_once('=')
        .ok_or_else(|| anyhow!("`--operator {given}` is not of the form NAME=PLUGIN"))?;
    let names: Vec<_> = pipeline
        .operators
        .iter()
        .map(|one| one.name.clone())
        .collect();
    let mut operators = pipeline.operators.iter_mut();
    let operator = operators
        .find(|operator| operator.name == name)
        .ok_or_else(|| anyhow!("pipeline `{}` has no operator `{name}`", pipeline.name))
        .hint(|| format!("choose one of `{}`", names.join("`, `")))?;
    let folder = std::env::current_dir().context("cannot get the current folder")?;
    let plugin = Reference::parse(plugin, &folder).map_err(anyhow::Error::msg)?;
    if let Some(file) = plugin.file() {
        std::fs::metadata(file).map_err(|error| files::unreadable(file, &error))?;
    }
    operator.plugin = plugin;
    Ok(())
}

impl Arguments {
    /// Refuses plugins that would send real HTTP requests.
    fn refuse_requests(&self, pipeline: &Pipeline) -> Result<()> {
        let mut operators = pipeline.operators.iter();
        let sends = |one: &Operator| Some((one.name.clone(), plugin::sends(&one.grants)?));
        match operators.find_map(sends) {
            Some((name, what)) if !self.allow_http => {
                Err(anyhow!("operator `{name}` may send {what}"))
                    .context("a replay would send them again, for each message")
                    .hint(|| "pass `--allow-http` to let it")
            }
            _ => Ok(()),
        }
    }

    async fn replay(&self, pipeline: Pipeline, console: &Console) -> Result<u8> {
        let began = Instant::now();
        let connection = nats::connect(&pipeline.nats, "replay").await?;
        let sources = sources(&connection, &pipeline).await?;
        let (from, savepoint) = match &self.from {
            Some(From::Edge(edge)) => (Some(*edge), None),
            Some(From::Savepoint(name)) => (None, Some(&**name)),
            None => (None, None),
        };
        let origin = match pipeline.job.is_some() || savepoint.is_some() {
            true => Some(Origin::find(&connection, &pipeline, &sources, savepoint).await?),
            false => None,
        };
        let replayed = self
            .range(&pipeline, sources, from, origin.as_ref())
            .await?;
        // Before the outputs are read, so that they include those of all settled inputs.
        let live = match self.compare {
            true => {
                Some(Live::open(&connection, &pipeline, &replayed, &self.results, console).await?)
            }
            false => None,
        };
        let mut threads = self
            .threads(
                &connection,
                &pipeline,
                &replayed.sources,
                origin.as_ref(),
                console,
            )
            .await?;
        if let (Threads::Job(lanes), Some(origin)) = (&mut threads, &origin) {
            if lanes.is_stateful {
                origin.check_state(&replayed.sources, &replayed.ranges, self.compare)?;
            }
            lanes.restore(&connection, &pipeline.name, origin).await?;
        }
        let Replayed {
            sources,
            ranges,
            whole,
            ..
        } = &replayed;
        let mut work = Work {
            threads,
            inputs: Inputs::open(&pipeline, sources, ranges, whole).await?,
            bar: console.bar("replaying", ranges.iter().map(Range::len).sum()),
            replayed,
            settings: pipeline,
            inputs_read: 0,
            ended: false,
            goes_on: savepoint.is_some(),
        };
        match live {
            Some(live) => {
                let found = work.compare(live, self.samples).await?;
                let compared = Compared::new(&work, found, began.elapsed());
                match console.json {
                    true => console.value(&compared)?,
                    false => console.print(&compared.to_string())?,
                }
                Ok(compared.exit_code())
            }
            None => {
                let (results, dead_letters) = match &self.output {
                    Some(file) => {
                        let what = || format!("cannot write `{}`", file.display());
                        let out = std::fs::File::create(file).with_context(what)?;
                        work.write(out).await.with_context(what)?
                    }
                    None => work.write(std::io::stdout()).await?,
                };
                let written = Written::new(&work, results, dead_letters, began.elapsed());
                match (&self.output, console.json) {
                    (Some(_), true) => console.value(&written)?,
                    (Some(_), false) => console.print(&written.to_string())?,
                    // The lines are the result.
                    (None, true) => {}
                    (None, false) => report::note(written.to_string().trim_end()),
                }
                Ok(report::DONE)
            }
        }
    }

    /// Loads the plugins and starts the threads that call them.
    async fn threads(
        &self,
        connection: &Connection,
        pipeline: &Pipeline,
        sources: &[History],
        origin: Option<&Origin>,
        console: &Console,
    ) -> Result<Threads> {
        let lanes = self.lanes.map_or(pipeline.lanes, usize::from);
        let settings = Arc::new(pipeline.clone());
        let max_payload = connection.client().max_payload();
        let captured: Vec<String> = sources.iter().flat_map(|it| it.captured.clone()).collect();
        let target = Target::new(pipeline, &captured, max_payload);
        let source_ids = sources
            .iter()
            .map(|source| source.source_id.as_str().into());
        let source_ids: Vec<Arc<str>> = source_ids.collect();
        let progress = console.progress("compiling the plugins");
        let loaded = Arc::clone(&settings);
        // A component may come from a server, whose connection must not block in the meantime.
        let loading = tokio::task::spawn_blocking(move || {
            let runtime = files::runtime(lanes * loaded.operators.len())?;
            let plugins = plugin_set::load(&loaded, &runtime, &Metrics::new())?;
            anyhow::Ok((runtime, plugins))
        });
        let loaded = loading.await.context("the plugins could not be loaded")?;
        drop(progress);
        let (runtime, plugins) = loaded?;
        if let Some(origin) = origin {
            let begin = (origin, &*source_ids);
            let lanes = JobLanes::start(lanes, &settings, &plugins, &runtime, &target, begin)?;
            return Ok(Threads::Job(lanes));
        }
        let source_id = source_ids.into_iter().next().unwrap_or_default();
        // Each lane warms its plugins on a runtime of its own.
        let starting = tokio::task::spawn_blocking(move || {
            Lanes::start(lanes, settings.batch, &plugins, &runtime, |chain| {
                DryRun::new(&settings, chain, &source_id, target.clone())
            })
        });
        let lanes = starting
            .await
            .context("the plugins could not be started")??;
        Ok(Threads::Each(lanes))
    }
}

/// The streams that are replayed, and what of each.
struct Replayed {
    sources: Vec<History>,
    ranges: Vec<Range>,
    /// Whether a stream is read to its end before the others.
    whole: Vec<bool>,
    /// Up to where messages may be in the state with which it begins, and what was published with that state.
    begun: Vec<u64>,
    published: Option<Published>,
}

impl Arguments {
    /// Finds what is to be replayed. Of several streams, a table is read from its beginning or from the savepoint: what a
    /// row needs of it is older than the row. Where the server keeps only its last values, all are read first.
    async fn range(
        &self,
        pipeline: &Pipeline,
        sources: Vec<History>,
        from: Option<Edge>,
        origin: Option<&Origin>,
    ) -> Result<Replayed> {
        let saved = |source: &History| origin.and_then(|origin| origin.first(source));
        let begun = sources
            .iter()
            .map(|source| origin.map_or(0, |it| it.furthest(source)));
        let begun: Vec<u64> = begun.collect();
        let (mut ranges, mut whole) = (Vec::new(), Vec::new());
        if let [source] = &*sources {
            let from = saved(source).map(Edge::Sequence).or(from);
            ranges.push(Range::find(source, from, self.to).await?);
            whole.push(false);
        } else {
            for edge in from.iter().chain(&self.to) {
                if let Edge::Sequence(sequence) = edge {
                    let streams = pipeline.streams().join(", ");
                    return Err(anyhow!(
                        "{sequence} is a sequence of one stream, and it reads several: {streams}"
                    ))
                    .with_context(|| format!("cannot replay pipeline `{}`", pipeline.name))
                    .hint(|| "give a time as in 2026-03-02T10:00:00Z, or a savepoint")
                    .usage();
                }
            }
            for source in &sources {
                let is_table = is_table(pipeline, &source.name);
                let from_saved = saved(source).map(Edge::Sequence);
                let is_whole = is_table && source.last_only && from_saved.is_none();
                let from = from_saved.or(from.filter(|_| !is_table));
                let to = self.to.filter(|_| !is_whole);
                ranges.push(Range::find_any(source, from, to).await?);
                whole.push(is_whole);
            }
            if ranges.iter().all(|range| range.len() == 0) {
                return Err(anyhow!("there is nothing to replay"))
                    .hint(|| "no stream holds a message in the range")
                    .usage();
            }
        }
        Ok(Replayed {
            sources,
            ranges,
            whole,
            begun,
            published: origin.and_then(Origin::published),
        })
    }
}

async fn sources(connection: &Connection, pipeline: &Pipeline) -> Result<Vec<History>> {
    let mut sources = Vec::new();
    for name in pipeline.streams() {
        let source = History::find(connection, name).await?;
        let source = source.ok_or_else(|| anyhow!("there is no stream `{name}`"))?;
        if !source.keeps {
            return Err(anyhow!(
                "stream `{name}` deletes messages when they are acked"
            ))
            .context("there is no history to replay")
            .hint(|| "use a source with `limits` retention");
        }
        sources.push(source);
    }
    Ok(sources)
}
