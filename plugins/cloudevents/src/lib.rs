//! Wraps messages into [CloudEvents](https://cloudevents.io) 1.0, in structured or binary mode as the NATS binding
//! has them, and unwraps them.
//!
//! `event.rs` is what an event is, `read.rs` and `write.rs` are the two modes.

mod config;
mod event;
mod read;
#[cfg(test)]
mod tests;
mod write;

use config::{Config, Settings, Writes};
use weir_sdk::{Error, Message, Operator, Output, Outputs, metrics};

struct Cloudevents(Settings);

impl Operator for Cloudevents {
    type Config = Config;

    fn configure(config: Config) -> Result<Self, String> {
        config.settings().map(Self)
    }

    fn process(&mut self, message: &Message) -> Result<Outputs, Error> {
        match self.converted(message) {
            Ok(output) => Ok(output.into()),
            Err(reason) => {
                metrics::add("failed", 1);
                match self.0.drops {
                    true => Ok(Outputs::none()),
                    false => Err(Error::Reject(reason)),
                }
            }
        }
    }
}

impl Cloudevents {
    fn converted(&self, message: &Message) -> Result<Output, String> {
        let event = match &self.0.template {
            Some(template) => template.event(message)?,
            None => read::event(message)?,
        };
        event.check()?;
        match self.0.writes {
            // Extensions that are numbers stay numbers.
            Writes::Structured if self.0.template.is_none() && read::is_structured(message) => {
                Ok(Output::pass())
            }
            Writes::Structured => write::structured(event, message),
            Writes::Binary => Ok(write::binary(event, message)),
            Writes::Data => Ok(write::data(event, message)),
        }
    }
}

weir_sdk::export!(Cloudevents);
