//! A message in the form that it has in the source of the pipeline, wherever the job reads it. Also the form
//! in which it waits in the state.

use super::Processing;
use crate::job::held::queue;
use crate::job::log::Input;
use crate::job::shared::Reads;
use crate::job::work::Effects;
use crate::message::Message;
use crate::process::Judged;
use crate::process::chain::{Kind, Rejection};
use crate::process::disposition::Disposition;
use crate::state::SharedState;
use std::borrow::Cow;

impl Processing {
    /// What is to become of messages that were retried so often.
    ///
    /// If one of them ends badly, that may be for the result of a window that it has closed: then they leave the windows
    /// to their timers, which have a dead letter or a retry of their own.
    pub(super) async fn dispose(&mut self, inputs: &[&Input], retries: u32) -> Vec<Disposition> {
        let begin = self.state.lock().savepoint();
        self.state.leave_windows(false);
        let dispositions = self.dispose_once(inputs, retries).await;
        if !self.state.has_closed_windows() || dispositions.iter().all(ends_well) {
            return dispositions;
        }
        self.state.lock().roll_back(begin);
        self.state.leave_windows(true);
        self.dispose_once(inputs, retries).await
    }

    async fn dispose_once(&mut self, inputs: &[&Input], retries: u32) -> Vec<Disposition> {
        let mut processor = self.shared.processor.lock().await;
        let shown: Vec<_> = inputs.iter().map(|input| self.shown(input)).collect();
        let route = |message: &Cow<'_, Message>| {
            let mut message = message.clone().into_owned();
            message.attempt = retries.saturating_add(1);
            processor.route(message)
        };
        let batch: Vec<_> = shown.iter().map(route).collect();
        self.is_stateful = processor.is_stateful();
        self.shared
            .calls(&batch, self.is_stateful.then_some(&self.state));
        let verdicts = match self.is_stateful {
            true => processor.call_on(batch, &mut self.state).await,
            false => processor.call(batch).await,
        };
        self.shared.called();
        let judge = |((input, message), verdict): ((&&Input, &Cow<'_, Message>), _)| {
            processor.judge(self.judged(input, message, retries), verdict)
        };
        let judged = inputs.iter().zip(&shown).zip(verdicts);
        judged.map(judge).collect()
    }

    pub(in crate::job) fn state(&self) -> SharedState {
        self.state.clone()
    }

    /// Whether any message waits.
    pub(in crate::job) fn has_held(&self) -> bool {
        self.state.lock().has_held()
    }

    /// Whether a message has to wait, or does already.
    pub(in crate::job) fn is_held(&self, input: &Input) -> bool {
        let (key, tag) = queue(self.shared.order, input);
        self.state.lock().is_held(key, &tag).unwrap_or_default()
    }

    /// What is known of the stream of an input.
    pub(super) fn reads(&self, input: &Input) -> Option<&Reads> {
        self.shared.reads(self.sources.get(input.input)?)
    }

    /// An input as it is in the source of the pipeline.
    pub(super) fn shown<'a>(&self, input: &'a Input) -> Cow<'a, Message> {
        let shown = self.reads(input);
        let shown = shown.and_then(|reads| reads.as_in_source(&input.message));
        shown.map_or(Cow::Borrowed(&input.message), Cow::Owned)
    }

    /// Its sequence there.
    pub(in crate::job) fn shown_sequence(&self, input: &Input) -> u64 {
        let sequence = self.reads(input);
        let sequence = sequence.and_then(|reads| reads.sequence_in_source(&input.message));
        sequence.unwrap_or(input.message.sequence)
    }

    /// A message that waited does not know its source.
    pub(super) fn name_source(&self, input: &mut Input) {
        let source = self.reads(input);
        let source = source.and_then(|reads| reads.decoder.source(&input.message));
        input.message.source = source;
    }

    /// `message` is the input as [`shown`](Self::shown).
    pub(super) fn judged<'a>(
        &'a self,
        input: &Input,
        message: &'a Message,
        retries: u32,
    ) -> Judged<'a> {
        let is_read = std::ptr::eq(message, &raw const input.message);
        let origin = self.reads(input).and_then(|reads| reads.origin.as_ref());
        let origin = origin.filter(|_| !is_read);
        let read = || self.sources.get(input.input);
        Judged {
            message,
            source_id: origin.or_else(read).unwrap_or(&self.shared.unknown),
            retries,
            timer: b"",
        }
    }

    pub(super) async fn give_up(&mut self, input: &Input, reason: String, effects: &mut Effects) {
        self.give_up_as(Kind::Sink, input, reason, effects).await;
    }

    pub(super) async fn give_up_as(
        &mut self,
        kind: Kind,
        input: &Input,
        reason: String,
        effects: &mut Effects,
    ) {
        let disposition = self.rejected(kind, input, reason).await;
        let sequence = self.shown_sequence(input);
        self.carry_out(Some(sequence), disposition, effects);
    }

    async fn rejected(&self, kind: Kind, input: &Input, reason: String) -> Disposition {
        let processor = self.shared.processor.lock().await;
        let message = self.shown(input);
        let rejection = Rejection {
            kind,
            ..Rejection::by_sink(reason)
        };
        processor.reject(self.judged(input, &message, 0), rejection)
    }
}

/// Whether what a message has written stays.
fn ends_well(disposition: &Disposition) -> bool {
    matches!(disposition, Disposition::Publish(_) | Disposition::Drop)
}
