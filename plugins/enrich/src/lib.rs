//! Sends a field of a message to an HTTP server, and adds the answer to the message.
//!
//! The URLs of a batch are rendered first (`url.rs`), each is looked up in the cache (`cache.rs`) or asked once
//! (`answer.rs` reads what comes back), and then each message gets its answer.

mod answer;
mod cache;
mod config;
#[cfg(test)]
mod tests;
mod url;

use answer::{Answer, Reader};
use cache::Cache;
use config::{Config, Missing};
use fields::{Node, OnError, Pointer};
use std::collections::{BTreeMap, BTreeSet};
use std::slice::from_ref;
use std::time::{Duration, Instant};
use url::Url;
use weir_sdk::http::{self, Request};
use weir_sdk::{Error, Header, Message, Operator, Outcome, Output, Outputs, metrics};

struct Enrich {
    url: Url,
    /// The field that gets the answer.
    into: Pointer,
    reader: Reader,
    headers: Vec<Header>,
    timeout: Option<Duration>,
    /// Requests that may be open at once.
    concurrency: usize,
    cache: Cache,
    missing: Missing,
    on_error: OnError,
}

impl Operator for Enrich {
    type Config = Config;

    fn configure(config: Config) -> Result<Self, String> {
        config.enrich()
    }

    fn process(&mut self, message: &Message) -> Result<Outputs, Error> {
        let mut results = self.enrich(from_ref(message));
        results.pop().unwrap_or_else(|| Ok(Outputs::none()))
    }

    fn process_batch(&mut self, batch: &[Message]) -> Vec<Outcome> {
        self.enrich(batch).into_iter().map(Outcome::from).collect()
    }
}

impl Enrich {
    fn enrich(&mut self, batch: &[Message]) -> Vec<Result<Outputs, Error>> {
        let urls: Vec<_> = batch.iter().map(|message| self.url.of(message)).collect();
        let answers = self.answers(urls.iter().flatten().map(String::as_str).collect());
        let results = batch.iter().zip(&urls).map(|(message, url)| {
            let answer = url.as_ref().map(|url| answers.get(url.as_str()));
            match answer {
                Ok(Some(answer)) => self.result(message, answer),
                // Each URL was asked.
                Ok(None) => Err(Error::retry("the URL has no answer")),
                Err(reason) => self.on_error.result(reason),
            }
        });
        results.collect()
    }

    /// What is known of each URL, from the cache or the server.
    fn answers<'u>(&mut self, urls: BTreeSet<&'u str>) -> BTreeMap<&'u str, Answer> {
        let now = Instant::now();
        let (mut answers, mut unknown) = (BTreeMap::new(), Vec::new());
        for url in urls {
            match self.cache.get(url, now) {
                Some(answer) => drop(answers.insert(url, answer)),
                None => unknown.push(url),
            }
        }
        metrics::add("cached", answers.len() as u64);
        metrics::add("requests", unknown.len() as u64);
        let requests: Vec<_> = unknown.iter().map(|url| self.request(url)).collect();
        let responses = http::send_all(&requests, self.concurrency);
        for (url, response) in unknown.into_iter().zip(responses) {
            let answer = self.reader.read(url, response);
            self.cache.put(url, &answer, Instant::now());
            answers.insert(url, answer);
        }
        answers
    }

    fn request(&self, url: &str) -> Request {
        let mut request = Request::get(url);
        request.headers.clone_from(&self.headers);
        request.timeout = self.timeout;
        request
    }

    fn result(&self, message: &Message, answer: &Answer) -> Result<Outputs, Error> {
        let enriched = match answer {
            Answer::Found(value) => self.enriched(message, Node::Raw(value)),
            Answer::Missing(reason) => {
                metrics::add("missing", 1);
                match self.missing {
                    Missing::Reject => return Err(Error::reject(reason)),
                    Missing::Drop => return Ok(Outputs::none()),
                    Missing::Pass => return Ok(Outputs::pass()),
                    Missing::SetNull => {
                        Node::new(&()).and_then(|null| self.enriched(message, null))
                    }
                }
            }
            Answer::Unusable(reason) => Err(reason.clone()),
            Answer::None(error) => return Err(error.clone()),
        };
        enriched.or_else(|reason| self.on_error.result(reason))
    }

    fn enriched<'a>(&self, message: &'a Message, value: Node<'a>) -> Result<Outputs, String> {
        let mut payload = Node::read(&message.payload)?;
        payload.set(&self.into, value)?;
        Ok(Output::new(payload.to_json()).into())
    }
}

weir_sdk::export!(Enrich);
