//! The keys of `config:`.

use crate::Enrich;
use crate::answer::Reader;
use crate::cache::Cache;
use crate::url::Url;
use fields::{OnError, Pointer};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use weir_sdk::config::duration;
use weir_sdk::{Header, Refusal};

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
    #[cfg_attr(test, schemars(extend("x-kind" = "duration")))]
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
    #[cfg_attr(test, schemars(extend("x-kind" = "duration")))]
    ttl: String,
    /// The time to live of a missing value in the cache; `0s` caches none.
    #[cfg_attr(test, schemars(extend("x-kind" = "duration")))]
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
        let mut refusal = Refusal::default();
        let into = refusal.check(&["into"], Pointer::field(&self.into));
        if self.concurrency == 0 {
            refusal.add(&["concurrency"], "it must be at least 1");
        }
        let pick = self.pick.as_deref();
        let pick = pick.and_then(|pick| refusal.check(&["pick"], Pointer::field(pick)));
        let timeout = self.timeout.as_deref();
        let timeout = timeout.and_then(|timeout| refusal.check(&["timeout"], duration(timeout)));
        if timeout == Some(Duration::ZERO) {
            refusal.add(&["timeout"], "it must be more than 0");
        }
        let url = refusal.check(&["url"], Url::parse(&self.url));
        let headers = headers(&mut refusal, self.headers);
        let cache = refusal.under("cache", |refusal| self.cache.cache(refusal));
        let made = (|| {
            Some(Enrich {
                url: url?,
                into: into?,
                reader: Reader {
                    pick,
                    timeout: self
                        .timeout
                        .unwrap_or_else(|| "half of `limits.deadline`".into()),
                },
                headers,
                timeout,
                concurrency: self.concurrency,
                cache: cache?,
                missing: self.missing,
                on_error: self.on_error,
            })
        })();
        refusal.or(made)
    }
}

impl CacheConfig {
    fn cache(&self, refusal: &mut Refusal) -> Option<Cache> {
        if self.max_entries == 0 {
            refusal.add(
                &["max-entries"],
                "it must be at least 1; `ttl: 0s` remembers nothing",
            );
        }
        let ttl = refusal.check(&["ttl"], duration(&self.ttl));
        let negative_ttl = refusal.check(&["negative-ttl"], duration(&self.negative_ttl));
        Some(Cache::new(self.max_entries, ttl?, negative_ttl?))
    }
}

/// The headers, with one that asks for JSON.
fn headers(refusal: &mut Refusal, config: BTreeMap<String, String>) -> Vec<Header> {
    let mut headers = BTreeMap::from([("accept".to_owned(), "application/json".to_owned())]);
    let mut seen = BTreeSet::new();
    for (name, value) in config {
        let lower = name.to_ascii_lowercase();
        let is_token =
            |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        let mut refuse = |why: String| refusal.add(&["headers", &name], why);
        if lower.is_empty() || !lower.bytes().all(is_token) {
            refuse(format!("`{name}` cannot be the name of a header"));
        }
        if OF_THE_HOST.contains(&lower.as_str()) {
            refuse(format!("the host writes `{name}` itself"));
        }
        // The value may be a secret.
        if value.chars().any(char::is_control) {
            refuse(format!("the value of `{name}` has control characters"));
        }
        if !seen.insert(lower.clone()) {
            refuse(format!("the header `{name}` is there twice"));
        }
        headers.insert(lower, value);
    }
    let header = |(name, value)| Header { name, value };
    headers.into_iter().map(header).collect()
}
