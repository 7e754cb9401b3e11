//! Write weir plugins in Rust: a struct, how it is configured, and one function per message.
//!
//! ```
//! use weir_sdk::{Error, Message, Operator, Output, Outputs};
//!
//! #[derive(serde::Deserialize)]
//! struct Config {
//!     rate: f64,
//! }
//!
//! #[derive(serde::Deserialize)]
//! struct Order {
//!     total: f64,
//! }
//!
//! struct Rebates(Config);
//!
//! impl Operator for Rebates {
//!     type Config = Config;
//!
//!     fn configure(config: Config) -> Result<Self, String> {
//!         if !(0.0..=1.0).contains(&config.rate) {
//!             return Err(format!("`rate` must be between 0 and 1, not {}", config.rate));
//!         }
//!         Ok(Self(config))
//!     }
//!
//!     fn process(&mut self, message: &Message) -> Result<Outputs, Error> {
//!         let order: Order = message.json()?; // not an order: a dead letter that says why
//!         if order.total == 0.0 {
//!             return Ok(Outputs::none()); // dropped, on purpose
//!         }
//!         Ok(Output::json(&(order.total * self.0.rate))?.into())
//!     }
//! }
//!
//! weir_sdk::export!(Rebates);
//! ```
//!
//! What the function returns is what becomes of the message:
//!
//! | returned | effect |
//! |---|---|
//! | `Ok(Outputs::pass())` | published as it came; no bytes are moved |
//! | `Ok(Output::json(&value)?.into())` | one new message; what it does not set is taken over |
//! | `Ok(values.into_iter().collect())` | many messages |
//! | `Ok(Outputs::none())` | dropped, on purpose |
//! | `Err(Error::reject("why"))`, or `?` on any error | dead letter, with the reason |
//! | `Err(Error::retry("why"))` | delivered again later, with the pipeline's backoff |
//! | a panic | dead letter for this message alone; the others of its batch go through |
//!
//! A plugin that counts, joins or removes duplicates keeps [`state`], and implements [`Stateful`]. One that sums
//! up windows of time is an [`Aggregator`]. One that asks servers sends [`http`] requests.
//!
//! The SDK loops over the batch, reads the configuration and maps errors. It does no input or output of
//! its own. Build with `weir plugin build`, or with
//! `cargo build --release --target wasm32-wasip2`.

#![warn(missing_docs)]

/// What `wit-bindgen` makes of the contract in `wit/`, for what the SDK has no word for.
///
/// Generated ahead by `cargo run -p weir-sdk-bindings`: the generator takes forty seconds to compile,
/// which nobody who writes a plugin should wait for.
#[rustfmt::skip]
#[expect(missing_docs, reason = "generated; the contract in `wit/` is its documentation")]
pub mod bindings;

/// The same of what an operator has besides.
#[rustfmt::skip]
#[expect(missing_docs, reason = "generated; the contract in `wit/` is its documentation")]
pub mod handler_bindings;

/// The same of what a plugin with state has besides.
#[rustfmt::skip]
#[expect(missing_docs, reason = "generated; the contract in `wit-state/` is its documentation")]
pub mod state_bindings;

/// The same of what one that migrates values has besides.
#[rustfmt::skip]
#[expect(missing_docs, reason = "generated; the contract in `wit-migration/` is its documentation")]
pub mod migration_bindings;

/// The same of what one that aggregates windows has.
#[rustfmt::skip]
#[expect(missing_docs, reason = "generated; the contract in `wit-window/` is its documentation")]
pub mod window_bindings;

/// The same of the question for the sources of messages.
#[rustfmt::skip]
#[expect(missing_docs, reason = "generated; the contract in `wit-sources/` is its documentation")]
pub mod sources_bindings;

/// The same of what a plugin that sends requests has besides.
#[rustfmt::skip]
#[expect(missing_docs, reason = "generated; `wit-http/` is its documentation")]
pub mod http_bindings;

mod aggregator;
pub mod config;
mod error;
mod export;
#[doc(hidden)]
pub mod glue;
pub mod http;
mod kept;
pub mod log;
mod message;
pub mod metrics;
mod output;
mod refusal;
mod source;
pub mod state;
pub mod testing;
#[cfg(test)]
mod tests;
pub mod timers;

pub use aggregator::{Accumulator, Aggregator, Pane};
pub use bindings::weir::plugin::types::{Header, Message, Outcome, Output, Retry};
pub use error::{Error, OrFail};
pub use migration_bindings::exports::weir::migration::migration::Stored;
pub use output::Outputs;
pub use refusal::Refusal;
pub use serde_json;
pub use state::State;
pub use timers::Timer;
pub use window_bindings::exports::weir::window::aggregation::{Timing, Window};

/// A map, filter, enrichment or route.
pub trait Operator: Sized + 'static {
    /// The operator's `config:` in the pipeline file. A struct that derives `Deserialize`, with
    /// `#[serde(deny_unknown_fields)]` to catch typing errors; or [`serde_json::Value`] to look at
    /// it yourself; or `()` for a plugin that takes none.
    type Config: serde::de::DeserializeOwned;

    /// Called once on every new instance. A refusal is printed by `weir check` and keeps the
    /// pipeline from starting, so this is the place to compile expressions and check ranges. A [`Refusal`] tells all
    /// mistakes at once, each with its place.
    ///
    /// # Errors
    /// What is wrong with the configuration, in words for its author: name the field.
    fn configure(config: Self::Config) -> Result<Self, String>;

    /// Called for each message.
    ///
    /// The same message may come more than once (see [`Message::attempt`]), and the instance may
    /// be replaced between any two calls: what `self` holds is a cache, not state.
    ///
    /// # Errors
    /// [`Error::retry`] for a passing fault, [`Error::reject`] for what will never work. Any
    /// `std::error::Error` becomes a rejection through `?`.
    fn process(&mut self, message: &Message) -> Result<Outputs, Error>;

    /// Called for each batch; calls [`process`](Self::process) for each message unless you have
    /// something better to do with many at once. Must return one outcome per message, in order.
    fn process_batch(&mut self, batch: &[Message]) -> Vec<Outcome> {
        batch
            .iter()
            .map(|message| self.process(message).into())
            .collect()
    }
}

