//! Station 2: what the pipeline's rules extract from a message before any plugin sees it. Pure.

use crate::config::resolved::{EventTime, Pipeline};
use crate::config::template::KeyRule;
use crate::message::Message;

/// The rules of one pipeline.
#[derive(Clone, Debug, Default)]
pub struct Decoder {
    key: Option<KeyRule>,
    event_time: Option<EventTime>,
}

impl Decoder {
    #[must_use]
    pub fn new(settings: &Pipeline) -> Self {
        Self {
            key: settings.key.clone(),
            event_time: settings.event_time.clone(),
        }
    }

    /// Sets the key, unless the message has one, and the event time where the pipeline has a rule for it. False if
    /// the message has none that is valid: it keeps the time of the stream.
    pub fn decode(&self, message: &mut Message) -> bool {
        if message.key.is_none() {
            message.key = self.key.as_ref().and_then(|rule| rule.extract(message));
        }
        let Some(rule) = &self.event_time else {
            return true;
        };
        let time = rule.extract(&message.headers, &message.payload);
        if let Ok(time) = &time {
            message.event_time = *time;
        }
        time.is_ok()
    }
}
