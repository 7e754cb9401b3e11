//! A `nats-server` of at least 2.12.1: found, built with Go, or unpacked from Debian unstable.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::{debian, path_with_tools};
use crate::layout;
use crate::process;
use crate::ui::say;
use crate::version::Version;

/// The oldest server the host works with: atomic batches that refuse duplicates and delayed
/// messages came with 2.12 and were mended in 2.12.1.
const LEAST: Version = Version::new(2, 12, 1);

/// What is built where no server is found; the newest that the tests were run with.
const PINNED: &str = "v2.15.1";

/// A server that is new enough, installed if need be.
pub(super) fn find_or_install() -> Result<PathBuf> {
    let mut tried = Vec::new();
    let ways: [fn() -> Result<PathBuf>; 3] = [found, built_with_go, unpacked_from_debian];
    for way in ways {
        match way() {
            Ok(server) => return Ok(server),
            Err(error) => {
                say("setup", format_args!("nats-server: {error:#}"));
                tried.push(format!("{error:#}"));
            }
        }
    }
    bail!(no_way(&tried))
}

/// The message when nothing worked: what was tried, then the ways out.
fn no_way(tried: &[String]) -> String {
    format!(
        "cannot find or install a nats-server of at least {LEAST}\n  tried: {}\n\n\
         hint: any one of these is enough\n  \
         1. install nats-server {LEAST} or later and put it on PATH (https://docs.nats.io)\n  \
         2. install Go, and `cargo xtask setup` builds nats-server {PINNED} with it\n  \
         3. on Debian, make its package mirror reachable, and `cargo xtask setup` unpacks \
         the package of the unstable suite",
        tried.join("\n  tried: ")
    )
}

/// The first server that is new enough in `WEIR_NATS_SERVER`, `target/tools/bin` and on PATH.
fn found() -> Result<PathBuf> {
    let named = std::env::var_os("WEIR_NATS_SERVER").map(PathBuf::from);
    let candidates = named
        .into_iter()
        .chain(process::find_all("nats-server", &path_with_tools()?));
    let mut refused = Vec::new();
    for candidate in candidates {
        match new_enough(&candidate) {
            Ok(version) => {
                let place = candidate.display();
                say(
                    "setup",
                    format_args!("nats-server {version} found at {place}"),
                );
                return Ok(candidate);
            }
            Err(error) => refused.push(format!("{error:#}")),
        }
    }
    match refused.is_empty() {
        true => bail!("none found on PATH"),
        false => bail!("none found that is new enough: {}", refused.join("; ")),
    }
}

/// Runs `server --version` and reads what it says.
pub(super) fn version(server: &Path) -> Result<Version> {
    let text = process::output(Command::new(server).arg("--version"))?;
    said_version(&text).with_context(|| format!("`{}` does not say its version", server.display()))
}

fn new_enough(server: &Path) -> Result<Version> {
    let version = version(server)?;
    if version < LEAST {
        bail!("`{}` is {version}, older than {LEAST}", server.display());
    }
    Ok(version)
}

/// The version in `nats-server: v2.15.1`; another program's version is none.
fn said_version(text: &str) -> Option<Version> {
    Version::find(text.strip_prefix("nats-server:")?)
}

fn built_with_go() -> Result<PathBuf> {
    let Some(go) = process::find("go") else {
        bail!("Go is not on PATH, so it cannot be built from source");
    };
    let bin = layout::tools_bin();
    create(&bin)?;
    say(
        "setup",
        format_args!(
            "nats-server: building {PINNED} with Go into {}",
            bin.display()
        ),
    );
    go_install(&go, PINNED, &bin)?;
    installed(bin.join("nats-server"), "built with Go")
}

fn unpacked_from_debian() -> Result<PathBuf> {
    let bin = layout::tools_bin();
    create(&bin)?;
    let server = bin.join("nats-server");
    take_from_debian("sid", &server)?;
    installed(server, "unpacked from Debian unstable")
}

/// Builds one version of the server into the folder `bin`.
pub(super) fn go_install(go: &Path, version: &str, bin: &Path) -> Result<()> {
    let module = format!("github.com/nats-io/nats-server/v2@{version}");
    // Without cgo, so that a machine without a C compiler can build it too.
    process::run(
        Command::new(go)
            .args(["install", &module])
            .current_dir(layout::root())
            .env("GOBIN", bin)
            .env("CGO_ENABLED", "0")
            .env_remove("GOFLAGS"),
    )
    .context("cannot build it with Go")
}

/// Copies the program of a Debian suite's package to `server`.
pub(super) fn take_from_debian(suite: &str, server: &Path) -> Result<()> {
    debian::unpack("nats-server", suite, |unpacked| {
        let places = ["usr/bin/nats-server", "usr/sbin/nats-server"];
        let program = places
            .iter()
            .map(|place| unpacked.join(place))
            .find(|file| file.is_file());
        let program = program.context("the package has no program `nats-server`")?;
        std::fs::copy(&program, server)
            .with_context(|| format!("cannot copy the program to `{}`", server.display()))?;
        Ok(())
    })
    .context("cannot take it from Debian")
}

/// Checks a server that has just been installed, so that a bad one is named at once.
fn installed(server: PathBuf, how: &str) -> Result<PathBuf> {
    let version = new_enough(&server)?;
    say(
        "setup",
        format_args!("nats-server {version} {how} at {}", server.display()),
    );
    Ok(server)
}

pub(super) fn create(folder: &Path) -> Result<()> {
    std::fs::create_dir_all(folder).with_context(|| format!("cannot create `{}`", folder.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn when_nothing_works_the_message_names_three_ways_out() {
        let text = no_way(&["Go is not on PATH".to_owned(), "not Debian".to_owned()]);
        assert!(text.contains("tried: Go is not on PATH\n  tried: not Debian\n"));
        for way in ["\n  1. ", "\n  2. ", "\n  3. "] {
            assert!(text.contains(way), "{text}");
        }
    }

    #[test]
    fn a_program_that_is_too_old_or_says_nothing_is_refused_by_name() {
        let refusal = |program: &str| new_enough(Path::new(program)).map_err(|e| e.to_string());
        assert!(refusal("/bin/true").is_err_and(|text| text.contains("does not say its version")));
        assert!(refusal("/nowhere/nats-server").is_err_and(|text| text.contains("cannot start")));
    }
}
