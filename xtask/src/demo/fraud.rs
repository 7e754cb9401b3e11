//! `cargo xtask demo fraud [COUNT]`: card payments through the fraud example on a private server, with a host
//! that is killed half-way; then every alert is compared with an independent computation.
//!
//! It only starts what a person could start: `nats-server`, `weir run` and the oracle.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::layout;
use crate::process;
use crate::setup::{self, Tools};
use crate::ui::say;

/// How many payments there are unless the command line says otherwise.
pub(super) const COUNT: u64 = 200_000;
const SEED: &str = "1";
const PROGRAMS: [&str; 2] = ["weir", "fraud-oracle"];
/// How long a server or a host may take to start, and the host to come to the end.
const PATIENCE: Duration = Duration::from_secs(600);
const PIPELINES: [&str; 2] = ["fraud-cards", "fraud-merchants"];

/// A program that ends when this is dropped, by a kill.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub(super) fn run(count: u64) -> Result<()> {
    let tools = setup::run()?;
    super::build(&tools, PROGRAMS)?;
    let built = layout::root().join("target/debug");
    let component = layout::root().join("examples/fraud/fraud.wasm");
    let mut build = tools.command(built.join("weir"))?;
    build.args(["plugin", "build", "examples/fraud/plugin", "-o"]);
    process::run(build.arg(component))?;

    let folder = layout::root().join("target/demo/fraud");
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
    let _server = start(server.arg(folder.join("store")), &folder.join("server.log"))?;
    wait_until("the server listens", || connects(port))?;
    say(
        "demo",
        format_args!("started a private nats-server at {url}"),
    );

    let oracle = |task: &str, more: &[&str]| {
        let mut oracle = tools.command(built.join("fraud-oracle"))?;
        oracle.args([task, "--seed", SEED, "--count", &count.to_string()]);
        oracle.args(["--nats", &url]).args(more);
        anyhow::Ok(oracle)
    };
    let host = start_host(&tools, &url, &folder)?;
    say("demo", format_args!("publishing {count} payments"));
    let mut feed = start(&mut oracle("feed", &[])?, &folder.join("feed.log"))?;
    process::run(&mut oracle("await", &["--percent", "50"])?)?;
    drop(host);
    say("demo", "killed the host half-way; starting it again");
    let host = start_host(&tools, &url, &folder)?;
    let fed = feed.0.wait().context("cannot wait for the oracle")?;
    if !fed.success() {
        bail!("the oracle published not all payments: see `target/demo/fraud/feed.log`");
    }
    process::run(&mut oracle("await", &["--percent", "100"])?)?;
    wait_until("all payments are processed", || host.is_done())?;
    say("demo", "comparing every alert with the oracle's");
    process::run(&mut oracle("verify", &[])?)
}

/// A host that runs both pipelines.
struct Host {
    _running: Running,
    metrics: u16,
}

fn start_host(tools: &Tools, url: &str, folder: &Path) -> Result<Host> {
    let metrics = free_port()?;
    let mut weir = tools.command(layout::root().join("target/debug/weir"))?;
    weir.args(["run", "--create", "examples/fraud/pipeline.yaml"]);
    weir.args([
        "examples/fraud/pipeline-merchants.yaml",
        "--admin-listen=off",
    ]);
    weir.arg(format!("--metrics-listen=127.0.0.1:{metrics}"));
    weir.env("NATS_URL", url);
    let host = Host {
        _running: start(&mut weir, &folder.join("host.log"))?,
        metrics,
    };
    wait_until("both pipelines run", || host.has("weir_running", "1"))?;
    Ok(host)
}

impl Host {
    /// Whether neither pipeline has anything left to do.
    fn is_done(&self) -> bool {
        self.has("weir_lag", "0") && self.has("weir_in_flight", "0")
    }

    /// Whether a metric has this value for both pipelines.
    fn has(&self, name: &str, value: &str) -> bool {
        let page = page(self.metrics).unwrap_or_default();
        PIPELINES.iter().all(|pipeline| {
            let line = format!("{name}{{pipeline=\"{pipeline}\"}} {value}");
            page.lines().any(|found| found == line)
        })
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

fn wait_until(what: &str, mut condition: impl FnMut() -> bool) -> Result<()> {
    let begin = Instant::now();
    while !condition() {
        if begin.elapsed() > PATIENCE {
            bail!("waited in vain until {what}; the logs are in `target/demo/fraud`");
        }
        sleep(Duration::from_millis(50));
    }
    Ok(())
}
