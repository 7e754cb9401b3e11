//! The queries of NEXMark come to the rows that another engine's tests expect, also over savepoints, and to those of the
//! oracle, each once, if their host is killed in the middle.

mod languages;
mod restored;

use super::killed::wait_until_read;
use super::{folder, published};
use crate::harness::guests::{example, plugin};
use crate::harness::{Site, Weir, replaced, wait_for, wait_until};
use example_streams::{Message, Server, Streams};
use nexmark_oracle::{Event, QUERIES, Query, events, golden, rows};
use std::path::Path;

/// Queries whose plugin needs the tools of another language.
const OTHER_LANGUAGES: [&str; 2] = ["q18", "q19"];

/// What there is besides the pipelines.
pub(super) const PARTS: [&str; 5] = ["README.md", "plugin", "oracle", "q18", "q19"];

/// The query of this name.
fn query(name: &str) -> &'static Query {
    QUERIES.iter().find(|query| query.name == name).unwrap()
}

/// Those that need no other language.
fn common() -> Vec<&'static Query> {
    let is_common = |query: &&Query| !OTHER_LANGUAGES.contains(&query.name);
    QUERIES.iter().filter(is_common).collect()
}

/// The name of a query's pipeline below `examples`.
fn file(query: &Query) -> String {
    format!("nexmark/{}.yaml", query.name)
}

/// Copies the pipelines of these queries to where `weir` is run. All events are there before the host is, so a quiet
/// second is the end of them.
fn install(queries: &[&Query], directory: &Path) -> Vec<String> {
    let copy = directory.join("nexmark");
    std::fs::create_dir(&copy).unwrap();
    for query in queries {
        let mut text = std::fs::read_to_string(folder(&file(query))).unwrap();
        let sooner = ("idle-timeout: 10s", "idle-timeout: 1s");
        if text.contains(sooner.0) {
            text = replaced(&text, &[sooner]);
        }
        std::fs::write(directory.join(file(query)), text).unwrap();
    }
    queries.iter().map(|query| file(query)).collect()
}

/// The same with the components, none of which needs another language.
pub(crate) fn install_queries(queries: &[&Query], directory: &Path) -> Vec<String> {
    let files = install(queries, directory);
    for (component, name) in [
        (plugin("jq"), "jq.wasm"),
        (plugin("filter"), "filter.wasm"),
        (plugin("aggregate"), "aggregate.wasm"),
        (plugin("join"), "join.wasm"),
        (example("nexmark"), "nexmark.wasm"),
    ] {
        std::fs::copy(component, directory.join("nexmark").join(name)).unwrap();
    }
    files
}

pub(super) fn install_common(directory: &Path) -> Vec<String> {
    install_queries(&common(), directory)
}

/// A server with these events.
fn site(events: &[Event]) -> Site {
    let site = Site::bare();
    let client = site.nats.client();
    client.create_stream("NEXMARK", &["nexmark.*"]);
    let messages = events.iter().map(|event| event.message().unwrap());
    let messages: Vec<Message> = messages.collect();
    let published = client.run(async { streams(&site).await.publish(messages).await });
    published.unwrap();
    site
}

async fn streams(site: &Site) -> Streams {
    let nats = site.nats.url();
    Server { nats }.connect().await.unwrap()
}

fn run(site: &Site, files: &[String]) -> Weir {
    let files: Vec<&str> = files.iter().map(String::as_str).collect();
    let weir = site.start_with(&files, &[]);
    wait_until("all pipelines run", || {
        weir.stderr().matches("running").count() >= files.len()
    });
    weir
}

/// Waits until the results of each query are the expected ones, and nothing is left to do.
fn wait_until_right(site: &Site, weir: &Weir, queries: &[&Query], events: &[Event]) {
    let pipelines: Vec<String> = queries.iter().map(|query| query.pipeline()).collect();
    let pipelines: Vec<&str> = pipelines.iter().map(String::as_str).collect();
    wait_until_read(weir, &pipelines);
    let client = site.nats.client();
    for query in queries {
        let seen = async { query.events(events, &streams(site).await).await.unwrap() };
        let events = &client.run(seen);
        let expected = match golden::rows(query) {
            Some(text) if events.len() == golden::events().unwrap().len() => {
                rows::of_text(query, &text).unwrap()
            }
            _ => (query.rows)(events),
        };
        assert!(!expected.is_empty(), "{}", query.name);
        let results = (query.results)(events);
        wait_for(&format!("the results of {} are right", query.name), || {
            let published = published(site, &query.stream());
            let differences = rows::differences(query, &expected, &published);
            match differences.is_empty() && published.len() == results {
                true => Ok(()),
                false => Err(format!(
                    "{} of {results} results: {:?}",
                    published.len(),
                    differences.iter().take(5).collect::<Vec<_>>()
                )),
            }
        });
        let dead = format!("DEAD_{}", query.stream());
        assert_eq!(client.count(&dead), 0, "{dead}");
    }
    wait_until_read(weir, &pipelines);
}

/// These queries over the events of others.
fn come_to_the_rows_of_others(install: &dyn Fn(&Path) -> Vec<String>, queries: &[&Query]) {
    let events = golden::events().unwrap();
    let site = site(&events);
    let files = install(site.folder.path());
    let weir = run(&site, &files);
    wait_until_right(&site, &weir, queries, &events);
}

/// These queries over generated events, with a kill when some results of this one are there.
fn agree_though_the_host_is_killed(
    install: &dyn Fn(&Path) -> Vec<String>,
    queries: &[&Query],
    first: &Query,
) {
    const SEED: u64 = 20_150_715;
    const COUNT: u64 = 5_000;
    let events: Vec<Event> = events(SEED, COUNT).collect();
    let site = site(&events);
    let files = install(site.folder.path());
    let mut weir = run(&site, &files);
    let client = site.nats.client();
    wait_until("some results are there", || {
        client.count(&first.stream()) > COUNT / 4
    });
    weir.kill9();
    let weir = run(&site, &files);
    wait_until_right(&site, &weir, queries, &events);
}

#[test]
fn the_queries_of_nexmark_come_to_the_rows_that_others_expect() {
    come_to_the_rows_of_others(&install_common, &common());
}

#[test]
fn the_queries_of_nexmark_agree_with_the_oracle_though_the_host_is_killed() {
    agree_though_the_host_is_killed(&install_common, &common(), query("q0"));
}
