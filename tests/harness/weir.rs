//! The real binary, run as a person runs it: arguments, a directory, files for what it prints.

use super::{cache, signal, tail, wait_for};
use std::ffi::OsStr;
use std::fs::File;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;
use weir::telemetry::names::Name;

/// A `weir` process. Killed, by its own process id, when dropped.
pub struct Weir {
    child: Child,
    /// Holds `stdout` and `stderr`.
    output: TempDir,
}

/// What a process left behind.
#[derive(Debug)]
pub struct Finished {
    /// `None` when a signal ended it.
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Finished {
    /// What it printed, having done what it was asked.
    #[track_caller]
    pub fn done(self) -> String {
        assert_eq!(self.code, Some(0), "{self:#?}");
        self.stdout
    }
}

impl Weir {
    /// Starts `weir` with these arguments in `directory`, with nothing on stdin.
    pub fn start<A: AsRef<OsStr>>(directory: &Path, arguments: &[A]) -> Self {
        Self::start_with(directory, arguments, &[], Stdio::null())
    }

    /// As [`Weir::start`], with environment variables and a stdin.
    pub fn start_with<A: AsRef<OsStr>>(
        directory: &Path,
        arguments: &[A],
        environment: &[(&str, &str)],
        stdin: Stdio,
    ) -> Self {
        // Whoever runs the tests may have it ignored, as `nohup` does.
        let mut command = Command::new("/usr/bin/env");
        command.args(["--default-signal=HUP", env!("CARGO_BIN_EXE_weir")]);
        command.args(arguments).stdin(stdin);
        Self::spawn(command, directory, environment)
    }

    /// As [`Weir::start`], by a shell that does something first, such as `ulimit -n 1024`.
    pub fn start_in_shell(directory: &Path, first: &str, arguments: &[&str]) -> Self {
        let mut command = Command::new("sh");
        command
            .args(["-c", &format!("{first}\nexec \"$0\" \"$@\"")])
            .arg(env!("CARGO_BIN_EXE_weir"))
            .args(arguments)
            .stdin(Stdio::null());
        Self::spawn(command, directory, &[])
    }

    /// As [`Weir::start_with`], where `folder` is an own disk of so many bytes: only this process sees it. Needs the
    /// program `unshare`, and a system that lets it mount one.
    pub fn start_on_small_disk(
        directory: &Path,
        (folder, bytes): (&Path, usize),
        arguments: &[&str],
        environment: &[(&str, &str)],
    ) -> Self {
        let script = "mount -t tmpfs -o size=$0 tmpfs $1 || {\n\
            echo 'cannot mount: leave this test out with `--skip on_a_small_disk`' >&2\nexit 1\n}\n\
            shift\nexec \"$@\"";
        let mut command = Command::new("unshare");
        command
            .args(["-rm", "sh", "-c", script, &bytes.to_string()])
            .arg(folder)
            .arg(env!("CARGO_BIN_EXE_weir"))
            .args(arguments)
            .stdin(Stdio::null());
        Self::spawn(command, directory, environment)
    }

    /// Starts `weir` on a terminal, which is its stdin, stdout and stderr; stdout has all of it.
    /// Needs the program `script`.
    pub fn start_on_terminal(
        directory: &Path,
        arguments: &[&str],
        environment: &[(&str, &str)],
    ) -> Self {
        Self::answer_on_terminal(directory, "", arguments, environment)
    }

    /// The same, where this is typed.
    pub fn answer_on_terminal(
        directory: &Path,
        answer: &str,
        arguments: &[&str],
        environment: &[(&str, &str)],
    ) -> Self {
        let program = env!("CARGO_BIN_EXE_weir");
        let words = std::iter::once(&program).chain(arguments);
        let words: Vec<String> = words.map(|word| format!("'{word}'")).collect();
        let mut command = Command::new("script");
        command
            .args(["-q", "-e", "-c", &words.join(" "), "/dev/null"])
            .env("TERM", "xterm")
            .env("SHELL", "/bin/sh")
            .stdin(match answer {
                "" => Stdio::null(),
                answer => typed(answer),
            });
        Self::spawn(command, directory, environment)
    }

