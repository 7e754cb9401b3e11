//! The reference page, generated from the schema and thus from the doc comments of `model.rs`.

use super::cursor::join;
use super::schema::{branches, default, fields, has_type, items, named, shared, words};
use serde_json::{Map, Value};
use std::fmt::Write;

const OPENING: &str = "\
# Configuration

<!-- Generated from host/src/config/model.rs by `weir config reference`. Do not edit; after a change \
there, run `BLESS=1 cargo test config`. -->

A pipeline is a YAML document. A file may hold several, separated by `---`, and `weir run` takes
several files. Everything except `name` and `source.stream`, or `sources`, has a default; `sink.subject` needs a value
if the pipeline would otherwise read its own results.

```yaml
name: rebates
source:
  stream: ORDERS
  subjects: [\"orders.>\"]
operators:
  - name: price
    plugin: rebates.wasm
    config: { rate: 0.05 }
sink:
  subject: rebates.{subject[1]}
dead-letter:
  subject: dead.rebates
```

`weir check FILE...` prints all findings at once, including those about plugins, each as
`file:line:column`. `weir config schema` prints a JSON Schema; editors with the YAML language server
use it if the first line is `# yaml-language-server: $schema=pipeline.schema.json`.

## Values

- **duration**: numbers with units: `ns`, `us`, `ms`, `s`, `m` (minutes), `h`, `d` (24 hours), `w`;
  `500ms`, `1m 30s`, `7d`.
- **size**: a number of bytes, or one with a unit: `KB`, `MB`, `GB`, `TB` (powers of 1000), `KiB`, `MiB`,
  `GiB`, `TiB` (powers of 1024).
- **subject**: tokens separated by dots; in filters `*` matches one token and a final `>` one or more.
- **paths**: a relative path starts at the folder of the file that contains it.
- `${NAME}` in a value is replaced by the environment variable, `${NAME:-default}` by the default
  if the variable is unset or empty. A default may have references of its own: `${A:-${B}}`. Write `$${`
  for a literal `${`. A value is read as a number or a boolean after the replacement; a plugin's own `config:`
  only without quotes.
- An unknown key is an error.
";

/// The page `docs/configuration.md`.
#[must_use]
pub fn reference() -> String {
    let mut page = OPENING.to_owned();
    section(&mut page, "Pipeline", "", shared());
    page
}

/// One table, followed by those of its sections.
fn section(page: &mut String, title: &str, path: &str, schema: &Value) {
    let Some(fields) = fields(schema) else { return };
    let _ = writeln!(page, "\n## {title}\n");
    if let Some(text) = description(schema) {
        let _ = writeln!(page, "{text}\n");
    }
    if path.ends_with("create") && path != CREATE {
        let _ = writeln!(
            page,
            "The settings are those of [`{CREATE}`](#{}).",
            anchor(CREATE)
        );
        return;
    }
    let _ = writeln!(page, "| key | value | default | |\n|---|---|---|---|");
    for (name, field) in fields {
        let _ = writeln!(
            page,
            "| `{name}` | {} | {} | {} |",
            cell(&kind(field)),
            cell(&shown_default(schema, name, field)),
            cell(&explanation(path, name, field)),
        );
    }
    for (name, field) in fields {
        let inner = join(path, name);
        section(page, &format!("`{inner}`"), &inner, field);
        for item in items(field) {
            section(page, &format!("`{inner}[]`"), &format!("{inner}[]"), item);
        }
        if let Some(value) = named(field) {
            let inner = join(&inner, NAME);
            section(page, &format!("`{inner}`"), &inner, value);
        }
    }
}

/// Stands for a name that the user gives.
const NAME: &str = "NAME";

/// The section that explains the settings of streams; the other sections refer to it.
const CREATE: &str = "source.create";

/// The anchor that renderers derive from a heading that is a code span.
fn anchor(heading: &str) -> String {
    heading
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || *c == '-')
        .collect()
}

/// The possible values, in words.
fn kind(schema: &Value) -> String {
    let mut kinds: Vec<String> = Vec::new();
    for branch in branches(schema) {
        let allowed = words(branch);
        let kind = match branch.get("x-kind").and_then(Value::as_str) {
            Some(kind) => kind.to_owned(),
            None if !allowed.is_empty() => {
                kinds.extend(allowed.iter().map(|word| format!("`{word}`")));
                continue;
            }
            None if named(branch).is_some() => "sections by name".to_owned(),
            None if has_type(branch, "object") => "section".to_owned(),
            None if has_type(branch, "array") => match branch.get("items") {
                Some(item) if has_type(item, "object") => "list of sections".to_owned(),
                _ => "list of texts".to_owned(),
            },
            None if has_type(branch, "integer") => "number".to_owned(),
            None if has_type(branch, "boolean") => "`true`, `false`".to_owned(),
            None if has_type(branch, "string") => "text".to_owned(),
            None => "anything".to_owned(),
        };
        kinds.push(kind);
    }
    kinds.join(", ")
}

fn shown_default(parent: &Value, name: &str, schema: &Value) -> String {
    match default(parent, name, schema) {
        None => "**required**".to_owned(),
        Some(text) if text.is_empty() => text,
        Some(text) => format!("`{text}`"),
    }
}

/// The description, what each word means, and an example.
fn explanation(path: &str, name: &str, schema: &Value) -> String {
    let mut text = description(schema).unwrap_or_default().to_owned();
    if is_section(schema) {
        // Its own heading says the rest.
        let first = text
            .split_inclusive(". ")
            .next()
            .unwrap_or_default()
            .trim_end()
            .to_owned();
        let inner = join(path, name);
        let list = branches(schema)
            .iter()
            .any(|branch| has_type(branch, "array"));
        let inner = match named(schema) {
            Some(_) => join(&inner, NAME),
            None if list => format!("{inner}[]"),
            None => inner,
        };
        return format!("{first} See [`{inner}`](#{}).", anchor(&inner))
            .trim()
            .to_owned();
    }
    for branch in branches(schema) {
        if let ([word], Some(meaning)) = (words(branch).as_slice(), branch.get("description")) {
            let meaning = meaning.as_str().unwrap_or_default();
            let _ = write!(text, " `{word}`: {meaning}");
        }
    }
    let examples = schema
        .get("examples")
        .and_then(Value::as_array)
        .into_iter()
        .flatten();
    let examples: Vec<String> = examples
        .map(|example| match example {
            Value::String(text) => format!("`{text}`"),
            value => format!("`{value}`"),
        })
        .collect();
    if !examples.is_empty() {
        let _ = write!(text, " Example: {}.", examples.join(", "));
    }
    text.trim().to_owned()
}

fn is_section(schema: &Value) -> bool {
    let is_object =
        |schema: &Value| fields(schema).is_some_and(|fields: &Map<_, _>| !fields.is_empty());
    is_object(schema) || items(schema).chain(named(schema)).any(is_object)
}

fn description(schema: &Value) -> Option<&str> {
    schema.get("description")?.as_str()
}

/// Escapes text for a table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|")
        .replace("\n\n", "<br>")
        .replace('\n', " ")
}
