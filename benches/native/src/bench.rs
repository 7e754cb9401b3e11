//! One run of one side: streams are made, processes started, and watched until the last input is
//! settled. Every process that it starts ends with it.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use async_nats::jetstream::consumer::{AckPolicy, pull};
use async_nats::jetstream::{self, stream};
use serde::Serialize;
use tokio::process::{Child, Command};
use weir_figures::{Section, Setting, Table};

use crate::Measure;
use crate::case::{Case, OUT, OUT_SUBJECT, Publishing, Side};
use crate::server::{Server, cpu_seconds, terminate};

/// A run that takes longer is stuck, not slow.
pub(crate) const LIMIT: Duration = Duration::from_secs(180);
/// Between two looks at the server.
pub(crate) const LOOK: Duration = Duration::from_millis(5);

/// One run of one side.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Run {
    /// Messages a second, from the first stored output until the last input is settled.
    pub(crate) rate: f64,
    /// CPU of the processes themselves, in microseconds a message, start-up included.
    pub(crate) cpu: f64,
    /// CPU of the server during the run, in microseconds a message.
    pub(crate) server_cpu: f64,
}

/// A server, and what is measured on it.
pub(crate) struct Bench<'a> {
    pub(crate) measure: &'a Measure,
    pub(crate) server: Server,
    pub(crate) context: jetstream::Context,
}

