//! From files to pipelines: read, parse, compare with the schema, resolve.
//!
//! A file may hold several pipelines, separated by `---`. All files of one call run in one process and
//! are checked against each other.

use super::cursor::Cursor;
use super::given::Given;
use super::interpolate::Environment;
use super::resolve::{self, Claims, Context};
use super::resolved::{Nats, Operator, Pipeline};
use super::{model, secrets, shape, tree};
use crate::report;
use crate::report::findings::{Collector, Findings, Location, SECRET};
use std::cell::RefCell;
use std::collections::HashMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Largest file, in bytes. A thousand pipelines fit; a device or a log that is passed by mistake does
/// not exhaust the memory.
const MAX_FILE: u64 = 4 << 20;

/// Reads pipelines from files, in their order. `environment` resolves `${NAME}`; a command passes
/// `&|name| std::env::var(name).ok()`.
///
/// # Errors
///
/// All problems in all files.
pub fn load(paths: &[PathBuf], environment: &Environment<'_>) -> Result<Vec<Pipeline>, Findings> {
    Loader::new(environment).load(paths)
}

/// How files are read.
pub struct Loader<'l> {
    environment: &'l Environment<'l>,
    plugins_exist: bool,
    /// Servers that replace those in the files; unused if empty. Set by [`Loader::at`].
    servers: &'l [String],
    forbids_trusted: bool,
}

/// A pipeline as far as it could be read, so that a caller can look for further mistakes.
#[derive(Debug)]
pub struct Draft {
    pub file: PathBuf,
    /// `None` if it is missing or invalid.
    pub name: Option<String>,
    /// How to reach NATS; `None` if the section is invalid.
    pub nats: Option<Nats>,
    /// The valid operators, in order.
    pub operators: Vec<Located>,
    /// `None` if anything is invalid.
    pub pipeline: Option<Pipeline>,
}

/// An operator, and the locations for findings about its plugin.
#[derive(Clone, Debug)]
pub struct Located {
    /// If the schema of the plugin refuses `config:`, with the sound part of it.
    pub operator: Operator,
    /// Of the value of `plugin:`.
    pub plugin: Location,
    /// Of the value of `config:`, or of `plugin:` if there is none.
    pub config: Location,
    /// What stands at `config:`.
    pub given: Given,
}

/// What pipelines have claimed so far, and at which location.
#[derive(Default)]
struct Claimed {
    names: HashMap<String, String>,
    consumers: HashMap<(Vec<String>, String, String), String>,
    views: HashMap<String, String>,
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

    /// Uses these servers instead of those in the files. Each is an [`address`](super::address).
    #[must_use]
    pub fn at(self, servers: &'l [String]) -> Self {
        Self { servers, ..self }
    }

    /// Allows the files of plugins to be missing.
    #[must_use]
    pub fn unbuilt(self) -> Self {
        Self {
            plugins_exist: false,
            ..self
        }
    }

    /// If `forbidden`, an operator with `trusted: true` is a finding.
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
    /// All problems in all files.
    pub fn load(&self, paths: &[PathBuf]) -> Result<Vec<Pipeline>, Findings> {
        let (drafts, findings) = self.survey(paths);
        if findings.is_empty() {
            let pipelines = drafts.into_iter().filter_map(|draft| draft.pipeline);
            Ok(pipelines.collect())
        } else {
            Err(findings)
        }
    }

    /// Everything that can be read from the files, and all problems in them.
    #[must_use]
    pub fn survey(&self, paths: &[PathBuf]) -> (Vec<Draft>, Findings) {
        let mut findings = Findings::default();
        let mut drafts = Vec::new();
        let mut claimed = Claimed::default();
        let given = RefCell::new(Vec::new());
        let environment = |name: &str| {
            let value = (self.environment)(name)?;
            given.borrow_mut().push((name.to_owned(), value.clone()));
            Some(value)
        };
        let loader = Loader {
            environment: &environment,
            ..*self
        };
        for path in paths {
            let mut of_file = Collector::new(path);
            if let Some(text) = read(path, &mut of_file) {
                loader.file(&text, &mut of_file, &mut claimed, &mut drafts);
            }
            of_file.mask(&given.borrow());
            keep_given(&drafts, &given.borrow());
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
        let text: Arc<str> = text.strip_prefix('\u{feff}').unwrap_or(text).into();
        let documents = tree::parse(&text, self.environment, findings);
        let known = documents.iter().flat_map(secrets::find);
        known.for_each(|secret| report::secrets::keep(&secret));
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
                // The shape has been checked, so this is a mismatch between model and schema.
                Err(error) => {
                    findings.add(
                        document.location,
                        format!("the pipeline cannot be read: {error}"),
                    );
                    continue;
                }
            };
            let at = Cursor::document(document);
            let mut context = Context {
                findings,
                text: Arc::clone(&text),
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

/// What the environment gave for the configuration of plugins: each may repeat it in errors and logs.
fn keep_given(drafts: &[Draft], given: &[(String, String)]) {
    let operators = drafts.iter().flat_map(|draft| &draft.operators);
    let configs: Vec<String> = operators
        .map(|located| located.operator.config.to_string())
        .collect();
    for (name, value) in given.iter().filter(|(_, value)| value.len() >= SECRET) {
        let json = serde_json::Value::from(value.as_str()).to_string();
        let text = json.trim_matches('"');
        if configs.iter().any(|config| config.contains(text)) {
            report::secrets::keep_as(value, &format!("${{{name}}}"));
        }
    }
}

impl Claimed {
    /// Checks that no two pipelines of a process share a name or a durable consumer.
    fn check(&mut self, claims: Claims, at: &Cursor<'_>, findings: &mut Collector) {
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
        let views_at = at.field("views");
        let views_here = position(views_at.location());
        if let Some(name) = claims.name {
            if let Some(first) = self.names.get(&name) {
                let message = format!("two pipelines are called `{name}`, the other at {first}");
                findings.add_hint(name_at.location(), message, "give each a name of its own");
                // A shared consumer that is derived from the shared name is not a second mistake.
                return;
            }
            self.names.insert(name, here);
        }
        for view in claims.views {
            let here = views_here.clone();
            if let Some(first) = self.views.insert(view.clone(), here) {
                let message = format!("two views are called `{view}`, the other at {first}");
                let hint = "give each view of a process a name of its own";
                findings.add_hint(views_at.location(), message, hint);
            }
        }
        if let Some(consumer) = claims.consumer {
            if let Some(first) = self.consumers.get(&consumer) {
                let message = format!(
                    "two pipelines share the consumer `{}` of `{}`, the other at {first}",
                    consumer.2, consumer.1
                );
                let hint = "each would get a part of the messages; give one a different `consumer`";
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
                "name a pipeline file; several pipelines can be in separate files",
            );
            return None;
        }
        Ok(_) => {}
        Err(error) => {
            let (message, hint) = match error.kind() {
                // `NotADirectory`: a folder of the path is a file.
                std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory => (
                    "there is no such file".to_owned(),
                    "check the path; `weir plugin new` creates a folder with a pipeline file",
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
            // As YAML counts lines, from behind a byte order mark.
            let sound = sound.trim_start_matches('\u{feff}').replace("\r\n", "\n");
            let before: Vec<&str> = sound.split(['\r', '\n']).collect();
            let line = before.len();
            let column = before.last().map_or(0, |line| line.chars().count()) + 1;
            findings.add_hint(
                Location { line, column },
                "the file is not UTF-8 text",
                "save it as UTF-8",
            );
            None
        }
    }
}
