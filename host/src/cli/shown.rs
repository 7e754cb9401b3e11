//! Formats digests and times for a terminal.

/// The beginning of a digest, enough to distinguish two by eye.
pub(super) fn short(digest: &str) -> &str {
    digest.get(..12).unwrap_or(digest)
}

/// A time in RFC 3339 to the second, without the time zone, which is UTC.
pub(super) fn moment(time: &str) -> &str {
    time.get(..19).unwrap_or(time)
}
