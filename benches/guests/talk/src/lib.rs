//! Writes a line into the log for each message, of a level that the host keeps or not, or none; or
//! fails at one message of many.

use weir_sdk::{Error, Message, Operator, Outputs};

#[derive(serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Talk {
    Silent,
    Debug,
    Info,
    /// Fails at one message of those that come in a batch of 64.
    Panic,
}

#[derive(serde::Deserialize)]
struct Config {
    talk: Talk,
}

impl Operator for Config {
    type Config = Self;

    fn configure(config: Self) -> Result<Self, String> {
        Ok(config)
    }

    fn process(&mut self, message: &Message) -> Result<Outputs, Error> {
        let (subject, sequence) = (&message.subject, message.sequence);
        match self.talk {
            Talk::Silent => {}
            Talk::Debug => weir_sdk::debug!("message {sequence} on {subject} is passed on"),
            Talk::Info => weir_sdk::info!("message {sequence} on {subject} is passed on"),
            Talk::Panic if sequence == 23 => panic!("message {sequence} is not to my taste"),
            Talk::Panic => {}
        }
        Ok(Outputs::pass())
    }
}

weir_sdk::export!(Config);
