//! `weir:sources/sources`: the source of each message of a batch.

use super::Capability;
use crate::message::Message;
use crate::plugin::instance::State;
use bytestring::ByteString;
use wasmtime::component::HasSelf;

wasmtime::component::bindgen!({
    path: "../wit",
    world: "weir:worlds/sources",
});

use self::weir::sources::sources;

pub(super) const CAPABILITY: Capability = Capability {
    grant: None,
    interfaces: &["weir:sources/sources@0.1.0"],
    link: |linker| sources::add_to_linker::<_, HasSelf<State>>(linker, |state| state),
};

/// The sources of a batch, for the call with it.
pub(in crate::plugin) fn of(batch: &[Message]) -> Vec<ByteString> {
    let sources = batch.iter();
    sources
        .map(|message| message.source.clone().unwrap_or_default())
        .collect()
}

impl sources::Host for State {
    fn of_batch(&mut self) -> Vec<String> {
        let sources = self.sources.iter();
        sources.map(ToString::to_string).collect()
    }
}
