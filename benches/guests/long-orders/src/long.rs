//! The test that the filter bench makes of each message. The native loop compiles this same file, so
//! that the two sides differ in where it runs and in nothing else.

use serde::Deserialize;
use serde::de::IgnoredAny;

#[derive(Deserialize)]
struct Order {
    lines: Vec<IgnoredAny>,
}

/// Whether an order has more than three lines.
pub(crate) fn is_long(payload: &[u8]) -> Result<bool, serde_json::Error> {
    let order: Order = serde_json::from_slice(payload)?;
    Ok(order.lines.len() > 3)
}
