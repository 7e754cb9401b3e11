//! The files of a store on disk: opened, locked, read, written, and deleted.
//!
//! The directory belongs to the holder of the lock beside it; another process takes the next number.
//!
//! The last writes are in RAM and in a journal, everything else in sorted files. Nothing is written while the
//! content of RAM becomes a file. So if any journal is deleted or torn, the rest is the state after an
//! earlier transaction. The store detects a missing sorted file. The *anchor* detects that all of them are
//! missing: it was written first and is no longer in any journal.

use super::Location;
use super::keys::ANCHOR;
use fjall::{
    Database, Guard, Keyspace, KeyspaceCreateOptions, LsmError, OwnedWriteBatch, PersistMode, Slice,
};
use std::fmt;
use std::fs::{self, DirBuilder, File};
use std::ops::Bound;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::thread::sleep;
use std::time::Duration;

/// Processes on one machine that have the same partition on disk, at most.
const COPIES: usize = 16;
/// Of a store: one that makes files, and one that merges them.
const THREADS: usize = 2;
/// How often a writer that waits for a file checks it.
const TICK: Duration = Duration::from_millis(1);

/// See the top of this file.
pub(super) struct Files {
    rows: Keyspace,
    database: Database,
    path: PathBuf,
    /// Bytes since the last file was begun, and how many there may be.
    written: usize,
    most: usize,
    broken: OnceLock<String>,
    /// Held until all others are gone.
    _lock: File,
}

/// The size of one write.
pub(super) struct Batch {
    rows: Keyspace,
    batch: OwnedWriteBatch,
    bytes: usize,
}

impl Batch {
    /// Puts a value, or removes it if there is none.
    pub(super) fn put(&mut self, key: Vec<u8>, value: Option<&[u8]>) {
        self.bytes += key.len() + value.map_or(0, <[u8]>::len);
        match value {
            Some(value) => self.batch.insert(&self.rows, key, value),
            None => self.batch.remove(&self.rows, key),
        }
    }
}

impl Files {
    /// Takes the first directory that no other process has locked. With `keep` it keeps the content.
    pub(super) fn open(at: &Location, keep: bool) -> Result<Self, String> {
        // What plugins keep is for nobody else.
        let mut builder = DirBuilder::new();
        let made = builder.recursive(true).mode(0o700).create(&at.folder);
        made.map_err(|why| unusable(&at.folder, &why))?;
        for copy in 0..COPIES {
            let path = at.folder.join(format!("{}.{copy}", at.name));
            let name = at.folder.join(format!("{}.{copy}.lock", at.name));
            let lock = File::create(&name).map_err(|why| unusable(&path, &why))?;
            match lock.try_lock() {
                Ok(()) if is_at(&lock, &name) => return Self::open_at(path, lock, at, keep),
                // Another process has removed it (`unused.rs`).
                Ok(()) | Err(fs::TryLockError::WouldBlock) => {}
                Err(fs::TryLockError::Error(why)) => return Err(unusable(&path, &why)),
            }
        }
        let path = at.folder.join(&at.name);
        Err(unusable(&path, &"too many other processes use it"))
    }

