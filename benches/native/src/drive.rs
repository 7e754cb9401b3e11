//! Runs the pairs: a server, full streams, and one side after the other.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use async_nats::jetstream::consumer::{AckPolicy, pull};
use async_nats::jetstream::{self, stream};
use tokio::process::{Child, Command};

use crate::Compare;
use crate::feed;
use crate::latency;
use crate::native::Work;
use crate::report::{Figures, METHOD, Pair, Run, Section, Setting};
use crate::server::{Server, cpu_seconds};

const OUT: &str = "BENCH_OUT";
pub(crate) const OUT_SUBJECT: &str = "bench.out";
/// A run that takes longer is stuck, not slow.
const LIMIT: Duration = Duration::from_secs(180);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Weir,
    Native,
}

/// One comparison.
#[derive(Clone, Copy)]
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) work: Work,
    /// Whether weir's operator is marked so.
    pub(crate) trusted: bool,
}

/// Those of the same work stand next to each other: they read the same stream.
const CASES: [Case; 4] = [
    case("identity, 128 B", Work::Identity, false),
    case("identity, 1 KiB", Work::Large, false),
    case("JSON, 300 B", Work::Json, false),
    case("JSON, 300 B, trusted", Work::Json, true),
];

const fn case(name: &'static str, work: Work, trusted: bool) -> Case {
    Case {
        name,
        work,
        trusted,
    }
}

pub(crate) struct Bench<'a> {
    pub(crate) compare: &'a Compare,
    pub(crate) server: Server,
    pub(crate) context: jetstream::Context,
}

/// Measures every case, prints the table and writes `bench.json`.
pub(crate) async fn run(compare: &Compare) -> Result<()> {
    let server = Server::start(&compare.nats_server, &compare.out.join("server")).await?;
    let client = async_nats::connect(&server.url)
        .await
        .context("cannot connect")?;
    let context = jetstream::new(client);
    let bench = Bench {
        compare,
        server,
        context,
    };
    let (mut sections, mut filled) = (Vec::new(), None);
    for (index, case) in CASES.into_iter().enumerate() {
        if filled != Some(case.work) {
            eprintln!("bench: filling a stream with {} messages", compare.messages);
            feed::fill(&bench.context, case.work, compare.messages).await?;
            filled = Some(case.work);
        }
        sections.push(bench.section(case, index).await?);
    }
    let latencies = latency::measure(&bench).await?;
    let figures = Figures {
        setting: setting(compare)?,
        sections,
        latencies,
    };
    print!("{figures}");
    figures.write(&compare.out.join("bench.json"), compare.pages.as_deref())
}

