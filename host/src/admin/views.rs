//! `/views`: the views of this host's pipelines, read-only. `docs/views.md` and `openapi.json` describe the pages.
//!
//! Every error is a problem as JSON (RFC 9457).

use super::AdminState;
use super::connections::Lasting;
use crate::host::views::{View, Watch};
use crate::nats::views::Entry;
use crate::report;
use axum::body::Body;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Json, Router};
use base64::{Engine, engine::general_purpose::STANDARD};
use futures_util::stream;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

/// Watchers at once. Half of the connections that there may be; each holds up to 8 MiB while its reader is slow.
const WATCHERS: usize = 32;
/// Pages that are read at once; others wait.
const PAGES: usize = 8;
/// Keys in a page, unless it is said; and at most.
const LIMIT: usize = 100;
const MOST: usize = 1000;
/// How often a watcher gets a line at least, so that both ends notice that the other has gone.
const HEARTBEAT: Duration = Duration::from_secs(10);

static OPENAPI: &str = include_str!("openapi.json");

#[derive(Clone)]
struct Pages {
    views: Arc<[Arc<View>]>,
    watchers: Arc<Semaphore>,
    pages: Arc<Semaphore>,
}

/// Why there is no value.
pub(super) struct Problem {
    status: StatusCode,
    title: &'static str,
    detail: String,
}

/// What a page of a view is asked with.
#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Asked {
    prefix: String,
    after: u64,
    limit: usize,
    watch: bool,
}

impl Default for Asked {
    fn default() -> Self {
        Self {
            prefix: String::new(),
            after: 0,
            limit: LIMIT,
            watch: false,
        }
    }
}

/// The pages of the views.
pub(super) fn views(state: &AdminState) -> Router {
    Router::new()
        .route("/views", get(list))
        .route("/views/{view}", get(page))
        .route("/views/{view}/{*key}", get(value))
        .route(
            "/openapi.json",
            get(async || ([(header::CONTENT_TYPE, "application/json")], OPENAPI)),
        )
        .with_state(Pages {
            views: state.views.clone().into(),
            watchers: Arc::new(Semaphore::new(WATCHERS)),
            pages: Arc::new(Semaphore::new(PAGES)),
        })
}

impl Pages {
    fn view(&self, name: &str) -> Result<Arc<View>, Problem> {
        let found = self.views.iter().find(|view| view.name() == name);
        let found = found.map(Arc::clone);
        found.ok_or_else(|| {
            let detail =
                format!("no pipeline of this host has a view `{name}`; `/views` lists them");
            problem(StatusCode::NOT_FOUND, "no such view", &detail)
        })
    }
}

async fn list(State(pages): State<Pages>) -> Json<Value> {
    let views = pages.views.iter().map(|view| view.describe());
    Json(json!({ "views": views.collect::<Vec<_>>() }))
}

async fn value(
    State(pages): State<Pages>,
    path: Result<Path<(String, String)>, PathRejection>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let Path((name, key)) = path.map_err(|error| no_text(&error.body_text()))?;
    let view = pages.view(&name)?;
    let found = view.get(&key).await.map_err(|error| unavailable(&error))?;
    let Some((entry, value)) = found.and_then(|mut entry| {
        let value = entry.value.take()?;
        Some((entry, value))
    }) else {
        let detail = format!("view `{name}` has no value for this key, or not yet");
        return Err(problem(StatusCode::NOT_FOUND, "no such key", &detail));
    };
    // Revisions start again with a bucket that is created again.
    let hash = blake3::hash(&value).to_hex();
    let tag = format!(
        "\"{}-{}\"",
        entry.revision,
        hash.get(..16).unwrap_or_default()
    );
    let is_json = serde_json::from_slice::<&RawValue>(&value).is_ok();
    let kind = match is_json {
        true => "application/json",
        false => "application/octet-stream",
    };
    let mut answer = match is_known(&headers, &tag) {
        true => StatusCode::NOT_MODIFIED.into_response(),
        false => ([(header::CONTENT_TYPE, kind)], value).into_response(),
    };
    let lines = [
        ("etag", tag),
        ("cache-control", "no-cache".to_owned()),
        ("x-content-type-options", "nosniff".to_owned()),
        ("weir-revision", entry.revision.to_string()),
        ("weir-commit", entry.commit.unwrap_or_default()),
    ];
    for (name, value) in lines {
        // Somebody else may have written any header into the bucket.
        if let Ok(value) = value.parse() {
            answer.headers_mut().insert(name, value);
        }
    }
    Ok(answer)
}

