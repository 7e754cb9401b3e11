//! Query 3: name, city and state of sellers in Oregon, Idaho and California, with each auction of category 10.
//!
//! The two come in any order: a seller may be named before the person is there.

use crate::events::{Auction, Kind, Person};
use serde::{Deserialize, Serialize};
use weir_sdk::{Error, Message, Output, Outputs, State};

const CATEGORY: u64 = 10;
const STATES: [&str; 3] = ["or", "id", "ca"];

/// What is known of the person with this key.
#[derive(Deserialize, Serialize)]
enum Seller {
    /// Nothing yet: these auctions wait for it.
    Awaited(Vec<u64>),
    Here(Person),
    /// In another state: no auction counts.
    Elsewhere,
}

const SELLER: State<Seller> = State::new("seller");

#[derive(Serialize)]
struct Sells<'a> {
    #[serde(flatten)]
    person: &'a Person,
    auction: u64,
}

pub fn process(message: &Message) -> Result<Outputs, Error> {
    let key = message.state_key();
    let seller = SELLER.get(key)?.unwrap_or(Seller::Awaited(Vec::new()));
    match (Kind::of(message)?, seller) {
        (Kind::Person, Seller::Awaited(auctions)) => {
            let person: Person = message.json()?;
            if !STATES.contains(&person.state.as_str()) {
                SELLER.set(key, &Seller::Elsewhere)?;
                return Ok(Outputs::none());
            }
            let outputs = auctions.into_iter().map(|auction| sells(&person, auction));
            let outputs = outputs.collect::<Result<Outputs, Error>>()?;
            SELLER.set(key, &Seller::Here(person))?;
            Ok(outputs)
        }
        (Kind::Auction, seller) => {
            let auction: Auction = message.json()?;
            match seller {
                _ if auction.category != CATEGORY => Ok(Outputs::none()),
                Seller::Here(person) => Ok(sells(&person, auction.id)?.into()),
                Seller::Awaited(mut auctions) => {
                    auctions.push(auction.id);
                    SELLER.set(key, &Seller::Awaited(auctions))?;
                    Ok(Outputs::none())
                }
                Seller::Elsewhere => Ok(Outputs::none()),
            }
        }
        _ => Ok(Outputs::none()),
    }
}

fn sells(person: &Person, auction: u64) -> Result<Output, Error> {
    Output::json(&Sells { person, auction })
}
