//! The pages that are put together from the files of the sections.

use crate::{Section, Setting, Table};
use anyhow::{Context, Result};
use std::fmt::Write;
use std::path::Path;

/// A page and the sections that may stand on it.
pub struct Page {
    /// The name of its file.
    pub file: &'static str,
    title: &'static str,
    /// The words that make it.
    command: &'static str,
    intro: &'static str,
    /// In their order on the page.
    pub sections: &'static [&'static str],
}

/// What is measured in minutes.
pub const FIGURES: Page = Page {
    file: "figures.md",
    title: "weir in figures",
    command: "cargo xtask bench",
    intro: "Absolute figures of a shared machine vary by half, processor time varies less; the ratio within one\n\
            run is reliable. [README.md](README.md) describes the native loop and how to read this page. Every run\n\
            is in `figures/`, a file for each section.",
    sections: &[
        "throughput",
        "profile",
        "delay",
        "border",
        "safety",
        "start",
        "instances",
        "swap",
        "pipelines",
        "hosts",
        "chain",
        "plugins",
    ],
};

/// What exactly once costs.
pub const JOBS: Page = Page {
    file: "jobs.md",
    title: "Exactly once in figures",
    command: "cargo xtask bench --only jobs",
    intro: "What a pipeline with `delivery: exactly-once` does in a second, and what its commits, its restarts and its\n\
            state cost. The ratio within one run is reliable, absolute figures are not; [README.md](README.md) has\n\
            the goals. Every run is in `figures/`.",
    sections: &[
        "jobs",
        "jobs-delay",
        "jobs-recovery",
        "jobs-failover",
        "jobs-windows",
        "nexmark",
    ],
};

/// What takes most of an hour.
pub const SOAK: Page = Page {
    file: "soak.md",
    title: "Memory over ten million messages",
    command: "cargo xtask bench --soak",
    intro: "*Flat* means that memory never exceeded its maximum during the first million messages by more than\n\
            4 MiB or 5 %, whichever is more. Every sample is in `figures/`.",
    sections: &["soak-host", "soak-languages"],
};

impl Page {
    /// Puts the page together from the sections in `figures`, and writes it to `folder`. Without any
    /// section there is no page.
    ///
    /// # Errors
    /// When a section cannot be understood, or the page cannot be written.
    pub fn write(&self, figures: &Path, folder: &Path) -> Result<()> {
        let mut sections = Vec::new();
        for name in self.sections {
            sections.extend(Section::read(figures, name)?);
        }
        if sections.is_empty() {
            return Ok(());
        }
        let file = folder.join(self.file);
        std::fs::write(&file, self.text(&sections))
            .with_context(|| format!("cannot write `{}`", file.display()))
    }

    fn text(&self, sections: &[Section]) -> String {
        let Self {
            title,
            command,
            intro,
            ..
        } = self;
        let mut out =
            format!("<!-- Written by `{command}` from figures/. -->\n# {title}\n\n{intro}\n");
        for section in sections {
            // Writing to a string does not fail.
            let _ = write!(out, "\n{section}");
        }
        out
    }
}

/// As it stands on a page.
impl std::fmt::Display for Section {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(out, "## {}\n", self.title)?;
        for table in &self.tables {
            writeln!(out, "{table}")?;
        }
        for paragraph in self.notes.iter().chain([&self.method]) {
            writeln!(out, "{}\n", wrapped(paragraph))?;
        }
        writeln!(out, "{}", wrapped(&self.setting.to_string()))
    }
}

impl std::fmt::Display for Table {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let figures = self.columns.len().saturating_sub(1);
        writeln!(out, "| {} |", self.columns.join(" | "))?;
        writeln!(out, "|---|{}", "--:|".repeat(figures))?;
        for row in &self.rows {
            writeln!(out, "| {} |", row.join(" | "))?;
        }
        Ok(())
    }
}

impl std::fmt::Display for Setting {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            machine,
            cores,
            kernel,
            versions,
            commit,
            profile,
        } = self;
        let mut versions = versions.join(", ");
        if let Some(commit) = commit {
            versions += &format!(", commit {commit}");
        }
        write!(
            out,
            "Measured on {machine}, {cores} cores shared by everything, Linux {kernel}; {versions}, \
             {profile} profile."
        )
    }
}

/// The words of a paragraph on lines of at most 100 characters.
fn wrapped(paragraph: &str) -> String {
    const WIDTH: usize = 100;
    let (mut out, mut width) = (String::new(), 0);
    for word in paragraph.split_whitespace() {
        let length = word.chars().count();
        let between = match width {
            0 => "",
            width if width + 1 + length > WIDTH => "\n",
            _ => " ",
        };
        width = match between {
            " " => width + 1 + length,
            _ => length,
        };
        out.push_str(between);
        out.push_str(word);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_has_its_sections_in_order_with_tables_and_setting() {
        let section = |name: &str| {
            let mut table = Table::new(&["work", "weir", "native"]);
            table.row(["identity".to_owned(), "1".to_owned(), "2".to_owned()]);
            Section {
                name: name.to_owned(),
                title: format!("About {name}"),
                setting: Setting {
                    machine: "a machine".to_owned(),
                    cores: 2,
                    kernel: "6".to_owned(),
                    versions: vec!["weir 0".to_owned()],
                    commit: (name == "throughput").then(|| "abc1234".to_owned()),
                    profile: "release".to_owned(),
                },
                method: "Measured.".to_owned(),
                tables: vec![table],
                notes: vec!["Noted.".to_owned()],
                runs: serde_json::Value::Null,
            }
        };
        let text = FIGURES.text(&[section("throughput"), section("delay")]);
        let expected = "## About throughput\n\n\
            | work | weir | native |\n|---|--:|--:|\n| identity | 1 | 2 |\n\n\
            Noted.\n\nMeasured.\n\n\
            Measured on a machine, 2 cores shared by everything, Linux 6; weir 0, commit \
            abc1234, release\nprofile.\n\n## About delay\n";
        assert!(text.contains(expected), "{text}");
        assert!(text.ends_with("; weir 0, release profile.\n"), "{text}");
    }

    #[test]
    fn a_paragraph_is_wrapped_between_words() {
        let text = wrapped(&"word ".repeat(40));
        assert_eq!(text.lines().count(), 2);
        assert!(text.lines().all(|line| line.chars().count() <= 100));
    }
}
