//! `oci://REGISTRY/REPOSITORY:TAG@DIGEST`: a component in an OCI registry.
//!
//! Only the text. The grammar is that of the OCI distribution specification, except that the registry is
//! mandatory: a reference never depends on a default registry.

use core::net::{IpAddr, Ipv6Addr};
use std::fmt;

/// Scheme of references to registries.
const SCHEME: &str = "oci://";

/// A component in a registry. It has a tag, a digest or both; a repository has neither.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct InRegistry {
    /// Host, and port if there is one.
    pub registry: String,
    pub repository: String,
    pub tag: Option<String>,
    /// `sha256:` and 64 digits; the digest of the manifest.
    pub digest: Option<String>,
}

impl InRegistry {
    /// Whether a reference is meant for a registry.
    #[must_use]
    pub fn is_meant(text: &str) -> bool {
        text.starts_with(SCHEME)
    }

    /// Reads a reference with its scheme.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let found = Self::read(text)?;
        if found.tag.is_none() && found.digest.is_none() {
            return Err(format!("`{text}` has neither a `:tag` nor an `@digest`"));
        }
        Ok(found)
    }

    /// Like [`InRegistry::parse`], for the target of a push, which must have a tag and no digest.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse_tag(text: &str) -> Result<Self, String> {
        let found = Self::read(text)?;
        match (&found.tag, &found.digest) {
            (Some(_), None) => Ok(found),
            (None, None) => Err(format!("`{text}` has no `:tag`")),
            (_, Some(_)) => Err(format!(
                "`{text}` has a digest: a push computes the digest itself"
            )),
        }
    }

    /// Like [`InRegistry::parse`], for a repository, which has neither a tag nor a digest.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse_repository(text: &str) -> Result<Self, String> {
        let found = Self::read(text)?;
        match (&found.tag, &found.digest) {
            (None, None) => Ok(found),
            _ => Err(format!(
                "`{text}` is not a repository: leave out the tag and the digest"
            )),
        }
    }

    fn read(text: &str) -> Result<Self, String> {
        let form = || format!("`{text}` is not of the form oci://REGISTRY/REPOSITORY:TAG");
        let rest = text.strip_prefix(SCHEME).ok_or_else(form)?;
        let (registry, rest) = rest.split_once('/').ok_or_else(form)?;
        if registry.contains('@')
            || rest.contains('@') && !rest.contains("@sha256:") && registry.contains(':')
        {
            return Err(
                "a reference cannot have a user and a password: log in with `docker login`"
                    .to_owned(),
            );
        }
        let (rest, digest) = match rest.split_once('@') {
            Some((rest, digest)) => (rest, Some(digest)),
            None => (rest, None),
        };
        let (repository, tag) = match rest.split_once(':') {
            Some((repository, tag)) => (repository, Some(tag)),
            None => (rest, None),
        };
        check_registry(registry)?;
        check_repository(repository)?;
        tag.map_or(Ok(()), check_tag)?;
        digest.map_or(Ok(()), check_digest)?;
        Ok(Self {
            registry: registry.to_owned(),
            repository: repository.to_owned(),
            tag: tag.map(str::to_owned),
            digest: digest.map(str::to_owned),
        })
    }

    /// Whether the registry is on this machine; such a registry is accessed without TLS.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        let host = host(&self.registry);
        let address = host.trim_start_matches('[').trim_end_matches(']');
        host == "localhost" || address.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
    }

    /// The tag to follow. A reference with a digest never changes.
    #[must_use]
    pub fn followed(&self) -> Option<&str> {
        match &self.digest {
            Some(_) => None,
            None => self.tag.as_deref(),
        }
    }

    /// The same with another tag.
    #[must_use]
    pub fn tagged(&self, tag: &str) -> Self {
        Self {
            tag: Some(tag.to_owned()),
            ..self.clone()
        }
    }

    /// The repository alone, with its scheme.
    #[must_use]
    pub fn whole_repository(&self) -> String {
        format!("{SCHEME}{}/{}", self.registry, self.repository)
    }
}

/// A registry without its port.
fn host(registry: &str) -> &str {
    let port = registry.rsplit_once(':');
    port.filter(|(_, port)| !port.ends_with(']'))
        .map_or(registry, |(host, _)| host)
}

fn check_registry(text: &str) -> Result<(), String> {
    let wrong = || format!("`{text}` is not a registry: name a host, and a port if it needs one");
    let host = host(text);
    let named = |c: char| c.is_ascii_alphanumeric() || c == '.' || c == '-';
    let bracketed = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    let sound = match bracketed {
        Some(address) => address.parse::<Ipv6Addr>().is_ok(),
        None => !host.is_empty() && host.chars().all(named),
    };
    let port = text.get(host.len()..).unwrap_or_default();
    let port = port.strip_prefix(':').map(str::parse::<u16>);
    match sound && !matches!(port, Some(Err(_) | Ok(0))) {
        true => Ok(()),
        false => Err(wrong()),
    }
}

