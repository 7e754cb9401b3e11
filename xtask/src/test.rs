//! `cargo xtask test [ARGS...]`: set up, then run every test of every workspace.
//!
//! The guests' own unit tests run first, on this machine's target; the host's tests, which load
//! the same guests as components and talk to a real server, run last, so that the last lines
//! are the test runner's own.

use anyhow::{Result, bail};
use std::process::Command;

use crate::layout::{self, Workspace};
use crate::process;
use crate::setup::{self, Tools};
use crate::standard;
use crate::ui::{Skipped, Told, say};

/// The host's workspace, in messages.
const HOST: &str = "the host";

/// Guests that are material for the tests and the benches, and have no tests of their own.
const GUESTS_WITHOUT_TESTS: [&str; 2] = ["benches/guests", "tests/guests"];

/// The test that needs a server which is too old.
const NEEDS_OLD_SERVER: &str = "a_server_that_is_too_old_is_refused_with_the_way_out";

/// The tests that need a registry of OCI artifacts: a file of them, and those named so.
const NEEDS_REGISTRY: [&str; 2] = ["oci::", "in_a_registry"];

/// The tests that need a toolchain for `wasm32-unknown-unknown`.
const NEEDS_CORE_MODULES: &str = "core_module::";

/// Part of the names of the tests that need the program `script`, which gives them a terminal.
const NEEDS_TERMINAL: &str = "on_a_terminal";

/// Part of the names of the tests that mount a disk of their own.
const NEEDS_MOUNT: &str = "on_a_small_disk";

/// The tests of one language, as `languages::go::`, and those of a chain of several.
const LANGUAGES: &str = "languages::";
const NEEDS_SEVERAL_LANGUAGES: &str = "languages::chain::";

/// Tests that this machine cannot run, to be left out by parts of their names.
pub(crate) struct LeftOut(Vec<String>);

impl LeftOut {
    /// Looks for what single tests need besides the tools, and names in `skipped` those that must
    /// do without.
    pub(crate) fn find(tools: &Tools, skipped: &mut Skipped) -> LeftOut {
        let mut left_out = Vec::new();
        if let Err(error) = setup::old_nats_server() {
            skipped.add(format!("the test `{NEEDS_OLD_SERVER}`: {error:#}"));
            left_out.push(NEEDS_OLD_SERVER.to_owned());
        }
        if let Err(error) = setup::docker_registry() {
            for name in NEEDS_REGISTRY {
                skipped.add(format!("the tests `...{name}...`: {error:#}"));
                left_out.push(name.to_owned());
            }
        }
        if let Err(error) = tools.core_modules() {
            skipped.add(format!("the tests in `{NEEDS_CORE_MODULES}`: {error:#}"));
            left_out.push(NEEDS_CORE_MODULES.to_owned());
        }
        if process::find("script").is_none() {
            let reason = "there is no program `script` on PATH";
            skipped.add(format!("the tests `...{NEEDS_TERMINAL}...`: {reason}"));
            left_out.push(NEEDS_TERMINAL.to_owned());
        }
        if !can_mount() {
            let reason = "`unshare -rm mount -t tmpfs tmpfs /tmp` fails";
            skipped.add(format!("the tests `...{NEEDS_MOUNT}...`: {reason}"));
            left_out.push(NEEDS_MOUNT.to_owned());
        }
        for (name, reason) in tools.languages.all_missing() {
            skipped.add(format!("the tests of the language {name}: {reason}"));
            left_out.push(format!("{LANGUAGES}{name}::"));
        }
        if tools.languages.all_missing().next().is_some() {
            skipped.add("the chain of five languages: it needs all of them".to_owned());
            left_out.push(NEEDS_SEVERAL_LANGUAGES.to_owned());
        }
        LeftOut(left_out)
    }

