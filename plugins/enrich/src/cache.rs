//! Answers that are still good, in the memory of an instance.
//!
//! There are two generations. What is put or found goes into the young one; when that is half of what is allowed, it
//! becomes the old one, and what was in the old one and was not asked for since is gone.

use crate::answer::Answer;
use std::collections::HashMap;
use std::mem::take;
use std::time::{Duration, Instant};

/// Bytes of URLs and answers in one generation: both together are half of the default `limits.memory`, less what
/// the tables take.
const BYTES: usize = 8 << 20;

pub struct Cache {
    pub max_entries: usize,
    /// How long a value is good.
    pub ttl: Duration,
    /// How long it is good that there is none.
    pub negative_ttl: Duration,
    young: HashMap<String, Entry>,
    old: HashMap<String, Entry>,
    /// Of the young ones.
    bytes: usize,
}

struct Entry {
    answer: Answer,
    /// When it is not good any more.
    until: Instant,
}

impl Cache {
    pub fn new(max_entries: usize, ttl: Duration, negative_ttl: Duration) -> Self {
        Self {
            max_entries,
            ttl,
            negative_ttl,
            young: HashMap::new(),
            old: HashMap::new(),
            bytes: 0,
        }
    }

    /// The answer to a URL, if it is known at this time.
    pub fn get(&mut self, url: &str, now: Instant) -> Option<Answer> {
        if let Some((url, entry)) = self.old.remove_entry(url) {
            self.insert(url, entry);
        }
        let entry = self.young.get(url).or_else(|| self.old.get(url))?;
        (now < entry.until).then(|| entry.answer.clone())
    }

    /// Remembers an answer that came at this time. What another attempt may change is not remembered.
    pub fn put(&mut self, url: &str, answer: &Answer, now: Instant) {
        let ttl = match answer {
            Answer::Found(_) => self.ttl,
            Answer::Missing(_) => self.negative_ttl,
            Answer::Unusable(_) | Answer::None(_) => return,
        };
        if let Some(until) = now.checked_add(ttl).filter(|until| *until > now) {
            let answer = answer.clone();
            self.insert(url.to_owned(), Entry { answer, until });
        }
    }

    fn insert(&mut self, url: String, entry: Entry) {
        self.bytes += url.len() + entry.bytes();
        self.young.insert(url, entry);
        if self.young.len() * 2 >= self.max_entries || self.bytes > BYTES {
            self.old = take(&mut self.young);
            self.bytes = 0;
        }
    }
}

impl Entry {
    fn bytes(&self) -> usize {
        match &self.answer {
            Answer::Found(value) => value.get().len(),
            Answer::Missing(reason) | Answer::Unusable(reason) => reason.len(),
            Answer::None(_) => 0,
        }
    }
}
