//! Values that an operator keeps for the keys of messages: see [`State`].
//!
//! They are there in [`process`](crate::Operator::process) and [`on_timer`](crate::Stateful::on_timer) of an
//! operator that is [`Stateful`](crate::Stateful), and nowhere else: a call from
//! [`configure`](crate::Operator::configure) traps. A value belongs to a key and has a name below it. The key
//! is that of a message of the batch ([`Message::state_key`](crate::Message::state_key)) or of a timer; one of
//! another partition makes the call trap.
//!
//! What is written is stored together with the results of the batch, and undone for a message that is
//! rejected, retried or traps.
//!
//! In a native build, for tests, values are kept in memory, by thread, and do not expire.

use crate::Error;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::marker::PhantomData;
use std::time::Duration;

#[cfg(target_family = "wasm")]
use crate::state_bindings::weir::state::state as host;
#[cfg(not(target_family = "wasm"))]
use crate::testing::host;

/// A value for each key, kept as JSON. Make it a constant of the plugin.
///
/// ```
/// # use weir_sdk::{Error, State};
/// const TOTAL: State<f64> = State::new("total");
///
/// let total = TOTAL.get("alice")?.unwrap_or_default();
/// TOTAL.set("alice", &(total + 12.5))?;
/// assert_eq!(TOTAL.get("alice"), Ok(Some(12.5)));
/// assert_eq!(TOTAL.get("bob"), Ok(None));
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct State<T> {
    name: &'static str,
    value: PhantomData<fn() -> T>,
}

impl<T: Serialize + DeserializeOwned> State<T> {
    /// With a name that no other value of the plugin has. A plugin with one kind of value may use "".
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        let value = PhantomData;
        Self { name, value }
    }

    /// The value of a key, or `None`.
    ///
    /// # Errors
    /// A rejection if what is kept is no `T`: an earlier version of the plugin has written something else.
    pub fn get(&self, key: &str) -> Result<Option<T>, Error> {
        self.read(get(key, self.name))
    }

    /// The values of several keys, in their order: one call of the host for a whole batch.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn get_many<'a>(
        &self,
        keys: impl IntoIterator<Item = &'a str>,
    ) -> Result<Vec<Option<T>>, Error> {
        let names = keys
            .into_iter()
            .map(|key| (key.to_owned(), self.name.to_owned()));
        let values = host::get_many(&names.collect::<Vec<_>>()).into_iter();
        values.map(|value| self.read(value)).collect()
    }

    /// Sets the value of a key, for as long as the pipeline's default says: for ever, normally.
    ///
    /// # Errors
    /// A rejection if the state of the partition has no room for it, for use with `?`.
    pub fn set(&self, key: &str, value: &T) -> Result<(), Error> {
        set(key, self.name, &self.write(value)?, None)
    }

    /// Sets the value of a key for this long from now. Setting it again begins anew; zero deletes it.
    ///
    /// # Errors
    /// As [`set`](Self::set).
    pub fn set_for(&self, key: &str, value: &T, ttl: Duration) -> Result<(), Error> {
        set(key, self.name, &self.write(value)?, Some(ttl))
    }

    /// Deletes the value of a key, if there is one.
    pub fn delete(&self, key: &str) {
        delete(key, self.name);
    }

    fn read(&self, value: Option<Vec<u8>>) -> Result<Option<T>, Error> {
        let value = value
            .map(|value| serde_json::from_slice(&value))
            .transpose();
        value.map_err(|cause| {
            let name = self.name;
            Error::reject(format!("cannot read the state `{name}` as JSON: {cause}"))
        })
    }

    fn write(&self, value: &T) -> Result<Vec<u8>, Error> {
        serde_json::to_vec(value).map_err(|cause| {
            let name = self.name;
            Error::reject(format!("cannot write the state `{name}` as JSON: {cause}"))
        })
    }
}

/// The bytes under a key and a name, or `None`.
#[must_use]
pub fn get(key: &str, name: &str) -> Option<Vec<u8>> {
    host::get(key, name)
}

/// Sets the bytes under a key and a name, for as long as `ttl` if it is given.
///
/// # Errors
/// A rejection if the state of the partition has no room for it, for use with `?`.
pub fn set(key: &str, name: &str, value: &[u8], ttl: Option<Duration>) -> Result<(), Error> {
    host::set(key, name, value, ttl.map(milliseconds)).map_err(Error::Reject)
}

/// Deletes what is under a key and a name, if anything.
pub fn delete(key: &str, name: &str) {
    host::delete(key, name);
}

/// Up to `limit` names of a key that begin with `prefix`, with their bytes, in the order of the names; those
/// behind `after` where it is given. Fewer may come where they are large: there are no more only when none
/// comes.
#[must_use]
pub fn scan(key: &str, prefix: &str, after: Option<&str>, limit: u32) -> Vec<(String, Vec<u8>)> {
    host::scan(key, prefix, after, limit)
}

/// Rounded up: zero would delete.
fn milliseconds(ttl: Duration) -> u64 {
    u64::try_from(ttl.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
}
