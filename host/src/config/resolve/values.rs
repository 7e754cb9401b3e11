//! Single values: names, durations, sizes, subjects, files.

use crate::config::cursor::Cursor;
use crate::config::interpolate::Environment;
use crate::config::subject::SubjectFilter;
use crate::config::template::{KeyRule, SAME_KEY};
use crate::config::units::{DurationText, SizeText};
use crate::report::findings::Collector;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Longest name of a pipeline or operator. Message ids, consumer names and metric labels consist of
/// several names.
const MAX_NAME: usize = 64;

/// What the resolution of one file needs in addition to the model.
pub(in crate::config) struct Context<'c> {
    pub(in crate::config) findings: &'c mut Collector,
    /// Of the file, without a byte order mark.
    pub(in crate::config) text: Arc<str>,
    /// Whether a plugin's file must exist. False if it is not built yet.
    pub(in crate::config) plugins_exist: bool,
    /// Whether `trusted: true` is refused.
    pub(in crate::config) forbids_trusted: bool,
    pub(in crate::config) environment: &'c Environment<'c>,
    /// Servers that replace those in the file; unused if empty.
    pub(in crate::config) servers: &'c [String],
}

impl Context<'_> {
    /// The file that is resolved.
    pub(super) fn file(&self) -> &Path {
        self.findings.file()
    }

    /// Resolves a path: a relative one starts at the folder of the file.
    pub(super) fn path(&self, text: &str) -> PathBuf {
        self.file().parent().unwrap_or(Path::new("")).join(text)
    }

    /// Reports an error at the location of the value.
    pub(in crate::config) fn parsed<T>(
        &mut self,
        result: Result<T, String>,
        at: &Cursor<'_>,
    ) -> Option<T> {
        result
            .map_err(|why| {
                self.findings
                    .add(at.location(), format!("`{}`: {why}", at.path()))
            })
            .ok()
    }

    /// The rule for a key. The hint is for one that is the same for every message.
    pub(super) fn key_rule(
        &mut self,
        rule: Result<KeyRule, String>,
        at: &Cursor<'_>,
        hint: &str,
    ) -> Option<KeyRule> {
        let why = match rule {
            Ok(rule) => return Some(rule),
            Err(why) => why,
        };
        let message = format!("`{}`: {why}", at.path());
        match why == SAME_KEY {
            true => self.findings.add_hint(at.location(), message, hint),
            false => self.findings.add(at.location(), message),
        }
        None
    }

    pub(super) fn duration(&mut self, text: &DurationText, at: &Cursor<'_>) -> Option<Duration> {
        self.parsed(text.parse(), at)
    }

    /// A duration that must be more than zero.
    pub(super) fn positive_duration(
        &mut self,
        text: &DurationText,
        at: &Cursor<'_>,
    ) -> Option<Duration> {
        let duration = self.duration(text, at)?;
        if duration.is_zero() {
            self.findings.add(
                at.location(),
                format!("`{}` must be more than 0", at.path()),
            );
            return None;
        }
        Some(duration)
    }

    /// A size that this machine can address.
    pub(super) fn size(&mut self, text: &SizeText, at: &Cursor<'_>) -> Option<usize> {
        let size = text.parse().and_then(|size| {
            // No buffer is larger than `isize::MAX`; the parser saturates at 64 bits.
            let size = usize::try_from(size).ok();
            size.filter(|size| *size <= isize::MAX.unsigned_abs())
                .ok_or_else(|| "that is more than this machine can address".to_owned())
        });
        self.parsed(size, at)
    }

    /// The name of a pipeline or operator.
    pub(super) fn identifier(&mut self, text: Option<&str>, at: &Cursor<'_>) -> Option<String> {
        let text = text?;
        let fine = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        let why = match text.chars().find(|c| !fine(*c)) {
            Some(found) => format!("a name cannot contain {found:?}"),
            None if text.is_empty() => "a name cannot be empty".to_owned(),
            None if text.len() > MAX_NAME => {
                format!(
                    "a name has at most {MAX_NAME} characters, this one has {}",
                    text.len()
                )
            }
            None => return Some(text.to_owned()),
        };
        self.findings.add_hint(
            at.location(),
            format!("`{}`: {why}", at.path()),
            "use letters, digits, `-` and `_`",
        );
        None
    }

    /// The name of a stream or consumer, with the characters that the server allows.
    pub(super) fn server_name(&mut self, text: &str, at: &Cursor<'_>) -> Option<String> {
        let refused = |c: char| {
            c.is_whitespace() || c.is_control() || matches!(c, '.' | '*' | '>' | '/' | '\\')
        };
        let why = match text.chars().find(|c| refused(*c)) {
            Some(found) => format!("a name on the server cannot contain {found:?}"),
            None if text.is_empty() => "a name on the server cannot be empty".to_owned(),
            None if text.len() > 255 => "a name on the server has at most 255 bytes".to_owned(),
            None => return Some(text.to_owned()),
        };
        self.findings
            .add(at.location(), format!("`{}`: {why}", at.path()));
        None
    }

    /// The items of a list of texts, each read on its own; `None` if one is invalid. An item of another
    /// type has been reported.
    pub(in crate::config) fn each<T>(
        &mut self,
        texts: &[String],
        at: &Cursor<'_>,
        mut read: impl FnMut(&mut Self, &str, &Cursor<'_>) -> Option<T>,
    ) -> Option<Vec<T>> {
        let mut items = Vec::with_capacity(texts.len());
        for (index, text) in texts.iter().enumerate() {
            let at = at.item(index);
            if at.is_text(text) {
                items.extend(read(self, text, &at));
            }
        }
        (items.len() == texts.len()).then_some(items)
    }

    /// A list of subject filters that do not overlap; the server refuses overlapping ones.
    pub(super) fn filters(
        &mut self,
        texts: &[String],
        at: &Cursor<'_>,
    ) -> Option<Vec<SubjectFilter>> {
        let mut before: Vec<SubjectFilter> = Vec::with_capacity(texts.len());
        self.each(texts, at, |context, text, at| {
            let filter = context.parsed(SubjectFilter::parse(text), at)?;
            let other = before.iter().find(|other| other.overlaps(&filter));
            let overlap = other.map(|other| format!("`{filter}` overlaps `{other}`"));
            before.push(filter.clone());
            context.parsed(overlap.map_or(Ok(filter), Err), at)
        })
    }

    /// A file that must exist and not be a folder. The hint has the resolved path and `otherwise`.
    pub(super) fn existing_file(
        &mut self,
        text: &str,
        otherwise: &str,
        at: &Cursor<'_>,
    ) -> Option<PathBuf> {
        let path = self.path(text);
        let why = match std::fs::metadata(&path) {
            Ok(found) if found.is_file() => return absolute(&path),
            Ok(_) => "is not a file".to_owned(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                "does not exist".to_owned()
            }
            Err(error) => format!("cannot be read: {}", error.kind()),
        };
        self.findings.add_hint(
            at.location(),
            format!("`{}`: `{text}` {why}", at.path()),
            format!("looked for `{}`; {otherwise}", path.display()),
        );
        None
    }
}

/// An optional value: `Some(None)` if it is missing, `None` if it is invalid.
pub(super) fn optional<T, U>(
    value: Option<T>,
    read: impl FnOnce(T) -> Option<U>,
) -> Option<Option<U>> {
    match value {
        None => Some(None),
        Some(value) => read(value).map(Some),
    }
}

/// The absolute path. `None` only if there is no working directory.
pub(super) fn absolute(path: &Path) -> Option<PathBuf> {
    std::path::absolute(path).ok()
}
