//! Where a component comes from: a file, a bucket of plugins, an OCI registry, or the binary.

mod in_registry;

pub use in_registry::InRegistry;

use std::fmt;
use std::path::{Path, PathBuf};

/// The value of `plugin:`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Reference {
    /// Absolute after the configuration is resolved.
    File(PathBuf),
    Bucket(InBucket),
    Registry(InRegistry),
    Standard(InBinary),
}

/// `nats://BUCKET/NAME@VERSION`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct InBucket {
    pub bucket: String,
    pub name: String,
    /// A version, or a tag that points to one.
    pub version: String,
}

/// `std:NAME` or `std:NAME@VERSION`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct InBinary {
    pub name: String,
    /// The version that the binary must have; any, if none is given.
    pub version: Option<String>,
}

impl Reference {
    /// Parses the value of `plugin:`; a relative path starts at `folder`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str, folder: &Path) -> Result<Self, String> {
        if let Some(found) = InBinary::parse(text) {
            return found.map(Self::Standard);
        }
        match text.split_once("://") {
            Some(_) if text.starts_with(SCHEME) => InBucket::parse(text).map(Self::Bucket),
            Some(_) if InRegistry::is_meant(text) => InRegistry::parse(text).map(Self::Registry),
            Some((scheme, _)) => Err(format!(
                "plugins cannot be loaded from `{scheme}://`: use the path of a `.wasm` file, \
                 std:NAME, nats://BUCKET/NAME@VERSION or oci://REGISTRY/REPOSITORY:TAG"
            )),
            None if text.is_empty() => Err("a plugin's path cannot be empty".to_owned()),
            None => Ok(Self::File(folder.join(text))),
        }
    }

    /// The file, if it is one.
    #[must_use]
    pub fn file(&self) -> Option<&PathBuf> {
        match self {
            Self::File(file) => Some(file),
            Self::Bucket(_) | Self::Registry(_) | Self::Standard(_) => None,
        }
    }
}

impl InBinary {
    /// Reads a reference with its scheme; `None` if it has another one.
    ///
    /// # Errors
    /// What is wrong with it.
    #[must_use]
    pub fn parse(text: &str) -> Option<Result<Self, String>> {
        let rest = text.strip_prefix(STANDARD)?;
        let (name, version) = match rest.split_once('@') {
            Some((name, version)) => (name, Some(version)),
            None => (rest, None),
        };
        let checked = check("standard plugin", name, "-_");
        let checked = checked.and_then(|()| version.map_or(Ok(()), check_version));
        Some(checked.map(|()| Self {
            name: name.to_owned(),
            version: version.map(str::to_owned),
        }))
    }
}

impl InBucket {
    /// Reads a reference with its scheme.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let form = || format!("`{text}` is not of the form nats://BUCKET/NAME@VERSION");
        let rest = text.strip_prefix(SCHEME).ok_or_else(form)?;
        let (bucket, rest) = rest.split_once('/').ok_or_else(form)?;
        let (name, version) = rest.split_once('@').ok_or_else(form)?;
        check("bucket", bucket, "-_")?;
        if bucket.starts_with(RESERVED) {
            return Err(format!(
                "`{bucket}` is not a bucket of plugins: names that begin with `{RESERVED}` are \
                 reserved for weir's own buckets"
            ));
        }
        check("plugin", name, "-_")?;
        check_version(version)?;
        Ok(Self {
            bucket: bucket.to_owned(),
            name: name.to_owned(),
            version: version.to_owned(),
        })
    }
}

/// Prefix of the names of weir's own buckets: receipts, deployments and others.
const RESERVED: &str = "weir-";

/// Scheme of references to standard plugins.
const STANDARD: &str = "std:";

/// Scheme of references to buckets.
pub const SCHEME: &str = "nats://";

/// Checks the characters of a version or a tag: those that the key of a bucket may have, except `/`.
///
/// # Errors
/// What is wrong with it.
pub fn check_version(text: &str) -> Result<(), String> {
    check("version", text, "-_.=")?;
    match text.starts_with('.') || text.ends_with('.') || text.contains("..") {
        true => Err(format!(
            "`{text}` is not a version: a dot must be between other characters"
        )),
        false => Ok(()),
    }
}

/// Checks the characters of the name of a bucket or a plugin.
///
/// # Errors
/// What is wrong with it.
pub fn check_name(what: &str, text: &str) -> Result<(), String> {
    check(what, text, "-_")
}

fn check(what: &str, text: &str, more: &str) -> Result<(), String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || more.contains(c);
    match !text.is_empty() && text.len() <= 64 && text.chars().all(plain) {
        true => Ok(()),
        false => Err(format!(
            "`{text}` is not the name of a {what}: use letters, digits and `{more}`, at most 64"
        )),
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(file) => file.display().fmt(formatter),
            Self::Bucket(location) => location.fmt(formatter),
            Self::Registry(location) => location.fmt(formatter),
            Self::Standard(standard) => standard.fmt(formatter),
        }
    }
}

impl fmt::Display for InBinary {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{STANDARD}{}", self.name)?;
        match &self.version {
            Some(version) => write!(formatter, "@{version}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for InBucket {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            bucket,
            name,
            version,
        } = self;
        write!(formatter, "{SCHEME}{bucket}/{name}@{version}")
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may fail by panicking")]
mod tests {
    use super::*;

    #[test]
    fn a_reference_to_a_bucket_is_read_whole_or_not_at_all() {
        let found = InBucket::parse("nats://plugins/rebates@1.2.0-rc1").unwrap();
        assert_eq!(found.to_string(), "nats://plugins/rebates@1.2.0-rc1");
        assert_eq!((&*found.bucket, &*found.name), ("plugins", "rebates"));
        for wrong in [
            "nats://plugins",
            "nats://plugins/rebates",
            "nats:///rebates@1",
            "nats://plugins/@1",
            "nats://plugins/rebates@",
            "nats://plugins/rebates@a/b",
            "nats://plugins/rebates@1..2",
            "nats://plug.ins/rebates@1",
            "plugins/rebates@1",
        ] {
            assert!(InBucket::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_reference_to_a_standard_plugin_has_a_name_and_perhaps_a_version() {
        let parsed = |text: &str| Reference::parse(text, Path::new("/pipelines"));
        for text in ["std:filter", "std:filter@1.2.0-rc1"] {
            assert_eq!(parsed(text).unwrap().to_string(), text);
        }
        assert!(parsed("std:filter").unwrap().file().is_none());
        for wrong in [
            "std:",
            "std:filter@",
            "std:a/b",
            "std:filter.wasm",
            "std://filter",
        ] {
            assert!(parsed(wrong).is_err(), "{wrong}");
        }
        assert!(parsed("std/filter.wasm").unwrap().file().is_some());
    }

    #[test]
    fn weirs_own_buckets_are_not_buckets_of_plugins() {
        let why = InBucket::parse("nats://weir-receipts/x@1").unwrap_err();
        assert!(why.contains("begin with `weir-`"), "{why}");
        assert!(InBucket::parse("nats://weirdo/x@1").is_ok());
    }
}
