//! A private `nats-server` with JetStream that runs exactly as long as `weir dev` or `weir bench`: a shell
//! between the two ends the server when weir ends, for whatever reason.

use crate::report::{self, ResultExt};
use anyhow::{Context, Result, anyhow};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;

/// How long a server with an empty store may take to listen. It usually takes a tenth of a second.
const START: Duration = Duration::from_secs(20);

/// Runs `$2...` until it ends or standard input ends. Standard input is a pipe that only weir holds: the
/// kernel closes it even if weir is killed. The script then removes the store `$1`, because nothing else
/// would. If the server ends by itself, its log remains readable. Once the guard has seen the end of
/// standard input, it cannot be stopped. Before that, the shell stops it when the server ends, so that it
/// never kills another process that has got the server's process id.
const GUARD: &str = "\
store=$1; shift
exec 3<&0
\"$@\" 3<&- </dev/null &
server=$!
(read -r _ <&3; trap '' TERM; kill -KILL $server) &
guard=$!
wait $server; status=$?
kill $guard; wait $guard && rm -rf \"$store\"
exit $status
";

/// A server that this process started. Killed, and its store removed, when dropped.
pub(super) struct Server {
    guard: Child,
    /// Held open for as long as the server is to run.
    pipe: Option<ChildStdin>,
    store: TempDir,
    /// The process id of the server itself, not of the shell.
    pub(super) pid: u32,
    pub(super) url: String,
}

impl Server {
    /// A folder for other files, which is removed when the server ends.
    pub(super) fn folder(&self) -> &Path {
        self.store.path()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.pipe.take());
        // This kills the server; the script removes the store after the last write to it.
        let _ = self.guard.wait();
    }
}

/// The program to start: the given one, or the one on PATH.
///
/// # Errors
///
/// If there is none.
pub(super) fn find(program: Option<&Path>) -> Result<PathBuf> {
    if let Some(program) = program {
        // A bare name is searched on PATH when it is started.
        if program.components().count() == 1 || program.is_file() {
            return Ok(program.to_owned());
        }
        return Err(anyhow!("there is no such file"))
            .with_context(|| cannot_start(program))
            .hint(|| "name a nats-server of 2.12.1 or later with `--nats-server`");
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|folder| folder.join("nats-server"));
    found
        .into_iter()
        .find(|candidate| candidate.is_file())
        .ok_or_else(|| anyhow!("there is no `nats-server` on PATH"))
        .context("cannot start a private nats-server")
        .hint(|| "install nats-server 2.12.1 or later, or name it with `--nats-server`")
}

fn cannot_start(program: &Path) -> String {
    let program = program.display();
    format!("cannot start a private nats-server with `{program}`")
}

/// Starts a server, and waits until it listens.
///
/// # Errors
///
/// If it ends, with its output, or if it does not listen in time.
pub(super) async fn start(program: &Path) -> Result<Server> {
    let what = || cannot_start(program);
    let store = tempfile::Builder::new()
        .prefix("weir-nats-")
        .tempdir()
        .with_context(what)?;
    let log = store.path().join("log");
    // The server's output before it opens its log, and the shell's output.
    let before = store.path().join("before");
    let stderr = std::fs::File::create(&before).with_context(what)?;
    let mut guard = Command::new("sh")
        .args(["-c", GUARD, "sh"])
        .arg(store.path())
        .arg(program)
        .args(["-a", "127.0.0.1", "-p", "-1", "-js", "-sd"])
        .arg(store.path())
        .arg("--ports_file_dir")
        .arg(store.path())
        .arg("-l")
        .arg(&log)
        // Ctrl-C must not reach the server, which must outlive the last ack.
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(stderr)
        .spawn()
        .context("cannot start `sh`")
        .with_context(what)?;
    let mut server = Server {
        pipe: guard.stdin.take(),
        guard,
        store,
        pid: 0,
        url: String::new(),
    };
    let listening = async {
        loop {
            if let Some(found) = read_ports(server.store.path()) {
                return Ok(found);
            }
            if let Some(status) = server.guard.try_wait().with_context(what)? {
                let said = [&before, &log].map(std::fs::read_to_string);
                let said: String = said.into_iter().flatten().collect();
                return Err(anyhow!("it ended with {status}: {}", said.trim())).with_context(what);
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let found = tokio::time::timeout(START, listening)
        .await
        .map_err(|_| anyhow!("it does not listen after {} s", START.as_secs()))
        .with_context(what)??;
    (server.pid, server.url) = found;
    report::note(&format!("started a private nats-server at {}", server.url));
    Ok(server)
}

/// Process id and address from the file that the server writes once it listens; the process id is part of
/// the file's name.
fn read_ports(folder: &Path) -> Option<(u32, String)> {
    let entries = std::fs::read_dir(folder).ok()?.flatten();
    let (pid, path) = entries.into_iter().find_map(|entry| {
        let name = entry.file_name();
        let rest = name.to_str()?.strip_prefix("nats-server_")?;
        let pid = rest.strip_suffix(".ports")?.parse().ok()?;
        Some((pid, entry.path()))
    })?;
    let ports: serde_json::Value = serde_json::from_slice(&std::fs::read(path).ok()?).ok()?;
    Some((pid, ports.get("nats")?.get(0)?.as_str()?.to_owned()))
}
