//! Runs a language's tool.
//!
//! On a terminal the tool's output is shown directly, with its progress bar and colours. Otherwise it is
//! captured, and is part of the error if the tool fails.

use crate::report;
use anyhow::{Context, Result, anyhow};
use std::io::{IsTerminal, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

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
    let watched = std::io::stderr().is_terminal();
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
    if !output.status.success() {
        let said = String::from_utf8_lossy(&said).trim().to_owned();
        let failed = anyhow!("{name} ended with {}", output.status);
        return Err(if said.is_empty() {
            failed
        } else {
            anyhow!(said).context(failed)
        });
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
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