    /// The words for the test runner, behind the `--` that `arguments` may have already.
    fn words<'a>(&'a self, arguments: &[&str]) -> Vec<&'a str> {
        let dashes = match self.0.is_empty() || arguments.contains(&"--") {
            true => None,
            false => Some("--"),
        };
        let skips = self.0.iter().flat_map(|name| ["--skip", name.as_str()]);
        dashes.into_iter().chain(skips).collect()
    }
}

/// Whether this user may mount a disk that only one process sees.
fn can_mount() -> bool {
    let mut command = Command::new("unshare");
    command.args(["-rm", "mount", "-t", "tmpfs", "tmpfs", "/tmp"]);
    command.output().is_ok_and(|output| output.status.success())
}

/// Sets up and runs the tests; `arguments` go to `cargo test`.
pub(crate) fn run(arguments: &[&str]) -> Result<()> {
    let mut tools = standard::set_up()?;
    tools.find_languages();
    let mut skipped = Skipped::default();
    let guests = layout::workspaces()?.into_iter().filter(has_unit_tests);
    let guests: Vec<Workspace> = match has_options(arguments) {
        false => guests.collect(),
        true => {
            for guest in guests {
                skipped.add(format!("the tests of `{}`: options were given", guest.name));
            }
            Vec::new()
        }
    };
    let left_out = LeftOut::find(&tools, &mut skipped);
    skipped.print("test");
    everything(&tools, &guests, arguments, &left_out, process::run)
}

/// Runs the tests of all workspaces, for `cargo xtask ci`, which has set up already. What failed is told
/// once more at the end.
pub(crate) fn run_all(tools: &Tools, left_out: &LeftOut) -> Result<()> {
    let guests: Vec<_> = layout::workspaces()?
        .into_iter()
        .filter(has_unit_tests)
        .collect();
    let mut failures = Failures::default();
    let tests = everything(tools, &guests, &[], left_out, |cargo| {
        process::run_and_read(cargo, |line| failures.read(line))
    });
    failures.lines.iter().for_each(|line| eprintln!("{line}"));
    tests
}

/// What the test runner says of failed tests, between `failures:` and `test result:`, without the logs of
/// servers and hosts, each of which begins with a line `--- NAME`.
#[derive(Default)]
struct Failures {
    is_within: bool,
    is_log: bool,
    lines: Vec<String>,
}

impl Failures {
    /// The most lines that are told once more.
    const MOST: usize = 400;

    fn read(&mut self, line: &str) {
        self.is_within = match line {
            "failures:" => true,
            _ => self.is_within && !line.starts_with("test result:"),
        };
        self.is_log = match line {
            "failures:" => false,
            _ if line.starts_with("---- ") => false,
            _ => self.is_log || line.starts_with("--- "),
        };
        if self.is_within && !self.is_log && self.lines.len() < Self::MOST {
            self.lines.push(line.to_owned());
        }
    }
}

fn has_unit_tests(workspace: &Workspace) -> bool {
    !workspace.is_host() && !GUESTS_WITHOUT_TESTS.contains(&workspace.name.as_str())
}

/// Whether there are options for cargo (`--package weir`), which make sense in the host's
/// workspace only; a bare word is a filter and goes to every workspace, and what comes after
/// `--` is the test runner's.
fn has_options(arguments: &[&str]) -> bool {
    arguments
        .iter()
        .take_while(|word| **word != "--")
        .any(|word| word.starts_with('-'))
}

/// Runs each workspace's tests although an earlier one failed, and fails if any did.
fn everything(
    tools: &Tools,
    guests: &[Workspace],
    arguments: &[&str],
    left_out: &LeftOut,
    mut run: impl FnMut(&mut Command) -> Result<()>,
) -> Result<()> {
    let mut failed = Vec::new();
    for guest in guests {
        say(
            "test",
            format_args!("the guests' own tests in `{}`", guest.name),
        );
        let mut cargo = tools.guest_cargo(guest)?;
        cargo
            .args(["test", "--workspace", "--no-fail-fast"])
            .args(arguments);
        failed.extend(run(&mut cargo).err().map(|_| guest.name.clone()));
    }
    say("test", "the host's tests, with a real nats-server");
    let mut cargo = tools.cargo()?;
    cargo
        .args(["test", "--workspace", "--no-fail-fast"])
        .args(arguments)
        .args(left_out.words(arguments));
    failed.extend(run(&mut cargo).err().map(|_| HOST.to_owned()));
    verdict(&failed)
}

