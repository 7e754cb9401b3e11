//! Findings: all problems of a configuration, each with its location.
//!
//! A finding is data. `Display` formats it for a terminal, `Serialize` for a machine. Messages have the
//! style of `report.rs`: lower case, no full stop, the offending thing in backticks, and a hint that names
//! an action.

use super::secrets;
use serde::Serialize;
use std::fmt::{self, Write};
use std::path::{Path, PathBuf};

/// A position in a file. Both numbers count from 1, columns in characters. 0 and 0 mean the whole file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Location {
    pub line: usize,
    pub column: usize,
}

impl Location {
    /// The location of a finding about the whole content of a file.
    pub const START: Self = Self { line: 1, column: 1 };
    /// The location of a finding that is not about the content of the file.
    pub const FILE: Self = Self { line: 0, column: 0 };
}

/// One problem.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The path from the command line.
    pub file: PathBuf,
    /// The location of the offending key or value.
    #[serde(flatten)]
    pub location: Location,
    /// What is wrong, in one sentence.
    pub message: String,
    /// What to do about it, if there is something.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// What is written there, if it is in a language of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub excerpt: Option<Excerpt>,
}

/// A part of a line, and the character in it that a finding is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Excerpt {
    pub text: String,
    /// From 0; behind the text if something is missing there.
    pub caret: usize,
}

impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Location { line, column } = self.location;
        write!(formatter, "{}:", self.file.display())?;
        if self.location != Location::FILE {
            write!(formatter, "{line}:{column}:")?;
        }
        write!(formatter, " error: {}", Legible(&self.message))?;
        if let Some(Excerpt { text, caret }) = &self.excerpt {
            write!(formatter, "\n    {}\n    {:caret$}^", Legible(text), "")?;
        }
        match &self.hint {
            Some(hint) => write!(formatter, "\n  hint: {}", Legible(hint)),
            None => Ok(()),
        }
    }
}

/// Most characters of a message or a hint that a terminal shows.
const LONGEST: usize = 1000;

/// Text that may quote a file or a plugin: without what a terminal would obey, and not without end.
struct Legible<'t>(&'t str);

impl fmt::Display for Legible<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut characters = self.0.chars();
        for character in characters.by_ref().take(LONGEST) {
            match character.is_control() {
                true => character.escape_default().fmt(formatter)?,
                false => formatter.write_char(character)?,
            }
        }
        match characters.next() {
            Some(_) => formatter.write_str("..."),
            None => Ok(()),
        }
    }
}

/// All problems in the files of one command, ordered by file and line. Serializes as a list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Findings(Vec<Finding>);

impl Findings {
    /// Whether there are no findings.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The findings, in order.
    pub fn iter(&self) -> std::slice::Iter<'_, Finding> {
        self.0.iter()
    }

    /// Adds findings to those of their files. `files` is the order of the files.
    ///
    /// Their texts come from [`super::line`] and [`super::hints`], which hide secrets.
    pub fn add(&mut self, more: Vec<Finding>, files: &[PathBuf]) {
        self.0.extend(more);
        let position = |finding: &Finding| files.iter().position(|file| *file == finding.file);
        self.0
            .sort_by_key(|finding| (position(finding), finding.location));
    }

    /// Appends the findings of one file, sorted by location.
    pub(crate) fn append(&mut self, mut of_file: Vec<Finding>) {
        of_file.sort_by_key(|finding| finding.location);
        of_file.dedup();
        self.0.append(&mut of_file);
    }
}

impl<'f> IntoIterator for &'f Findings {
    type Item = &'f Finding;
    type IntoIter = std::slice::Iter<'f, Finding>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// One block for each finding, without a line break at the end.
impl fmt::Display for Findings {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, finding) in self.0.iter().enumerate() {
            if index > 0 {
                formatter.write_str("\n")?;
            }
            finding.fmt(formatter)?;
        }
        Ok(())
    }
}

impl std::error::Error for Findings {}

/// The least bytes of a value that may be a secret; a shorter one would be found in our own words.
pub(crate) const SECRET: usize = 6;

/// Collects the findings of one file.
#[derive(Debug)]
pub(crate) struct Collector {
    file: PathBuf,
    findings: Vec<Finding>,
}

impl Collector {
    pub(crate) fn new(file: &Path) -> Self {
        Self {
            file: file.to_owned(),
            findings: Vec::new(),
        }
    }

    /// The file that is checked.
    pub(crate) fn file(&self) -> &Path {
        &self.file
    }

    /// Whether there are no findings yet.
    pub(crate) fn is_empty(&self) -> bool {
        self.findings.is_empty()
    }

    /// Adds a finding without a hint.
    pub(crate) fn add(&mut self, location: Location, message: impl Into<String>) {
        self.push(location, message.into(), None);
    }

    /// Adds a finding with a hint.
    pub(crate) fn add_hint(
        &mut self,
        location: Location,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) {
        self.push(location, message.into(), Some(hint.into()));
    }

    fn push(&mut self, location: Location, message: String, hint: Option<String>) {
        let file = self.file.clone();
        self.findings.push(Finding {
            file,
            location,
            message,
            hint,
            excerpt: None,
        });
    }

    /// Puts names in the place of values that the environment gave, each with its name: a value may be
    /// a secret, and the name is what the file says.
    pub(crate) fn mask(&mut self, given: &[(String, String)]) {
        for (name, value) in given.iter().filter(|(_, value)| value.len() >= SECRET) {
            let mask = |text: &mut String| *text = text.replace(value, &format!("${{{name}}}"));
            for finding in &mut self.findings {
                mask(&mut finding.message);
                finding.hint.as_mut().map(mask);
            }
        }
        for finding in &mut self.findings {
            let hide = |text: &mut String| *text = secrets::hide(text).into_owned();
            hide(&mut finding.message);
            finding.hint.as_mut().map(hide);
        }
    }

    pub(crate) fn into_findings(self) -> Vec<Finding> {
        self.findings
    }
}
