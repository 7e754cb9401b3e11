//! Files to pipelines: read, parse, compare with the schema, resolve.
//!
//! A file may hold several pipelines, separated by `---`; all files of one call run in one process
//! and are checked against each other.

use super::at::At;
use super::interpolate::Environment;
use super::resolve::{self, Claims, Context};
use super::resolved::{Nats, Operator, Pipeline};
use super::{model, shape, tree};
use crate::report::findings::{Collector, Findings, Location};
use std::collections::HashMap;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Largest file, in bytes. A thousand pipelines fit; a device or a log given by mistake does not fill
/// the memory.
const MAX_FILE: u64 = 4 << 20;

/// Reads pipelines from files, in their order. `environment` says what `${NAME}` stands for; a
/// command passes `&|name| std::env::var(name).ok()`.
///
/// # Errors
///
/// Everything that is wrong with any of the files, at once.
pub fn load(paths: &[PathBuf], environment: &Environment<'_>) -> Result<Vec<Pipeline>, Findings> {
    Loader::new(environment).load(paths)
}

/// As [`load`], for plugins that are yet to be built: their files may be missing.
///
/// # Errors
///
/// Everything else that is wrong with any of the files, at once.
pub fn load_unbuilt(
    paths: &[PathBuf],
    environment: &Environment<'_>,
) -> Result<Vec<Pipeline>, Findings> {
    Loader::new(environment).unbuilt().load(paths)
}

/// How files are read.
pub struct Loader<'l> {
    environment: &'l Environment<'l>,
    plugins_exist: bool,
    /// In place of those that the files name, unless empty.
    servers: &'l [String],
    forbids_trusted: bool,
}

/// A pipeline as far as it could be read, for who looks for more mistakes than the first ones.
#[derive(Debug)]
pub struct Draft {
    pub file: PathBuf,
    /// Unless it is missing or wrong.
    pub name: Option<String>,
    /// How to reach NATS, unless something is wrong with it.
    pub nats: Option<Nats>,
    /// Those of which nothing is wrong, in order.
    pub operators: Vec<Located>,
    /// Unless something is wrong.
    pub pipeline: Option<Pipeline>,
}

/// An operator, and where findings about its plugin stand.
#[derive(Clone, Debug)]
pub struct Located {
    pub operator: Operator,
    /// Of the value of `plugin:`.
    pub plugin: Location,
    /// Of the value of `config:`, if there is one; else of `plugin:`.
    pub config: Location,
}

/// What pipelines have claimed so far, and where.
#[derive(Default)]
struct Claimed {
    names: HashMap<String, String>,
    consumers: HashMap<(Vec<String>, String, String), String>,
}

impl<'l> Loader<'l> {
    #[must_use]
    pub fn new(environment: &'l Environment<'l>) -> Self {
        Self {
            environment,
            plugins_exist: true,
            servers: &[],
            forbids_trusted: false,
        }
    }

    /// Uses these servers, whatever the files say. Each is an [`address`](super::address).
    #[must_use]
    pub fn at(self, servers: &'l [String]) -> Self {
        Self { servers, ..self }
    }

    /// Lets the files of plugins be missing.
    #[must_use]
    pub fn unbuilt(self) -> Self {
        Self {
            plugins_exist: false,
            ..self
        }
    }

    /// Where `forbidden`, an operator with `trusted: true` is a mistake.
    #[must_use]
    pub fn forbid_trusted(self, forbidden: bool) -> Self {
        Self {
            forbids_trusted: forbidden,
            ..self
        }
    }

    /// See [`load`](self::load()).
    ///
    /// # Errors
    ///
    /// Everything that is wrong with any of the files, at once.
    pub fn load(&self, paths: &[PathBuf]) -> Result<Vec<Pipeline>, Findings> {
        let (drafts, findings) = self.survey(paths);
        if findings.is_empty() {
            let pipelines = drafts.into_iter().filter_map(|draft| draft.pipeline);
            Ok(pipelines.collect())
        } else {
            Err(findings)
        }
    }

    /// All that can be read of the files, and everything that is wrong with them.
    #[must_use]
    pub fn survey(&self, paths: &[PathBuf]) -> (Vec<Draft>, Findings) {
        let mut findings = Findings::default();
        let mut drafts = Vec::new();
        let mut claimed = Claimed::default();
        for path in paths {
            let mut of_file = Collector::new(path);
            if let Some(text) = read(path, &mut of_file) {
                self.file(&text, &mut of_file, &mut claimed, &mut drafts);
            }
            findings.append(of_file.into_findings());
        }
        (drafts, findings)
    }

