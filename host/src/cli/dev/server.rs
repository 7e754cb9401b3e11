//! A private `nats-server` with JetStream, for as long as `weir dev` runs.

use crate::report::ResultExt;
use anyhow::{Context, Result, anyhow};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tempfile::TempDir;
use tokio::process::{Child, Command};

/// How long a server on an empty store may take to listen. It takes a tenth of a second.
const START: Duration = Duration::from_secs(20);

/// A server that this process started. Killed, and its store removed, when dropped.
pub(super) struct Server {
    _child: Child,
    _store: TempDir,
}

/// The server that was named, or one of our own; with its address.
pub(super) async fn find_or_start(
    url: Option<&str>,
    program: Option<&Path>,
) -> Result<(Option<Server>, String)> {
    match url {
        Some(url) => Ok((None, url.to_owned())),
        None => {
            let (server, url) = start(&find(program)?).await?;
            eprintln!("started a private nats-server at {url}");
            Ok((Some(server), url))
        }
    }
}

fn find(program: Option<&Path>) -> Result<PathBuf> {
    if let Some(program) = program {
        return Ok(program.to_owned());
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|folder| folder.join("nats-server"));
    found
        .into_iter()
        .find(|candidate| candidate.is_file())
        .ok_or_else(|| anyhow!("there is no `nats-server` on PATH"))
        .context("cannot start a private nats-server")
        .hint(|| "install nats-server 2.12.1 or later, name it with `--nats-server`, or use a running one with `--nats URL`")
}

async fn start(program: &Path) -> Result<(Server, String)> {
    let what = || {
        format!(
            "cannot start a private nats-server with `{}`",
            program.display()
        )
    };
    let store = tempfile::Builder::new()
        .prefix("weir-dev-")
        .tempdir()
        .with_context(what)?;
    let log = store.path().join("log");
    let mut child = Command::new(program)
        .args(["-a", "127.0.0.1", "-p", "-1", "-js", "-sd"])
        .arg(store.path())
        .arg("--ports_file_dir")
        .arg(store.path())
        .arg("-l")
        .arg(&log)
        // Ctrl-C is for us: the server must outlive the last ack.
        .process_group(0)
        .kill_on_drop(true)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .with_context(what)?;
    let pid = child.id().unwrap_or_default();
    let listening = async {
        loop {
            if let Some(url) = read_ports(store.path(), pid) {
                return Ok(url);
            }
            if let Some(status) = child.try_wait().with_context(what)? {
                let said = std::fs::read_to_string(&log).unwrap_or_default();
                return Err(anyhow!("it ended with {status}: {}", said.trim())).with_context(what);
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let url = tokio::time::timeout(START, listening)
        .await
        .map_err(|_| anyhow!("it does not listen after {} s", START.as_secs()))
        .with_context(what)??;
    Ok((
        Server {
            _child: child,
            _store: store,
        },
        url,
    ))
}

/// The address from the file that the server writes once it listens.
fn read_ports(folder: &Path, pid: u32) -> Option<String> {
    let mut entries = std::fs::read_dir(folder).ok()?.flatten();
    let ours = |name: &str| name.ends_with(".ports") && name.contains(&pid.to_string());
    let ports = entries.find(|entry| ours(&entry.file_name().to_string_lossy()))?;
    let ports: serde_json::Value =
        serde_json::from_slice(&std::fs::read(ports.path()).ok()?).ok()?;
    Some(ports.get("nats")?.get(0)?.as_str()?.to_owned())
}
