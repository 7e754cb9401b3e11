//! The shape of the configuration that the library `figures` reads, for its JSON Schema.

#![expect(
    dead_code,
    reason = "the schema is made of the types, and nothing has a value of them"
)]

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// The keys of `config:`.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, rename_all = "kebab-case")]
struct Config {
    /// The figures, by their names in the result.
    #[schemars(length(min = 1))]
    results: BTreeMap<String, Figure>,
    /// Fields that divide the messages of a window into groups: a name in the result, and the field as a JSON
    /// pointer.
    #[schemars(default)]
    by: BTreeMap<String, String>,
    /// Which groups of a window have a result; all groups by default.
    only: Option<Only>,
    /// The greatest number of groups in a window of a key.
    #[schemars(default = "groups", range(min = 1, max = 1_000_000))]
    max_groups: usize,
}

fn groups() -> usize {
    500
}

/// Either `highest` or `lowest`: names under `results` or `by`. The next name decides between equal ones.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, rename_all = "kebab-case")]
struct Only {
    /// Keeps the groups with the greatest values of this figure.
    highest: Option<Names>,
    /// Keeps the groups with the least values of this figure.
    lowest: Option<Names>,
    /// The number of groups to keep.
    #[schemars(default = "one", range(min = 1, max = 1_000_000))]
    most: usize,
    /// Whether groups that equal the last one also have a result.
    #[schemars(default)]
    ties: Ties,
    /// The name of the rank in a result; without it, results have no rank.
    rank: Option<String>,
}

fn one() -> usize {
    1
}

#[derive(JsonSchema)]
#[schemars(untagged)]
enum Names {
    One(String),
    Several(Vec<String>),
}

#[derive(Default, JsonSchema, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
enum Ties {
    #[default]
    Cut,
    Keep,
}

/// The figures of a field, beside `count`.
const KINDS: [&str; 18] = [
    "count",
    "sum",
    "average",
    "min",
    "max",
    "variance",
    "stddev",
    "population-variance",
    "population-stddev",
    "first",
    "last",
    "distinct",
    "distinct-estimated",
    "top",
    "quantiles",
    "list",
    "highest",
    "lowest",
];

struct Figure;

impl JsonSchema for Figure {
    fn schema_name() -> Cow<'static, str> {
        "Figure".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let pointer = |kind: &&str| {
            let schema = serde_json::json!({ "type": "string", "description": "The field, as a JSON pointer." });
            ((*kind).to_owned(), schema)
        };
        let mut properties: serde_json::Map<_, _> = KINDS.iter().map(pointer).collect();
        let options = serde_json::json!({
            "most": { "type": "integer", "minimum": 1, "maximum": 1_000_000,
                "description": "The number of values, for `top`, `list`, `highest` and `lowest`." },
            "ranks": { "type": "array", "items": { "type": "number", "minimum": 0, "maximum": 1 }, "minItems": 1,
                "description": "The quantiles, such as 0.5 for the median." },
            "rank": { "type": "string",
                "description": "The name of the rank in each shown message, for `highest` and `lowest`." },
            "show": { "type": ["string", "object"], "additionalProperties": { "type": "string" },
                "description": "The part of each message to show, for `highest`, `lowest` and `list`: a JSON pointer, or names and JSON pointers." },
            "ties": { "enum": ["cut", "keep"],
                "description": "Whether messages that equal the last one are also kept, for `highest` and `lowest`." },
        });
        properties.extend(options.as_object().cloned().unwrap_or_default());
        json_schema!({
            "description": "A figure: `count`, times of the messages or the window, or one of a field.",
            "anyOf": [
                { "type": "string", "enum": ["count", "first-time", "last-time", "duration", "window-start", "window-end"] },
                { "type": "object", "additionalProperties": false, "properties": properties },
            ],
        })
    }
}

#[test]
fn the_schema_of_the_configuration_is_that_of_the_file() {
    let folder = env!("CARGO_MANIFEST_DIR");
    assert_eq!(config_schema::check::<Config>(folder), Ok(()));
}

#[test]
fn the_schema_has_what_the_configuration_may_have() {
    use figures::Settings;
    for kind in KINDS {
        let config = |options: serde_json::Value| {
            let mut figure = options;
            figure[kind] = "/field".into();
            Settings::read(&serde_json::json!({ "results": { "it": figure } }))
        };
        let options = [
            serde_json::json!({}),
            serde_json::json!({ "most": 1 }),
            serde_json::json!({ "most": 1, "show": { "id": "/id" }, "ties": "keep", "rank": "rank" }),
            serde_json::json!({ "ranks": [0.5] }),
        ];
        let read = options.into_iter().find(|it| config(it.clone()).is_ok());
        assert!(read.is_some(), "{kind}");
    }
    let unknown = serde_json::json!({ "results": { "it": { "strange": "/field" } } });
    let refusal = Settings::read(&unknown).unwrap_err();
    let named = KINDS
        .iter()
        .filter(|kind| refusal.contains(&format!("`{kind}`")));
    assert_eq!(named.count(), KINDS.len());
    assert_eq!(
        refusal.matches('`').count() / 2,
        KINDS.len() + 1,
        "{refusal}"
    );
}
