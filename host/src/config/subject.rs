//! Subjects and subject filters: what NATS accepts, and which filters match or overlap.
//!
//! Pure text; nothing here knows a stream. Tokens are separated by dots; `*` matches one token and a final
//! `>` one or more.

use std::fmt;

/// Longest subject the host publishes to, in bytes. The server drops a connection whose control line
/// exceeds 4 KiB (`max_control_line`), and that line carries the subject, a reply inbox and two sizes.
/// A subject that is made from data must not be able to break the connection.
pub(super) const MAX_SUBJECT_BYTES: usize = 1024;

/// First tokens that belong to the server: publishing there would call its API.
const SERVER_TOKENS: [&str; 2] = ["$JS", "$SYS"];

/// A subject, perhaps with wildcards, as consumers and streams filter by it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct SubjectFilter {
    text: Box<str>,
}

impl SubjectFilter {
    /// Parses a filter.
    ///
    /// # Errors
    ///
    /// Says in one sentence what is wrong: an empty token, white space, a wildcard inside a token or
    /// `>` before the end.
    pub fn parse(text: &str) -> Result<Self, String> {
        check_tokens(text)?;
        let mut tokens = text.split('.').peekable();
        while let Some(token) = tokens.next() {
            if token == ">" && tokens.peek().is_some() {
                return Err("`>` can only be the last token of a subject".to_owned());
            }
            if token.len() > 1 && token.contains(['*', '>']) {
                return Err(format!(
                    "a wildcard must be a whole token, not a part of `{token}`"
                ));
            }
        }
        Ok(Self { text: text.into() })
    }

    /// The filter as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether a literal subject matches the filter.
    ///
    /// ```
    /// use weir::config::template::SubjectFilter;
    ///
    /// let paid = SubjectFilter::parse("orders.*.paid").unwrap();
    /// assert!(paid.matches("orders.lisbon.paid"));
    /// assert!(!paid.matches("orders.lisbon.paid.again"));
    /// ```
    #[must_use]
    pub fn matches(&self, subject: &str) -> bool {
        let mut subject = subject.split('.');
        for token in self.text.split('.') {
            match (token, subject.next()) {
                (">", Some(_)) => return true,
                ("*", Some(_)) => {}
                (token, Some(found)) if token == found => {}
                _ => return false,
            }
        }
        subject.next().is_none()
    }

    /// Whether some subject matches both filters.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        let (mut ours, mut theirs) = (self.text.split('.'), other.text.split('.'));
        loop {
            match (ours.next(), theirs.next()) {
                (None, None) | (Some(">"), Some(_)) | (Some(_), Some(">")) => return true,
                (Some("*"), Some(_)) | (Some(_), Some("*")) => {}
                (Some(our), Some(their)) if our == their => {}
                _ => return false,
            }
        }
    }

    /// Whether every subject that matches `other` matches this filter too.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        let (mut ours, mut theirs) = (self.text.split('.'), other.text.split('.'));
        loop {
            match (ours.next(), theirs.next()) {
                (None, None) | (Some(">"), Some(_)) => return true,
                (Some("*"), Some(their)) if their != ">" => {}
                (Some(our), Some(their)) if our == their => {}
                _ => return false,
            }
        }
    }

    /// The maximum number of tokens of a matching subject; `None` if there is no limit.
    #[must_use]
    pub fn max_tokens(&self) -> Option<usize> {
        (!self.text.ends_with('>')).then(|| self.text.split('.').count())
    }
}

impl fmt::Debug for SubjectFilter {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.text, formatter)
    }
}

impl fmt::Display for SubjectFilter {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

/// Whether a message may be published on `subject`.
///
/// # Errors
///
/// Says in one sentence why not. Data can become part of a subject through templates and plugins. This
/// check stops subjects of the server's own API and subjects that the protocol cannot carry.
pub fn check_subject(subject: &str) -> Result<(), String> {
    check_tokens(subject)?;
    if subject.split('.').any(|token| matches!(token, "*" | ">")) {
        return Err("a subject to publish to cannot contain a wildcard".to_owned());
    }
    let first = subject.split('.').next().unwrap_or_default();
    if SERVER_TOKENS.contains(&first) {
        return Err(format!("subjects under `{first}` belong to the server"));
    }
    Ok(())
}

/// Whether subjects of the JetStream API can begin with `prefix`.
///
/// # Errors
///
/// Says in one sentence why not.
pub(super) fn check_api_prefix(prefix: &str) -> Result<(), String> {
    check_tokens(prefix)?;
    if prefix.contains(['*', '>']) {
        return Err("a prefix of subjects cannot contain a wildcard".to_owned());
    }
    Ok(())
}

fn check_tokens(text: &str) -> Result<(), String> {
    if text.is_empty() {
        return Err("a subject cannot be empty".to_owned());
    }
    if text.len() > MAX_SUBJECT_BYTES {
        return Err(format!(
            "a subject has at most {MAX_SUBJECT_BYTES} bytes, this one has {}",
            text.len()
        ));
    }
    if let Some(found) = text.chars().find(|c| c.is_whitespace() || c.is_control()) {
        return Err(match found {
            ' ' => "a subject cannot contain a space".to_owned(),
            other => format!("a subject cannot contain {other:?}"),
        });
    }
    if text.split('.').any(str::is_empty) {
        return Err("a subject cannot have an empty token".to_owned());
    }
    Ok(())
}

#[cfg(test)]
#[expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]
mod tests;