    fn open_at(path: PathBuf, lock: File, at: &Location, keep: bool) -> Result<Self, String> {
        if !keep {
            match fs::remove_dir_all(&path) {
                Err(why) if why.kind() != std::io::ErrorKind::NotFound => {
                    return Err(unusable(&path, &why));
                }
                _ => {}
            }
        }
        let is_new = !path.exists();
        let open = || {
            let builder = Database::builder(&path)
                .cache_size(at.cache)
                .worker_threads(THREADS);
            let database = builder.open()?;
            // When a file is made is decided here.
            let options = || KeyspaceCreateOptions::default().max_memtable_size(u64::MAX);
            let rows = database.keyspace("rows", options)?;
            let is_whole = is_new || rows.get(ANCHOR)?.is_some();
            Ok((database, rows, is_whole))
        };
        let (database, rows, is_whole) = guarded(open).map_err(|why| unusable(&path, &why))?;
        if !is_whole {
            return Err(unusable(&path, &"its files are gone"));
        }
        let mut files = Self {
            rows,
            database,
            path,
            written: 0,
            most: at.memtable,
            broken: OnceLock::new(),
            _lock: lock,
        };
        if is_new {
            let mut anchor = files.batch();
            anchor.put(ANCHOR.to_vec(), Some(b""));
            files.write(anchor);
            files.make_file();
        }
        Ok(files)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Why nothing of it is to be used any more.
    pub(super) fn broken(&self) -> Option<&str> {
        self.broken.get().map(String::as_str)
    }

    /// Nothing of it is to be used any more.
    pub(super) fn fails(&self, why: &dyn fmt::Display) {
        self.broken.get_or_init(|| unusable(&self.path, why));
    }

    fn checked<T>(&self, act: impl FnOnce() -> fjall::Result<T>) -> Option<T> {
        if self.broken.get().is_some() {
            return None;
        }
        guarded(act).map_err(|why| self.fails(&why)).ok()
    }

    pub(super) fn get(&self, key: &[u8]) -> Option<Slice> {
        self.checked(|| self.rows.get(key)).flatten()
    }

    /// What is stored from a key on, up to another one.
    pub(super) fn scan(
        &self,
        from: Vec<u8>,
        upto: Vec<u8>,
    ) -> impl Iterator<Item = (Slice, Slice)> + use<'_> {
        let bounds = (Bound::Included(from), Bound::Excluded(upto));
        let mut found = self.rows.range::<Vec<u8>, _>(bounds);
        std::iter::from_fn(move || {
            let next = || found.next().map(Guard::into_inner).transpose();
            self.checked(AssertUnwindSafe(next))?
        })
    }

    /// What is stored from a key on, up to another one and with it, the last one first.
    pub(super) fn scan_back(
        &self,
        from: Vec<u8>,
        upto: Vec<u8>,
    ) -> impl Iterator<Item = (Slice, Slice)> + use<'_> {
        let bounds = (Bound::Included(from), Bound::Included(upto));
        let mut found = self.rows.range::<Vec<u8>, _>(bounds);
        std::iter::from_fn(move || {
            let next = || found.next_back().map(Guard::into_inner).transpose();
            self.checked(AssertUnwindSafe(next))?
        })
    }

    pub(super) fn batch(&self) -> Batch {
        Batch {
            rows: self.rows.clone(),
            batch: self.database.batch(),
            bytes: 0,
        }
    }

    /// Whether it takes writes now; false while a file is made, unless that is waited for, and once it is broken.
    pub(super) fn is_free(&self, wait: bool) -> bool {
        while self.rows.sealed_memtable_count() > 0 {
            // A file that cannot be made says so here.
            self.checked(|| self.database.persist(PersistMode::Buffer));
            if !wait || self.broken().is_some() {
                return false;
            }
            sleep(TICK);
        }
        self.broken().is_none()
    }

    /// Writes all of it or nothing. To be called while it [`is_free`](Self::is_free).
    pub(super) fn write(&mut self, batch: Batch) {
        self.written += batch.bytes;
        self.checked(|| batch.batch.commit());
        if self.written > self.most {
            self.make_file();
        }
    }

    /// Begins to make a file of what is in RAM.
    pub(super) fn make_file(&mut self) {
        self.written = 0;
        self.checked(|| self.rows.rotate_memtable());
    }
}

/// Whether a file has this name, and was not removed.
fn is_at(file: &File, name: &Path) -> bool {
    let inode = |found: fs::Metadata| (found.dev(), found.ino());
    let found = [file.metadata(), fs::metadata(name)].map(|found| found.ok().map(inode));
    matches!(found, [Some(one), Some(other)] if one == other)
}

/// Of what somebody may have edited, the store may say that it cannot be by a panic.
fn guarded<T>(act: impl FnOnce() -> fjall::Result<T>) -> Result<T, String> {
    match catch_unwind(AssertUnwindSafe(act)) {
        Ok(done) => done.map_err(|why| match why {
            fjall::Error::Io(why) | fjall::Error::Storage(LsmError::Io(why)) => why.to_string(),
            why => format!("{why:?}"),
        }),
        Err(_) => Err("the store is damaged".to_owned()),
    }
}

fn unusable(path: &Path, why: &dyn fmt::Display) -> String {
    let path = path.display();
    format!("cannot keep the state on disk in `{path}`: {why}")
}
