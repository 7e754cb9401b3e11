//! The keys of `config:`.

use crate::Redact;
use crate::method::Method;
use crate::rule::{Place, Rule};
use fields::Pattern;
use regex_lite::Regex;
use weir_sdk::Refusal;

/// Bytes that the key of a hash has at least: shorter ones can be guessed.
const LEAST_KEY: usize = 16;

#[derive(serde::Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Config {
    /// The rules, applied in order.
    rules: Vec<RuleConfig>,
    /// The key of hashes: at least 16 bytes.
    hash_key: Option<String>,
    /// The kind of the payload; `json` by default.
    #[serde(default)]
    payload: Payload,
    /// What happens to a message that cannot be redacted; `reject` by default.
    #[serde(default)]
    on_error: OnError,
}

/// What to redact, and how.
#[derive(serde::Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct RuleConfig {
    /// Fields of the payload: JSON pointers, with `*` for every element.
    fields: Option<Vec<String>>,
    /// Headers, by their names.
    #[cfg_attr(test, schemars(extend("x-weir-headers" = "names")))]
    headers: Option<Vec<String>>,
    /// The parts of texts that a regular expression matches: of the fields or headers, or of the whole payload.
    pattern: Option<String>,
    /// What replaces the value.
    method: MethodName,
    /// The number of last characters that `mask` keeps; 0 by default.
    keep: Option<usize>,
    /// The text of `replace`.
    with: Option<String>,
}

#[derive(serde::Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
enum MethodName {
    /// Nothing.
    Remove,
    /// A `*` for each character.
    Mask,
    /// Another text.
    Replace,
    /// HMAC-SHA256 in hexadecimal.
    Hash,
}

#[derive(Default, PartialEq, Eq, serde::Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
enum Payload {
    /// JSON.
    #[default]
    Json,
    /// Any text, in which only patterns are searched.
    Text,
}

#[derive(Default, PartialEq, Eq, serde::Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
enum OnError {
    /// Make it a dead letter. The dead letter contains the whole message, unredacted.
    #[default]
    Reject,
    /// Drop it.
    Drop,
}

impl Config {
    pub fn redact(self) -> Result<Redact, String> {
        let Self {
            rules,
            hash_key,
            payload,
            on_error,
        } = self;
        let mut refusal = Refusal::default();
        if let Some(key) = hash_key.as_ref().filter(|key| key.len() < LEAST_KEY) {
            refusal.add(
                &["hash-key"],
                format!(
                    "it has {} bytes, and at least {LEAST_KEY} are needed; make one with `openssl rand -hex 32`",
                    key.len()
                ),
            );
        }
        let is_text = payload == Payload::Text;
        let rules = refusal.under("rules", |refusal| {
            let rules = rules.into_iter().enumerate().filter_map(|(index, rule)| {
                refusal.under(&index.to_string(), |refusal| {
                    rule.rule(refusal, hash_key.as_deref(), is_text)
                })
            });
            rules.collect()
        });
        refusal.or(Some(Redact {
            rules,
            is_text,
            drops: on_error == OnError::Drop,
        }))
    }
}

impl RuleConfig {
    fn rule(self, refusal: &mut Refusal, hash_key: Option<&str>, is_text: bool) -> Option<Rule> {
        let method = self.method(refusal, hash_key);
        let pattern = self.pattern.as_deref();
        let regex = pattern.and_then(|pattern| refusal.check(&["pattern"], regex(pattern)));
        let lists = [("fields", &self.fields), ("headers", &self.headers)];
        for (name, list) in lists {
            if list.as_ref().is_some_and(Vec::is_empty) {
                refusal.add(&[name], "at least one name is needed");
            }
        }
        let place = match (self.fields, self.headers) {
            (Some(_), Some(_)) => {
                refusal.add(&["headers"], "give either `fields` or `headers`");
                None
            }
            (Some(_), None) if is_text => {
                refusal.add(&["fields"], "a payload that is text has no fields");
                None
            }
            (Some(fields), None) => {
                let fields = fields.iter().enumerate().filter_map(|(index, text)| {
                    refusal.check(&["fields", &index.to_string()], Pattern::field(text))
                });
                Some(Place::Fields(fields.collect()))
            }
            (None, Some(headers)) => {
                let names = headers.iter().enumerate().filter_map(|(index, name)| {
                    refusal.check(&["headers", &index.to_string()], fields::header_name(name))
                });
                Some(Place::Headers(names.collect()))
            }
            (None, None) if pattern.is_some() => Some(Place::Payload),
            (None, None) => {
                refusal.add(&[], "give `fields`, `headers` or `pattern`");
                None
            }
        };
        Some(Rule {
            place: place?,
            pattern: regex,
            method: method?,
        })
    }

    fn method(&self, refusal: &mut Refusal, hash_key: Option<&str>) -> Option<Method> {
        if self.keep.is_some() && !matches!(self.method, MethodName::Mask) {
            refusal.add(&["keep"], "it is for `mask`");
        }
        if self.with.is_some() && !matches!(self.method, MethodName::Replace) {
            refusal.add(&["with"], "it is for `replace`");
        }
        let method = match self.method {
            MethodName::Remove => Ok(Method::Remove),
            MethodName::Mask => Ok(Method::Mask(self.keep.unwrap_or(0))),
            MethodName::Replace => {
                let with = self.with.clone().map(Method::Replace);
                with.ok_or("`replace` needs the text, in `with`")
            }
            MethodName::Hash => {
                let hash = hash_key.map(Method::hash);
                hash.ok_or("`hash` needs the key, in `hash-key` of the config")
            }
        };
        refusal.check(&["method"], method)
    }
}

fn regex(pattern: &str) -> Result<Regex, String> {
    let regex = Regex::new(pattern)
        .map_err(|error| format!("`{pattern}` is no regular expression: {error}"))?;
    match regex.is_match("") {
        true => Err(format!("`{pattern}` matches where nothing is")),
        false => Ok(regex),
    }
}