    /// As [`Weir::start`], with a stdout and a stderr of the caller's.
    pub fn start_to(directory: &Path, arguments: &[&str], [stdout, stderr]: [Stdio; 2]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_weir"));
        command.args(arguments).stdin(Stdio::null());
        let output = tempfile::tempdir().expect("cannot create a directory for the output");
        Self::spawn_to(command, directory, &[], output, [stdout, stderr])
    }

    fn spawn(command: Command, directory: &Path, environment: &[(&str, &str)]) -> Self {
        let output = tempfile::tempdir().expect("cannot create a directory for the output");
        let file = |name| File::create(output.path().join(name)).expect("cannot create a file");
        let files = [file("stdout").into(), file("stderr").into()];
        Self::spawn_to(command, directory, environment, output, files)
    }

    fn spawn_to(
        mut command: Command,
        directory: &Path,
        environment: &[(&str, &str)],
        output: TempDir,
        [stdout, stderr]: [Stdio; 2],
    ) -> Self {
        let child = command
            .current_dir(directory)
            .env_remove("RUST_LOG")
            .env_remove("WEIR_LOG")
            // Compiled components are kept between tests, and the user's own cache and credentials are
            // left alone.
            .env("XDG_CACHE_HOME", cache())
            .env("DOCKER_CONFIG", cache())
            .env("WEIR_NATS_SERVER", super::nats::program())
            .envs(environment.iter().copied())
            .stdout(stdout)
            .stderr(stderr)
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
        Self { child, output }
    }

    /// Runs `weir` to its end in a directory where nothing matters.
    pub fn run<A: AsRef<OsStr>>(arguments: &[A]) -> Finished {
        Self::run_in(&std::env::temp_dir(), arguments)
    }

    /// Runs `weir` to its end in `directory`.
    pub fn run_in<A: AsRef<OsStr>>(directory: &Path, arguments: &[A]) -> Finished {
        Self::start(directory, arguments).finish()
    }

    /// Runs `weir` to its end with this text on stdin.
    pub fn run_with_input<A: AsRef<OsStr>>(
        directory: &Path,
        arguments: &[A],
        input: impl AsRef<[u8]>,
    ) -> Finished {
        Self::start_with(directory, arguments, &[], typed(input)).finish()
    }

    /// What it wrote to stdout so far.
    pub fn stdout(&self) -> String {
        read(&self.path("stdout"))
    }

    /// What it wrote to stderr so far.
    pub fn stderr(&self) -> String {
        read(&self.path("stderr"))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.output.path().join(name)
    }

