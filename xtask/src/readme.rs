//! `cargo xtask readme`: the commands of the README and of the languages' quickstarts are run, and
//! what they print must be what the page shows.
//!
//! The README's start in the root of the repository, a quickstart's in a new folder, and `cd` holds
//! to the end of the page. A fenced block marked `console` holds commands after `$ ` and below each the lines it
//! prints, standard error among them. Two things stand for what changes from run to run: a line
//! `...` for any lines, and `[..]` within a line for any text. Measurements and ports are shown as
//! they once were and may differ; every other word and number must be the same.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::layout;
use crate::process;
use crate::setup::{self, Tools};
use crate::standard;
use crate::ui::{Skipped, say};

/// Commands that are not run from here, because `cargo xtask ci` runs the same thing itself.
const RUN_ELSEWHERE: [&str; 2] = ["cargo xtask test", "cargo xtask ci"];

/// A page whose commands are run.
struct Page {
    /// Relative to the root of the repository.
    name: String,
    /// Where its commands start.
    folder: PathBuf,
    /// The language it is about, for the quickstarts.
    language: Option<String>,
}

/// One command of a page and what is shown below it.
#[derive(Debug, PartialEq, Eq)]
struct Example {
    /// Counted from 1, for messages.
    line: usize,
    command: String,
    shown: Vec<String>,
}

/// Sets up and runs the pages' commands.
pub(crate) fn run() -> Result<()> {
    let mut tools = standard::set_up()?;
    tools.find_languages();
    let mut skipped = Skipped::default();
    check(&tools, &mut skipped)?;
    skipped.print("readme");
    Ok(())
}

/// Runs every command of every page, with the built `weir` on PATH.
///
/// # Errors
/// When a command fails or prints something else than its page shows; each is named.
pub(crate) fn check(tools: &Tools, skipped: &mut Skipped) -> Result<()> {
    process::run(tools.cargo()?.args(["build", "--workspace", "--quiet"]))?;
    // The README makes a plugin here, which must not be there from an earlier run.
    let _ = std::fs::remove_dir_all(layout::root().join("target/shout"));
    let mut wrong = Vec::new();
    for page in pages()? {
        let name = &page.name;
        let language = page.language.as_deref();
        if let Some(reason) = language.and_then(|language| tools.languages.missing(language)) {
            skipped.add(format!("{name}: {reason}"));
            continue;
        }
        wrong.extend(check_page(tools, page, skipped)?);
    }
    match wrong.len() {
        0 => Ok(()),
        count => bail!(
            "{count} commands do not do what their page shows:\n{}",
            wrong.join("\n")
        ),
    }
}

/// The README, and a page for each language, whose commands start in a folder of its own.
fn pages() -> Result<Vec<Page>> {
    let mut pages = vec![Page {
        name: "README.md".to_owned(),
        folder: layout::root(),
        language: None,
    }];
    let folder = layout::root().join("docs/languages");
    let entries = std::fs::read_dir(&folder)
        .with_context(|| format!("cannot list `{}`", folder.display()))?;
    let mut languages: Vec<String> = entries
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter_map(|name| name.strip_suffix(".md").map(str::to_owned))
        .collect();
    languages.sort();
    for language in languages {
        let folder = layout::root().join("target/quickstarts").join(&language);
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder)
            .with_context(|| format!("cannot create `{}`", folder.display()))?;
        pages.push(Page {
            name: format!("docs/languages/{language}.md"),
            folder,
            language: Some(language),
        });
    }
    Ok(pages)
}

/// Runs the commands of one page, and says of each that does not do what it shows what it does.
fn check_page(tools: &Tools, mut page: Page, skipped: &mut Skipped) -> Result<Vec<String>> {
    let name = page.name.clone();
    let text = std::fs::read_to_string(layout::root().join(&name))
        .with_context(|| format!("cannot read `{name}`"))?;
    let mut wrong = Vec::new();
    for example in examples(&text).with_context(|| format!("cannot read `{name}`"))? {
        let Example { line, command, .. } = &example;
        if RUN_ELSEWHERE.contains(&command.as_str()) {
            skipped.add(format!(
                "{name}:{line}: `{command}`, which is a step of its own"
            ));
            continue;
        }
        say("readme", format_args!("{name}:{line}: {command}"));
        if let Err(error) = try_example(tools, &mut page.folder, &example) {
            let error = format!("{name}:{line}: {error:#}");
            eprintln!("error: {error}");
            wrong.push(error);
        }
    }
    Ok(wrong)
}

/// Runs one command in `folder`, and leaves the folder there that it changed to.
fn try_example(tools: &Tools, folder: &mut PathBuf, example: &Example) -> Result<()> {
    let mut shell = tools.command("bash")?;
    with_weir_on_path(&mut shell)?;
    let place = layout::root().join("target/quickstarts.pwd");
    // One stream, so that lines are in the order in which a terminal would have shown them.
    let script = format!(
        "exec 2>&1\n{}\nstatus=$?; pwd > '{}'; exit $status",
        example.command,
        place.display()
    );
    let output = shell
        .current_dir(&*folder)
        .args(["-c", &script])
        .stdin(Stdio::null())
        .output()
        .context("cannot start `bash`")?;
    let printed = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() {
        bail!(
            "`{}` ended with {}, after printing\n{printed}",
            example.command,
            output.status
        );
    }
    if let Ok(changed) = std::fs::read_to_string(&place) {
        *folder = PathBuf::from(changed.trim_end());
    }
    let printed_lines: Vec<&str> = printed.lines().map(str::trim_end).collect();
    let shown: Vec<&str> = example.shown.iter().map(String::as_str).collect();
    if !matches(&shown, &printed_lines) {
        bail!(
            "`{}` printed\n{printed}\nwhere the page shows\n{}",
            example.command,
            shown.join("\n")
        );
    }
    Ok(())
}

