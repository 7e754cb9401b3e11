//! Gives every field of a message back by value: everything crosses the border twice.

use weir_sdk::{Error, Message, Operator, Output, Outputs};

struct ByValue;

impl Operator for ByValue {
    type Config = ();

    fn configure((): ()) -> Result<Self, String> {
        Ok(Self)
    }

    fn process(&mut self, message: &Message) -> Result<Outputs, Error> {
        let mut output = Output::new(message.payload.clone())
            .subject(message.subject.clone())
            .headers_of(message);
        output.key.clone_from(&message.key);
        Ok(output.into())
    }
}

weir_sdk::export!(ByValue);