    fn file(
        &self,
        text: &str,
        findings: &mut Collector,
        claimed: &mut Claimed,
        drafts: &mut Vec<Draft>,
    ) {
        let documents = tree::parse(text, self.environment, findings);
        if documents.is_empty() && findings.is_empty() {
            findings.add_hint(
                Location::START,
                "there is no pipeline in the file",
                "begin with `name:` and `source:`",
            );
        }
        for document in &documents {
            let sound = shape::check(document, findings);
            let model: model::Pipeline = match serde_json::from_value(sound) {
                Ok(model) => model,
                // The shape has been checked; what remains is at odds with the schema itself.
                Err(error) => {
                    findings.add(
                        document.location,
                        format!("the pipeline cannot be read: {error}"),
                    );
                    continue;
                }
            };
            let at = At::document(document);
            let mut context = Context {
                findings,
                plugins_exist: self.plugins_exist,
                environment: self.environment,
                servers: self.servers,
                forbids_trusted: self.forbids_trusted,
            };
            let (draft, claims) = resolve::pipeline(&model, &at, &mut context);
            claimed.check(claims, &at, findings);
            drafts.push(draft);
        }
    }
}

impl Claimed {
    /// No two pipelines of a process share a name or a durable consumer.
    fn check(&mut self, claims: Claims, at: &At<'_>, findings: &mut Collector) {
        let position = |location: Location| {
            format!(
                "{}:{}:{}",
                findings.file().display(),
                location.line,
                location.column
            )
        };
        let (name_at, consumer_at) = (at.field("name"), at.field("source").field("consumer"));
        let (here, consumer_here) = (
            position(name_at.location()),
            position(consumer_at.location()),
        );
        if let Some(name) = claims.name {
            if let Some(first) = self.names.get(&name) {
                let message = format!("two pipelines are called `{name}`, the other at {first}");
                findings.add_hint(name_at.location(), message, "give each a name of its own");
                // Consumers that are derived from one name are not a second mistake.
                return;
            }
            self.names.insert(name, here);
        }
        if let Some(consumer) = claims.consumer {
            if let Some(first) = self.consumers.get(&consumer) {
                let message = format!(
                    "two pipelines share the consumer `{}` of `{}`, the other at {first}",
                    consumer.2, consumer.1
                );
                let hint = "each would see a part of the messages; give one another `consumer`";
                findings.add_hint(consumer_at.location(), message, hint);
                return;
            }
            self.consumers.insert(consumer, consumer_here);
        }
    }
}

fn read(path: &Path, findings: &mut Collector) -> Option<String> {
    let mut bytes = Vec::new();
    let opened = std::fs::File::open(path);
    match opened.and_then(|file| file.take(MAX_FILE + 1).read_to_end(&mut bytes)) {
        Ok(read) if read as u64 > MAX_FILE => {
            findings.add_hint(
                Location::FILE,
                "the file is larger than 4MiB",
                "name a pipeline file; several pipelines may stand in files of their own",
            );
            return None;
        }
        Ok(_) => {}
        Err(error) => {
            let (message, hint) = match error.kind() {
                // The second: a folder of the path is a file.
                std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory => (
                    "there is no such file".to_owned(),
                    "check the path; `weir plugin new` makes a folder with a pipeline file",
                ),
                std::io::ErrorKind::IsADirectory => {
                    ("it is a folder".to_owned(), "name the files in it")
                }
                kind => (
                    format!("cannot read the file: {kind}"),
                    "check its permissions",
                ),
            };
            findings.add_hint(Location::FILE, message, hint);
            return None;
        }
    }
    match String::from_utf8(bytes) {
        Ok(text) => Some(text),
        Err(error) => {
            let sound = error.utf8_error().valid_up_to();
            let sound = String::from_utf8_lossy(error.as_bytes().get(..sound).unwrap_or_default());
            let line = sound.matches('\n').count() + 1;
            let column = sound
                .rsplit('\n')
                .next()
                .unwrap_or_default()
                .chars()
                .count()
                + 1;
            findings.add_hint(
                Location { line, column },
                "the file is not UTF-8 text",
                "save it as UTF-8",
            );
            None
        }
    }
}
