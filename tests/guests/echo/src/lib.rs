//! Passes every message on as it came: the least a plugin can do.

use weir_sdk::{Error, Message, Operator, Outputs};

struct Echo;

impl Operator for Echo {
    type Config = ();

    fn configure((): ()) -> Result<Self, String> {
        Ok(Self)
    }

    fn process(&mut self, _: &Message) -> Result<Outputs, Error> {
        Ok(Outputs::pass())
    }
}

weir_sdk::export!(Echo);
