//! What stands under `config:`.

use crate::Enrich;
use crate::answer::Reader;
use crate::cache::Cache;
use crate::url::Url;
use fields::{OnError, Pointer};
use std::collections::BTreeMap;
use std::time::Duration;
use weir_sdk::Header;
use weir_sdk::config::duration;

/// Headers that the host writes itself.
const OF_THE_HOST: [&str; 10] = [
    "connection",
    "content-length",
    "host",
    "http2-settings",
    "keep-alive",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "transfer-encoding",
    "upgrade",
];

#[derive(serde::Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Config {
    /// The URL to ask, with values of the message between braces: `http://prices.internal/items/{/sku}`.
    #[cfg_attr(test, schemars(extend("x-weir-headers" = "mentions")))]
    url: String,
    /// The field of the payload that gets the answer: its name or JSON pointer.
    into: String,
    /// The part of the answer that it gets: the name of a field or a JSON pointer; all of it by default.
    pick: Option<String>,
    /// Headers of the requests, from their names to their values.
    #[serde(default)]
    headers: BTreeMap<String, String>,
    /// How long to wait for a connection, for the answer and between its parts, such as `2s`; half of
    /// `limits.deadline` by default.
    timeout: Option<String>,
    /// Requests that may be open at once, at most `limits.http-requests`; 8 by default.
    #[serde(default = "concurrency")]
    concurrency: usize,
    /// How long answers are remembered.
    #[serde(default)]
    cache: CacheConfig,
    /// What becomes of a message of which the server knows nothing; `reject` by default.
    #[serde(default)]
    missing: Missing,
    /// What becomes of a message that cannot be enriched, today or later; `reject` by default.
    #[serde(default)]
    on_error: OnError,
}

fn concurrency() -> usize {
    8
}

#[derive(serde::Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema, serde::Serialize))]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
struct CacheConfig {
    /// Answers that are remembered; the ones that were not asked for since longest are forgotten.
    max_entries: usize,
    /// How long an answer is good; `0s` remembers none.
    ttl: String,
    /// How long it is good that there is none; `0s` remembers none.
    negative_ttl: String,
}

impl Default for CacheConfig {
    fn default() -> Self {
        Self {
            max_entries: 10_000,
            ttl: "5m".into(),
            negative_ttl: "30s".into(),
        }
    }
}

#[derive(Clone, Copy, Default, serde::Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema, serde::Serialize))]
#[serde(rename_all = "kebab-case")]
pub enum Missing {
    /// Make it a dead letter, because nobody said that it may be lost.
    #[default]
    Reject,
    /// Drop it.
    Drop,
    /// Pass it on as it came.
    Pass,
    /// Write `null` into the field.
    SetNull,
}

impl Config {
    pub fn enrich(self) -> Result<Enrich, String> {
        let of = |name: &'static str| move |error: String| format!("`{name}`: {error}");
        let into = Pointer::field(&self.into).map_err(of("into"))?;
        if self.into.is_empty() {
            return Err("`into` needs the name of a field".into());
        }
        if self.concurrency == 0 {
            return Err("`concurrency` must be at least 1".into());
        }
        if self.cache.max_entries == 0 {
            return Err(
                "`cache.max-entries` must be at least 1; `ttl: 0s` remembers nothing".into(),
            );
        }
        let pick = self.pick.as_deref().map(Pointer::field).transpose();
        let timeout = self.timeout.as_deref().map(duration).transpose();
        let timeout = timeout.map_err(of("timeout"))?;
        if timeout == Some(Duration::ZERO) {
            return Err("`timeout` must be more than 0".into());
        }
        Ok(Enrich {
            url: Url::parse(&self.url).map_err(of("url"))?,
            into,
            reader: Reader {
                pick: pick.map_err(of("pick"))?,
            },
            headers: headers(self.headers)?,
            timeout,
            concurrency: self.concurrency,
            cache: Cache::new(
                self.cache.max_entries,
                duration(&self.cache.ttl).map_err(of("cache.ttl"))?,
                duration(&self.cache.negative_ttl).map_err(of("cache.negative-ttl"))?,
            ),
            missing: self.missing,
            on_error: self.on_error,
        })
    }
}

/// The headers, with one that asks for JSON.
fn headers(config: BTreeMap<String, String>) -> Result<Vec<Header>, String> {
    let mut headers = BTreeMap::from([("accept".to_owned(), "application/json".to_owned())]);
    for (name, value) in config {
        let lower = name.to_ascii_lowercase();
        let is_token =
            |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        if lower.is_empty() || !lower.bytes().all(is_token) {
            return Err(format!(
                "`headers`: `{name}` cannot be the name of a header"
            ));
        }
        if OF_THE_HOST.contains(&lower.as_str()) {
            return Err(format!("`headers`: the host writes `{name}` itself"));
        }
        // The value may be a secret.
        if value.chars().any(char::is_control) {
            return Err(format!(
                "`headers`: the value of `{name}` has control characters"
            ));
        }
        headers.insert(lower, value);
    }
    let header = |(name, value)| Header { name, value };
    Ok(headers.into_iter().map(header).collect())
}