    /// Waits until `text` stands in stdout or stderr. Fails when the process ends without it.
    #[track_caller]
    pub fn wait_until_output(&mut self, text: &str) {
        wait_for(&format!("weir prints {text:?}"), || {
            // Asked first, so that what was printed just before the end still counts.
            let ended = self.child.try_wait().expect("cannot wait for weir");
            let (stdout, stderr) = (self.stdout(), self.stderr());
            if stdout.contains(text) || stderr.contains(text) {
                return Ok(());
            }
            if let Some(status) = ended {
                panic!("weir ended with {status} before it printed {text:?}");
            }
            Err(format!("stdout:\n{stdout}\nstderr:\n{stderr}"))
        });
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Whether it has not ended.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Asks it to end, as a service manager does.
    pub fn terminate(&self) {
        signal(self.pid(), "TERM");
    }

    /// Asks it to end, as Ctrl-C does.
    pub fn interrupt(&self) {
        signal(self.pid(), "INT");
    }

    /// Kills it where it stands, and waits for its end.
    pub fn kill9(&mut self) {
        signal(self.pid(), "KILL");
        self.child.wait().expect("cannot wait for weir");
    }

    /// Freezes the process until [`Weir::resume`].
    pub fn pause(&self) {
        signal(self.pid(), "STOP");
    }

    /// Lets a frozen process go on.
    pub fn resume(&self) {
        signal(self.pid(), "CONT");
    }

    /// Waits for the end.
    #[track_caller]
    pub fn finish(mut self) -> Finished {
        let status = wait_for("weir ends", || {
            match self.child.try_wait().expect("cannot wait for weir") {
                Some(status) => Ok(status),
                None => Err(format!("stderr:\n{}", tail(&self.path("stderr")))),
            }
        });
        Finished {
            code: status.code(),
            stdout: self.stdout(),
            stderr: self.stderr(),
        }
    }

    /// The address of a server of this process, from the line in its log that holds
    /// `http://<address>/<page>`. The process is started with port 0.
    #[track_caller]
    pub fn address_of(&self, page: &str) -> String {
        wait_for(&format!("weir prints the address of /{page}"), || {
            let log = self.stderr();
            log.split("http://")
                .skip(1)
                .find_map(|rest| {
                    let (address, path) = rest.split_once('/')?;
                    path.starts_with(page).then(|| address.to_owned())
                })
                .ok_or(log)
        })
    }

    /// The page `/metrics`.
    #[track_caller]
    pub fn metrics(&self) -> String {
        get(&self.address_of("metrics"), "/metrics").1
    }

    /// One series of `/metrics`, written as on the page: `weir_acked_total{pipeline="p"}`. Fails when it
    /// is not there: a host has every series of its pipelines from the start.
    #[track_caller]
    pub fn metric(&self, series: &str) -> f64 {
        let page = self.metrics();
        value(&page, series).unwrap_or_else(|| panic!("there is no `{series}` in:\n{page}"))
    }

    /// As [`Weir::metric`], for a series whose last label a plugin chooses while it runs; `None` until
    /// then. Fails when no metric has this name and these labels.
    #[track_caller]
    pub fn metric_of_plugin(&self, series: &str) -> Option<f64> {
        let (name, labels) = series.split_once('{').expect("a series has labels");
        let labels = labels.split(',').filter_map(|label| label.split_once('='));
        let labels: Vec<&str> = labels.map(|(label, _)| label).collect();
        let is_it = |known: &&Name| known.full() == name && known.spec().labels == labels;
        let known = Name::ALL.iter().find(is_it);
        assert!(
            known.is_some(),
            "no metric has the name and labels of `{series}`"
        );
        value(&self.metrics(), series)
    }
}

/// The value of a series on the page.
fn value(page: &str, series: &str) -> Option<f64> {
    let of = |line: &str| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok();
    page.lines().find_map(of)
}

impl Drop for Weir {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- weir, stdout\n{}", tail(&self.path("stdout")));
            eprintln!("--- weir, stderr\n{}", tail(&self.path("stderr")));
        }
    }
}

fn read(path: &Path) -> String {
    String::from_utf8_lossy(&std::fs::read(path).unwrap_or_default()).into_owned()
}

/// A stdin with this text.
fn typed(input: impl AsRef<[u8]>) -> Stdio {
    let mut file = tempfile::tempfile().expect("cannot create a file for stdin");
    file.write_all(input.as_ref()).expect("cannot write stdin");
    std::io::Seek::rewind(&mut file).expect("cannot rewind stdin");
    file.into()
}

/// Fetches a page and returns its status and body.
#[track_caller]
pub fn get(address: &str, page: &str) -> (u16, String) {
    let mut connection = TcpStream::connect(address).expect("cannot connect");
    write!(
        connection,
        "GET {page} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"
    )
    .expect("cannot ask for the page");
    let mut answer = String::new();
    connection
        .read_to_string(&mut answer)
        .expect("cannot read the page");
    let (head, body) = answer.split_once("\r\n\r\n").expect("not an answer");
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
    (status.expect("no status"), body.to_owned())
}
