//! Keeps the orders of more than three lines, as they came, and drops the others.

mod long;

use weir_sdk::{Error, Message, Operator, Outputs};

struct LongOrders;

impl Operator for LongOrders {
    type Config = ();

    fn configure((): ()) -> Result<Self, String> {
        Ok(Self)
    }

    fn process(&mut self, message: &Message) -> Result<Outputs, Error> {
        Ok(match long::is_long(&message.payload)? {
            true => Outputs::pass(),
            false => Outputs::none(),
        })
    }
}

weir_sdk::export!(LongOrders);
