//! `weir dev`: runs a folder with a pipeline and its plugins' sources during development.
//!
//! Builds the plugins, starts a private `nats-server`, creates the streams, runs the pipeline, publishes
//! `input.jsonl` and shows inputs and outputs. Repeats this at every change of a source or of the
//! configuration.

pub(super) mod projects;
mod round;
mod show;
mod watch;

use super::{Console, files, server};
use crate::report::{self, ResultExt};
use crate::shutdown::{Shutdown, Stage, reached};
use crate::threads;
use anyhow::{Context, Result, anyhow};
use projects::Projects;
use round::{Round, Verdict};
use std::path::PathBuf;
use std::time::Duration;
use watch::Watch;

#[derive(clap::Args)]
pub(super) struct Arguments {
    /// Folder with `pipeline.yaml`; plugins with source in it, or one level below, are built
    #[arg(default_value = ".", value_name = "DIR")]
    folder: PathBuf,

    /// Use this server instead of starting a private one
    #[arg(long, value_name = "URL")]
    nats: Option<String>,

    /// The `nats-server` to start, unless `--nats` is given [default: the one on PATH]
    // Does not conflict with `--nats`, because the variable may be set permanently.
    #[arg(long, value_name = "FILE", env = "WEIR_NATS_SERVER")]
    nats_server: Option<PathBuf>,

    /// Messages to publish, as JSON lines [default: `input.jsonl` in DIR, if it exists]
    #[arg(long, value_name = "FILE")]
    input: Option<PathBuf>,

    /// Write every result here, as JSON lines
    #[arg(long, value_name = "FILE")]
    outputs: Option<PathBuf>,

    /// Write every dead letter here, as JSON lines
    #[arg(long, value_name = "FILE")]
    dead: Option<PathBuf>,

    /// Messages of each kind to show; further ones are only counted
    #[arg(long, value_name = "COUNT", default_value_t = 20)]
    show: usize,

    /// Stop when the input is processed, instead of waiting for changes
    #[arg(long)]
    once: bool,
}

impl Arguments {
    /// The given server, or a private one, with its address.
    async fn server(&self) -> Result<(Option<server::Server>, String)> {
        if let Some(url) = &self.nats {
            return Ok((None, url.clone()));
        }
        let program = server::find(self.nats_server.as_deref())
            .hint(|| "or use a running server with `--nats URL`")?;
        let server = server::start(&program).await?;
        let url = server.url.clone();
        Ok((Some(server), url))
    }
}

pub(super) fn run(arguments: &Arguments, console: &Console) -> Result<u8> {
    let file = arguments.folder.join("pipeline.yaml");
    if !file.is_file() {
        return Err(anyhow!("there is no `{}`", file.display()))
            .context("cannot run this folder")
            .hint(
                || "name a folder with a pipeline.yaml, or create one with `weir plugin new NAME`",
            )
            .usage();
    }
    let projects = Projects::find(&arguments.folder)?;
    threads::block_on(async {
        let signals = Shutdown::default();
        signals.on_signals(Duration::from_secs(10))?;
        let mut watch = Watch::start(&arguments.folder, !projects.is_empty())?;
        let (_server, url) = arguments.server().await?;
        let runtime = files::runtime(1)?;
        loop {
            let round = Round {
                arguments,
                console,
                file: &file,
                url: &url,
                runtime: &runtime,
            };
            let ended = match projects.build() {
                Ok(()) => round.run(&signals, &mut watch).await,
                Err(error) => Err(error),
            };
            let mut stages = signals.listen();
            match ended {
                Ok(Verdict::Stopped) => return Ok(report::DONE),
                Ok(Verdict::Changed) => {}
                // A mistake does not end the session; the next save may fix it.
                Err(error) if arguments.once => return Err(error),
                Err(error) => {
                    let _code = report::print(&error, console.json);
                    report::note("waiting for a change");
                    tokio::select! {
                        () = watch.changed() => {}
                        () = reached(&mut stages, Stage::Soft) => return Ok(report::FAILED),
                    }
                }
            }
            report::note("changed; restarting");
        }
    })
}
