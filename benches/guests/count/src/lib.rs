//! Counts the messages of each key: reads, adds, writes and emits the count.

use weir_sdk::{Error, Message, Operator, Output, Outputs, State, Stateful, Timer};

struct Count;

const COUNT: State<u64> = State::new("");

impl Operator for Count {
    type Config = ();

    fn configure((): ()) -> Result<Self, String> {
        Ok(Self)
    }

    fn process(&mut self, message: &Message) -> Result<Outputs, Error> {
        let key = message.state_key();
        let count = COUNT.get(key)?.unwrap_or_default() + 1;
        COUNT.set(key, &count)?;
        // As many bytes as a message of the bench has, so that the server stores as much.
        Ok(Output::new(format!("{count:0128}")).into())
    }
}

impl Stateful for Count {
    fn on_timer(&mut self, _: &Timer) -> Result<Outputs, Error> {
        Ok(Outputs::none())
    }
}

weir_sdk::export_stateful!(Count);
