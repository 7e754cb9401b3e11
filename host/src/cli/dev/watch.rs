//! Detects changes in a folder that require a rebuild or a restart.

use crate::cli::project::is_source;
use anyhow::{Context, Result};
use notify_debouncer_full::notify::{EventKind, RecommendedWatcher, RecursiveMode};
use notify_debouncer_full::{DebounceEventResult, Debouncer, RecommendedCache, new_debouncer};
use std::path::Path;
use std::time::Duration;
use tokio::sync::mpsc;

/// Editors write a file in several steps; a change is complete after this much silence.
const SETTLE: Duration = Duration::from_millis(150);

/// Watches a folder until it is dropped.
pub(super) struct Watch {
    _debouncer: Debouncer<RecommendedWatcher, RecommendedCache>,
    changes: mpsc::Receiver<()>,
}

impl Watch {
    /// Watches `folder` and everything below it, except what builds and the pipeline write. Components are
    /// build results if there are sources; otherwise they are watched too.
    pub(super) fn start(folder: &Path, builds: bool) -> Result<Self> {
        let (sender, changes) = mpsc::channel(1);
        // Events have absolute paths, and a folder above this one may have any name.
        let root = folder
            .canonicalize()
            .with_context(|| format!("cannot find `{}`", folder.display()))?;
        let watched = root.clone();
        let on_change = move |result: DebounceEventResult| {
            let Ok(events) = result else { return };
            let changed = events
                .iter()
                .filter(|event| !matches!(event.kind, EventKind::Access(_)))
                .flat_map(|event| &event.paths)
                .any(|path| counts(path.strip_prefix(&root).unwrap_or(path), builds));
            if changed {
                // A pending change is enough.
                let _ = sender.try_send(());
            }
        };
        let what = || format!("cannot watch `{}` for changes", folder.display());
        let mut debouncer = new_debouncer(SETTLE, None, on_change).with_context(what)?;
        debouncer
            .watch(&watched, RecursiveMode::Recursive)
            .with_context(what)?;
        Ok(Self {
            _debouncer: debouncer,
            changes,
        })
    }

    /// Waits for a change after the last call.
    pub(super) async fn changed(&mut self) {
        if self.changes.recv().await.is_none() {
            std::future::pending::<()>().await;
        }
    }
}

/// Whether a change of this file matters: a source, the pipeline or the input.
fn counts(path: &Path, builds: bool) -> bool {
    let extension = path.extension().unwrap_or_default().to_string_lossy();
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let folders = path.parent().unwrap_or(Path::new(""));
    let in_source = folders.iter().all(|folder| is_source(Path::new(folder)));
    let kind = match &*extension {
        "wasm" => !builds,
        "yaml" | "yml" | "jsonl" => name != "expected.jsonl" && !name.starts_with('.'),
        _ => is_source(path),
    };
    kind && in_source
}

#[cfg(test)]
mod tests {
    use super::counts;
    use std::path::Path;

    #[test]
    fn sources_and_configuration_count_and_what_builds_write_does_not() {
        for path in [
            "pipeline.yaml",
            "plugin/src/lib.rs",
            "input.jsonl",
            "plugin/Cargo.toml",
            "plugin.py",
            "sdk/weir.h",
        ] {
            assert!(counts(Path::new(path), true), "{path}");
        }
        for path in [
            "plugin/target/x.rs",
            ".git/a.toml",
            ".weir/module.wasm",
            "node_modules/a/b.js",
            "expected.jsonl",
            "a.wasm",
            "src/.lib.rs.swp",
            "README.md",
        ] {
            assert!(!counts(Path::new(path), true), "{path}");
        }
        assert!(counts(Path::new("a.wasm"), false));
    }
}
