//! A private server and a host on it, for the demos in which a host is killed.
//!
//! It only starts what a person could start: `nats-server`, `weir run` and an oracle. Their logs and the server's
//! store stay in `target/demo` to be looked at.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::layout;
use crate::process;
use crate::setup::Tools;
use crate::ui::say;

/// How long a server or a host may take to start, and the host to come to the end.
const PATIENCE: Duration = Duration::from_secs(600);

/// A program that ends when this is dropped, by a kill.
pub(super) struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A private server, and the folder of its demo.
pub(super) struct Site<'t> {
    tools: &'t Tools,
    folder: PathBuf,
    url: String,
    _server: Running,
}

impl<'t> Site<'t> {
    /// Starts the server of the demo of this name, in an empty folder.
    pub(super) fn start(tools: &'t Tools, name: &str) -> Result<Self> {
        let folder = layout::root().join("target/demo").join(name);
        if folder.exists() {
            std::fs::remove_dir_all(&folder)
                .with_context(|| format!("cannot remove `{}`", folder.display()))?;
        }
        std::fs::create_dir_all(&folder)
            .with_context(|| format!("cannot create `{}`", folder.display()))?;
        let port = free_port()?;
        let url = format!("nats://127.0.0.1:{port}");
        let mut server = Command::new(&tools.nats_server);
        server.args(["-js", "-a", "127.0.0.1", "-p", &port.to_string(), "-sd"]);
        server.arg(folder.join("store"));
        let site = Self {
            _server: start(&mut server, &folder.join("server.log"))?,
            tools,
            folder,
            url,
        };
        site.wait_until("the server listens", || connects(port))?;
        let url = &site.url;
        say(
            "demo",
            format_args!("started a private nats-server at {url}"),
        );
        Ok(site)
    }

    /// A command that finds the server in `NATS_URL`: a program of this repository.
    pub(super) fn program(&self, name: &str) -> Result<Command> {
        let program = layout::root().join("target/debug").join(name);
        let mut command = self.tools.command(program)?;
        command.env("NATS_URL", &self.url);
        Ok(command)
    }

    /// Starts a command whose standard error goes to a file of this name.
    pub(super) fn start_in_background(&self, command: &mut Command, log: &str) -> Result<Running> {
        start(command, &self.folder.join(log))
    }

    /// Starts a host with these files, and waits until these pipelines run.
    pub(super) fn host(&self, files: &[String], pipelines: Vec<String>) -> Result<Host> {
        let metrics = free_port()?;
        let mut weir = self.program("weir")?;
        weir.args(["run", "--create", "--admin-listen=off"]);
        weir.arg(format!("--metrics-listen=127.0.0.1:{metrics}"));
        let host = Host {
            _running: self.start_in_background(weir.args(files), "host.log")?,
            metrics,
            pipelines,
        };
        self.wait_until("all pipelines run", || {
            host.all_have(&[("weir_running", "1")])
        })?;
        Ok(host)
    }

    pub(super) fn wait_until(&self, what: &str, mut condition: impl FnMut() -> bool) -> Result<()> {
        let begin = Instant::now();
        while !condition() {
            if begin.elapsed() > PATIENCE {
                let logs = self.folder.display();
                bail!("waited in vain until {what}; the logs are in `{logs}`");
            }
            sleep(Duration::from_millis(50));
        }
        Ok(())
    }
}

impl Running {
    /// Waits until it ends by itself, and whether that was well.
    pub(super) fn ends_well(&mut self) -> Result<bool> {
        let status = self.0.wait().context("cannot wait for a program")?;
        Ok(status.success())
    }
}

/// A host that runs pipelines. It is killed when this is dropped.
pub(super) struct Host {
    _running: Running,
    metrics: u16,
    pipelines: Vec<String>,
}

impl Host {
    /// Whether no pipeline has anything left to do.
    pub(super) fn is_done(&self) -> bool {
        self.all_have(&[("weir_lag", "0"), ("weir_in_flight", "0")])
    }

    /// Whether the metrics of all pipelines have these values.
    fn all_have(&self, values: &[(&str, &str)]) -> bool {
        let page = page(self.metrics).unwrap_or_default();
        let has = |pipeline: &String, (name, value): &(&str, &str)| {
            let line = format!("{name}{{pipeline=\"{pipeline}\"}} {value}");
            page.lines().any(|found| found == line)
        };
        let mut pipelines = self.pipelines.iter();
        pipelines.all(|pipeline| values.iter().all(|value| has(pipeline, value)))
    }
}

/// The page `/metrics` on this port.
fn page(port: u16) -> std::io::Result<String> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.write_all(b"GET /metrics HTTP/1.0\r\nHost: localhost\r\n\r\n")?;
    let mut page = String::new();
    stream.read_to_string(&mut page)?;
    Ok(page)
}

fn connects(port: u16) -> bool {
    TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok()
}

/// A port that nobody uses now.
fn free_port() -> Result<u16> {
    let listener =
        TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("cannot find a free port")?;
    Ok(listener
        .local_addr()
        .context("cannot find a free port")?
        .port())
}

/// Starts a program that writes to this file.
fn start(command: &mut Command, log: &Path) -> Result<Running> {
    eprintln!("+ {}", process::shown(command));
    let file = std::fs::File::options().create(true).append(true).open(log);
    let file = file.with_context(|| format!("cannot write `{}`", log.display()))?;
    let child = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(file)
        .spawn();
    let started = || format!("cannot start `{}`", process::shown(command));
    child.map(Running).with_context(started)
}
