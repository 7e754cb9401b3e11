//! What commands share: reading pipeline files, connecting, and creating the plugin runtime.

use crate::config::resolved::{API_PREFIX, Auth, Nats, Tls};
use crate::config::{self, Loader, resolved};
use crate::jsonl::{self, Problem};
use crate::nats::{self, Connection};
use crate::plugin::{Runtime, RuntimeOptions};
use crate::report::{self, ResultExt};
use crate::threads;
use anyhow::{Context, Result, anyhow};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// Reads pipeline files with the process's environment.
///
/// # Errors
///
/// All problems in them, as one usage error.
pub(super) fn load(files: &[PathBuf]) -> Result<Vec<resolved::Pipeline>> {
    config::load(files, &environment).map_err(report::usage)
}

/// The servers, for commands that connect.
#[derive(clap::Args)]
pub(super) struct Servers {
    /// The servers to connect to, separated by commas. Overrides the file; without either, the environment
    /// variable NATS_URL is used, then nats://127.0.0.1:4222.
    #[arg(
        long = "nats",
        value_name = "URL",
        value_delimiter = ',',
        value_parser = config::address
    )]
    given: Vec<String>,
}

impl Servers {
    /// Reads files with these servers.
    pub(super) fn loader(&self, trust: &Trust) -> Loader<'_> {
        trust.loader().at(&self.given)
    }

    /// Like [`Servers::load`], for commands that do not use plugins: their files may be missing.
    ///
    /// # Errors
    ///
    /// See [`load`].
    pub(super) fn load_unbuilt(&self, file: &Path) -> Result<Vec<resolved::Pipeline>> {
        let loader = Loader::new(&environment).at(&self.given).unbuilt();
        loader.load(&[file.to_owned()]).map_err(report::usage)
    }

    /// How to connect: from the `nats:` section of a file, or without a file, the given servers with these
    /// credentials.
    ///
    /// # Errors
    ///
    /// See [`load`] and [`Servers::or_environment`].
    pub(super) fn reach(&self, file: Option<&Path>, credentials: Option<&Path>) -> Result<Nats> {
        if let Some(file) = file {
            let mut pipelines = self.load_unbuilt(file)?.into_iter();
            let first = pipelines.next().context("the file holds no pipeline")?;
            return Ok(first.nats);
        }
        let (servers, in_address) = config::without_credentials(self.or_environment()?);
        Ok(Nats {
            servers,
            auth: match credentials {
                Some(file) => Auth::CredentialsFile(file.to_owned()),
                None => in_address,
            },
            tls: Tls::default(),
            inbox_prefix: "_INBOX".to_owned(),
            api_prefix: API_PREFIX.to_owned(),
        })
    }

    /// The given servers, or those in the environment; used without a file.
    ///
    /// # Errors
    ///
    /// If the environment variable does not contain addresses.
    fn or_environment(&self) -> Result<Vec<String>> {
        if !self.given.is_empty() {
            return Ok(self.given.clone());
        }
        let text = environment("NATS_URL").filter(|text| !text.trim().is_empty());
        let text = text.unwrap_or_else(|| "nats://127.0.0.1:4222".to_owned());
        let servers: Result<_, String> = text.split(',').map(config::address).collect();
        servers
            .map_err(anyhow::Error::msg)
            .context("cannot parse the environment variable `NATS_URL`")
            .map_err(report::usage)
    }
}

/// How to connect, for commands that take names instead of a file.
#[derive(clap::Args)]
pub(super) struct Reach {
    /// A pipeline file with the `nats:` section to use.
    #[arg(long, value_name = "FILE", conflicts_with = "credentials")]
    file: Option<PathBuf>,

    #[command(flatten)]
    servers: Servers,

    /// A credentials file.
    #[arg(long, value_name = "FILE")]
    credentials: Option<PathBuf>,
}

impl Reach {
    /// See [`Servers::reach`].
    ///
    /// # Errors
    ///
    /// See [`Servers::reach`].
    pub(super) fn settings(&self) -> Result<Nats> {
        let (file, credentials) = (self.file.as_deref(), self.credentials.as_deref());
        self.servers.reach(file, credentials)
    }

