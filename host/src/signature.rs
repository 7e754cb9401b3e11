//! Minisign signatures of components: whether a component is signed by a key that an operator requires.
//!
//! Only this module imports `minisign_verify`. `plugin/` calls it before it parses the bytes, so that
//! every way to load a plugin is covered.

use crate::report::ResultExt;
use anyhow::{Context, Result, anyhow};
use minisign_verify::{Error, PublicKey, Signature};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// The longest accepted signature: many times what minisign writes.
const LONGEST: usize = 16 << 10;

/// A public key, as given in `require-signature:`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Key {
    /// The key itself.
    Text(String),
    /// A file that minisign wrote. It is read at each load, so that a key can be replaced.
    File(PathBuf),
}

impl Key {
    /// Parses the text of a key; `None` if it is not one.
    #[must_use]
    pub fn of_text(text: &str) -> Option<Self> {
        let text = text.trim();
        let key = PublicKey::from_base64(text).ok();
        key.map(|_| Self::Text(text.to_owned()))
    }

    fn read(&self) -> Result<PublicKey> {
        let (text, what) = match self {
            Self::Text(text) => (text.clone(), format!("`{text}`")),
            Self::File(file) => {
                let what = format!("`{}`", file.display());
                let read = std::fs::read_to_string(file);
                (
                    read.with_context(|| format!("cannot read the public key {what}"))?,
                    what,
                )
            }
        };
        // A comment is on the line before.
        let line = text.lines().map(str::trim).rfind(|line| !line.is_empty());
        PublicKey::from_base64(line.unwrap_or_default())
            .map_err(|_| anyhow!("{what} is not a minisign public key"))
    }
}

/// The path of a file's signature: `plugin.wasm.minisig` for `plugin.wasm`, as minisign writes it.
#[must_use]
pub fn path_beside(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".minisig");
    PathBuf::from(name)
}

/// The signature beside a file, if there is one.
///
/// # Errors
/// If it exists and cannot be read.
pub fn beside(file: &Path) -> Result<Option<String>> {
    let beside = path_beside(file);
    match std::fs::read_to_string(&beside) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot read `{}`", beside.display())),
    }
}

/// Refuses text that is not a signature, before it is stored with a component.
///
/// # Errors
/// If it is not a signature.
pub fn is_signature(text: &str) -> Result<()> {
    decoded(text).map(drop)
}

/// Checks that the bytes are signed by one of the keys; without keys, everything passes.
///
/// # Errors
/// What is wrong with the signature, with a hint.
pub fn check(keys: &[Key], bytes: &[u8], signature: Option<&str>) -> Result<()> {
    if keys.is_empty() {
        return Ok(());
    }
    let signature = signature
        .context("it has no signature, and `require-signature` requires one")
        .hint(|| "sign it with `minisign -S -m FILE`; keep FILE.minisig beside the file, or push both")?;
    let signature = decoded(signature)?;
    let mut why = "it is not signed with any of the keys in `require-signature`";
    let mut hint = "sign it with one of those keys, or add the public key of the signer";
    for key in keys {
        // Like minisign itself, accept the older format too: it signs the same bytes.
        match key.read()?.verify(bytes, &signature, true) {
            Ok(()) => return Ok(()),
            Err(Error::UnexpectedKeyId) => {}
            Err(_) => {
                why = "its signature is for different bytes";
                hint = "do not run it; if you have built it yourself, sign it again";
            }
        }
    }
    Err(anyhow!(why)).hint(|| hint)
}

fn decoded(text: &str) -> Result<Signature> {
    let short = (text.len() <= LONGEST).then_some(text);
    short
        .and_then(|text| Signature::decode(text).ok())
        .context("its signature is not a minisign signature")
        .hint(|| "create it with `minisign -S -m FILE`")
}

#[cfg(test)]
mod tests;
