//! The queries of NEXMark that join, count and remember.
//!
//! One plugin for all of them: a pipeline says which one it is, and takes from each event the key whose state the
//! query needs.
//!
//! | file | query | key | keeps |
//! |---|---|---|---|
//! | `q3.rs` | sellers in three states, with their auctions of one category | person | the person, or auctions that wait for it |
//! | `winning_bids.rs` | the highest bid of each auction | auction | the auction and its highest bid, until it ends |
//! | `q4.rs` | the average of the winning bids of a category | category | how many, and their sum |
//! | `q6.rs` | the average of the last ten winning bids of a seller | seller | these ten |
//! | `q17.rs` | the bids of an auction on a day, in numbers | auction | the numbers of each day |

mod events;
mod q17;
mod q3;
mod q4;
mod q6;
#[cfg(test)]
mod tests;
mod winning_bids;

use serde::Deserialize;
use weir_sdk::{Error, Message, Operator, Outputs, Stateful, Timer};

/// The operator's `config:`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    query: Query,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Query {
    Q3,
    WinningBids,
    Q4,
    Q6,
    Q17,
}

struct Nexmark {
    query: Query,
}

impl Operator for Nexmark {
    type Config = Settings;

    fn configure(settings: Settings) -> Result<Self, String> {
        Ok(Self {
            query: settings.query,
        })
    }

    fn process(&mut self, message: &Message) -> Result<Outputs, Error> {
        match self.query {
            Query::Q3 => q3::process(message),
            Query::WinningBids => winning_bids::process(message),
            Query::Q4 => q4::process(message),
            Query::Q6 => q6::process(message),
            Query::Q17 => q17::process(message),
        }
    }
}

impl Stateful for Nexmark {
    fn on_timer(&mut self, timer: &Timer) -> Result<Outputs, Error> {
        // No other query sets one.
        winning_bids::on_timer(timer)
    }
}

weir_sdk::export_stateful!(Nexmark);
