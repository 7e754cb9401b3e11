//! Detects that the path of a plugin leads to other bytes, and reads them when their write is complete.
//!
//! It checks each path repeatedly. Many changes of a path cause no event: a link in it is switched, a folder
//! above is renamed or created again, the file has another name, is on a network or behind a bind mount. All
//! of them change the `stat` of the path. An event in the folder of a plugin only triggers a check at once.
//! The signature beside a plugin is a part of it: if it changes, the plugin has changed.

use crate::component;
use crate::report;
use crate::rollout::target::RolloutTarget;
use crate::rollout::{Candidate, Command};
use crate::signature;
use anyhow::Result;
use futures_util::future::join_all;
use notify_debouncer_full::notify::{
    self, Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher,
};
use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::time::sleep;

/// How often to look without an event: two calls of `stat` for each path.
const LOOK: Duration = Duration::from_secs(1);
/// Events this close together are one.
const TOGETHER: Duration = Duration::from_millis(100);
/// A file that stays the same for this long is complete.
const SETTLED: Duration = Duration::from_millis(200);

/// A plugin's file, and who runs it.
struct Watched {
    file: PathBuf,
    operator: usize,
    commands: mpsc::Sender<Command>,
    /// When it was last handed on, or found to be unreadable.
    seen: Option<Signed>,
}

/// A plugin, and its signature where there is one.
type Signed = (State, Option<State>);

/// What tells two states of a file apart. The time of the last change of its inode cannot be set back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct State {
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
    identity: (u64, u64),
}

/// Hands every file on that changes, and those that have changed since the host read them. Never ends.
pub(crate) async fn run(pipelines: Vec<(Arc<RolloutTarget>, mpsc::Sender<Command>)>) {
    let mut watched: Vec<Watched> = Vec::new();
    for (pipeline, commands) in pipelines {
        let operators = pipeline.settings.operators.iter().enumerate();
        watched.extend(operators.filter_map(|(operator, settings)| {
            Some(Watched {
                file: settings.plugin.file()?.clone(),
                operator,
                commands: commands.clone(),
                seen: None,
            })
        }));
    }
    let (changed, changes) = watch::channel(());
    let mut folders: BTreeMap<PathBuf, BTreeSet<PathBuf>> = BTreeMap::new();
    for Watched { file, .. } in &watched {
        let folder = file.parent().map(Path::to_owned).unwrap_or_default();
        folders.entry(folder).or_default().insert(file.clone());
    }
    let _watcher = events_of(folders.keys(), changed.clone())
        .inspect_err(|error| tracing::debug!("no events of files: {error:#}"));
    for (folder, files) in folders {
        let changed = changed.clone();
        let looking = thread::Builder::new().name("files".to_owned());
        if let Err(error) = looking.spawn(move || look_again(&files, &changed)) {
            let folder = folder.display();
            tracing::warn!("new versions in `{folder}` may not be seen: {error}");
        }
    }
    // One that is on a file system which hangs keeps none of the others.
    join_all(watched.iter_mut().map(|each| each.run(changes.clone()))).await;
}

/// Sends the events of these folders, until it is dropped.
fn events_of<'a>(
    folders: impl Iterator<Item = &'a PathBuf>,
    changed: watch::Sender<()>,
) -> notify::Result<RecommendedWatcher> {
    let on_event = move |event: notify::Result<Event>| {
        if event.is_ok_and(|event| !matches!(event.kind, EventKind::Access(_))) {
            changed.send_replace(());
        }
    };
    let mut watcher = notify::recommended_watcher(on_event)?;
    for folder in folders {
        watcher.watch(folder, RecursiveMode::NonRecursive)?;
    }
    Ok(watcher)
}

/// Looks at what the paths in one folder lead to, again and again, while somebody wants to know. A thread of
/// its own wakes once for all of them, and one whose file system hangs holds up no other folder.
fn look_again(files: &BTreeSet<PathBuf>, changed: &watch::Sender<()>) {
    let mut before = Vec::new();
    while !changed.is_closed() {
        let now: Vec<_> = files.iter().map(|file| state_of(file)).collect();
        if before != now {
            changed.send_replace(());
        }
        before = now;
        thread::sleep(LOOK);
    }
}

impl Watched {
    async fn run(&mut self, mut changes: watch::Receiver<()>) {
        self.look().await;
        while changes.changed().await.is_ok() {
            sleep(TOGETHER).await;
            self.look().await;
        }
    }

    /// Reads the file after a change, when it is stable. A missing file is ignored: the running version does
    /// not need it.
    async fn look(&mut self) {
        let Some(mut state) = signed(&self.file)
            .await
            .filter(|state| self.seen != Some(*state))
        else {
            return;
        };
        loop {
            sleep(SETTLED).await;
            match signed(&self.file).await {
                Some(now) if now == state => break,
                Some(now) => state = now,
                None => return,
            }
        }
        let read = read(&self.file).await;
        // Written to while it was read: the next look sees that.
        if signed(&self.file).await != Some(state) {
            return;
        }
        self.seen = Some(state);
        let origin = self.file.display().to_string();
        let (bytes, signature) = match read {
            Ok(read) => read,
            Err(error) => {
                tracing::warn!(
                    origin,
                    "the old version keeps running: {}",
                    report::line(&error)
                );
                return;
            }
        };
        let candidate = Candidate {
            operator: self.operator,
            bytes,
            origin,
            signature,
        };
        // The deployer lives as long as the host.
        let _ = self.commands.send(Command::Candidate(candidate)).await;
    }
}

/// Does what touches files on a thread of its own: they may be on a file system that hangs.
async fn aside<T: Send + 'static>(
    file: &Path,
    work: impl FnOnce(&Path) -> T + Send + 'static,
) -> Option<T> {
    let file = file.to_owned();
    tokio::task::spawn_blocking(move || work(&file)).await.ok()
}

async fn read(file: &Path) -> Result<(Vec<u8>, Option<String>)> {
    let read = |file: &Path| Ok((component::read(file)?, signature::beside(file)?));
    let done = aside(file, read).await;
    done.unwrap_or_else(|| {
        Err(anyhow::anyhow!(
            "reading a plugin panicked; this is a bug in weir"
        ))
    })
}

async fn signed(file: &Path) -> Option<Signed> {
    aside(file, state_of).await?
}

fn state_of(file: &Path) -> Option<Signed> {
    Some((state(file)?, state(&signature::path_beside(file))))
}

fn state(file: &Path) -> Option<State> {
    let data = std::fs::metadata(file).ok()?;
    Some(State {
        size: data.len(),
        modified: (data.mtime(), data.mtime_nsec()),
        changed: (data.ctime(), data.ctime_nsec()),
        identity: (data.dev(), data.ino()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_looks_for_new_versions_ends_when_nobody_wants_to_know_of_them() {
        let (changed, changes) = watch::channel(());
        drop(changes);
        look_again(&BTreeSet::from([PathBuf::from("/")]), &changed);
    }
}
