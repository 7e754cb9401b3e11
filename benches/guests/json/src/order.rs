//! The work that the JSON bench does for each message. The native loop compiles this same file, so
//! that the two sides differ in where it runs and in nothing else.

use serde::{Deserialize, Serialize};

#[derive(Deserialize, Serialize)]
struct Order<'a> {
    id: u64,
    #[serde(borrow)]
    user: &'a str,
    currency: &'a str,
    lines: Vec<Line<'a>>,
    #[serde(default, rename = "total-cents")]
    total_cents: u64,
}

#[derive(Deserialize, Serialize)]
struct Line<'a> {
    #[serde(borrow)]
    item: &'a str,
    quantity: u64,
    #[serde(rename = "unit-cents")]
    unit_cents: u64,
}

/// The order with its total, as JSON text.
pub(crate) fn with_total(payload: &[u8]) -> Result<Vec<u8>, serde_json::Error> {
    let mut order: Order<'_> = serde_json::from_slice(payload)?;
    order.total_cents = order
        .lines
        .iter()
        .map(|line| line.quantity * line.unit_cents)
        .sum();
    serde_json::to_vec(&order)
}
