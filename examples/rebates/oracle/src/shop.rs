//! Shops, customers, categories and orders: what the generator draws from.

use crate::random::{Random, Skew};
use std::sync::Arc;

/// The only currency the shops are paid in.
pub const CURRENCY: &str = "EUR";

/// One line of an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    pub category: &'static str,
    /// Pieces; at least 1.
    pub quantity: u64,
    /// Price of one piece in cents; 0 for a free gift.
    pub unit_cents: u64,
}

/// One order, as the customer placed it. It never changes: what is sent back is told by events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// Unique among all shops: the shop's name and its running number.
    pub id: String,
    pub shop: &'static str,
    pub user: String,
    /// At least one.
    pub lines: Vec<Line>,
}

/// Shops, the busiest first.
const SHOPS: [&str; 24] = [
    "lisbon", "porto", "madrid", "paris", "berlin", "vienna", "rome", "milan", "athens", "dublin",
    "cork", "ghent", "delft", "turku", "riga", "vilnius", "split", "graz", "lyon", "nantes",
    "seville", "malaga", "faro", "evora",
];

/// First names of customers; a number makes them distinct.
const NAMES: [&str; 16] = [
    "ada", "alan", "barbara", "carl", "donald", "edsger", "frances", "grace", "hedy", "ivan",
    "joan", "ken", "leslie", "margaret", "niklaus", "olga",
];

/// How many customers there are. The first of them orders about once in a hundred orders.
const USERS: usize = 5_000;

/// Category, lowest and highest price of a piece in cents. The most frequent first. Vouchers and
/// electronics earn no rebate; the policy in `ledger.rs` says what the others earn.
const CATEGORIES: [(&str, u64, u64); 9] = [
    ("books", 499, 4_999),
    ("grocery", 49, 1_999),
    ("toys", 299, 7_999),
    ("garden", 199, 14_999),
    ("music", 799, 3_499),
    ("games", 999, 6_999),
    ("electronics", 1_999, 149_999),
    ("vouchers", 1_000, 10_000),
    ("antiques", 9_999, 499_999),
];

/// The market: draws orders with the skew of real ones.
#[derive(Clone, Debug)]
pub(crate) struct Market {
    shops: Skew,
    users: Skew,
    categories: Skew,
    /// Running number of orders, over all shops.
    orders: u64,
}

/// A flash sale: one shop sells one category to everybody at once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sale {
    shop: usize,
    category: usize,
}

impl Market {
    pub(crate) fn new() -> Self {
        Self {
            shops: Skew::new(SHOPS.len(), 1),
            users: Skew::new(USERS, 20),
            categories: Skew::new(CATEGORIES.len(), 1),
            orders: 0,
        }
    }

    /// Where the next sale is and what is sold.
    pub(crate) fn sale(&self, random: &mut Random) -> Sale {
        Sale {
            shop: self.shops.sample(random),
            category: self.categories.sample(random),
        }
    }

    /// The next order; in a sale, of its shop, its first line of its category.
    pub(crate) fn order(&mut self, random: &mut Random, sale: Option<Sale>) -> Arc<Order> {
        self.orders += 1;
        let shop = sale.map_or_else(|| self.shops.sample(random), |sale| sale.shop);
        let shop = SHOPS.get(shop).copied().unwrap_or("lisbon");
        let user = self.users.sample(random);
        let name = NAMES.get(user % NAMES.len()).copied().unwrap_or("ada");
        let mut lines = vec![self.line(random, sale.map(|sale| sale.category))];
        while lines.len() < 6 && random.chance(400) {
            lines.push(self.line(random, None));
        }
        Arc::new(Order {
            id: format!("{shop}-{}", self.orders),
            shop,
            user: format!("{name}-{}", user / NAMES.len()),
            lines,
        })
    }

    fn line(&self, random: &mut Random, category: Option<usize>) -> Line {
        let category = category.unwrap_or_else(|| self.categories.sample(random));
        let (category, low, high) = CATEGORIES.get(category).copied().unwrap_or(("books", 1, 1));
        let quantity = match random.below(100) {
            0..70 => 1,
            70..97 => random.between(2, 5),
            _ => random.between(6, 60),
        };
        // Two draws, the smaller: cheap things sell more.
        let drawn = random.between(low, high).min(random.between(low, high));
        let unit_cents = match random.below(200) {
            0 => 0,
            1..120 => drawn / 100 * 100 + 99,
            _ => drawn,
        };
        Line {
            category,
            quantity,
            unit_cents,
        }
    }
}
