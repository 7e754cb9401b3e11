//! Compiled components on disk, so that a host starts in milliseconds.
//!
//! An entry is native code that runs with the host's rights, so it is only read from a directory that
//! belongs to the host's user and that no one else may enter. Its name has the digest of its contents:
//! a damaged entry is detected, deleted and compiled again. The components' own bytes are kept beside.

use super::error::from_wasmtime;
use anyhow::{Context, Result, ensure};
use std::fs;
use std::hash::{Hash, Hasher};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use tempfile::NamedTempFile;
use wasmtime::Engine;
use wasmtime::component::Component;

/// The extension of entries. The first part of a name is the key, the second the digest of the contents.
const EXTENSION: &str = "cwasm";

/// The extension of the components' own bytes. The name is their digest.
const SOURCE: &str = "wasm";

/// Permissions of the directory: everything for the owner, nothing for others.
const PRIVATE: u32 = 0o700;

/// An open cache directory.
pub(super) struct Cache {
    folder: PathBuf,
}

impl Cache {
    /// Creates the directory, or checks the existing one.
    ///
    /// # Errors
    ///
    /// When it cannot be created, belongs to another user, or others may enter it.
    pub(super) fn open(folder: &Path) -> Result<Self> {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(PRIVATE)
            .create(folder)
            .with_context(|| format!("cannot create `{}`", folder.display()))?;
        let found = fs::symlink_metadata(folder)?;
        ensure!(found.is_dir(), "`{}` is not a directory", folder.display());
        ensure!(
            found.mode() & 0o777 == PRIVATE,
            "`{}` has mode {:o}, not 700: others could have put native code there",
            folder.display(),
            found.mode() & 0o777
        );
        // A file that we make belongs to us; the directory must belong to the same user.
        let ours = tempfile::tempfile_in(folder)
            .and_then(|file| file.metadata())
            .with_context(|| format!("cannot write to `{}`", folder.display()))?;
        ensure!(
            ours.uid() == found.uid(),
            "`{}` belongs to another user",
            folder.display()
        );
        Ok(Self {
            folder: folder.to_owned(),
        })
    }

    /// The component under `key`, if there is an intact entry. Anything else is deleted.
    pub(super) fn get(&self, engine: &Engine, key: &str) -> Option<Component> {
        for (path, digest) in self.entries(key) {
            match read(engine, &path, &digest) {
                Ok(component) => return Some(component),
                Err(error) => {
                    tracing::warn!(
                        entry = %path.display(),
                        "compiling again, the cached artifact is unusable: {error:#}"
                    );
                    let _ = fs::remove_file(&path);
                }
            }
        }
        None
    }

    /// A file for a compiled component, gone unless it is given to [`Cache::put`].
    ///
    /// # Errors
    ///
    /// When it cannot be created.
    pub(super) fn file(&self) -> Result<NamedTempFile> {
        NamedTempFile::new_in(&self.folder).context("cannot create a file in the cache")
    }

    /// Stores a compiled component. The entry appears whole or not at all.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub(super) fn put(&self, key: &str, file: NamedTempFile) -> Result<()> {
        let digest = digest(file.path())?;
        let path = self.folder.join(format!("{key}-{digest}.{EXTENSION}"));
        file.persist(&path)
            .with_context(|| format!("cannot write `{}`", path.display()))?;
        Ok(())
    }

    /// Stores the bytes of a component, so that it can be compiled or published again.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub(super) fn put_source(&self, digest: &str, bytes: &[u8]) -> Result<()> {
        let path = self.source_path(digest);
        if path.is_file() {
            return Ok(());
        }
        let mut file = self.file()?;
        file.write_all(bytes)?;
        file.persist(&path)
            .with_context(|| format!("cannot write `{}`", path.display()))?;
        Ok(())
    }

    /// The bytes of a component that were stored, if they are intact.
    pub(super) fn source(&self, digest: &str) -> Option<Vec<u8>> {
        let bytes = fs::read(self.source_path(digest)).ok()?;
        (blake3::hash(&bytes).to_hex().as_str() == digest).then_some(bytes)
    }

    fn source_path(&self, digest: &str) -> PathBuf {
        self.folder.join(format!("{digest}.{SOURCE}"))
    }

    /// Entries under `key`, each with the digest in its name.
    fn entries(&self, key: &str) -> Vec<(PathBuf, String)> {
        let Ok(folder) = fs::read_dir(&self.folder) else {
            return Vec::new();
        };
        let entries = folder.filter_map(|entry| {
            let path = entry.ok()?.path();
            let stem = path.file_name()?.to_str()?.strip_suffix(EXTENSION)?;
            let digest = stem
                .strip_suffix('.')?
                .strip_prefix(key)?
                .strip_prefix('-')?;
            let digest = digest.to_owned();
            Some((path, digest))
        });
        entries.collect()
    }
}

/// The key of a compiled component: the digest of what was compiled, and everything else that the
/// result depends on.
pub(super) fn key(engine: &Engine, digest: &str) -> String {
    let mut hasher = Blake3(blake3::Hasher::new());
    digest.hash(&mut hasher);
    engine.precompile_compatibility_hash().hash(&mut hasher);
    hasher.0.finalize().to_hex().to_string()
}

/// Loads an entry whose contents are what its name says.
#[expect(
    unsafe_code,
    reason = "`deserialize_file` runs what it is given: the file lies in a directory that only this \
              user may enter, and its digest has just been compared with its name"
)]
fn read(engine: &Engine, path: &Path, digest: &str) -> Result<Component> {
    let found = fs::symlink_metadata(path)?;
    ensure!(found.is_file(), "it is not a regular file");
    ensure!(
        *self::digest(path)?.to_hex() == *digest,
        "its contents do not match its name"
    );
    // SAFETY: see the reason above; wasmtime itself compares its version and settings.
    unsafe { Component::deserialize_file(engine, path) }.map_err(from_wasmtime)
}

/// The digest of a file, which is not in memory as a whole.
fn digest(path: &Path) -> Result<blake3::Hash> {
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(fs::File::open(path)?)?;
    Ok(hasher.finalize())
}

/// A component that was compiled just now and is not stored.
///
/// # Errors
///
/// When wasmtime refuses it.
#[expect(
    unsafe_code,
    reason = "`deserialize` runs what it is given: the bytes come from this program's own child, over a \
              pipe that nobody else has"
)]
pub(super) fn unstored(engine: &Engine, compiled: &[u8]) -> Result<Component> {
    // SAFETY: see the reason above; wasmtime itself compares its version and settings.
    unsafe { Component::deserialize(engine, compiled) }.map_err(from_wasmtime)
}

/// blake3 as a [`Hasher`], for what can only be hashed through [`Hash`].
struct Blake3(blake3::Hasher);

impl Hasher for Blake3 {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        let digest = self.0.finalize();
        digest
            .as_bytes()
            .first_chunk()
            .map_or(0, |head| u64::from_le_bytes(*head))
    }
}
