//! What is compared: one pipeline, and the native loop that does the same.

use std::path::Path;

use crate::feed::Feed;
use crate::native::Work;

/// The subject of all results, and their stream.
pub(crate) const OUT_SUBJECT: &str = "bench.out";
pub(crate) const OUT: &str = "BENCH_OUT";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Weir,
    Native,
}

/// One comparison.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) feed: Feed,
    /// What the native loop does with each message.
    pub(crate) work: Work,
    /// The file of the plugin that does the same.
    pub(crate) plugin: &'static str,
    /// The operator's `config:`, if it has any.
    pub(crate) config: Option<&'static str>,
    pub(crate) trusted: bool,
    /// Threads in each process.
    pub(crate) lanes: usize,
    /// Whether weir runs it as a job, which has no consumer.
    pub(crate) job: bool,
    /// Processes that share the consumer.
    pub(crate) hosts: usize,
    /// How results are published.
    pub(crate) publishing: Publishing,
}

/// How results are published, by weir and by the native loop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Publishing {
    /// One by one, with message ids.
    Single,
    /// weir by fast ingest, with message ids or without; the native loop as in [`Self::Single`].
    Ingest { ids: bool },
    /// Both by fast ingest, with message ids.
    BothIngest,
}

/// Messages of 128 bytes that are passed on as they came; other cases say how they differ.
pub(crate) const IDENTITY: Case = Case {
    name: "identity, 128 B",
    feed: Feed::Small,
    work: Work::Pass,
    plugin: "identity.wasm",
    config: None,
    trusted: false,
    lanes: 1,
    job: false,
    hosts: 1,
    publishing: Publishing::Single,
};

impl Case {
    /// How many results come of the first so many messages of the feed.
    pub(crate) fn results(&self, messages: u64) -> u64 {
        match self.work {
            Work::Pass | Work::Json => messages,
            // Orders have one to six lines in turn, and those with four or more are kept.
            Work::Filter => messages / 6 * 3 + (messages % 6).saturating_sub(3),
        }
    }

    /// The pipeline file.
    pub(crate) fn pipeline(&self, name: &str, server: &str, plugins: &Path) -> String {
        let Self {
            feed,
            plugin,
            trusted,
            lanes,
            ..
        } = self;
        let (stream, filter) = (feed.stream(), feed.filter());
        let plugin = plugins.join(plugin);
        let plugin = plugin.display();
        let config = self
            .config
            .map(|config| format!("    config: {config}\n"))
            .unwrap_or_default();
        let ids = match self.publishing {
            Publishing::Ingest { ids: false } => "  message-ids: off\n",
            _ => "",
        };
        format!(
            "name: {name}\n\
             nats:\n  servers: [\"{server}\"]\n\
             source:\n  stream: {stream}\n  subjects: [\"{filter}\"]\n  consumer: {name}\n\
             lanes: {lanes}\n\
             operators:\n  - name: work\n    plugin: {plugin}\n    trusted: {trusted}\n{config}\
             sink:\n  subject: {OUT_SUBJECT}\n  stream: {OUT}\n{ids}\
             dead-letter: off\n"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::native::long;

    #[test]
    fn the_results_of_a_filter_are_counted_without_filtering() {
        let case = Case {
            work: Work::Filter,
            ..IDENTITY
        };
        for messages in 0..20 {
            let payloads = (0..messages).map(|number| Feed::Orders.payload(number));
            let kept = payloads.filter(|payload| long::is_long(payload).is_ok_and(|long| long));
            assert_eq!(kept.count() as u64, case.results(messages));
        }
    }
}
