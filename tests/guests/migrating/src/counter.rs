//! Counts like `stateful`, and keeps the count in another form.

use weir_sdk::{Error, Message, Operator, Output, Outputs, State, Stateful, Timer};

#[derive(serde::Serialize, serde::Deserialize)]
pub struct Count {
    pub messages: u64,
}

const COUNT: State<Count> = State::new("count");

pub struct Counter;

impl Operator for Counter {
    type Config = weir_sdk::serde_json::Value;

    fn configure(_: Self::Config) -> Result<Self, String> {
        Ok(Self)
    }

    fn process(&mut self, message: &Message) -> Result<Outputs, Error> {
        count(message.state_key())
    }
}

impl Stateful for Counter {
    fn on_timer(&mut self, timer: &Timer) -> Result<Outputs, Error> {
        count(&timer.key)
    }
}

fn count(key: &str) -> Result<Outputs, Error> {
    let messages = COUNT.get(key)?.map_or(0, |count| count.messages) + 1;
    COUNT.set(key, &Count { messages })?;
    Ok(Output::new(messages.to_string()).into())
}
