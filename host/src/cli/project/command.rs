//! Runs a language's tool.
//!
//! What runs is said: on a terminal with the time that it has taken, elsewhere on a line. The tool's output is captured,
//! shown when it has ended, and part of the error if it fails. On a terminal, cargo shows its progress itself.

use crate::report;
use anyhow::{Context, Result, anyhow};
use indicatif::{ProgressBar, ProgressStyle};
use std::io::{IsTerminal, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// Runs `command` to its end and returns what it wrote to stdout.
///
/// # Errors
/// It cannot be started (with the hint `install` if it does not exist), or it exits with a status other
/// than 0.
pub(super) fn run(mut command: Command, install: &'static str) -> Result<String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let name = Path::new(&name)
        .file_name()
        .map_or(name.clone(), |file| file.to_string_lossy().into_owned());
    let is_terminal = std::io::stderr().is_terminal();
    let watched = is_terminal && name == "cargo";
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    command.stderr(if watched {
        Stdio::inherit()
    } else {
        Stdio::piped()
    });
    let mut child = command.spawn().map_err(|error| {
        let missing = error.kind() == std::io::ErrorKind::NotFound;
        let error = anyhow!(error).context(format!("cannot start `{name}`"));
        if missing {
            report::hint(error, install)
        } else {
            error
        }
    })?;
    let progress = match watched {
        true => ProgressBar::hidden(),
        false => progress(&running(&name, &command), is_terminal),
    };
    // Both pipes are read concurrently: otherwise the tool would block on the full one.
    let said = child.stderr.take().map(|mut pipe| {
        std::thread::spawn(move || {
            let mut said = Vec::new();
            pipe.read_to_end(&mut said).map(|_| said)
        })
    });
    let output = child
        .wait_with_output()
        .with_context(|| format!("cannot wait for `{name}`"))?;
    let said = said
        .and_then(|thread| thread.join().ok())
        .and_then(Result::ok)
        .unwrap_or_default();
    progress.finish_and_clear();
    let said = String::from_utf8_lossy(&said).trim().to_owned();
    if !output.status.success() {
        let failed = anyhow!("{name} ended with {}", output.status);
        return Err(if said.is_empty() {
            failed
        } else {
            anyhow!(said).context(failed)
        });
    }
    if is_terminal && !said.is_empty() {
        report::note(&said);
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// What runs, as a person would write it.
fn running(name: &str, command: &Command) -> String {
    let arguments = command.get_args().map(std::ffi::OsStr::to_string_lossy);
    let words: Vec<_> = std::iter::once(name.into()).chain(arguments).collect();
    format!("running `{}`", words.join(" "))
}

/// Says what runs, until it is cleared.
fn progress(what: &str, is_terminal: bool) -> ProgressBar {
    if !is_terminal {
        report::note(what);
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new_spinner().with_message(what.to_owned());
    let bar = match ProgressStyle::with_template("{spinner} {elapsed} {wide_msg}") {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    };
    bar.enable_steady_tick(Duration::from_millis(100));
    bar
}

/// The first executable called `name` on PATH.
pub(super) fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .map(|folder| folder.join(name))
        .find(|file| is_executable(file))
}

/// Whether `file` is a program.
pub(super) fn is_executable(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    file.metadata()
        .is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o111 != 0)
}
