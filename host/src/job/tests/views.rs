//! The expected content of views at the end of a schedule.

use super::api::{OutgoingMessage, Room};
use super::fold::Folding;
use super::kept::{Kept, NAME};
use super::oracle::Published;
use super::schedule::Schedule;
use bytes::Bytes;
use bytestring::ByteString;
use std::collections::BTreeMap;

/// What the values of its view begin with, and those of one that is added at the second claim.
const OF_STATE: [&str; 2] = ["s.0.", "l.0."];

/// A value of the state in the view of it.
pub(super) fn viewed(view: &str, key: u8, value: &[u8]) -> OutgoingMessage {
    let result = Published::Fired { key, sequence: 0 }.message();
    OutgoingMessage {
        subject: format!("{view}{key}").into(),
        payload: Bytes::copy_from_slice(value),
        ..result
    }
}

impl Kept {
    /// What the writes have changed, in each view.
    pub(super) fn changed_values(&self) -> Vec<OutgoingMessage> {
        let changed = self.state.changed(self.count, NAME);
        let views = &OF_STATE[..1 + usize::from(self.has_late)];
        let values = changed.flat_map(|it| {
            let of = move |view: &&str| viewed(view, it.key[0], it.value.unwrap());
            views.iter().map(of)
        });
        values.collect()
    }

    /// Some of what the view that is added is to have.
    pub(super) fn fill_late(&mut self, room: &Room) -> Option<Vec<OutgoingMessage>> {
        let (of, mut values) = ((self.count, NAME), Vec::new());
        let is_whole = self
            .state
            .show(of, self.filling.as_mut()?, 2, &mut |shown| {
                let fits = values.len() < room.messages;
                let value = viewed(OF_STATE[1], shown.key[0], shown.value.unwrap());
                values.extend(fits.then_some(value));
                fits
            });
        self.filling.take_if(|_| is_whole);
        (!is_whole || !values.is_empty()).then_some(values)
    }
}

type Values = BTreeMap<ByteString, Bytes>;

impl<F: Folding + 'static> Schedule<F> {
    /// A view has the last result of each key that is in it, or what the state has. A restore takes nothing back.
    pub(super) fn compare_views(&self, state: &F) -> Result<(), String> {
        let results = self.model.outputs().into_iter().filter_map(|result| {
            let subject = Published::read(&result.payload).viewed()?;
            Some((subject.into(), result.payload))
        });
        let mut found = self.model.values();
        let mut take = |view: &str| -> Values {
            let of_view = found.extract_if(.., |subject, _| subject.starts_with(view));
            of_view
                .map(|(subject, value)| (subject.replace(view, "").into(), value))
                .collect()
        };
        let of_state = OF_STATE.map(&mut take);
        let (last, kept): (Values, Values) = (results.collect(), state.of_view());
        let is_restored = self.restores.is_some();
        let is_filled = self
            .model
            .content()
            .0
            .is_some_and(|held| !held.checkpoint.viewed.is_empty());
        let is_right = |found: &Values, is_filled: bool| match is_restored {
            false => *found == kept,
            // What is filled has all that there is, and perhaps more.
            true => {
                !is_filled
                    || kept
                        .iter()
                        .all(|(key, value)| found.get(key) == Some(value))
            }
        };
        let [whole, late] = &of_state;
        let are_right = is_right(whole, false) && (!is_filled || is_right(late, true));
        match found == last && are_right {
            true => Ok(()),
            false => Err(format!(
                "views have {found:?} {of_state:?}, not {last:?} {kept:?}"
            )),
        }
    }
}