/// An [`Operator`] that keeps [`state`] for the keys of its messages and may set [`timers`]. Its pipeline
/// has `delivery: exactly-once`.
///
/// ```
/// use std::time::Duration;
/// use weir_sdk::{Error, Message, Operator, Output, Outputs, State, Stateful, Timer, timers};
///
/// /// Says how many messages of a key there were, a minute after the first of them.
/// struct PerMinute;
///
/// const COUNT: State<u64> = State::new("count");
///
/// impl Operator for PerMinute {
///     type Config = ();
///
///     fn configure((): ()) -> Result<Self, String> {
///         Ok(Self)
///     }
///
///     fn process(&mut self, message: &Message) -> Result<Outputs, Error> {
///         let key = message.state_key();
///         let count = COUNT.get(key)?.unwrap_or_default();
///         if count == 0 {
///             timers::set_after(key, "minute", Duration::from_secs(60))?;
///         }
///         COUNT.set(key, &(count + 1))?;
///         Ok(Outputs::none())
///     }
/// }
///
/// impl Stateful for PerMinute {
///     fn on_timer(&mut self, timer: &Timer) -> Result<Outputs, Error> {
///         let count = COUNT.get(&timer.key)?.unwrap_or_default();
///         COUNT.delete(&timer.key);
///         Ok(Output::json(&count)?.into())
///     }
/// }
///
/// weir_sdk::export_stateful!(PerMinute);
/// # use weir_sdk::testing;
/// # let mut operator: PerMinute = testing::configured(&()).unwrap();
/// # for payload in ["a", "b"] {
/// #     operator.process(&Message::new("orders", payload)).unwrap();
/// # }
/// # let due = testing::take_timers();
/// # assert_eq!((due.len(), due[0].at), (1, 60_000_000_000));
/// # assert_eq!(operator.on_timer(&due[0]), Ok(Output::new("2").into()));
/// # assert_eq!(COUNT.get(""), Ok(None));
/// ```
pub trait Stateful: Operator {
    /// Called for each timer that is due; it is not set any more. Nothing happens unless you say what.
    ///
    /// What an output leaves out is empty, but for the key, which is the timer's.
    ///
    /// # Errors
    /// As for [`Operator::process`]: with [`Error::retry`] the timer fires again later.
    fn on_timer(&mut self, timer: &Timer) -> Result<Outputs, Error> {
        let _ = timer;
        Ok(Outputs::none())
    }

    /// Called with all timers that are due; calls [`on_timer`](Self::on_timer) for each. Must return one
    /// outcome per timer, in order.
    fn on_timer_batch(&mut self, due: &[Timer]) -> Vec<Outcome> {
        due.iter()
            .map(|timer| self.on_timer(timer).into())
            .collect()
    }
}

/// A [`Stateful`] operator that takes over values which an earlier version of it has written in another form.
///
/// ```
/// use weir_sdk::{Error, Message, Migrate, Operator, Outputs, State, Stateful, Stored};
///
/// /// The version before kept a bare number.
/// #[derive(serde::Serialize, serde::Deserialize)]
/// struct Count {
///     messages: u64,
/// }
///
/// const COUNT: State<Count> = State::new("count");
///
/// struct Counter;
///
/// impl Operator for Counter {
///     type Config = ();
///
///     fn configure((): ()) -> Result<Self, String> {
///         Ok(Self)
///     }
///
///     fn process(&mut self, message: &Message) -> Result<Outputs, Error> {
///         let key = message.state_key();
///         let messages = COUNT.get(key)?.map_or(0, |count| count.messages);
///         COUNT.set(key, &Count { messages: messages + 1 })?;
///         Ok(Outputs::none())
///     }
/// }
///
/// impl Stateful for Counter {}
///
/// impl Migrate for Counter {
///     const FORMAT: u32 = 1;
///
///     fn migrate(old: &Stored) -> Result<Option<Vec<u8>>, Error> {
///         let messages = serde_json::from_slice(&old.value)?;
///         Ok(Some(serde_json::to_vec(&Count { messages })?))
///     }
/// }
///
/// weir_sdk::export_migrating!(Counter);
/// # use weir_sdk::serde_json;
/// # let old = Stored { key: "k".into(), name: "count".into(), format: 0, value: b"7".into() };
/// # assert_eq!(Counter::migrate(&old).unwrap().unwrap(), br#"{"messages":7}"#);
/// ```
pub trait Migrate: Stateful {
    /// The number of the form in which this version writes its values: at least 1, and one more whenever the form
    /// changes. Versions that do not implement this have 0.
    const FORMAT: u32;

    /// The value in the present form; `None` deletes it. It keeps its key, its name and its time to live.
    ///
    /// Called for the values of a key before the first message or timer of that key is handed over, and stored
    /// with what that call writes. There is no state during this call.
    ///
    /// # Errors
    /// Why it cannot be read: the messages of its key become dead letters with this reason.
    fn migrate(old: &Stored) -> Result<Option<Vec<u8>>, Error>;
}