/// Whether the client says that it has what has this tag.
fn is_known(headers: &HeaderMap, tag: &str) -> bool {
    let lines = headers.get_all(header::IF_NONE_MATCH).iter();
    let mut known = lines
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(','));
    known.any(|known| {
        let known = known.trim();
        known == "*" || known.strip_prefix("W/").unwrap_or(known) == tag
    })
}

async fn page(
    State(pages): State<Pages>,
    path: Result<Path<String>, PathRejection>,
    asked: Result<Query<Asked>, QueryRejection>,
    lasting: Option<Extension<Lasting>>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let Path(name) = path.map_err(|error| no_text(&error.body_text()))?;
    let view = pages.view(&name)?;
    let Query(asked) = asked.map_err(|error| no_text(&error.body_text()))?;
    let of = |name| {
        headers
            .get(name)
            .and_then(|value: &header::HeaderValue| value.to_str().ok())
    };
    let accepted = of(header::ACCEPT).unwrap_or_default();
    if asked.watch || accepted.contains("text/event-stream") {
        let last = of(header::HeaderName::from_static("last-event-id"));
        let after = last
            .and_then(|last| last.parse().ok())
            .unwrap_or(asked.after);
        let Extension(lasting) = lasting.unwrap_or_default();
        return watch(&pages, view, &asked.prefix, after, lasting).await;
    }
    if !(1..=MOST).contains(&asked.limit) {
        return Err(no_text(&format!("`limit` is from 1 to {MOST}")));
    }
    let _turn = pages.pages.acquire().await;
    let page = view.page(&asked.prefix, asked.after, asked.limit).await;
    let page = page.map_err(|error| unavailable(&error))?;
    let entries: Vec<Box<RawValue>> = page.entries.iter().filter_map(as_json).collect();
    let answer = Answer {
        view: &name,
        entries,
        after: page.after,
        more: page.more,
    };
    let no_cache = [(header::CACHE_CONTROL, "no-cache")];
    Ok((no_cache, Json(answer)).into_response())
}

#[derive(serde::Serialize)]
struct Answer<'a> {
    view: &'a str,
    entries: Vec<Box<RawValue>>,
    /// What to ask with for the next page, or for a watch of what comes.
    after: u64,
    more: bool,
}

/// A key with its value: JSON as it is, other text, or else base64.
fn as_json(entry: &Entry) -> Option<Box<RawValue>> {
    #[derive(serde::Serialize)]
    struct Shown<'a> {
        key: &'a str,
        revision: u64,
        commit: Option<&'a str>,
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        deleted: bool,
        #[serde(skip_serializing_if = "Option::is_none")]
        value: Option<&'a RawValue>,
        #[serde(skip_serializing_if = "Option::is_none")]
        text: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        base64: Option<String>,
    }
    let bytes = entry.value.as_deref();
    let value = bytes.and_then(|bytes| serde_json::from_slice::<&RawValue>(bytes).ok());
    let other = bytes.filter(|_| value.is_none());
    let text = other.and_then(|bytes| str::from_utf8(bytes).ok());
    let shown = Shown {
        key: &entry.key,
        revision: entry.revision,
        commit: entry.commit.as_deref(),
        deleted: entry.value.is_none(),
        value,
        text,
        base64: other
            .filter(|_| text.is_none())
            .map(|bytes| STANDARD.encode(bytes)),
    };
    serde_json::value::to_raw_value(&shown).ok()
}

