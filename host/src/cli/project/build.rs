//! Builds a plugin's source into one component.

use super::manifest::Project;
use super::{cargo, fresh, recipe};
use anyhow::{Context, Result};
use std::path::{Path, PathBuf};

/// A built component, or a core module that the host encodes on load.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Built {
    /// The plugin's name; in Rust, the crate's.
    pub name: String,
    /// The absolute path. The next build overwrites it.
    pub path: PathBuf,
    /// Whether it already existed, built from the same sources.
    pub fresh: bool,
}

impl Built {
    /// The name of its file beside a pipeline: the plugin's name, with underscores.
    #[must_use]
    pub fn file_name(&self) -> String {
        format!("{}.wasm", self.name.replace('-', "_"))
    }
}

/// Builds the plugin in `folder`, in any language.
///
/// Blocks as long as the language's tool runs: a second, or a minute the first time.
///
/// # Errors
/// There is no source, no toolchain (with a hint how to install it), or the source does not compile. Exit
/// code 2 if there is no plugin.
pub fn build_plugin(folder: &Path) -> Result<Built> {
    match Project::find(folder)? {
        None => cargo::build_plugin(folder),
        Some(project) => build(&project).with_context(|| {
            let shown = folder.display();
            format!("cannot build the {} plugin in `{shown}`", project.language)
        }),
    }
}

fn build(project: &Project) -> Result<Built> {
    let path = project.work().join(format!("{}.wasm", project.stem()));
    let built = |fresh| Built {
        name: project.name.clone(),
        path: path.clone(),
        fresh,
    };
    let sources = fresh::digest(project)?;
    if path.is_file() && fresh::last(project).as_deref() == Some(&sources) {
        return Ok(built(true));
    }
    std::fs::create_dir_all(project.work()).context("cannot create the folder `.weir`")?;
    let bytes = recipe::component(project)?;
    std::fs::write(&path, bytes).with_context(|| format!("cannot write `{}`", path.display()))?;
    fresh::remember(project, &sources)?;
    Ok(built(false))
}

/// Copies the component to `destination` atomically: readers and watchers see the old component or the new
/// one, never a part of one.
///
/// # Errors
/// The destination cannot be written.
pub fn place(built: &Built, destination: &Path) -> Result<()> {
    let copy = || {
        let bytes = std::fs::read(&built.path)?;
        if std::fs::read(destination).is_ok_and(|there| there == bytes) {
            return Ok(());
        }
        let folder = destination
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty());
        let mut file = tempfile::NamedTempFile::new_in(folder.unwrap_or(Path::new(".")))?;
        std::io::Write::write_all(&mut file, &bytes)?;
        let readable = std::fs::metadata(&built.path)?.permissions();
        file.as_file().set_permissions(readable)?;
        file.persist(destination).map_err(|error| error.error)?;
        Ok::<_, std::io::Error>(())
    };
    copy().with_context(|| format!("cannot write `{}`", destination.display()))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test says what it expects by failing")]
mod tests {
    use super::*;
    use crate::report;

    #[test]
    fn a_folder_without_a_crate_is_wrong_usage() {
        let folder = tempfile::tempdir().unwrap();
        let error = build_plugin(folder.path()).unwrap_err();
        assert_eq!(report::exit_code(&error), report::USAGE);
    }

    #[test]
    fn what_was_built_is_placed_whole_and_only_when_it_differs() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.wasm");
        std::fs::write(&path, "one").unwrap();
        let built = Built {
            name: "a".into(),
            path: path.clone(),
            fresh: false,
        };
        let destination = folder.path().join("b.wasm");
        place(&built, &destination).unwrap();
        assert_eq!(std::fs::read(&destination).unwrap(), b"one");
        let placed = std::fs::metadata(&destination).unwrap().modified().unwrap();
        place(&built, &destination).unwrap();
        assert_eq!(
            std::fs::metadata(&destination).unwrap().modified().unwrap(),
            placed
        );
        std::fs::write(&path, "two").unwrap();
        place(&built, &destination).unwrap();
        assert_eq!(std::fs::read(&destination).unwrap(), b"two");
    }
}
