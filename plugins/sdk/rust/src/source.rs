//! Of which source a message is, for pipelines with `sources:`.

use crate::Message;

impl Message {
    /// The name of the source that the message is of: a key of `sources:` in the pipeline file. `None` with
    /// `source:`, which has no name. A message that an earlier operator of the pipeline made is of the source of the
    /// message that it was made from.
    ///
    /// Ask the message that [`process`](crate::Operator::process) was called with: a copy of it is of no source.
    ///
    /// ```
    /// # use weir_sdk::{Message, testing};
    /// testing::set_source("clicks");
    /// let message = Message::new("clicks.berlin", "{}");
    /// assert_eq!(message.source().as_deref(), Some("clicks"));
    /// ```
    #[must_use]
    pub fn source(&self) -> Option<String> {
        now::source(self)
    }
}

#[cfg(target_family = "wasm")]
pub(crate) mod now {
    use crate::Message;
    use crate::sources_bindings::weir::sources::sources;
    use std::cell::RefCell;

    /// The batch that is processed.
    #[derive(Default)]
    struct Batch {
        /// Where its messages are in memory.
        address: usize,
        /// Asked for with the first question.
        names: Option<Vec<String>>,
    }

    thread_local! {
        static BATCH: RefCell<Batch> = RefCell::default();
    }

    /// This batch is processed from now on; none, if it is empty.
    pub(crate) fn is(batch: &[Message]) {
        let address = batch.as_ptr() as usize;
        let names = None;
        BATCH.with_borrow_mut(|now| *now = Batch { address, names });
    }

    pub(super) fn source(message: &Message) -> Option<String> {
        BATCH.with_borrow_mut(|now| {
            let distance = (std::ptr::from_ref(message) as usize).checked_sub(now.address)?;
            let names = now.names.get_or_insert_with(sources::of_batch);
            let name = names.get(distance / size_of::<Message>());
            name.filter(|name| !name.is_empty()).cloned()
        })
    }
}

#[cfg(not(target_family = "wasm"))]
pub(crate) mod now {
    use crate::Message;
    use std::cell::RefCell;

    thread_local! {
        static SOURCE: RefCell<Option<String>> = RefCell::default();
    }

    pub(crate) fn is(_batch: &[Message]) {}

    pub(super) fn source(_message: &Message) -> Option<String> {
        SOURCE.with_borrow(Clone::clone)
    }

    pub(crate) fn set(source: &str) {
        SOURCE.set(Some(source.to_owned()));
    }
}