/// What a watcher holds, until it goes.
struct Watcher {
    view: Arc<View>,
    watch: Watch,
    lasting: Lasting,
    _permit: OwnedSemaphorePermit,
}

impl Drop for Watcher {
    fn drop(&mut self) {
        let metrics = self.view.metrics();
        metrics.view_watchers.dec();
        if self.lasting.is_given_up() {
            metrics.view_watchers_ended.inc();
        }
    }
}

async fn watch(
    pages: &Pages,
    view: Arc<View>,
    prefix: &str,
    after: u64,
    lasting: Lasting,
) -> Result<Response, Problem> {
    let permit = Arc::clone(&pages.watchers).try_acquire_owned();
    let permit = permit.map_err(|_| {
        let detail = format!("this host has {WATCHERS} watchers, as many as it takes");
        problem(
            StatusCode::SERVICE_UNAVAILABLE,
            "too many watchers",
            &detail,
        )
    })?;
    let watch = view
        .watch(prefix, after)
        .await
        .map_err(|error| unavailable(&error))?;
    view.metrics().view_watchers.inc();
    let watcher = Watcher {
        view,
        watch,
        lasting,
        _permit: permit,
    };
    // Asked for the next event only once the connection has taken the last: nothing gathers here.
    let events = stream::unfold(watcher, async |mut watcher| {
        watcher.lasting.goes_on();
        let event = match timeout(HEARTBEAT, watcher.watch.next()).await {
            Ok(Ok(entry)) => event(&entry),
            Ok(Err(error)) => {
                tracing::debug!(view = watcher.view.name(), "a watch ends: {error:#}");
                watcher.view.metrics().view_watchers_ended.inc();
                return None;
            }
            Err(_) => ":\n\n".to_owned(),
        };
        Some((Ok::<_, Infallible>(event), watcher))
    });
    let kind = [
        (header::CONTENT_TYPE, "text/event-stream"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    Ok((kind, Body::from_stream(events)).into_response())
}

/// A change as a server-sent event. What breaks a line is space between the parts of the JSON.
fn event(entry: &Entry) -> String {
    let mut event = format!("id: {}\n", entry.revision);
    let json = as_json(entry).unwrap_or_default();
    for line in json.get().split(['\r', '\n']) {
        event.extend(["data: ", line, "\n"]);
    }
    event.push('\n');
    event
}

pub(super) async fn no_page() -> Problem {
    let detail = "`/views` lists the views, and `/openapi.json` describes the pages";
    problem(StatusCode::NOT_FOUND, "no such page", detail)
}

pub(super) async fn read_only() -> Problem {
    let detail = "the pages are read-only; the values come from the results of jobs";
    problem(StatusCode::METHOD_NOT_ALLOWED, "read-only", detail)
}

fn problem(status: StatusCode, title: &'static str, detail: &str) -> Problem {
    Problem {
        status,
        title,
        detail: detail.to_owned(),
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let (status, title, detail) = (self.status, self.title, self.detail);
        let words = json!({ "title": title, "status": status.as_u16(), "detail": detail });
        let kind = [(header::CONTENT_TYPE, "application/problem+json")];
        let later = [(header::RETRY_AFTER, "10")];
        let later = (status == StatusCode::SERVICE_UNAVAILABLE).then_some(later);
        (status, kind, later, words.to_string()).into_response()
    }
}

fn no_text(detail: &str) -> Problem {
    problem(StatusCode::BAD_REQUEST, "not understood", detail)
}

fn unavailable(error: &anyhow::Error) -> Problem {
    let words = report::line(error);
    problem(
        StatusCode::SERVICE_UNAVAILABLE,
        "the view cannot be read",
        &words,
    )
}
