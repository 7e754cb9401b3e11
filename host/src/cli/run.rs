//! `weir run FILE...`: the host.

use super::{Console, bench, check, files};
use crate::admin::{self, AdminState, Listen};
use crate::config::resolved;
use crate::host::{Host, Options};
use crate::report;
use crate::shutdown::Shutdown;
use crate::telemetry::metrics::Metrics;
use crate::threads;
use anyhow::Result;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::path::PathBuf;
use std::sync::Arc;

/// The default port of the metrics, which no other exporter has registered; [`ADMIN_PORT`] follows it.
const METRICS_PORT: u16 = 9464;
const ADMIN_PORT: u16 = 9465;

#[derive(clap::Args)]
#[command(after_help = "\
SIGTERM, SIGHUP or Ctrl-C starts a soft stop: the host pulls no more messages and finishes the messages in flight. A second \
signal, or the end of the pipeline's `drain` time, stops at once. Neither loses a message.")]
pub(super) struct Arguments {
    /// Pipeline files; all their pipelines run in this process.
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,

    #[command(flatten)]
    servers: files::Servers,

    #[command(flatten)]
    trust: files::Trust,

    /// Create missing streams, as if every pipeline had `create: true`.
    #[arg(long)]
    create: bool,

    /// Do not swap plugins when their files or tags change.
    #[arg(long)]
    no_watch: bool,

    /// Where to serve /metrics, /live and /ready: ADDRESS:PORT, or `off`. [default: 127.0.0.1:9464,
    /// or a free port if that is in use]
    #[arg(long, value_name = "ADDRESS")]
    metrics_listen: Option<Listen>,

    /// Where to serve /status and /views: ADDRESS:PORT, or `off`. [default: 127.0.0.1:9465, or a free port
    /// if that is in use]
    #[arg(long, value_name = "ADDRESS")]
    admin_listen: Option<Listen>,

    /// Run this pipeline alone on the private server of `weir bench`, until stdin ends.
    #[arg(long, hide = true, value_name = "PIPELINE")]
    bench: Option<String>,
}

pub(super) fn run(arguments: &Arguments, console: &Console) -> Result<u8> {
    raise_descriptors();
    let loader = arguments.servers.loader(&arguments.trust);
    let survey = check::Survey::of(&loader, &arguments.files);
    let mut pipelines = survey.pipelines(console)?;
    if let Some(name) = &arguments.bench {
        pipelines = vec![bench::alone(pipelines, name)?];
    }
    let instances = |pipeline: &resolved::Pipeline| pipeline.lanes * pipeline.operators.len();
    let options = Options {
        create: arguments.create,
        watch: !arguments.no_watch,
        // In addition to the running ones: new versions before they take over, and chains for trials.
        runtime: files::runtime(pipelines.iter().map(|each| instances(each) * 4).sum())?,
        metrics: Metrics::new(),
        shutdown: Shutdown::default(),
    };
    let shutdown = options.shutdown.clone();
    let host = {
        let progress = console.progress("compiling the plugins");
        let host = Host::new(pipelines, options);
        drop(progress);
        host.map_err(|error| survey.explain(error, console))?
    };
    let state = state(&host);
    let ended = threads::block_on(async {
        shutdown.on_signals(host.drain())?;
        if arguments.bench.is_some() {
            bench::stop_with_stdin(&shutdown)?;
        }
        let pages = admin::health(Arc::clone(&state));
        let metrics = admin::serve(arguments.metrics_listen, METRICS_PORT, pages).await?;
        let admin = admin::serve(arguments.admin_listen, ADMIN_PORT, admin::api(state)).await?;
        host.listens([&admin, &metrics].map(|server| server.as_ref().map(|it| it.address)));
        if let Some(server) = &metrics {
            tracing::info!("metrics at http://{}/metrics", server.address);
        }
        if let Some(server) = &admin {
            tracing::info!("status at http://{}/status", server.address);
        }
        host.run().await
    });
    ended.map_err(|error| survey.explain(error, console))?;
    tracing::info!("stopped");
    Ok(report::DONE)
}

/// Lets the process have as many open files and connections as it may: the soft limit is often 1,024, for
/// programs that use `select`.
fn raise_descriptors() {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current == maximum {
        return;
    }
    let raised = Rlimit {
        current: maximum,
        maximum,
    };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::warn!("cannot raise the limit of open files from {current:?}: {error}");
    }
}

fn state(host: &Arc<Host>) -> Arc<AdminState> {
    let [for_metrics, for_status, for_ready] = [(); 3].map(|()| Arc::clone(host));
    Arc::new(AdminState {
        metrics: Arc::new(move || for_metrics.metrics()),
        status: Arc::new(move || for_status.status()),
        ready: Arc::new(move || for_ready.ready()),
        views: host.views(),
    })
}
