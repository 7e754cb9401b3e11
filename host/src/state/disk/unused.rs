//! Removes the directories of partitions that no process has used for long.
//!
//! Whoever uses a directory holds its lock (`files.rs`), so processes that share directories remove nothing
//! that another one uses.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// How long the directory of a partition stays unused.
const KEPT: Duration = Duration::from_hours(7 * 24);
/// The same, if the job's stream has been created again since. It may also be that of another server: this is time
/// for its hosts to start again.
const REPLACED: Duration = Duration::from_hours(1);

/// Removes them below `states`, which has a directory `<stream>@<incarnation>` for each job. Returns each with the
/// reason if it could not be removed. Blocks.
///
/// `own` is the name of the caller's job. While it `starts`, it may still need its directories.
#[must_use]
pub fn remove_unused(states: &Path, own: &str, starts: bool) -> Vec<(PathBuf, io::Result<()>)> {
    let stream_of = |name: &str| Some(name.rsplit_once('@')?.0.to_owned());
    let mut removed = Vec::new();
    for job in inside(states) {
        let name = name_of(&job);
        let Some(stream) = stream_of(name).filter(|_| !(starts && name == own)) else {
            continue;
        };
        let is_replaced = name != own && stream_of(own) == Some(stream);
        let kept = if is_replaced { REPLACED } else { KEPT };
        let before = removed.len();
        for lock in inside(&job) {
            if is_lock(name_of(&lock)) {
                let path = lock.with_extension("");
                let done = remove(&path, &lock, kept);
                removed.extend(done.map(|done| (path, done)));
            }
        }
        if removed.len() > before && name != own {
            // Unless there are others in it.
            let _ = fs::remove_dir(&job);
        }
    }
    removed
}

/// `<partition>.<copy>.lock`
fn is_lock(name: &str) -> bool {
    let numbers = name.strip_suffix(".lock").map(|name| name.split('.'));
    numbers.is_some_and(|numbers| {
        let parsed: Vec<_> = numbers.map(str::parse::<u16>).collect();
        parsed.len() == 2 && parsed.iter().all(Result::is_ok)
    })
}

/// None if it was used, or is in use.
fn remove(path: &Path, lock: &Path, kept: Duration) -> Option<io::Result<()>> {
    let is_unused = || {
        let used = last_change(path).max(last_change(lock));
        used.is_some_and(|used| used.elapsed().is_ok_and(|unused| unused > kept))
    };
    // It is asked before the lock is taken, which would turn another process away.
    let locked = is_unused().then(|| File::open(lock).ok())??;
    locked.try_lock().ok()?;
    // Another process may have used it meanwhile.
    is_unused().then(|| {
        match fs::remove_dir_all(path) {
            Err(why) if why.kind() != ErrorKind::NotFound => return Err(why),
            _ => {}
        }
        fs::remove_file(lock)
    })
}

/// Of a file, or of everything in a directory.
fn last_change(path: &Path) -> Option<SystemTime> {
    let found = fs::symlink_metadata(path).ok()?;
    let own = found.modified().ok();
    if !found.is_dir() {
        return own;
    }
    let others = inside(path).into_iter();
    own.max(others.filter_map(|path| last_change(&path)).max())
}

/// What is in a directory; nothing, if it cannot be read.
fn inside(folder: &Path) -> Vec<PathBuf> {
    let found = fs::read_dir(folder).into_iter().flatten();
    found.filter_map(|entry| Some(entry.ok()?.path())).collect()
}

fn name_of(path: &Path) -> &str {
    let name = path.file_name().and_then(|name| name.to_str());
    name.unwrap_or_default()
}
