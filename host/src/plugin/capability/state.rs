//! `weir:state/state` and `weir:state/timers`: the values and timers of an operator for the keys of messages.
//!
//! The state belongs to the partition, and is lent to the store for one call of `process` or `on-timer`.
//! There is none in `configure`, nor between calls. This file checks the limits of what a guest may ask for;
//! other files decide what a value is and what is undone.

use crate::plugin::guest::stateful_0_2_0::weir::state0_2_0::{state, timers};
use crate::plugin::instance::State;
use crate::state::{self as store, Clock, Operator, Outdated, Refused, SharedState};
use std::sync::MutexGuard;

/// Most bytes of a key, a name or a tag: those of a message's subject or header, with room.
const LONGEST: usize = 64 << 10;
/// Most bytes of what one `scan` returns, unless one value alone has more.
const SCAN: usize = 1 << 20;
/// What a write counts besides its key, name and value: what it takes to undo it, too.
const WRITE: usize = 128;
const MILLISECOND: u64 = 1_000_000;

/// The state as an operator sees it in one call.
pub(in crate::plugin) struct LentState {
    state: SharedState,
    operator: Operator,
    /// Bytes of all writes of the call. Those that replace each other are all kept, to be undone.
    written: usize,
}

impl LentState {
    /// `None` for an operator that the state does not know.
    pub(in crate::plugin) fn to(operator: &str, state: &SharedState) -> Option<Self> {
        let operator = state.lock().operator(operator)?;
        Some(Self {
            state: state.clone(),
            operator,
            written: 0,
        })
    }

    /// The plugin writes values in this format, and reads no later ones.
    pub(in crate::plugin) fn is_read_as(&self, format: u32) {
        self.state.lock().set_format(format);
    }
}

impl State {
    /// The state of the present call, to be asked for these keys, names and tags.
    fn lent(&self, names: &[&str]) -> wasmtime::Result<(MutexGuard<'_, store::State>, Operator)> {
        if names.iter().any(|name| name.len() > LONGEST) {
            wasmtime::bail!("a key, a name or a tag has more than 64 KiB");
        }
        let Some(LentState {
            state, operator, ..
        }) = &self.lent_state
        else {
            wasmtime::bail!("state is available only in process and on-timer");
        };
        Ok((state.lock(), *operator))
    }

    /// The state of the present call and the operator that uses it, for data that the plugin does not see.
    pub(in crate::plugin) fn whole_state(&self) -> Option<(SharedState, Operator)> {
        let lent = self.lent_state.as_ref()?;
        Some((lent.state.clone(), lent.operator))
    }

    /// Values of a key that are of another format, up to so many bytes of them.
    pub(in crate::plugin) fn outdated(
        &self,
        key: &[u8],
        most: usize,
    ) -> wasmtime::Result<Vec<Outdated>> {
        let (state, operator) = self.lent(&[])?;
        Ok(state.outdated(operator, key, most)?)
    }

    /// What becomes of one of them.
    pub(in crate::plugin) fn migrated(
        &self,
        old: &Outdated,
        new: Option<&[u8]>,
    ) -> wasmtime::Result<()> {
        let (mut state, operator) = self.lent(&[])?;
        Ok(state.migrate(operator, old, new)?)
    }

    /// The same for a write of a value of so many bytes.
    fn lent_to_write(
        &mut self,
        key: &str,
        name: &str,
        value: usize,
    ) -> wasmtime::Result<(MutexGuard<'_, store::State>, Operator)> {
        let most = self.settings.limits.output_bytes;
        if let Some(lent) = &mut self.lent_state {
            let written = lent
                .written
                .saturating_add(key.len() + name.len() + value + WRITE);
            lent.written = written;
            if written > most {
                let most = bytesize::ByteSize(most as u64);
                wasmtime::bail!("wrote more state than `output-bytes` allows, {most}");
            }
        }
        self.lent(&[key, name])
    }
}

/// A refusal for want of room is the plugin's to handle, any other one its fault.
fn room(written: Result<(), Refused>) -> wasmtime::Result<Result<(), String>> {
    match written {
        Err(refused @ Refused::Budget { .. }) => Ok(Err(refused.to_string())),
        written => Ok(Ok(written?)),
    }
}

