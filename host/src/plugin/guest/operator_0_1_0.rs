//! The world `weir:plugin/operator@0.1.0`: its bindings, and its records from and to messages.
//!
//! Parameters borrow, so that a batch is lowered from messages where they lie; results own, because
//! wasmtime frees the guest's copy before the call returns. No payload is copied here.

use self::weir::plugin::types;
use super::{Bind, Capability, Contract, Guest as AnyGuest};
use crate::config::resolved::HeaderSelection;
use crate::headers::Headers;
use crate::message::{Message, Outcome, Output};
use crate::plugin::instance::State;
use crate::report::escape::cut;
use bytes::Bytes;
use bytestring::ByteString;
use exports::weir::plugin::{configurable, handler};
use std::ops::Range;
use std::time::Duration;
use wasmtime::Store;
use wasmtime::component::{HasSelf, Instance, InstancePre};

wasmtime::component::bindgen!({
    path: "../wit",
    world: "weir:worlds/operator",
    exports: { default: async },
    ownership: Borrowing { duplicate_if_necessary: true },
});

pub(super) static CONTRACT: Contract = Contract {
    world: "weir:plugin/operator@0.1.0",
    exports: &[
        "weir:plugin/configurable@0.1.0",
        "weir:plugin/handler@0.1.0",
    ],
    imports: Capability {
        grant: None,
        interfaces: &[
            "weir:plugin/config@0.1.0",
            "weir:plugin/log@0.1.0",
            "weir:plugin/metrics@0.1.0",
            "weir:plugin/types@0.1.0",
        ],
        link: |linker| Operator::add_to_linker::<_, HasSelf<State>>(linker, |state| state),
    },
    bind,
};

impl types::Host for State {}

/// Most bytes of a plugin's reason, as of one entry of its log: a line and a traceback, not a document.
const REASON: usize = 8 << 10;

/// The exports of one instance.
pub(in crate::plugin) struct Guest {
    configurable: configurable::Guest,
    handler: handler::Guest,
}

/// Where the exports are in a component.
pub(super) struct Exports {
    configurable: configurable::GuestIndices,
    handler: handler::GuestIndices,
}

impl Exports {
    pub(super) fn find(pre: &InstancePre<State>) -> wasmtime::Result<Self> {
        Ok(Self {
            configurable: configurable::GuestIndices::new(pre)?,
            handler: handler::GuestIndices::new(pre)?,
        })
    }

    pub(super) fn take(
        &self,
        store: &mut Store<State>,
        instance: &Instance,
    ) -> wasmtime::Result<Guest> {
        Ok(Guest {
            configurable: self.configurable.load(&mut *store, instance)?,
            handler: self.handler.load(store, instance)?,
        })
    }
}

fn bind(pre: &InstancePre<State>) -> wasmtime::Result<Bind> {
    let exports = Exports::find(pre)?;
    Ok(Box::new(move |store, instance| {
        Ok(AnyGuest::Operator010(exports.take(store, instance)?))
    }))
}

impl Guest {
    pub(super) async fn configure(
        &self,
        store: &mut Store<State>,
        config: &str,
    ) -> wasmtime::Result<Result<(), String>> {
        let answer = self.configurable.call_configure(store, config).await?;
        Ok(answer.map_err(bounded))
    }

    pub(super) async fn process(
        &self,
        store: &mut Store<State>,
        batch: &[Message],
        headers: &HeaderSelection,
    ) -> wasmtime::Result<Vec<Outcome>> {
        let headers = selected(batch, headers);
        let messages = lower(batch, &headers);
        let outcomes = self.handler.call_process(store, &messages).await?;
        Ok(outcomes.into_iter().map(outcome).collect())
    }
}

/// The header lines of a batch that the operator asks for, in one allocation; none where it asks for
/// none.
pub(super) struct SelectedHeaders<'a> {
    lines: Vec<types::HeaderParam<'a>>,
    /// Of each message; empty when there are no lines at all.
    ranges: Vec<Range<usize>>,
}

/// Selects header lines, keeping their order.
pub(super) fn selected<'a>(
    batch: impl IntoIterator<Item = &'a Message>,
    selection: &HeaderSelection,
) -> SelectedHeaders<'a> {
    let mut lines = Vec::new();
    let mut ranges = Vec::new();
    if *selection != HeaderSelection::None {
        let batch = batch.into_iter();
        ranges.reserve(batch.size_hint().0);
        for message in batch {
            let start = lines.len();
            let selected = message.headers.iter().filter(|(name, _)| match selection {
                HeaderSelection::None => false,
                HeaderSelection::All => true,
                HeaderSelection::Named(names) => {
                    names.iter().any(|wanted| wanted.eq_ignore_ascii_case(name))
                }
            });
            lines.extend(selected.map(|(name, value)| types::HeaderParam { name, value }));
            ranges.push(start..lines.len());
        }
    }
    SelectedHeaders { lines, ranges }
}

/// Records that borrow from the messages.
pub(super) fn lower<'a>(
    batch: impl IntoIterator<Item = &'a Message>,
    headers: &'a SelectedHeaders<'a>,
) -> Vec<types::Message<'a>> {
    let mut ranges = headers.ranges.iter();
    let lower = |message: &'a Message| types::Message {
        subject: &message.subject,
        payload: &message.payload,
        headers: ranges
            .next()
            .and_then(|range| headers.lines.get(range.clone()))
            .unwrap_or_default(),
        key: message.key.as_deref(),
        event_time: message.event_time,
        sequence: message.sequence,
        attempt: message.attempt,
    };
    batch.into_iter().map(lower).collect()
}

/// The guest's answer for one message; its buffers become the outputs'.
pub(super) fn outcome(outcome: types::Outcome) -> Outcome {
    match outcome {
        types::Outcome::Emit(outputs) => Outcome::Emit(outputs.into_iter().map(output).collect()),
        types::Outcome::Retry(retry) => Outcome::Retry {
            after: retry.after_ms.map(Duration::from_millis),
            reason: bounded(retry.reason),
        },
        types::Outcome::Reject(reason) => Outcome::Reject(bounded(reason)),
    }
}

/// A reason as it goes into logs, dead letters and records.
pub(super) fn bounded(mut reason: String) -> String {
    reason.truncate(cut(&reason, REASON).len());
    reason
}

pub(super) fn output(output: types::Output) -> Output {
    Output {
        subject: output.subject.map(ByteString::from),
        payload: output.payload.map(Bytes::from),
        headers: output.headers.map(|lines| {
            let lines = lines.into_iter();
            lines
                .map(|line| (line.name.into(), line.value.into()))
                .collect::<Headers>()
        }),
        key: output.key.map(ByteString::from),
        event_time: None,
        late: false,
    }
}

#[cfg(test)]
#[expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test says what it expects by failing"
)]
mod tests;
