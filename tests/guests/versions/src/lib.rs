//! Puts its version before every payload. The tests write the version into the compiled component.
//!
//! A version that begins with `refuse` refuses its configuration, one that begins with `trap` traps
//! on its first message. One that begins with `picky` rejects the payloads 7, 107, 207 and so on, 1 % of
//! all numbers; one that begins with `slow` takes its time. All that begin with `same` answer the same,
//! whatever follows; one that begins with `wrong` does too, but for 0, 100, 200 and so on.

use std::hint::black_box;
use std::time::{Duration, Instant};
use weir_sdk::{Error, Message, Operator, Output, Outputs};

/// What the tests look for, and 16 characters for the version.
static VERSION: &[u8; 34] = b"version-of-this-:first___________.";

/// What a slow version takes for a message: far beyond the differences that the host takes for noise and
/// those that a busy machine makes, and on a machine of any speed the same.
const SLOW: Duration = Duration::from_millis(10);

struct Versions(String);

impl Operator for Versions {
    type Config = ();

    fn configure((): ()) -> Result<Self, String> {
        let text = String::from_utf8_lossy(black_box(VERSION)).into_owned();
        let version = text.split_once(':').map_or("", |(_, version)| version);
        let version = version.trim_end_matches(['_', '.']).to_owned();
        match version.starts_with("refuse") {
            true => Err("this version refuses".to_owned()),
            false => Ok(Self(version)),
        }
    }

    fn process(&mut self, message: &Message) -> Result<Outputs, Error> {
        if self.0.starts_with("trap") {
            panic!("this version traps");
        }
        let text = String::from_utf8_lossy(&message.payload);
        let number = text.parse::<u64>();
        let is = |rest| number.as_ref().is_ok_and(|number| number % 100 == rest);
        if is(7) && self.0.starts_with("picky") {
            return Err(Error::reject("this version does not like it"));
        }
        if self.0.starts_with("slow") {
            let start = Instant::now();
            while start.elapsed() < SLOW {}
        }
        let version = match self.0.as_str() {
            wrong if wrong.starts_with("wrong") && is(0) => "wrong",
            same if same.starts_with("wrong") || same.starts_with("same") => "same",
            other => other,
        };
        let payload = [version.as_bytes(), b" ", &message.payload].concat();
        Ok(Output::new(payload).into())
    }
}

weir_sdk::export!(Versions);
