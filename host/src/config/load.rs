//! Files to pipelines: read, parse, compare with the schema, resolve.
//!
//! A file may hold several pipelines, separated by `---`; all files of one call run in one process
//! and are checked against each other.

use super::at::At;
use super::findings::{Collector, Findings, Place};
use super::interpolate::Environment;
use super::resolve::{self, Claims, Context};
use super::resolved::Pipeline;
use super::{model, shape, tree};
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
    Loader {
        environment,
        plugins_exist: true,
    }
    .load(paths)
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
    Loader {
        environment,
        plugins_exist: false,
    }
    .load(paths)
}

struct Loader<'l> {
    environment: &'l Environment<'l>,
    plugins_exist: bool,
}

/// What pipelines have claimed so far, and where.
#[derive(Default)]
struct Claimed {
    names: HashMap<String, String>,
    consumers: HashMap<(Vec<String>, String, String), String>,
}

impl Loader<'_> {
    fn load(&self, paths: &[PathBuf]) -> Result<Vec<Pipeline>, Findings> {
        let mut findings = Findings::default();
        let mut pipelines = Vec::new();
        let mut claimed = Claimed::default();
        for path in paths {
            let mut of_file = Collector::new(path);
            if let Some(text) = read(path, &mut of_file) {
                self.file(&text, &mut of_file, &mut claimed, &mut pipelines);
            }
            findings.append(of_file.into_findings());
        }
        if findings.is_empty() {
            Ok(pipelines)
        } else {
            Err(findings)
        }
    }

    fn file(
        &self,
        text: &str,
        findings: &mut Collector,
        claimed: &mut Claimed,
        pipelines: &mut Vec<Pipeline>,
    ) {
        let documents = tree::parse(text, self.environment, findings);
        if documents.is_empty() && findings.is_empty() {
            findings.add_hint(
                Place::START,
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
                        document.place,
                        format!("the pipeline cannot be read: {error}"),
                    );
                    continue;
                }
            };
            let at = At::document(document);
            let mut context = Context {
                findings,
                plugins_exist: self.plugins_exist,
            };
            let (pipeline, claims) = resolve::pipeline(&model, &at, &mut context);
            claimed.check(claims, &at, findings);
            pipelines.extend(pipeline);
        }
    }
}

impl Claimed {
    /// No two pipelines of a process share a name or a durable consumer.
    fn check(&mut self, claims: Claims, at: &At<'_>, findings: &mut Collector) {
        let position = |place: Place| {
            format!(
                "{}:{}:{}",
                findings.file().display(),
                place.line,
                place.column
            )
        };
        let (name_at, consumer_at) = (at.field("name"), at.field("source").field("consumer"));
        let (here, consumer_here) = (position(name_at.place()), position(consumer_at.place()));
        if let Some(name) = claims.name {
            if let Some(first) = self.names.get(&name) {
                let message = format!("two pipelines are called `{name}`, the other at {first}");
                findings.add_hint(name_at.place(), message, "give each a name of its own");
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
                findings.add_hint(consumer_at.place(), message, hint);
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
            findings.add(Place::START, "the file is larger than 4MiB");
            return None;
        }
        Ok(_) => {}
        Err(error) => {
            let hint = match error.kind() {
                std::io::ErrorKind::NotFound => "check the path",
                std::io::ErrorKind::IsADirectory => "name the files in it",
                _ => "check its permissions",
            };
            let message = format!("cannot read the file: {}", error.kind());
            findings.add_hint(Place::START, message, hint);
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
                Place { line, column },
                "the file is not UTF-8 text",
                "save it as UTF-8",
            );
            None
        }
    }
}
