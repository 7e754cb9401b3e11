//! A private `nats-server` for the measurement, and the CPU time of processes.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use tokio::process::{Child, Command};

/// A server with JetStream on a free port; it ends with this value.
pub(crate) struct Server {
    pub(crate) url: String,
    pub(crate) pid: u32,
    child: Child,
}

impl Server {
    /// Starts it with its files in `folder`, which is emptied first.
    pub(crate) async fn start(program: &Path, folder: &Path) -> Result<Server> {
        if folder.exists() {
            std::fs::remove_dir_all(folder).context("cannot empty the server's folder")?;
        }
        Self::start_again(program, folder).await
    }

    /// Starts it with the files that are in `folder`.
    pub(crate) async fn start_again(program: &Path, folder: &Path) -> Result<Server> {
        std::fs::create_dir_all(folder).context("cannot create the server's folder")?;
        let mut command = Command::new(program);
        command.args([
            "--addr",
            "127.0.0.1",
            "--port",
            "-1",
            "--jetstream",
            "--store_dir",
        ]);
        command
            .arg(folder.join("store"))
            .arg("--ports_file_dir")
            .arg(folder);
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot start `{}`", program.display()))?;
        let pid = child.id().context("the server ended at once")?;
        let name = program.file_name().unwrap_or_default().to_string_lossy();
        let ports = folder.join(format!("{name}_{pid}.ports"));
        let url = address(&ports).await?;
        Ok(Server { url, pid, child })
    }

    /// Ends it with its files complete.
    pub(crate) async fn stop(mut self) -> Result<()> {
        terminate(self.pid).await?;
        let ended = self.child.wait().await;
        ended.map(drop).context("cannot wait for the server")
    }
}

/// Asks a process to end.
pub(crate) async fn terminate(pid: u32) -> Result<()> {
    let mut kill = Command::new("kill");
    let asked = kill.args(["-TERM", &pid.to_string()]).status().await;
    asked.map(drop).context("cannot stop a process")
}

#[derive(Deserialize)]
struct Ports {
    nats: Vec<String>,
}

/// Waits for the file in which the server says where it listens.
async fn address(ports: &Path) -> Result<String> {
    for _ in 0..500 {
        let text = std::fs::read(ports).unwrap_or_default();
        if let Ok(Ports { nats }) = serde_json::from_slice(&text) {
            return nats
                .into_iter()
                .next()
                .context("the server listens nowhere");
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    bail!("the server did not say where it listens")
}

/// CPU seconds that a process has used so far, user and system, all threads.
pub(crate) fn cpu_seconds(pid: u32) -> Result<f64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat"))
        .with_context(|| format!("cannot read the times of process {pid}"))?;
    ticks(&text)
        .map(|ticks| ticks as f64 / 100.0)
        .context("the times of a process are unreadable")
}

/// `utime` + `stime` of `/proc/<pid>/stat`, in the 100 Hz that Linux shows everywhere. The name in
/// the second field may hold blanks, so counting starts behind its closing parenthesis.
fn ticks(stat: &str) -> Option<u64> {
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let mut next = || fields.next()?.parse::<u64>().ok();
    Some(next()? + next()?)
}

#[cfg(test)]
mod tests {
    use super::ticks;

    #[test]
    fn cpu_times_are_read_behind_a_name_with_blanks() {
        let stat = "7 (a b) c) S 1 7 7 0 -1 4194560 1 0 0 0 120 30 0 0 20 0 3 0 99";
        assert_eq!(ticks(stat), Some(150));
        assert_eq!(ticks("nothing"), None);
    }
}
