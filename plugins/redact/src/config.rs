//! The keys of `config:`.

use crate::Redact;
use crate::method::Method;
use crate::rule::{Place, Rule};
use fields::Pattern;
use regex_lite::Regex;

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
        if let Some(key) = hash_key.as_ref().filter(|key| key.len() < LEAST_KEY) {
            return Err(format!(
                "`hash-key` has {} bytes, and at least {LEAST_KEY} are needed; make one with \
                 `openssl rand -hex 32`",
                key.len()
            ));
        }
        let is_text = payload == Payload::Text;
        let rules = rules.into_iter().enumerate().map(|(index, rule)| {
            rule.rule(hash_key.as_deref(), is_text)
                .map_err(|error| format!("`rules[{index}]`: {error}"))
        });
        Ok(Redact {
            rules: rules.collect::<Result<_, _>>()?,
            is_text,
            drops: on_error == OnError::Drop,
        })
    }
}

impl RuleConfig {
    fn rule(self, hash_key: Option<&str>, is_text: bool) -> Result<Rule, String> {
        let method = self.method(hash_key)?;
        let place = match (self.fields, self.headers) {
            (Some(_), Some(_)) => return Err("give either `fields` or `headers`".into()),
            (Some(_), None) if is_text => {
                return Err("a payload that is text has no `fields`".into());
            }
            (Some(fields), None) => {
                let fields = fields.iter().map(|text| Pattern::field(text));
                Place::Fields(fields.collect::<Result<_, _>>()?)
            }
            (None, Some(headers)) => Place::Headers(headers),
            (None, None) if self.pattern.is_some() => Place::Payload,
            (None, None) => return Err("give `fields`, `headers` or `pattern`".into()),
        };
        let pattern = self.pattern.map(|pattern| {
            let regex = Regex::new(&pattern)
                .map_err(|error| format!("`{pattern}` is no regular expression: {error}"))?;
            match regex.is_match("") {
                true => Err(format!("`{pattern}` matches where nothing is")),
                false => Ok(regex),
            }
        });
        Ok(Rule {
            place,
            pattern: pattern.transpose()?,
            method,
        })
    }

    fn method(&self, hash_key: Option<&str>) -> Result<Method, String> {
        let is_mask = matches!(self.method, MethodName::Mask);
        if self.keep.is_some() && !is_mask {
            return Err("`keep` is for `mask`".into());
        }
        if self.with.is_some() && !matches!(self.method, MethodName::Replace) {
            return Err("`with` is for `replace`".into());
        }
        Ok(match self.method {
            MethodName::Remove => Method::Remove,
            MethodName::Mask => Method::Mask(self.keep.unwrap_or(0)),
            MethodName::Replace => Method::Replace(
                self.with
                    .clone()
                    .ok_or("`replace` needs the text, in `with`")?,
            ),
            MethodName::Hash => {
                Method::hash(hash_key.ok_or("`hash` needs the key, in `hash-key` of the config")?)
            }
        })
    }
}
