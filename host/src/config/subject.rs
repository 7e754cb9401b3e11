//! Subjects and subject filters: what NATS accepts, and which filters match or overlap.
//!
//! Pure text; nothing here knows a stream. Tokens are separated by dots; `*` matches one token and a final
//! `>` one or more.

use std::fmt;

/// Longest subject the host publishes to, in bytes. The server drops a connection whose control line
/// exceeds 4 KiB (`max_control_line`), and that line carries the subject, a reply inbox and two sizes.
/// A subject that is made from data must not be able to break the connection.
pub(super) const MAX_SUBJECT_BYTES: usize = 1024;

/// What the subjects of key-value buckets begin with.
const BUCKETS: &str = "$KV.";
/// The first token of weir's own subjects, and the beginning of the names of its buckets.
const OURS: &str = "weir";
/// First tokens of inboxes, and of those that the server makes of them between accounts.
const INBOXES: [&str; 3] = ["_INBOX", "_R_", "_GR_"];

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

/// Whether `subject` is one that a message can be published on.
///
/// # Errors
///
/// Says in one sentence why not: the protocol cannot carry it.
pub fn check_subject(subject: &str) -> Result<(), String> {
    check_tokens(subject)?;
    if subject.split('.').any(|token| matches!(token, "*" | ">")) {
        return Err("a subject to publish to cannot contain a wildcard".to_owned());
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

/// Whether inboxes may begin with `prefix`.
///
/// # Errors
///
/// Says in one sentence why not.
pub(super) fn check_inbox_prefix(prefix: &str) -> Result<(), String> {
    check_subject(prefix)?;
    match prefix.starts_with('$') || is_under(prefix, OURS) {
        true => check_free(prefix, prefix),
        false => Ok(()),
    }
}

/// Whether data may choose `subject`: a template, a plugin, or the header of a dead letter.
///
/// # Errors
///
/// Says in one sentence whose it is: the server's (its APIs, buckets and services), an inbox's, or weir's
/// own. Upper and lower case are the same here.
pub fn check_free(subject: &str, inbox_prefix: &str) -> Result<(), String> {
    let first = subject.split('.').next().unwrap_or_default();
    let is_first = |token: &&str| first.eq_ignore_ascii_case(token);
    let whose = if first.starts_with('$') {
        "the server"
    } else if INBOXES.iter().any(is_first) || is_under(subject, inbox_prefix) {
        "inboxes"
    } else if is_first(&OURS) {
        "weir"
    } else {
        return Ok(());
    };
    Err(format!("subjects under `{first}` belong to {whose}"))
}

/// The bucket that a template names: it begins with `$KV.`, a literal name that is not of a bucket of weir,
/// and a dot.
pub(super) fn bucket(literal: &str) -> Option<&str> {
    let (bucket, _) = literal.strip_prefix(BUCKETS)?.split_once('.')?;
    (!bucket.is_empty() && !starts(bucket, OURS)).then_some(bucket)
}

/// Whether a subject begins with the tokens of `prefix`, in upper or lower case.
#[must_use]
pub fn is_under(subject: &str, prefix: &str) -> bool {
    let rest = subject.get(prefix.len()..).unwrap_or_default();
    starts(subject, prefix) && (rest.is_empty() || rest.starts_with('.'))
}

fn starts(text: &str, start: &str) -> bool {
    text.get(..start.len())
        .is_some_and(|text| text.eq_ignore_ascii_case(start))
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