impl state::Host for State {
    fn get(&mut self, key: String, name: String) -> wasmtime::Result<Option<Vec<u8>>> {
        let (state, operator) = self.lent(&[&key, &name])?;
        let value = state.get(operator, key.as_bytes(), name.as_bytes())?;
        Ok(value.map(<[u8]>::to_vec))
    }

    fn get_many(&mut self, names: Vec<(String, String)>) -> wasmtime::Result<Vec<Option<Vec<u8>>>> {
        let most = self.settings.limits.memory_bytes;
        let longest = names.iter().flat_map(|(key, name)| [&**key, name]);
        let longest = longest.max_by_key(|name| name.len());
        let (state, operator) = self.lent(longest.as_slice())?;
        let (mut values, mut bytes) = (Vec::with_capacity(names.len()), 0_usize);
        for (key, name) in &names {
            let value = state.get(operator, key.as_bytes(), name.as_bytes())?;
            bytes = bytes.saturating_add(value.map_or(0, <[u8]>::len));
            // The same value may be asked for any number of times.
            if bytes > most {
                wasmtime::bail!(
                    "the values of one `get-many` have more bytes than `memory` allows"
                );
            }
            values.push(value.map(<[u8]>::to_vec));
        }
        Ok(values)
    }

    fn set(
        &mut self,
        key: String,
        name: String,
        value: Vec<u8>,
        ttl_ms: Option<u64>,
    ) -> wasmtime::Result<Result<(), String>> {
        let (mut state, operator) = self.lent_to_write(&key, &name, value.len())?;
        let ttl = ttl_ms.map(|ttl| ttl.saturating_mul(MILLISECOND));
        room(state.set(operator, key.as_bytes(), name.as_bytes(), &value, ttl))
    }

    fn delete(&mut self, key: String, name: String) -> wasmtime::Result<()> {
        let (mut state, operator) = self.lent_to_write(&key, &name, 0)?;
        Ok(state.delete(operator, key.as_bytes(), name.as_bytes())?)
    }

    fn scan(
        &mut self,
        key: String,
        prefix: String,
        after: Option<String>,
        limit: u32,
    ) -> wasmtime::Result<Vec<(String, Vec<u8>)>> {
        let behind = after.as_deref();
        let (state, operator) = self.lent(&[&key, &prefix, behind.unwrap_or_default()])?;
        let behind = behind.map(str::as_bytes);
        let found = state.scan(operator, key.as_bytes(), prefix.as_bytes(), behind)?;
        let (mut values, mut bytes) = (Vec::new(), 0_usize);
        for value in found.take(limit as usize) {
            let (name, value) = value?;
            let more = size_of::<(String, Vec<u8>)>() + name.len() + value.len();
            bytes = bytes.saturating_add(more);
            if bytes > SCAN && !values.is_empty() {
                break;
            }
            values.push((str::from_utf8(name)?.to_owned(), value.to_vec()));
        }
        Ok(values)
    }
}

impl timers::Host for State {
    fn now(&mut self, clock: timers::Clock) -> wasmtime::Result<u64> {
        let (state, _) = self.lent(&[])?;
        Ok(match clock {
            timers::Clock::EventTime => state.watermark(),
            timers::Clock::ProcessingTime => state.now(),
        })
    }

    fn set(
        &mut self,
        key: String,
        tag: String,
        clock: timers::Clock,
        at: u64,
    ) -> wasmtime::Result<Result<(), String>> {
        let (mut state, operator) = self.lent_to_write(&key, &tag, 0)?;
        let clock = match clock {
            timers::Clock::EventTime => Clock::EventTime,
            timers::Clock::ProcessingTime => Clock::ProcessingTime,
        };
        room(state.set_timer(operator, key.as_bytes(), tag.as_bytes(), clock, at))
    }

    fn cancel(&mut self, key: String, tag: String) -> wasmtime::Result<()> {
        let (mut state, operator) = self.lent_to_write(&key, &tag, 0)?;
        Ok(state.delete_timer(operator, key.as_bytes(), tag.as_bytes())?)
    }
}