    /// Runs `work` with a connection, whose name at the server is `name`.
    ///
    /// # Errors
    ///
    /// See [`Servers::reach`]; and those of the work.
    pub(super) fn connected<T>(
        &self,
        name: &str,
        work: impl AsyncFnOnce(Connection) -> Result<T>,
    ) -> Result<T> {
        let settings = self.settings()?;
        threads::block_on(async { work(nats::connect(&settings, name).await?).await })
    }

    /// The file with root certificates from the pipeline file, if there is one.
    ///
    /// # Errors
    ///
    /// See [`Servers::reach`].
    pub(super) fn authority(&self) -> Result<Option<PathBuf>> {
        match self.file {
            Some(_) => Ok(self.settings()?.tls.ca),
            None => Ok(None),
        }
    }
}

/// Whether the host allows trusted plugins.
#[derive(clap::Args, Default)]
pub(super) struct Trust {
    /// Refuse operators with `trusted: true`, so that every call of a plugin stops at its deadline.
    #[arg(long, env = "WEIR_FORBID_TRUSTED", value_parser = clap::builder::FalseyValueParser::new())]
    forbid_trusted: bool,
}

impl Trust {
    /// Reads files with the process's environment.
    pub(super) fn loader(&self) -> Loader<'static> {
        Loader::new(&environment).forbid_trusted(self.forbid_trusted)
    }
}

/// The value of `${NAME}` in a file.
pub(super) fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// The error if a component from the command line cannot be read.
pub(super) fn unreadable(file: &Path, error: &std::io::Error) -> anyhow::Error {
    let (what, action) = match error.kind() {
        ErrorKind::NotFound => (
            "there is no such file".to_owned(),
            "check the path, or build it with `weir plugin build`",
        ),
        ErrorKind::IsADirectory => (
            "it is a folder".to_owned(),
            "name the `.wasm` file that `weir plugin build` prints",
        ),
        kind => (kind.to_string(), "check its permissions"),
    };
    let error = anyhow!(what).context(format!("cannot read `{}`", file.display()));
    report::usage(report::hint(error, action))
}

/// Parses a file line by line.
///
/// # Errors
///
/// All lines that cannot be parsed, with their numbers, as one usage error.
pub(super) fn read_lines<T>(
    file: &Path,
    parse: impl Fn(&str, usize) -> Result<T, Problem>,
) -> Result<Vec<T>> {
    let name = file.display();
    let text = std::fs::read_to_string(file)
        .with_context(|| format!("cannot read `{name}`"))
        .usage()?;
    let (mut read, mut problems) = (Vec::new(), Vec::new());
    for (number, line) in jsonl::lines(&text) {
        match parse(line, number) {
            Ok(value) => read.push(value),
            Err(problem) => problems.push(problem.to_string()),
        }
    }
    if problems.is_empty() {
        return Ok(read);
    }
    Err(report::usage(anyhow!(problems.join("\n"))))
        .with_context(|| format!("cannot read `{name}`"))
}

/// A runtime that keeps compiled plugins in the user's cache directory.
///
/// # Errors
///
/// If wasmtime does not support this machine.
pub(super) fn runtime(instances: usize) -> Result<Runtime> {
    let usual = RuntimeOptions::default();
    let instances = u32::try_from(instances).unwrap_or(u32::MAX);
    Runtime::new(RuntimeOptions {
        max_instances: usual.max_instances.max(instances),
        ..usual
    })
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test says what it expects by failing")]
mod tests {
    use super::*;

    #[test]
    fn all_bad_lines_of_a_file_are_reported_at_once() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(&file, "\n{\"subject\":\"s\"}\n{}\n\nx\n").unwrap();
        let error = read_lines(file.path(), jsonl::parse_message).unwrap_err();
        let text = report::text(&error);
        assert!(
            text.contains("line 3: ") && text.contains("line 5: "),
            "{text}"
        );
        assert!(!text.contains("line 2: "), "{text}");
    }
}
