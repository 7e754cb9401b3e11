//! Running other programs: say what is run, run it, and turn a failure into a sentence.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::ui::seconds;

/// The command as a person would type it, for messages.
pub(crate) fn shown(command: &Command) -> String {
    std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(|word| quoted(&word.to_string_lossy()))
        .collect::<Vec<_>>()
        .join(" ")
}

fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@,+%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{word}'")
    }
}

/// Runs a command with this process's own standard streams, after printing it; a status other
/// than 0 is an error that names the command.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    eprintln!("+ {}", shown(command));
    let status = command
        .status()
        .with_context(|| format!("cannot start `{}`", shown(command)))?;
    if status.success() {
        return Ok(());
    }
    bail!("`{}` ended with {status}", shown(command))
}

/// As [`run`], and hands every line of standard output to `read` besides printing it.
pub(crate) fn run_and_read(command: &mut Command, mut read: impl FnMut(&str)) -> Result<()> {
    eprintln!("+ {}", shown(command));
    let mut child = command
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start `{}`", shown(command)))?;
    for line in child
        .stdout
        .take()
        .into_iter()
        .flat_map(|out| BufReader::new(out).lines())
    {
        let line = line.with_context(|| format!("cannot read what `{}` says", shown(command)))?;
        println!("{line}");
        read(&line);
    }
    let status = child.wait().context("cannot wait for a program")?;
    match status.success() {
        true => Ok(()),
        false => bail!("`{}` ended with {status}", shown(command)),
    }
}

/// As [`run`], but ends the command after `limit` and calls that an error.
pub(crate) fn run_for(limit: Duration, command: &mut Command) -> Result<()> {
    eprintln!("+ {}", shown(command));
    let mut child = command
        .stdin(Stdio::null())
        .spawn()
        .with_context(|| format!("cannot start `{}`", shown(command)))?;
    let start = Instant::now();
    loop {
        if let Some(status) = child.try_wait().context("cannot wait for a program")? {
            return match status.success() {
                true => Ok(()),
                false => bail!("`{}` ended with {status}", shown(command)),
            };
        }
        if start.elapsed() > limit {
            child.kill().context("cannot end a program")?;
            child.wait().context("cannot wait for a program")?;
            bail!("`{}` took longer than {}", shown(command), seconds(limit));
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Runs a command without standard input and returns what it printed on standard output; a
/// status other than 0 is an error with the last lines of its standard error.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    read(command.stderr(Stdio::piped()))
}

/// As [`output`], and lets standard error through, for a command that says there how far it is.
pub(crate) fn output_with_progress(command: &mut Command) -> Result<String> {
    read(command.stderr(Stdio::inherit()))
}

fn read(command: &mut Command) -> Result<String> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot start `{}`", shown(command)))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    bail!(
        "`{}` ended with {}: {}",
        shown(command),
        output.status,
        last_lines(&said, 3)
    )
}

/// The last lines that say something, joined into one: what a program prints before it fails.
fn last_lines(text: &str, count: usize) -> String {
    let lines: Vec<&str> = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    let skipped = lines.len().saturating_sub(count);
    lines
        .into_iter()
        .skip(skipped)
        .collect::<Vec<_>>()
        .join(" | ")
}

/// Every executable file called `name` in the folders of `path`, in their order.
pub(crate) fn find_all(name: &str, path: &OsStr) -> Vec<PathBuf> {
    std::env::split_paths(path)
        .filter(|folder| folder.is_absolute())
        .map(|folder| folder.join(name))
        .filter(|file| is_executable(file))
        .collect()
}

/// The first executable file called `name` on this process's PATH.
pub(crate) fn find(name: &str) -> Option<PathBuf> {
    find_all(name, &std::env::var_os("PATH").unwrap_or_default())
        .into_iter()
        .next()
}

fn is_executable(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    file.metadata()
        .is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_shown_as_it_would_be_typed() {
        let mut command = Command::new("cargo");
        command.args(["test", "--", "a filter", ""]);
        assert_eq!(shown(&command), "cargo test -- 'a filter' ''");
    }

    #[test]
    fn a_failing_command_is_named_with_its_last_words() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo first >&2; echo last >&2; exit 3"]);
        let error = output(&mut command).map_err(|error| error.to_string());
        assert!(error.is_err_and(|text| text.ends_with("exit status: 3: first | last")));
    }

    #[test]
    fn only_executable_files_are_programs() {
        assert!(find_all("sh", OsStr::new("/bin")).len() == 1);
        assert!(find_all("passwd", OsStr::new("/etc")).is_empty());
        assert!(find_all("bin", OsStr::new("/usr")).is_empty());
    }
}
