//! Fills the state: `fill FROM TO` sets a value of 100 bytes for each key of these numbers, and is dropped. Any
//! other message is passed on. Its job has one partition, so that every key is of it.

use weir_sdk::{Error, Message, Operator, Outputs, Stateful, Timer, state};

struct Fill;

impl Operator for Fill {
    type Config = ();

    fn configure((): ()) -> Result<Self, String> {
        Ok(Self)
    }

    fn process(&mut self, message: &Message) -> Result<Outputs, Error> {
        let Some(range) = message.text()?.strip_prefix("fill ") else {
            return Ok(Outputs::pass());
        };
        let range = range
            .split_once(' ')
            .and_then(|(from, to)| Some(from.parse().ok()?..to.parse::<u32>().ok()?));
        let range = range.ok_or_else(|| Error::reject("it is no range of keys"))?;
        for number in range {
            state::set(&format!("key-{number:07}"), "", &[b'x'; 100], None)?;
        }
        Ok(Outputs::none())
    }
}

impl Stateful for Fill {
    fn on_timer(&mut self, _: &Timer) -> Result<Outputs, Error> {
        Ok(Outputs::none())
    }
}

weir_sdk::export_stateful!(Fill);
