//! The host's side of state and timers in a native build: maps of the thread.

use crate::timers::{Clock, Timer};
use std::cell::RefCell;
use std::collections::BTreeMap;

/// By key and name, or key and tag.
type Map<T> = RefCell<BTreeMap<(String, String), T>>;

thread_local! {
    static VALUES: Map<Vec<u8>> = const { RefCell::new(BTreeMap::new()) };
    static TIMERS: Map<(Clock, u64)> = const { RefCell::new(BTreeMap::new()) };
}

fn place(key: &str, name: &str) -> (String, String) {
    (key.to_owned(), name.to_owned())
}

pub(super) fn clear() {
    VALUES.take();
    TIMERS.take();
}

pub(super) fn take_timers() -> Vec<Timer> {
    let timers = TIMERS.take().into_iter();
    let timers = timers.map(|((key, tag), (clock, at))| Timer {
        key,
        tag,
        clock,
        at,
    });
    let mut timers: Vec<Timer> = timers.collect();
    timers.sort_by_key(|timer| timer.at);
    timers
}

pub(crate) mod state {
    use super::{VALUES, place};

    pub(crate) fn get(key: &str, name: &str) -> Option<Vec<u8>> {
        VALUES.with_borrow(|values| values.get(&place(key, name)).cloned())
    }

    pub(crate) fn get_many(names: &[(String, String)]) -> Vec<Option<Vec<u8>>> {
        names.iter().map(|(key, name)| get(key, name)).collect()
    }

    pub(crate) fn set(key: &str, name: &str, value: &[u8], ttl: Option<u64>) -> Result<(), String> {
        match ttl {
            Some(0) => delete(key, name),
            _ => VALUES.with_borrow_mut(|values| {
                values.insert(place(key, name), value.to_owned());
            }),
        }
        Ok(())
    }

    pub(crate) fn delete(key: &str, name: &str) {
        VALUES.with_borrow_mut(|values| values.remove(&place(key, name)));
    }

    pub(crate) fn scan(
        key: &str,
        prefix: &str,
        after: Option<&str>,
        limit: u32,
    ) -> Vec<(String, Vec<u8>)> {
        let is_found =
            |name: &str| name.starts_with(prefix) && after.is_none_or(|after| name > after);
        VALUES.with_borrow(|values| {
            let found = values
                .iter()
                .filter(|((of, name), _)| of == key && is_found(name));
            let found = found.map(|((_, name), value)| (name.clone(), value.clone()));
            found.take(limit as usize).collect()
        })
    }
}

pub(crate) mod timers {
    use super::{Clock, TIMERS, place};

    pub(crate) fn now(_: Clock) -> u64 {
        0
    }

    pub(crate) fn set(key: &str, tag: &str, clock: Clock, at: u64) -> Result<(), String> {
        TIMERS.with_borrow_mut(|timers| timers.insert(place(key, tag), (clock, at)));
        Ok(())
    }

    pub(crate) fn cancel(key: &str, tag: &str) {
        TIMERS.with_borrow_mut(|timers| timers.remove(&place(key, tag)));
    }
}
