//! A stream with one replica, as far as it takes batches: nats-server 2.15's `stream.go` and
//! `jetstream_batching.go`, whose functions are named below. It answers, and loses nothing by itself.

use crate::delivery::fast_ingest::{Part, Place};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// What becomes of one message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Stored,
    Duplicate,
    /// Refused before the batch is looked at: too large, a full disk.
    RefusedBefore,
    /// Refused by a check of its headers: a wrong expectation, a full stream.
    RefusedInside,
    /// Refused behind the checks: the server counts it as one of the batch all the same.
    RefusedBehind,
    /// No stream captures its subject.
    Nobody,
}

/// A batch as the server has it: `fastBatch` in `jetstream_batching.go`.
#[derive(Default)]
struct Open {
    latest: u64,
    persisted: u64,
    said: u64,
    pending: u64,
    commit: bool,
}

#[derive(Default)]
pub(super) struct Server {
    batches: BTreeMap<u64, Open>,
    /// Numbers of the window.
    pub stored: BTreeSet<u64>,
    pub answers: VecDeque<(Place, String)>,
    pub disabled: bool,
    pub full: bool,
    pub old: bool,
}

const ACK_EVERY: u64 = 3;

impl Server {
    fn answer(&mut self, place: Place, payload: String) {
        self.answers.push_back((place, payload));
    }

    fn refuse(&mut self, place: Place, code: u64) {
        let error = format!(r#"{{"error":{{"code":400,"err_code":{code},"description":"no"}}}}"#);
        self.answer(place, error);
    }

    fn count(&mut self, place: Place) {
        let Some(open) = self.batches.get(&place.first) else {
            return;
        };
        let count = open.latest;
        self.batches.remove(&place.first);
        self.answer(
            place,
            format!(r#"{{"stream":"S","seq":1,"batch":"b","count":{count}}}"#),
        );
    }

    /// `fastBatchCommit`
    fn commit(&mut self, place: Place) {
        let Some(open) = self.batches.get_mut(&place.first) else {
            return;
        };
        open.commit = true;
        if open.latest == open.persisted {
            self.count(place);
        }
    }

    /// `checkFlowControl`
    fn say_how_far(&mut self, place: Place) {
        let Some(open) = self.batches.get_mut(&place.first) else {
            return;
        };
        if open.persisted >= open.said + ACK_EVERY {
            open.said += (open.persisted - open.said) / ACK_EVERY * ACK_EVERY;
            let ack = format!(r#"{{"type":"ack","seq":{},"msgs":{ACK_EVERY}}}"#, open.said);
            self.answer(place, ack);
        }
    }

    /// Ten seconds without a message, or a restart.
    pub(super) fn forget(&mut self) {
        self.batches.clear();
    }

    /// `processJetStreamFastBatchMsg`, of a stream with one replica.
    pub(super) fn receive(&mut self, place: Place, part: Part, fate: Fate) {
        let number = place.first + place.number - 1;
        if fate == Fate::Nobody {
            return self.answer(place, "503".to_owned());
        }
        if fate == Fate::RefusedBefore && part != Part::End {
            return self.refuse(place, 10054);
        }
        if self.old {
            if part != Part::End {
                self.stored.insert(number);
            }
            return self.answer(place, r#"{"stream":"S","seq":1}"#.to_owned());
        }
        if self.disabled {
            return self.refuse(place, 10205);
        }
        if !self.batches.contains_key(&place.first) {
            if place.number != 1 {
                return self.refuse(place, 10208);
            }
            if self.full {
                return self.refuse(place, 10211);
            }
            self.batches.insert(place.first, Open::default());
        }
        let open = self.batches.get_mut(&place.first).unwrap();
        if open.commit {
            return;
        }
        open.latest += 1;
        if open.latest != place.number {
            let expected = open.latest;
            open.latest -= 1;
            if place.number > expected {
                let gap = format!(
                    r#"{{"type":"gap","last_seq":{expected},"seq":{}}}"#,
                    place.number
                );
                self.answer(place, gap);
            }
            return self.commit(place);
        }
        if part == Part::End {
            open.latest -= 1;
            if open.pending == 0 {
                open.persisted = open.latest;
            }
            return self.commit(place);
        }
        let last = part == Part::Last;
        if last {
            self.commit(place);
        } else if place.number == 1 {
            self.answer(
                place,
                format!(r#"{{"type":"ack","seq":0,"msgs":{ACK_EVERY}}}"#),
            );
        }
        let open = self.batches.get_mut(&place.first).unwrap();
        match fate {
            Fate::Duplicate => {
                if open.pending == 0 {
                    open.persisted = place.number;
                    self.say_how_far(place);
                }
                self.stored.insert(number);
                if last {
                    self.commit(place);
                }
            }
            Fate::RefusedInside => {
                if open.latest == 1 {
                    self.batches.remove(&place.first);
                    return self.refuse(place, 10071);
                }
                open.latest -= 1;
                if open.pending == 0 {
                    open.persisted = open.latest;
                }
                let error = r#"{"code":400,"err_code":10071,"description":"no"}"#;
                let error = format!(r#"{{"type":"err","seq":{},"error":{error}}}"#, place.number);
                self.answer(place, error);
                self.commit(place);
            }
            Fate::RefusedBehind => {
                open.pending += 1;
                self.refuse(place, 10077);
            }
            _ => {
                self.stored.insert(number);
                // `fastBatchRegisterSequences`
                open.persisted = match open.pending {
                    0 => open.latest,
                    _ => place.number,
                };
                match open.latest == open.persisted && open.commit {
                    true => self.count(place),
                    false => self.say_how_far(place),
                }
            }
        }
    }
}
