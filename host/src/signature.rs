//! Signatures of components, made with minisign: whether one is by a key that an operator requires.
//!
//! Nothing outside of this module imports `minisign_verify`. Who asks is `plugin/`, before it looks at
//! the bytes, so that every way to load a plugin passes here.

use crate::report::ResultExt;
use anyhow::{Context, Result, anyhow};
use minisign_verify::{Error, PublicKey, Signature};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// The longest signature: many times what minisign writes.
const LONGEST: usize = 16 << 10;

/// A public key, as `require-signature:` names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Key {
    /// The line of the key itself.
    Text(String),
    /// The file that minisign wrote. Read anew at each load, so that a key can be replaced.
    File(PathBuf),
}

impl Key {
    /// The key that a text is, if it is one.
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
        // A comment stands in the line before.
        let line = text.lines().map(str::trim).rfind(|line| !line.is_empty());
        PublicKey::from_base64(line.unwrap_or_default())
            .map_err(|_| anyhow!("{what} is no public key of minisign"))
    }
}

/// Where the signature of a file is: `plugin.wasm` has `plugin.wasm.minisig`, as minisign writes it.
#[must_use]
pub fn path_beside(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".minisig");
    PathBuf::from(name)
}

/// The signature beside a file, if there is one.
///
/// # Errors
/// When it is there and cannot be read.
pub fn beside(file: &Path) -> Result<Option<String>> {
    let beside = path_beside(file);
    match std::fs::read_to_string(&beside) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot read `{}`", beside.display())),
    }
}

/// Refuses text that is no signature at all, before it is stored with a component.
///
/// # Errors
/// When it is none.
pub fn is_signature(text: &str) -> Result<()> {
    decoded(text).map(drop)
}

/// Whether the bytes are signed by one of the keys; without keys, anything is.
///
/// # Errors
/// What is wrong with the signature, with what to do.
pub fn check(keys: &[Key], bytes: &[u8], signature: Option<&str>) -> Result<()> {
    if keys.is_empty() {
        return Ok(());
    }
    let signature = signature
        .context("it has no signature, and `require-signature` asks for one")
        .hint(|| "sign it with `minisign -S -m FILE`: FILE.minisig stands beside the file, or is pushed with it")?;
    let signature = decoded(signature)?;
    let mut why = "it is signed with none of the keys in `require-signature`";
    let mut hint =
        "sign it with the key that belongs there, or add the public key of who signed it";
    for key in keys {
        // As minisign itself, with signatures of its older format too: they sign the same bytes.
        match key.read()?.verify(bytes, &signature, true) {
            Ok(()) => return Ok(()),
            Err(Error::UnexpectedKeyId) => {}
            Err(_) => {
                why = "its signature is of other bytes";
                hint = "do not run it; sign it anew if it is what you have built";
            }
        }
    }
    Err(anyhow!(why)).hint(|| hint)
}

fn decoded(text: &str) -> Result<Signature> {
    let short = (text.len() <= LONGEST).then_some(text);
    short
        .and_then(|text| Signature::decode(text).ok())
        .context("its signature is none of minisign")
        .hint(|| "make it with `minisign -S -m FILE`")
}

#[cfg(test)]
mod tests;