/// The host's tests come last: where only they failed, the runner's closing lines say all of it.
fn verdict(failed: &[String]) -> Result<()> {
    match failed {
        [] => Ok(()),
        [only] if only == HOST => Err(Told.into()),
        failed => bail!("tests failed in: {}", failed.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_is_not_an_option_and_the_runners_options_are_not_cargos() {
        assert!(!has_options(&[]));
        assert!(!has_options(&["delivery"]));
        assert!(!has_options(&["delivery", "--", "--nocapture"]));
        assert!(has_options(&["-p", "weir"]));
        assert!(has_options(&["--lib", "--", "--nocapture"]));
    }

    #[test]
    fn nothing_is_said_behind_the_runners_lines_unless_they_do_not_say_it_all() {
        let verdict = |failed: &[&str]| {
            let failed: Vec<String> = failed.iter().map(|&name| name.to_owned()).collect();
            verdict(&failed)
        };
        assert!(verdict(&[]).is_ok());
        assert!(verdict(&[HOST]).is_err_and(|error| error.is::<Told>()));
        let both = verdict(&["plugins", HOST]).map_err(|error| error.to_string());
        assert_eq!(both, Err("tests failed in: plugins, the host".to_owned()));
        let guests = verdict(&["plugins"]).map_err(|error| error.to_string());
        assert_eq!(guests, Err("tests failed in: plugins".to_owned()));
    }

    #[test]
    fn what_failed_is_read_from_the_runners_lines() {
        let mut failures = Failures::default();
        let said = "test a ... FAILED\n\nfailures:\n\n---- a ----\nwhy\n--- weir, stderr\nlog\n\nfailures:\n    a\n\n\
                    test result: FAILED. 1 failed\n     Running next\ntest b ... ok";
        said.lines().for_each(|line| failures.read(line));
        let kept = [
            "failures:",
            "",
            "---- a ----",
            "why",
            "failures:",
            "    a",
            "",
        ];
        assert_eq!(failures.lines, kept);
    }

    #[test]
    fn what_is_left_out_stands_behind_the_dashes_of_the_arguments() {
        let left_out = LeftOut(vec!["a_test".to_owned()]);
        assert_eq!(left_out.words(&["name"]), ["--", "--skip", "a_test"]);
        assert_eq!(left_out.words(&["--", "--nocapture"]), ["--skip", "a_test"]);
        assert!(LeftOut(Vec::new()).words(&["name"]).is_empty());
    }

    #[test]
    fn a_test_that_may_be_left_out_is_there() {
        let tests = layout::root().join("tests");
        assert!(tests.join("core_module.rs").is_file());
        let files = [
            "connection.rs",
            "cli/progress.rs",
            "exactly_once/disk/room.rs",
        ]
        .map(|name| tests.join(name));
        let text = files.map(|file| std::fs::read_to_string(file).unwrap_or_default());
        let text = text.concat();
        assert!(text.contains(&format!("fn {NEEDS_OLD_SERVER}()")));
        assert!(text.contains(NEEDS_TERMINAL));
        assert!(text.contains(NEEDS_MOUNT));
        let [file, name] = NEEDS_REGISTRY;
        assert!(tests.join(file.replace("::", ".rs")).is_file());
        let signatures = std::fs::read_to_string(tests.join("signatures.rs"));
        assert!(signatures.is_ok_and(|text| text.contains(name)));
        let languages = std::fs::read_to_string(tests.join("languages.rs")).unwrap_or_default();
        for name in ["go", "python", "js", "ts", "c", "cpp", "zig", "chain"] {
            assert!(
                languages.contains(&format!("language!({name}, ")) || name == "chain",
                "{name}"
            );
        }
    }
}