impl<'a> Bench<'a> {
    /// Starts a server that is empty.
    pub(crate) async fn start(measure: &'a Measure) -> Result<Bench<'a>> {
        let server = Server::start(&measure.nats_server, &measure.out.join("server")).await?;
        Self::on(measure, server).await
    }

    /// On this server.
    pub(crate) async fn on(measure: &'a Measure, server: Server) -> Result<Bench<'a>> {
        let client = async_nats::connect(&server.url).await;
        let context = jetstream::new(client.context("cannot connect")?);
        Ok(Bench {
            measure,
            server,
            context,
        })
    }

    /// One run of one side, from a full stream to the last input settled.
    pub(crate) async fn once(
        &self,
        side: Side,
        case: Case,
        name: &str,
        messages: u64,
    ) -> Result<Run> {
        self.prepare(side, case, name).await?;
        let server_before = cpu_seconds(self.server.pid)?;
        let mut children = Vec::new();
        for host in 0..case.hosts {
            children.push(self.side(side, case, name, host)?);
        }
        let end = self.settled(case, name, &mut children, messages).await?;
        let mut cpu = 0.0;
        for pid in children.iter().filter_map(Child::id) {
            cpu += cpu_seconds(pid)?;
        }
        let server_after = cpu_seconds(self.server.pid)?;
        let (stored, start) = self.stored().await?;
        if stored != case.results(messages) {
            bail!("{side:?} stored {stored} outputs for {messages} messages");
        }
        for child in children {
            stop(child).await?;
        }
        let count = messages as f64;
        Ok(Run {
            rate: count / (end - start),
            cpu: cpu * 1e6 / count,
            server_cpu: (server_after - server_before) * 1e6 / count,
        })
    }

    /// How many outputs are stored, and when the first was, in seconds since 1970.
    pub(crate) async fn stored(&self) -> Result<(u64, f64)> {
        let out = self.context.get_stream(OUT).await;
        let mut out = out.context("cannot read the results")?;
        let state = &out.info().await.context("cannot read the results")?.state;
        let first = state.first_timestamp.unix_timestamp_nanos() as f64 / 1e9;
        Ok((state.messages, first))
    }

    /// An empty stream for the outputs, and a consumer.
    pub(crate) async fn prepare(&self, side: Side, case: Case, name: &str) -> Result<()> {
        // A fresh stream has forgotten the message ids of the run before.
        drop(self.context.delete_stream(OUT).await);
        let config = stream::Config {
            name: OUT.to_owned(),
            subjects: vec![OUT_SUBJECT.to_owned()],
            storage: case.feed.storage(),
            allow_batch_publish: case.publishing != Publishing::Single,
            ..Default::default()
        };
        let made = self.context.create_stream(config).await;
        made.context("cannot create the stream to fill")?;
        match (side, case.job) {
            (Side::Weir, true) => Ok(()),
            _ => self.consumer(case, name).await,
        }
    }

    /// The durable consumer, the same for both sides.
    async fn consumer(&self, case: Case, name: &str) -> Result<()> {
        let config = pull::Config {
            durable_name: Some(name.to_owned()),
            ack_policy: AckPolicy::Explicit,
            filter_subject: case.feed.filter().to_owned(),
            max_ack_pending: 20_000,
            ..Default::default()
        };
        let stream = case.feed.stream();
        let made = self.context.create_consumer_on_stream(config, stream).await;
        made.map(drop).context("cannot create a consumer")
    }

    /// Starts one process of a side; they run until they are stopped.
    pub(crate) fn side(&self, side: Side, case: Case, name: &str, host: usize) -> Result<Child> {
        let log = format!("{name}-{host}");
        match side {
            Side::Weir => {
                let server = &self.server.url;
                let pipeline = case.pipeline(name, server, &self.measure.plugins);
                // One for each: nobody may find it half written.
                let file = self.measure.out.join(format!("{log}.yaml"));
                std::fs::write(&file, pipeline).context("cannot write a pipeline")?;
                self.spawn(self.weir(&file), &log)
            }
            Side::Native => self.spawn(self.native(case, name)?, &log),
        }
    }

    /// `weir run` of a pipeline file, without its pages.
    pub(crate) fn weir(&self, file: &Path) -> Command {
        let mut command = Command::new(&self.measure.weir);
        command.arg("run").arg(file);
        command.args(["--metrics-listen", "off", "--admin-listen", "off"]);
        command
    }

    /// The native loop of a case.
    pub(crate) fn native(&self, case: Case, name: &str) -> Result<Command> {
        let this = std::env::current_exe().context("cannot find this program")?;
        let mut command = Command::new(this);
        command.args(["native", "--server", &self.server.url]);
        command.args(["--stream", case.feed.stream(), "--to", OUT_SUBJECT]);
        command.args(["--consumer", name, "--name", name]);
        command.args(["--work", &format!("{:?}", case.work).to_lowercase()]);
        command.args(["--lanes", &case.lanes.to_string()]);
        if case.publishing == Publishing::BothIngest {
            command.arg("--ingest");
        }
        Ok(command)
    }

    /// Starts a process with its words in a file, because a terminal would slow it down.
    pub(crate) fn spawn(&self, mut command: Command, name: &str) -> Result<Child> {
        let log = std::fs::File::create(self.measure.out.join(format!("{name}.log")));
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

    /// Polls until every input is settled; the time in seconds since 1970.
    pub(crate) async fn settled(
        &self,
        case: Case,
        name: &str,
        children: &mut [Child],
        messages: u64,
    ) -> Result<f64> {
        let deadline = Instant::now() + LIMIT;
        let stream = self.context.get_stream(case.feed.stream()).await;
        let stream = stream.context("cannot look at the stream")?;
        loop {
            // A consumer that weir makes is not there at once.
            let info = stream.consumer_info(name).await.ok();
            let settled = info.map_or(0, |info| info.ack_floor.stream_sequence);
            if settled >= messages {
                return now();
            }
            for child in &mut *children {
                if let Some(status) = child.try_wait().context("cannot look at a side")? {
                    bail!("a side ended with {status}: see `{name}-*.log`");
                }
            }
            if Instant::now() > deadline {
                bail!("`{name}` is stuck at {settled} of {messages}");
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// A section of what was measured here.
    pub(crate) fn write(
        &self,
        name: &str,
        title: &str,
        method: String,
        tables: Vec<Table>,
        runs: &impl Serialize,
    ) -> Result<()> {
        let Measure {
            weir,
            nats_server,
            profile,
            figures,
            ..
        } = self.measure;
        let section = Section {
            name: name.to_owned(),
            title: title.to_owned(),
            setting: Setting::here(&[weir, nats_server], profile)?,
            method,
            tables,
            notes: Vec::new(),
            runs: serde_json::to_value(runs).context("cannot write the runs")?,
        };
        println!("{section}\n");
        section.write(figures)
    }
}

/// Seconds since 1970, as the server's times are.
pub(crate) fn now() -> Result<f64> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
    Ok(now.as_secs_f64())
}

/// Asks a side to stop, and waits until it has.
pub(crate) async fn stop(mut child: Child) -> Result<()> {
    if let (None, Some(pid)) = (
        child.try_wait().context("cannot look at a side")?,
        child.id(),
    ) {
        terminate(pid).await?;
    }
    let status = child.wait().await.context("cannot wait for a side")?;
    if !status.success() {
        bail!("a side ended with {status}");
    }
    Ok(())
}