fn with_weir_on_path(shell: &mut Command) -> Result<()> {
    let built = layout::root().join("target/debug");
    let path = setup::path_with_tools()?;
    let folders = std::iter::once(built).chain(std::env::split_paths(&path));
    shell.env(
        "PATH",
        std::env::join_paths(folders).context("cannot extend PATH")?,
    );
    Ok(())
}

/// The commands of the `console` blocks of a Markdown text.
fn examples(text: &str) -> Result<Vec<Example>> {
    let mut found: Vec<Example> = Vec::new();
    let mut inside = false;
    for (index, line) in text.lines().enumerate() {
        let line = line.trim_end();
        match line {
            "```console" => inside = true,
            _ if !inside => {}
            "```" => inside = false,
            _ => match (line.strip_prefix("$ "), found.last_mut()) {
                (Some(command), _) => {
                    let command = command.to_owned();
                    found.push(Example {
                        line: index + 1,
                        command,
                        shown: Vec::new(),
                    });
                }
                (None, Some(last)) => last.shown.push(line.to_owned()),
                (None, None) => bail!("line {}: output without a command", index + 1),
            },
        }
    }
    // A blank line before the closing fence or the next command is layout, not output.
    for example in &mut found {
        while example.shown.last().is_some_and(String::is_empty) {
            example.shown.pop();
        }
    }
    Ok(found)
}

/// Whether the printed lines are the shown ones, where `...` stands for any number of lines.
fn matches(shown: &[&str], printed: &[&str]) -> bool {
    match shown.split_first() {
        None => printed.iter().all(|line| line.is_empty()),
        Some((&"...", rest)) => (0..=printed.len()).any(|from| {
            printed
                .get(from..)
                .is_some_and(|printed| matches(rest, printed))
        }),
        Some((first, rest)) => printed
            .split_first()
            .is_some_and(|(line, printed)| line_matches(first, line) && matches(rest, printed)),
    }
}

/// Whether one line is the shown one, where `[..]` stands for any text.
fn line_matches(shown: &str, printed: &str) -> bool {
    match shown.split_once("[..]") {
        None => shown == printed || blurred(shown) == blurred(printed),
        Some((before, after)) => printed.strip_prefix(before).is_some_and(|rest| {
            rest.char_indices()
                .map(|(at, _)| at)
                .chain([rest.len()])
                .any(|at| rest.get(at..).is_some_and(|rest| line_matches(after, rest)))
        }),
    }
}

/// The line without what was measured: a number before `s`, `ms` or `messages a second`, and the
/// port of a server on this machine.
fn blurred(line: &str) -> String {
    let words: Vec<&str> = line.split(' ').collect();
    let blur = |(index, word): (usize, &&str)| {
        let unit = words
            .get(index + 1)
            .map_or("", |unit| unit.trim_end_matches(','));
        let rate = words.get(index + 1..index + 4) == Some(&["messages", "a", "second"]);
        let number = word.parse::<f64>().is_ok();
        match word.split_once("127.0.0.1:") {
            Some((before, _)) => format!("{before}127.0.0.1:PORT"),
            None if number && (rate || ["s", "ms"].contains(&unit)) => "N".to_owned(),
            None => (*word).to_owned(),
        }
    };
    words
        .iter()
        .enumerate()
        .map(blur)
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# weir\n\n```yaml\n$ not a command\n```\n\n```console\n$ weir check a.yaml\nfine\n\n$ true\n```\n$ nor this\n";

    #[test]
    fn commands_are_taken_from_console_blocks_with_what_they_print() {
        let found = examples(TEXT).unwrap_or_default();
        let commands: Vec<_> = found
            .iter()
            .map(|one| (one.line, one.command.as_str(), one.shown.len()))
            .collect();
        assert_eq!(commands, [(8, "weir check a.yaml", 1), (11, "true", 0)]);
    }

    #[test]
    fn output_without_a_command_is_refused() {
        assert!(examples("```console\nfine\n```\n").is_err());
    }

    #[test]
    fn wildcards_stand_for_lines_and_for_parts_of_a_line() {
        assert!(matches(&["a", "...", "z"], &["a", "z"]));
        assert!(matches(&["a", "...", "z"], &["a", "b", "c", "z"]));
        assert!(matches(
            &["rate [..]/s, [..] dead"],
            &["rate 41000/s, 12 dead"]
        ));
        assert!(matches(&["x"], &["x", ""]));
    }

    #[test]
    fn measurements_may_differ_and_results_may_not() {
        assert!(line_matches(
            "3.4 s, 29255 messages a second",
            "12 s, 8000 messages a second"
        ));
        assert!(line_matches(
            "p50 222.9 ms, p99 310.7 ms",
            "p50 1 ms, p99 2.5 ms"
        ));
        assert!(line_matches(
            "at nats://127.0.0.1:4222",
            "at nats://127.0.0.1:39001"
        ));
        assert!(!line_matches(
            "100000 in, 33472 out",
            "100000 in, 33471 out"
        ));
        assert!(!line_matches("3.4 s, 5 dead", "3.4 s, 6 dead"));
    }

    #[test]
    fn other_output_does_not_match() {
        assert!(!matches(&["a"], &["b"]));
        assert!(!matches(&["a"], &["a", "b"]));
        assert!(!matches(&["a", "b"], &["a"]));
        assert!(!matches(&["...", "z"], &["a", "b"]));
        assert!(!matches(&["rate [..]/s"], &["rate 41000/min"]));
    }
}
