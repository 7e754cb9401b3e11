//! Passes every message on as it came: no byte goes back across the border.

use weir_sdk::{Error, Message, Operator, Outputs};

struct Identity;

impl Operator for Identity {
    type Config = ();

    fn configure((): ()) -> Result<Self, String> {
        Ok(Self)
    }

    fn process(&mut self, _: &Message) -> Result<Outputs, Error> {
        Ok(Outputs::pass())
    }
}

weir_sdk::export!(Identity);
