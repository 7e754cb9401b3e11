//! The measured host: `weir run` of the same binary in a separate process, with its log in a file. It ends
//! when this process ends, for whatever reason.

use crate::report::ResultExt;
use crate::telemetry::metrics::Name;
use anyhow::{Context, Result, anyhow};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::process::{ChildStdin, Command};

/// Lines of the log that are shown if it ends by itself.
const LAST_LINES: usize = 12;
/// Timeout of an HTTP page.
const PATIENCE: Duration = Duration::from_secs(10);

/// A running host. Killed when dropped.
pub(super) struct Child {
    process: tokio::process::Child,
    pub(super) pid: u32,
    log: PathBuf,
    /// The host stops when this is closed.
    _stdin: Option<ChildStdin>,
}

impl Child {
    /// Starts `weir run FILE` for one pipeline on the private server at `url`. The log goes to `folder`.
    pub(super) fn start(file: &Path, pipeline: &str, url: &str, folder: &Path) -> Result<Self> {
        let what = || format!("cannot start `weir run {}`", file.display());
        let program = std::env::current_exe()
            .context("cannot find this program")
            .with_context(what)?;
        let log = folder.join("run.log");
        let mut process = Command::new(program)
            .arg("run")
            .arg(file)
            .args(["--bench", pipeline, "--nats", url, "--create"])
            .args(["--metrics-listen", "127.0.0.1:0", "--admin-listen", "off"])
            .args(["--log-level", "info", "--log-format", "pretty"])
            // Ctrl-C is for this process, which ends the other one.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(File::create(&log).with_context(what)?)
            .kill_on_drop(true)
            .spawn()
            .with_context(what)?;
        Ok(Self {
            pid: process
                .id()
                .context("it ended at once")
                .with_context(what)?,
            _stdin: process.stdin.take(),
            process,
            log,
        })
    }

    /// Checks that it is still running.
    ///
    /// # Errors
    ///
    /// If it has ended, with the last lines of its log.
    pub(super) fn goes_on(&mut self) -> Result<()> {
        let Some(status) = self
            .process
            .try_wait()
            .context("cannot check whether `weir run` is running")?
        else {
            return Ok(());
        };
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        let last = lines.get(lines.len().saturating_sub(LAST_LINES)..);
        let last = last.unwrap_or_default().join("\n");
        Err(anyhow!("{last}"))
            .with_context(|| format!("`weir run` ended with {status}"))
            .context("cannot measure the pipeline")
            .hint(|| "try it with `weir check` and `weir dev`")
    }

    /// The current metrics.
    pub(super) async fn metrics(&self) -> Result<Page> {
        let (_, body) = self.page("metrics").await?;
        Ok(Page(body))
    }

    /// Whether its lanes are running.
    pub(super) async fn is_ready(&self) -> bool {
        matches!(self.page("ready").await, Ok((200, _)))
    }

    /// Status and body of a page. Its address is in the log, because the port is chosen at random.
    async fn page(&self, page: &str) -> Result<(u16, String)> {
        let what = || format!("cannot read /{page} of `weir run`");
        let log = std::fs::read_to_string(&self.log).with_context(what)?;
        let address = log.split("http://").skip(1).find_map(|rest| {
            let (address, path) = rest.split_once('/')?;
            path.starts_with("metrics").then_some(address)
        });
        let address = address.context("it does not listen").with_context(what)?;
        let ask = async {
            let mut connection = TcpStream::connect(address).await?;
            let request =
                format!("GET /{page} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
            connection.write_all(request.as_bytes()).await?;
            let mut answer = String::new();
            connection.read_to_string(&mut answer).await?;
            std::io::Result::Ok(answer)
        };
        let answer = tokio::time::timeout(PATIENCE, ask).await;
        let answer = answer.context("it does not respond").with_context(what)?;
        let answer = answer.with_context(what)?;
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
        let status = head
            .split(' ')
            .nth(1)
            .and_then(|status| status.parse().ok());
        let status = status
            .context("its response is invalid")
            .with_context(what)?;
        Ok((status, body.to_owned()))
    }

    /// Kills it. Its messages in flight no longer matter.
    pub(super) async fn end(mut self) -> Result<()> {
        self.process.kill().await.context("cannot end `weir run`")
    }
}

/// A page of metrics.
pub(super) struct Page(pub(super) String);

impl Page {
    /// A counter of a pipeline; 0 if it does not exist.
    pub(super) fn count(&self, name: Name, pipeline: &str) -> u64 {
        let series = format!("{}{{pipeline=\"{pipeline}\"}}", name.full());
        self.value(&series).unwrap_or_default() as u64
    }

    /// The sum of a histogram of an operator; 0 if it does not exist.
    pub(super) fn sum(&self, name: Name, pipeline: &str, operator: &str) -> f64 {
        let (name, labels) = (name.full(), format!("operator=\"{operator}\""));
        let series = format!("{name}_sum{{pipeline=\"{pipeline}\",{labels}}}");
        self.value(&series).unwrap_or_default()
    }

    fn value(&self, series: &str) -> Option<f64> {
        let mut lines = self.0.lines();
        lines.find_map(|line| line.strip_prefix(series)?.trim().parse().ok())
    }
}