impl Bench<'_> {
    async fn section(&self, case: Case, index: usize) -> Result<Section> {
        let mut pairs = Vec::new();
        for number in 0..self.compare.pairs {
            // Who comes second finds warm caches; so they take turns.
            let pair = if number % 2 == 0 {
                let weir = self.once(Side::Weir, case, index, number).await?;
                Pair {
                    weir,
                    native: self.once(Side::Native, case, index, number).await?,
                }
            } else {
                let native = self.once(Side::Native, case, index, number).await?;
                Pair {
                    weir: self.once(Side::Weir, case, index, number).await?,
                    native,
                }
            };
            eprintln!(
                "bench: {} {}/{}: weir {:.0}/s, native {:.0}/s",
                case.name,
                number + 1,
                self.compare.pairs,
                pair.weir.rate,
                pair.native.rate
            );
            pairs.push(pair);
        }
        Ok(Section::new(case.name.to_owned(), pairs))
    }

    /// One run of one side, from a full stream to the last input settled.
    async fn once(&self, side: Side, case: Case, index: usize, number: usize) -> Result<Run> {
        let name = format!("bench-{index}-{side:?}-{number}").to_lowercase();
        let work = case.work;
        self.prepare(work, &name).await?;
        let server_before = cpu_seconds(self.server.pid)?;
        let mut child = self.side(side, case, &name, self.compare.messages)?;
        let pid = child.id().context("a side ended at once")?;
        let (end, cpu) = self.settled(work, &name, &mut child, pid).await?;
        let server_after = cpu_seconds(self.server.pid)?;
        let mut out = self
            .context
            .get_stream(OUT)
            .await
            .context("cannot read the results")?;
        let state = &out.info().await.context("cannot read the results")?.state;
        if state.messages != self.compare.messages {
            bail!(
                "{side:?} stored {} outputs for {} messages",
                state.messages,
                self.compare.messages
            );
        }
        let start = state.first_timestamp.unix_timestamp_nanos() as f64 / 1e9;
        stop(child).await?;
        let count = self.compare.messages as f64;
        Ok(Run {
            rate: count / (end - start),
            cpu: cpu * 1e6 / count,
            server_cpu: (server_after - server_before) * 1e6 / count,
        })
    }

    /// An empty stream for the outputs, and a consumer.
    pub(crate) async fn prepare(&self, work: Work, name: &str) -> Result<()> {
        // A fresh stream has forgotten the message ids of the run before.
        drop(self.context.delete_stream(OUT).await);
        let config = stream::Config {
            name: OUT.to_owned(),
            subjects: vec![OUT_SUBJECT.to_owned()],
            ..Default::default()
        };
        self.context
            .create_stream(config)
            .await
            .context("cannot create the stream to fill")?;
        self.consumer(work, name).await
    }

    /// Starts a side, to settle so many messages.
    pub(crate) fn side(&self, side: Side, case: Case, name: &str, messages: u64) -> Result<Child> {
        match side {
            Side::Weir => self.weir(case, name),
            Side::Native => self.native(case.work, name, messages),
        }
    }

    /// The durable consumer, the same for both sides.
    async fn consumer(&self, work: Work, name: &str) -> Result<()> {
        let config = pull::Config {
            durable_name: Some(name.to_owned()),
            ack_policy: AckPolicy::Explicit,
            filter_subject: feed::subject(work).to_owned(),
            max_ack_pending: 20_000,
            ..Default::default()
        };
        let stream = feed::stream_name(work);
        let made = self.context.create_consumer_on_stream(config, stream).await;
        made.map(drop).context("cannot create a consumer")
    }

    /// Polls until every input is settled; the time in seconds since 1970, and the side's CPU.
    /// The native loop may have ended by then, so its CPU is that of the last look before.
    async fn settled(
        &self,
        work: Work,
        name: &str,
        child: &mut Child,
        pid: u32,
    ) -> Result<(f64, f64)> {
        let deadline = Instant::now() + LIMIT;
        let stream = self.context.get_stream(feed::stream_name(work)).await;
        let stream = stream.context("cannot look at the stream")?;
        let mut cpu = 0.0_f64;
        loop {
            cpu = cpu.max(cpu_seconds(pid).unwrap_or_default());
            let info = stream
                .consumer_info(name)
                .await
                .context("cannot look at the consumer")?;
            if info.ack_floor.stream_sequence >= self.compare.messages {
                let now = SystemTime::now()
                    .duration_since(UNIX_EPOCH)
                    .unwrap_or_default();
                return Ok((now.as_secs_f64(), cpu));
            }
            if let Some(status) = child.try_wait().context("cannot look at a side")?
                && !status.success()
            {
                bail!("a side ended with {status}");
            }
            if Instant::now() > deadline {
                bail!(
                    "`{name}` is stuck at {} of {}",
                    info.ack_floor.stream_sequence,
                    self.compare.messages
                );
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    fn weir(&self, case: Case, name: &str) -> Result<Child> {
        let plugin = match case.work {
            Work::Json => "json.wasm",
            Work::Identity | Work::Large | Work::Paced => "identity.wasm",
        };
        let plugin = self.compare.plugins.join(plugin);
        let pipeline = format!(
            "name: {name}\n\
             nats:\n  servers: [\"{}\"]\n\
             source:\n  stream: {}\n  subjects: [\"{}\"]\n  consumer: {name}\n\
             operators:\n  - name: work\n    plugin: {}\n    trusted: {}\n\
             sink:\n  subject: {OUT_SUBJECT}\n  stream: {OUT}\n\
             dead-letter: off\n",
            self.server.url,
            feed::stream_name(case.work),
            feed::subject(case.work),
            plugin.display(),
            case.trusted,
        );
        let file = self.compare.out.join(format!("{name}.yaml"));
        std::fs::write(&file, pipeline).context("cannot write a pipeline")?;
        let mut command = Command::new(&self.compare.weir);
        command
            .arg("run")
            .arg(&file)
            .args(["--metrics-listen", "off", "--admin-listen", "off"]);
        self.start(command, name)
    }

    fn native(&self, work: Work, name: &str, messages: u64) -> Result<Child> {
        let this = std::env::current_exe().context("cannot find this program")?;
        let mut command = Command::new(this);
        command.args([
            "native",
            "--server",
            &self.server.url,
            "--stream",
            feed::stream_name(work),
        ]);
        command.args(["--consumer", name, "--name", name, "--to", OUT_SUBJECT]);
        command.args(["--work", &format!("{work:?}").to_lowercase()]);
        command.args(["--messages", &messages.to_string()]);
        self.start(command, name)
    }

    /// Starts a side with its words in a file, because a terminal would slow it down.
    fn start(&self, mut command: Command, name: &str) -> Result<Child> {
        let log = std::fs::File::create(self.compare.out.join(format!("{name}.log")));
        let log = log.context("cannot create a log")?;
        let more = log.try_clone().context("cannot create a log")?;
        command
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(more)
            .kill_on_drop(true);
        command
            .spawn()
            .with_context(|| format!("cannot start `{name}`"))
    }
}

/// Asks a side to stop, and waits until it has.
pub(crate) async fn stop(mut child: Child) -> Result<()> {
    if let (None, Some(pid)) = (
        child.try_wait().context("cannot look at a side")?,
        child.id(),
    ) {
        let mut kill = Command::new("kill");
        kill.args(["-TERM", &pid.to_string()])
            .status()
            .await
            .context("cannot stop a side")?;
    }
    let status = child.wait().await.context("cannot wait for a side")?;
    if !status.success() {
        bail!("a side ended with {status}");
    }
    Ok(())
}

fn setting(compare: &Compare) -> Result<Setting> {
    let processor = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = processor
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    Ok(Setting {
        machine: model
            .map_or("unknown processor", |(_, name)| name)
            .to_owned(),
        cores: std::thread::available_parallelism().map_or(0, std::num::NonZero::get),
        kernel: kernel.trim().to_owned(),
        weir: version(&compare.weir)?,
        nats_server: version(&compare.nats_server)?,
        profile: compare.profile.clone(),
        messages: compare.messages,
        pairs: compare.pairs,
        method: METHOD.to_owned(),
    })
}

fn version(program: &Path) -> Result<String> {
    let output = std::process::Command::new(program)
        .arg("--version")
        .output();
    let output = output.with_context(|| format!("cannot start `{}`", program.display()))?;
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(text.lines().next().unwrap_or_default().to_owned())
}
