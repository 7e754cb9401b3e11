//! Parses an order, adds its total and serialises it: every payload crosses the border twice.

mod order;

use weir_sdk::{Error, Message, Operator, Output, Outputs};

struct Json;

impl Operator for Json {
    type Config = ();

    fn configure((): ()) -> Result<Self, String> {
        Ok(Self)
    }

    fn process(&mut self, message: &Message) -> Result<Outputs, Error> {
        let payload = order::with_total(&message.payload)?;
        Ok(Output::new(payload).into())
    }
}

weir_sdk::export!(Json);
