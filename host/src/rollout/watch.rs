//! Notices when the file of a plugin changes, and reads it when its write is complete.
//!
//! Folders are watched, not files: most tools put a new file in the place of the old one. Any event
//! in a folder makes all plugins of it be looked at, so that links and renames need no rules. The
//! signature beside a plugin is a part of it: when that changes, the plugin has.

use crate::rollout::target::RolloutTarget;
use crate::rollout::{Candidate, Command};
use crate::signature;
use anyhow::{Context, Result};
use futures_util::future::join_all;
use notify_debouncer_full::notify::{EventKind, RecommendedWatcher, RecursiveMode};
use notify_debouncer_full::{DebounceEventResult, Debouncer, RecommendedCache, new_debouncer};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::sync::{mpsc, watch};

/// Events this close together are one.
const TOGETHER: Duration = Duration::from_millis(100);
/// A file that stays the same for this long is complete.
const SETTLED: Duration = Duration::from_millis(200);

/// Watches until it is dropped.
pub(crate) struct Watch {
    _debouncer: Debouncer<RecommendedWatcher, RecommendedCache>,
    changed: watch::Receiver<()>,
}

/// A plugin's file, and who runs it.
struct Watched {
    file: PathBuf,
    operator: usize,
    commands: mpsc::Sender<Command>,
    /// When it was last handed on.
    seen: Option<Signed>,
}

/// A plugin, and its signature where there is one.
type Signed = (State, Option<State>);

/// What tells two states of a file apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct State {
    size: u64,
    modified: Option<SystemTime>,
    identity: u64,
}

impl Watch {
    /// Watches the folders of the plugins of these pipelines.
    ///
    /// # Errors
    /// When the system does not let it.
    pub(crate) fn start<'a>(
        pipelines: impl Iterator<Item = &'a Arc<RolloutTarget>>,
    ) -> Result<Self> {
        let (sender, changed) = watch::channel(());
        let on_change = move |result: DebounceEventResult| {
            let relevant = result.is_ok_and(|events| {
                let mut events = events.iter();
                events.any(|event| !matches!(event.kind, EventKind::Access(_)))
            });
            if relevant {
                sender.send_replace(());
            }
        };
        let mut debouncer = new_debouncer(TOGETHER, None, on_change)
            .context("cannot watch the files of plugins")?;
        for folder in folders(pipelines) {
            debouncer
                .watch(&folder, RecursiveMode::NonRecursive)
                .with_context(|| format!("cannot watch `{}`", folder.display()))?;
        }
        Ok(Self {
            _debouncer: debouncer,
            changed,
        })
    }

    /// Hands every file on that changes, and those that have changed since the host read them. Never
    /// ends.
    pub(crate) async fn run(mut self, pipelines: Vec<(Arc<RolloutTarget>, mpsc::Sender<Command>)>) {
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
        loop {
            join_all(watched.iter_mut().map(Watched::look)).await;
            if self.changed.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }
}

impl Watched {
    /// Reads the file if it has changed, when it does not change any more. One that is gone is left
    /// alone: what runs does not need it.
    async fn look(&mut self) {
        let Some(mut state) = signed(&self.file).filter(|state| self.seen != Some(*state)) else {
            return;
        };
        loop {
            tokio::time::sleep(SETTLED).await;
            match signed(&self.file) {
                Some(now) if now == state => break,
                Some(now) => state = now,
                None => return,
            }
        }
        let (Ok(bytes), Ok(signature)) = (std::fs::read(&self.file), signature::beside(&self.file))
        else {
            return;
        };
        // Written to while it was read: there is another event for that.
        if signed(&self.file) != Some(state) {
            return;
        }
        self.seen = Some(state);
        let candidate = Candidate {
            operator: self.operator,
            bytes,
            origin: self.file.display().to_string(),
            signature,
        };
        // The deployer lives as long as the host.
        let _ = self.commands.send(Command::Candidate(candidate)).await;
    }
}

fn signed(file: &Path) -> Option<Signed> {
    Some((state(file)?, state(&signature::path_beside(file))))
}

fn state(file: &Path) -> Option<State> {
    use std::os::unix::fs::MetadataExt;
    let data = std::fs::metadata(file).ok()?;
    Some(State {
        size: data.len(),
        modified: data.modified().ok(),
        identity: data.ino(),
    })
}

fn folders<'a>(pipelines: impl Iterator<Item = &'a Arc<RolloutTarget>>) -> BTreeSet<PathBuf> {
    let operators = pipelines.flat_map(|pipeline| &pipeline.settings.operators);
    let folders = operators.filter_map(|operator| operator.plugin.file()?.parent());
    folders.map(Path::to_path_buf).collect()
}
