//! Where it was measured; without it the figures mean nothing. And what a process holds in memory.

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// The machine, and what was measured on it.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub struct Setting {
    pub machine: String,
    pub cores: usize,
    pub kernel: String,
    /// What each program says of itself.
    pub versions: Vec<String>,
    /// The commit that was checked out, in short; none outside of a checkout.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// What the binaries were compiled with.
    pub profile: String,
}

impl Setting {
    /// This machine, with the versions of these programs, and the commit in the working directory.
    ///
    /// # Errors
    /// When a program does not start.
    pub fn here(programs: &[&Path], profile: &str) -> Result<Self> {
        let processor = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = processor
            .lines()
            .find_map(|line| line.strip_prefix("model name")?.split_once(": "));
        let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        let versions: Result<Vec<String>> =
            programs.iter().map(|program| version(program)).collect();
        Ok(Self {
            machine: model
                .map_or("unknown processor", |(_, name)| name)
                .to_owned(),
            cores: std::thread::available_parallelism().map_or(0, std::num::NonZero::get),
            kernel: kernel.trim().to_owned(),
            versions: versions?,
            commit: commit(Path::new(".")),
            profile: profile.to_owned(),
        })
    }
}

fn version(program: &Path) -> Result<String> {
    let output = std::process::Command::new(program)
        .arg("--version")
        .output();
    let output = output.with_context(|| format!("cannot start `{}`", program.display()))?;
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(text.lines().next().unwrap_or_default().to_owned())
}

/// The commit that is checked out in a folder, in short.
fn commit(folder: &Path) -> Option<String> {
    let output = std::process::Command::new("git")
        .args(["rev-parse", "--short", "HEAD"])
        .current_dir(folder)
        .output();
    let output = output.ok().filter(|output| output.status.success())?;
    let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    (!text.is_empty()).then_some(text)
}

/// Bytes of memory that a process has resident; `None` means this one.
///
/// # Errors
/// When there is no such process.
pub fn resident(pid: Option<u32>) -> Result<u64> {
    let process = pid.map_or("self".to_owned(), |pid| pid.to_string());
    let file = format!("/proc/{process}/status");
    let text = std::fs::read_to_string(&file).with_context(|| format!("cannot read `{file}`"))?;
    resident_of(&text).with_context(|| format!("cannot understand `{file}`"))
}

fn resident_of(status: &str) -> Option<u64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.trim().strip_suffix(" kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::{Setting, commit, resident_of};
    use std::path::Path;

    #[test]
    fn figures_without_a_commit_are_still_read_and_outside_of_a_checkout_there_is_none() {
        let old =
            r#"{"machine": "m", "cores": 2, "kernel": "6", "versions": [], "profile": "release"}"#;
        let setting: Option<Setting> = serde_json::from_str(old).ok();
        assert!(setting.is_some_and(|setting| setting.commit.is_none()));
        assert_eq!(commit(Path::new("/")), None);
    }

    #[test]
    fn resident_memory_is_read_in_bytes() {
        let status = "Name:\ta\nVmHWM:\t  9000 kB\nVmRSS:\t    8192 kB\nRssAnon:\t 1 kB\n";
        assert_eq!(resident_of(status), Some(8192 * 1024));
        assert_eq!(resident_of("Name:\ta\n"), None);
    }
}
