//! `cargo xtask fuzz [--minutes N] [--seed S] [--only TARGET]`: damaged inputs for everything that
//! reads what others wrote, for as long as one likes.
//!
//! The targets are the tests of `tests/fuzz`; `cargo xtask test` runs each of them for a moment, with
//! the same seed every time. Here the time and the seed are set, and the targets run one by one.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};

use crate::layout;
use crate::process;
use crate::setup;
use crate::ui::say;

/// How long all targets run together, unless the command line says otherwise.
const MINUTES: u64 = 10;

/// What the command line asks for.
#[derive(Debug, PartialEq, Eq)]
struct Wanted {
    minutes: u64,
    seed: Option<u64>,
    only: Option<String>,
}

pub(crate) fn run(arguments: &[&str]) -> Result<()> {
    let wanted = read(arguments)?;
    let targets = targets()?;
    let chosen: Vec<&String> = match &wanted.only {
        None => targets.iter().collect(),
        Some(name) => targets.iter().filter(|target| *target == name).collect(),
    };
    if chosen.is_empty() {
        bail!("there is no such target; there are {}", targets.join(", "));
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let seed = wanted.seed.unwrap_or(now.map_or(0, |now| now.as_secs()));
    let seconds = (wanted.minutes * 60 / chosen.len() as u64).max(1);
    let mut failed = Vec::new();
    for target in chosen {
        say(
            "fuzz",
            format_args!("{target}: {seconds} s with seed {seed}"),
        );
        let mut cargo = std::process::Command::new(setup::cargo_program());
        cargo
            .current_dir(layout::root())
            .env("WEIR_FUZZ_SECONDS", seconds.to_string())
            .env("WEIR_FUZZ_SEED", seed.to_string())
            .args(["test", "--package", "weir-fuzz", "--"])
            .args([format!("{target}::"), "--nocapture".to_owned()]);
        failed.extend(process::run(&mut cargo).err().map(|_| target.as_str()));
    }
    match failed.is_empty() {
        true => Ok(()),
        false => bail!(
            "targets that failed with seed {seed}: {}

\
             hint: the inputs are named above; where a process died, it is \
             target/tmp/fuzz/TARGET/running",
            failed.join(", ")
        ),
    }
}

fn read(arguments: &[&str]) -> Result<Wanted> {
    let mut wanted = Wanted {
        minutes: MINUTES,
        seed: None,
        only: None,
    };
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        let value = words
            .next()
            .with_context(|| format!("`{word}` needs a value"));
        let number = |text: &str| {
            text.parse()
                .with_context(|| format!("`{text}` is no number"))
        };
        match *word {
            "--minutes" => wanted.minutes = number(value?)?,
            "--seed" => wanted.seed = Some(number(value?)?),
            "--only" => wanted.only = Some((*value?).to_owned()),
            other => bail!("this task takes `--minutes`, `--seed` and `--only`, and got `{other}`"),
        }
    }
    Ok(wanted)
}

/// The names of the targets: the files of `tests/fuzz` that have a test.
fn targets() -> Result<Vec<String>> {
    let folder = layout::root().join("tests/fuzz");
    let entries = std::fs::read_dir(&folder)
        .with_context(|| format!("cannot list `{}`", folder.display()))?;
    let mut names: Vec<String> = entries
        .flatten()
        .filter(|entry| {
            std::fs::read_to_string(entry.path()).is_ok_and(|text| text.contains("\n#[test]\n"))
        })
        .filter_map(|entry| {
            entry
                .file_name()
                .to_str()?
                .strip_suffix(".rs")
                .map(str::to_owned)
        })
        .collect();
    names.sort();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_options_are_read_and_a_wrong_one_is_named() {
        let read = |words: &[&str]| read(words).map_err(|error| error.to_string());
        let plain = Wanted {
            minutes: MINUTES,
            seed: None,
            only: None,
        };
        assert_eq!(read(&[]), Ok(plain));
        let all = Wanted {
            minutes: 60,
            seed: Some(7),
            only: Some("config".to_owned()),
        };
        let words = ["--seed", "7", "--minutes", "60", "--only", "config"];
        assert_eq!(read(&words), Ok(all));
        assert_eq!(read(&["--seed"]), Err("`--seed` needs a value".to_owned()));
        assert_eq!(read(&["--seed", "x"]), Err("`x` is no number".to_owned()));
        assert!(read(&["7"]).is_err_and(|text| text.contains("`7`")));
    }

    #[test]
    fn the_targets_are_found() {
        let targets = targets().unwrap_or_default();
        for name in [
            "component",
            "config",
            "dead_letters",
            "facts",
            "headers",
            "receipts",
            "state",
        ] {
            assert!(
                targets.iter().any(|target| target == name),
                "{name}: {targets:?}"
            );
        }
    }
}