/// Checks components of lower-case letters and digits with separators between them, joined by `/`.
fn check_repository(text: &str) -> Result<(), String> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let word = |word: &str| {
        word.starts_with(plain)
            && word.ends_with(plain)
            && word.chars().all(|c| plain(c) || "._-".contains(c))
    };
    match text.len() <= 255 && text.split('/').all(word) {
        true => Ok(()),
        false => Err(format!(
            "`{text}` is not a repository: use lower-case letters, digits, `.`, `_`, `-` and `/`"
        )),
    }
}

fn check_tag(text: &str) -> Result<(), String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let sound = text.starts_with(plain) && text.chars().all(|c| plain(c) || c == '.' || c == '-');
    match sound && text.len() <= 128 {
        true => Ok(()),
        false => Err(format!(
            "`{text}` is not a tag: use letters, digits, `_`, `.` and `-`, at most 128"
        )),
    }
}

fn check_digest(text: &str) -> Result<(), String> {
    let digits = text.strip_prefix("sha256:").unwrap_or_default();
    let plain = |c: char| matches!(c, '0'..='9' | 'a'..='f');
    match digits.len() == 64 && digits.chars().all(plain) {
        true => Ok(()),
        false => Err(format!(
            "`{text}` is not a digest: write `sha256:` and 64 digits of 0 to 9 and a to f"
        )),
    }
}

impl fmt::Display for InRegistry {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.whole_repository())?;
        if let Some(tag) = &self.tag {
            write!(formatter, ":{tag}")?;
        }
        match &self.digest {
            Some(digest) => write!(formatter, "@{digest}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may fail by panicking")]
mod tests {
    use super::*;

    fn digest() -> String {
        format!("sha256:{}", "0a".repeat(32))
    }

    #[test]
    fn a_reference_to_a_registry_is_read_whole() {
        let text = format!("oci://ghcr.io/shop/rebates:1.2.0@{}", digest());
        let found = InRegistry::parse(&text).unwrap();
        assert_eq!(found.to_string(), text);
        assert_eq!(
            (&*found.registry, &*found.repository),
            ("ghcr.io", "shop/rebates")
        );
        assert_eq!(found.tag.as_deref(), Some("1.2.0"));
        assert_eq!(found.followed(), None);
        let found = InRegistry::parse("oci://[::1]:5000/a:b").unwrap();
        assert_eq!(found.registry, "[::1]:5000");
        assert_eq!(found.followed(), Some("b"));
        assert_eq!(found.tagged("c").to_string(), "oci://[::1]:5000/a:c");
    }

    #[test]
    fn a_reference_that_is_wrong_is_refused() {
        for wrong in [
            "oci://",
            "oci://ghcr.io",
            "oci://ghcr.io/",
            "oci://ghcr.io/a",
            "oci:///a:b",
            "oci://ghcr.io:port/a:b",
            "oci://ghcr.io:0/a:b",
            "oci://::1/a:b",
            "oci://user@ghcr.io/a:b",
            "oci://ghcr.io/A:b",
            "oci://ghcr.io/a//b:c",
            "oci://ghcr.io/../b:c",
            "oci://ghcr.io/a:",
            "oci://ghcr.io/a:b/c",
            "oci://ghcr.io/a@sha256:12",
            "oci://ghcr.io/a@md5:12",
            "ghcr.io/a:b",
        ] {
            assert!(InRegistry::parse(wrong).is_err(), "{wrong}");
        }
        assert!(InRegistry::parse_tag("oci://ghcr.io/a").is_err());
        assert!(InRegistry::parse_tag(&format!("oci://ghcr.io/a:b@{}", digest())).is_err());
        assert!(InRegistry::parse_repository("oci://ghcr.io/a:b").is_err());
        assert!(InRegistry::parse_repository("oci://ghcr.io/a").is_ok());
    }

    #[test]
    fn only_this_machine_is_spoken_to_without_tls() {
        let is_loopback = |registry: &str| {
            let text = format!("oci://{registry}/a:b");
            InRegistry::parse(&text).unwrap().is_loopback()
        };
        for here in [
            "localhost",
            "localhost:5000",
            "127.0.0.1:5000",
            "[::1]",
            "[::1]:5000",
        ] {
            assert!(is_loopback(here), "{here}");
        }
        for elsewhere in [
            "ghcr.io",
            "localhost.example.com",
            "10.0.0.1:5000",
            "[fd00::1]",
        ] {
            assert!(!is_loopback(elsewhere), "{elsewhere}");
        }
    }
}
