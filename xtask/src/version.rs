//! Versions as programs print them, compared number by number.
//!
//! Not a semver library: what is compared is "at least", and a pre-release counts as older than
//! the release it leads to, which is all the set-up needs to know.

use std::cmp::Ordering;
use std::fmt;

/// A version of up to three numbers and an optional pre-release: `2.12.1`, `2.12.0-RC.3`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Version {
    numbers: [u64; 3],
    pre_release: Option<String>,
}

impl Version {
    /// A release version.
    pub(crate) const fn new(major: u64, minor: u64, patch: u64) -> Version {
        Version {
            numbers: [major, minor, patch],
            pre_release: None,
        }
    }

    /// The first version in a program's output, with or without a leading `v`: the `2.15.1` of
    /// `nats-server: v2.15.1`, the `1.26.8` of `go version go1.26.8 linux/amd64`.
    /// Text without a `number.number` in it has no version.
    pub(crate) fn find(text: &str) -> Option<Version> {
        text.split(|c: char| c.is_whitespace() || c == ',' || c == '(')
            .find_map(Version::word)
    }

    /// A version that makes up the end of one word, after a prefix of letters (`v`, `go`).
    fn word(word: &str) -> Option<Version> {
        let word = word.trim_start_matches(|c: char| c.is_ascii_alphabetic());
        let word = word.split('+').next().unwrap_or(word); // build metadata orders nothing
        let (release, pre_release) = match word.split_once(['-', '~']) {
            Some((release, pre)) => (release, Some(pre.to_owned())),
            None => (word, None),
        };
        let mut numbers = [0; 3];
        let mut count = 0;
        for part in release.split('.') {
            *numbers.get_mut(count)? = part.parse().ok()?;
            count += 1;
        }
        (count >= 2).then_some(Version {
            numbers,
            pre_release,
        })
    }
}

impl Ord for Version {
    fn cmp(&self, other: &Version) -> Ordering {
        self.numbers.cmp(&other.numbers).then_with(|| {
            match (&self.pre_release, &other.pre_release) {
                (None, None) => Ordering::Equal,
                (None, Some(_)) => Ordering::Greater,
                (Some(_), None) => Ordering::Less,
                (Some(mine), Some(theirs)) => mine.cmp(theirs),
            }
        })
    }
}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Version) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [major, minor, patch] = self.numbers;
        write!(f, "{major}.{minor}.{patch}")?;
        self.pre_release
            .iter()
            .try_for_each(|pre| write!(f, "-{pre}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> String {
        Version::find(text).map_or_else(|| "none".to_owned(), |version| version.to_string())
    }

    #[test]
    fn the_version_is_found_in_what_programs_print() {
        assert_eq!(found("nats-server: v2.15.1"), "2.15.1");
        assert_eq!(found("nats-server: v2.12.0-RC.3\n"), "2.12.0-RC.3");
        assert_eq!(found("go version go1.26.8 linux/amd64"), "1.26.8");
        assert_eq!(found("go version go1.27 linux/amd64"), "1.27.0");
        assert_eq!(found("rustc 1.95.0 (59807616e 2026-04-14)"), "1.95.0");
        assert_eq!(found("cargo-deny 0.20.2"), "0.20.2");
        assert_eq!(found("nats-server: v2.15.1+debian"), "2.15.1");
    }

    #[test]
    fn text_without_a_version_has_none() {
        assert_eq!(found(""), "none");
        assert_eq!(found("nats-server: dev"), "none");
        assert_eq!(found("nats-server: v2"), "none");
        assert_eq!(found("1.2.3.4"), "none");
    }

    #[test]
    fn versions_are_compared_by_number_and_not_by_letter() {
        let least = Version::new(2, 12, 1);
        let enough = |text| Version::find(text).is_some_and(|version| version >= least);
        assert!(enough("v2.12.1"));
        assert!(enough("v2.15.1"));
        assert!(enough("v10.0.0"));
        assert!(!enough("v2.9.10"));
        assert!(!enough("v2.12.0"));
        assert!(!enough("v2.12.1-RC.1"));
        assert!(enough("v2.12.2-RC.1"));
    }
}
