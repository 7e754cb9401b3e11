//! The keys of `config:`.

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
    /// The URL of the request, with values of the message between braces:
    /// `http://prices.internal/items/{/sku}`.
    #[cfg_attr(test, schemars(extend("x-weir-headers" = "mentions")))]
    url: String,
    /// The field of the payload for the answer: its name or JSON pointer.
    into: String,
    /// The part of the answer to write: the name of a field or a JSON pointer; the whole answer by default.
    pick: Option<String>,
    /// Headers of the requests: names and values.
    #[serde(default)]
    headers: BTreeMap<String, String>,
    /// How long to wait for a connection, for the answer and between its parts, such as `2s`; half of
    /// `limits.deadline` by default.
    timeout: Option<String>,
    /// The greatest number of requests at the same time, at most `limits.http-requests`; 8 by default.
    #[serde(default = "concurrency")]
    concurrency: usize,
    /// How many answers are cached, and for how long.
    #[serde(default)]
    cache: CacheConfig,
    /// What happens to a message if the server has no value for it; `reject` by default.
    #[serde(default)]
    missing: Missing,
    /// What happens to a message for which no retry can help; `reject` by default.
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
    /// The greatest number of cached answers; the least recently used ones are removed.
    max_entries: usize,
    /// The time to live of an answer in the cache; `0s` caches none.
    ttl: String,
    /// The time to live of a missing value in the cache; `0s` caches none.
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
    /// Make it a dead letter.
    #[default]
    Reject,
    /// Drop it.
    Drop,
    /// Pass it on unchanged.
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
