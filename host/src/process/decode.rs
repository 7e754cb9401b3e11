//! Step 2: extracts key and event time by the pipeline's rules, before any plugin sees the message. Pure.

use crate::config::pointer::Pointer;
use crate::config::resolved::{EventTime, NamedSource, OnMissingKey, Pipeline};
use crate::config::template::{KeyRule, SubjectFilter};
use crate::message::Message;
use bytestring::ByteString;

/// The rules of one pipeline: those of its sources, of which a message has one by its subject.
#[derive(Clone, Debug, Default)]
pub struct Decoder {
    rules: Vec<Rules>,
    on_missing_key: OnMissingKey,
}

/// Those of one source.
#[derive(Clone, Debug)]
struct Rules {
    source: Option<ByteString>,
    /// All if empty.
    subjects: Vec<SubjectFilter>,
    key: Option<KeyRule>,
    event_time: Option<EventTime>,
    is_table: bool,
}

impl Decoder {
    /// For messages of any stream: where sources of several streams have one subject, the first of them counts, and
    /// those that say which subjects they have.
    #[must_use]
    pub fn new(settings: &Pipeline) -> Self {
        let mut rules: Vec<Rules> = settings.sources.iter().map(Rules::of).collect();
        rules.sort_by_key(|rules| rules.subjects.is_empty());
        Self::of(settings, rules)
    }

    /// For messages of a stream.
    #[must_use]
    pub fn of_stream(settings: &Pipeline, stream: &str) -> Self {
        Self::of(
            settings,
            settings.sources_of(stream).map(Rules::of).collect(),
        )
    }

    fn of(settings: &Pipeline, rules: Vec<Rules>) -> Self {
        Self {
            rules,
            on_missing_key: settings.on_missing_key,
        }
    }

    fn rules(&self, message: &Message) -> Option<&Rules> {
        match &*self.rules {
            [only] => Some(only),
            several => several.iter().find(|rules| rules.reads(&message.subject)),
        }
    }

    /// Whether any source reads messages with this subject.
    #[must_use]
    pub fn reads(&self, subject: &str) -> bool {
        self.rules.is_empty() || self.rules.iter().any(|rules| rules.reads(subject))
    }

    /// The name of a message's source, if it has one.
    #[must_use]
    pub fn source(&self, message: &Message) -> Option<ByteString> {
        self.rules(message)?.source.clone()
    }

    /// Whether a message is one of a table.
    #[must_use]
    pub fn is_table(&self, message: &Message) -> bool {
        self.rules(message).is_some_and(|rules| rules.is_table)
    }

    /// Where a message has its event time; the stream's if `None`.
    #[must_use]
    pub fn event_time(&self, message: &Message) -> Option<&EventTime> {
        self.rules(message)?.event_time.as_ref()
    }

    /// If a message that was decoded lacks the key that its source has a rule for: the rule, and what becomes of the
    /// message. A timer (sequence 0) has the key that it was set for.
    #[must_use]
    pub fn missing_key(&self, message: &Message) -> Option<(&KeyRule, OnMissingKey)> {
        if message.key.is_some() || message.sequence == 0 {
            return None;
        }
        let named = |rules: &&Rules| message.source.is_some() && rules.source == message.source;
        let rules = self.rules.iter().find(named);
        let rule = rules.or_else(|| self.rules(message))?.key.as_ref()?;
        Some((rule, self.on_missing_key))
    }

    /// Sets the source and the key, unless the message has one, and the event time where there is a rule for it. False if
    /// the message has none that is valid: it keeps the time of the stream.
    pub fn decode(&self, message: &mut Message) -> bool {
        let Some(rules) = self.rules(message) else {
            return true;
        };
        message.source.clone_from(&rules.source);
        let key = rules.key.as_ref().filter(|_| message.key.is_none());
        let event_time = rules.event_time.as_ref();
        let pointers = (
            key.and_then(KeyRule::pointer),
            event_time.and_then(EventTime::pointer),
        );
        let (key, time) = match pointers {
            (Some(key), Some(time)) => {
                // Both are in the payload, which is read once.
                let [key, time] = Pointer::find_each([key, time], &message.payload);
                let time = event_time.map(|rule| rule.read(time.as_deref(), &message.payload));
                (KeyRule::read(key, &message.payload), time)
            }
            _ => (
                key.and_then(|rule| rule.extract(message)),
                event_time.map(|rule| rule.extract(&message.headers, &message.payload)),
            ),
        };
        if key.is_some() {
            message.key = key;
        }
        match time {
            Some(Ok(time)) => message.event_time = time,
            Some(Err(_)) => return false,
            None => {}
        }
        true
    }
}

impl Rules {
    fn of(named: &NamedSource) -> Self {
        let mut subjects = named.source.subjects.clone();
        if let (Some(bucket), []) = (&named.source.bucket, &*subjects) {
            subjects.extend(SubjectFilter::parse(&format!("$KV.{bucket}.>")));
        }
        Self {
            source: named.name.as_deref().map(ByteString::from),
            subjects,
            key: named.key.clone(),
            event_time: named.event_time.clone(),
            is_table: named.is_table,
        }
    }

    fn reads(&self, subject: &str) -> bool {
        let mut subjects = self.subjects.iter();
        self.subjects.is_empty() || subjects.any(|filter| filter.matches(subject))
    }
}
