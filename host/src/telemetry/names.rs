//! Every metric, in one enum: name, type, unit, labels, meaning.
//!
//! The reference page `docs/metrics.md` is printed from this table by `weir metrics`, and a test
//! fails when the two differ. A name is public: renaming one is a breaking change.

use std::fmt::Write as _;

/// What all metric names begin with.
pub const PREFIX: &str = "weir";

/// How a metric behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only grows while the process lives. Its samples end in `_total`.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts observations in buckets.
    Histogram,
}

impl Kind {
    /// As `/metrics` calls it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// What a metric counts in, where that is not "things". Part of the name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    None,
    Bytes,
    Seconds,
}

/// One row of the table.
#[derive(Clone, Copy, Debug)]
pub struct Spec {
    /// Without prefix, unit and `_total`.
    pub stem: &'static str,
    pub kind: Kind,
    pub unit: Unit,
    /// Label names, in the order in which they are printed.
    pub labels: &'static [&'static str],
    /// One sentence without its full stop.
    pub help: &'static str,
}

const BUILD: &[&str] = &["version", "contract"];
const PIPELINE: &[&str] = &["pipeline"];
const OPERATOR: &[&str] = &["pipeline", "operator"];
const DISCARDED: &[&str] = &["pipeline", "operator", "reason"];
const PLUGIN: &[&str] = &["pipeline", "operator", "name"];

macro_rules! names {
    ($($variant:ident $stem:literal $kind:ident $unit:ident $labels:ident $help:literal)*) => {
        /// Every metric that weir has.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Name { $(#[doc = $help] $variant,)* }

        impl Name {
            /// All of them, in the order of the reference page.
            pub const ALL: &[Name] = &[$(Name::$variant,)*];

            /// Its row of the table.
            #[must_use]
            pub const fn spec(self) -> Spec {
                match self {
                    $(Name::$variant => Spec {
                        stem: $stem, kind: Kind::$kind, unit: Unit::$unit, labels: $labels, help: $help,
                    },)*
                }
            }
        }
    };
}

names! {
    BuildInformation "build_info" Gauge None BUILD
        "Always 1; the labels say what is running"

    Running "running" Gauge None PIPELINE
        "1 while all lanes of the pipeline are at work; 0 while it starts, waits to be started again, or has failed"
    Connected "connected" Gauge None PIPELINE
        "1 while every connection of the pipeline to NATS is up, 0 while one is lost"
    Restarts "restarts" Counter None PIPELINE
        "Times the pipeline was started again because it could not go on"
    Reconnects "reconnects" Counter None PIPELINE
        "Times a connection of a lane to NATS was lost and came back"

    Received "received" Counter None PIPELINE
        "Messages taken from the source, redeliveries included"
    ReceivedBytes "received" Counter Bytes PIPELINE
        "Payload and header bytes taken from the source"
    Redelivered "redelivered" Counter None PIPELINE
        "Messages taken from the source that had been delivered before"
    Batches "batches" Counter None PIPELINE
        "Batches that went through the corridor"
    Published "published" Counter None PIPELINE
        "Results, dead letters and parked inputs that JetStream acknowledged, repeats included"
    PublishedBytes "published" Counter Bytes PIPELINE
        "Payload bytes of acknowledged results, dead letters and parked inputs"
    PublishDuplicates "publish_duplicates" Counter None PIPELINE
        "Results and dead letters that the server recognised as repeats by their message id and did not store again"
    PublishFailures "publish_failures" Counter None PIPELINE
        "Results, dead letters and parked inputs that were not acknowledged in time or were refused; their inputs are retried"
    Acked "acked" Counter None PIPELINE
        "Inputs settled by an ack: published or dropped"
    Dropped "dropped" Counter None PIPELINE
        "Inputs for which the plugin emitted nothing, on purpose"
    Retried "retried" Counter None PIPELINE
        "Inputs to be delivered again because a plugin asked for it"
    RetriedInfrastructure "retried_infrastructure" Counter None PIPELINE
        "Inputs to be delivered again because publishing or the connection failed"
    Parked "parked" Counter None PIPELINE
        "Inputs to be delivered again after so long that they wait in the parking stream instead of the consumer"
    Unparked "unparked" Counter None PIPELINE
        "Parked inputs that came back when they were due"
    ParkedPending "parked_pending" Gauge None PIPELINE
        "Messages in the parking stream: not due yet, or not settled"
    Deferred "deferred" Counter None PIPELINE
        "Inputs deferred because an earlier one of their key or stream is being retried"
    Dead "dead" Counter None PIPELINE
        "Dead letters that JetStream acknowledged"
    Termed "termed" Counter None PIPELINE
        "Inputs settled by a term: dead-lettered, or rejected while dead letters are off"
    InProgressSent "in_progress_sent" Counter None PIPELINE
        "In-progress signals that kept slow work from being delivered again"
    UnsettledDropped "unsettled_dropped" Counter None PIPELINE
        "Inputs let go without settlement, at a stop without a connection or by a fault of the host; JetStream delivers them again"
    InFlight "in_flight" Gauge None PIPELINE
        "Messages between pull and settlement"
    InFlightBytes "in_flight" Gauge Bytes PIPELINE
        "Bytes of messages between pull and settlement"
    Lag "lag" Gauge None PIPELINE
        "Messages in the stream that the consumer has not delivered yet"
    AckPending "ack_pending" Gauge None PIPELINE
        "Messages delivered to any host and not settled yet, as the server sees it"
    MissedHeartbeats "missed_heartbeats" Counter None PIPELINE
        "Times the server fell silent during a pull"
    PullErrors "pull_errors" Counter None PIPELINE
        "Pulls that ended in an error and were repeated"
    Latency "latency" Histogram Seconds PIPELINE
        "From the time JetStream stored an input to its settlement"

    Calls "calls" Counter None OPERATOR
        "Calls of the plugin's process, bisection included"
    Messages "messages" Counter None OPERATOR
        "Messages handed to the plugin, bisection included"
    CallSeconds "call" Histogram Seconds OPERATOR
        "Time of one batch call, border included"
    Traps "traps" Counter None OPERATOR
        "Calls that ended in a trap"
    Deadlines "deadlines" Counter None OPERATOR
        "Calls that missed their deadline"
    MemoryRefusals "memory_refusals" Counter None OPERATOR
        "Calls that failed after memory above the limit was refused"
    OutputRefusals "output_refusals" Counter None OPERATOR
        "Calls that handed back more bytes than the limit"
    WrongLengths "wrong_lengths" Counter None OPERATOR
        "Calls that returned another number of outcomes than messages"
    Bisections "bisections" Counter None OPERATOR
        "Batches taken apart to find the message that made the plugin fail"
    InstancesCreated "instances_created" Counter None OPERATOR
        "Instances of the component that were started and configured"
    InstancesDiscarded "instances_discarded" Counter None DISCARDED
        "Instances thrown away, by reason"
    Instances "instances" Gauge None OPERATOR
        "Live instances"
    MemoryBytes "memory" Gauge Bytes OPERATOR
        "Linear memory of the live instances"
    Swaps "swaps" Counter None OPERATOR
        "Times that a lane went on with a new version of the plugin"
    SwapsRefused "swaps_refused" Counter None OPERATOR
        "New versions of the plugin that were not taken; the old one went on"
    Rollbacks "rollbacks" Counter None OPERATOR
        "New versions of the plugin that this host took back because messages failed or calls took long"
    ReceiptsFailed "receipts_failed" Counter None OPERATOR
        "Receipts of swaps that could not be completed"
    ShadowCompared "shadow_compared" Counter None OPERATOR
        "Outputs of a shadow that were compared with those of the live pipeline"
    ShadowDifferences "shadow_differences" Counter None OPERATOR
        "Outputs of a shadow that differ from those of the live pipeline, or are on one side only"
    ShadowNotCompared "shadow_not_compared" Counter None OPERATOR
        "Outputs of a shadow that could not be compared"
    LogEntries "log_entries" Counter None OPERATOR
        "Entries and lines that the plugin logged"
    LogSuppressed "log_suppressed" Counter None OPERATOR
        "Entries and lines above the rate limit, which are not in the log"
    MetricsRefused "metrics_refused" Counter None OPERATOR
        "Metric calls of the plugin refused for their name or for being the 65th name"
    HttpRequests "http_requests" Counter None OPERATOR
        "HTTP requests that the plugin wanted to send"
    HttpDenied "http_denied" Counter None OPERATOR
        "HTTP requests denied: to a server that is not granted, or to an address that its name must not lead to"
    HttpFailed "http_failed" Counter None OPERATOR
        "HTTP requests that ended without a response, or without all of its body"
    PluginCounter "plugin_counter" Counter None PLUGIN
        "Counters of the plugin, by the name it gave"
    PluginGauge "plugin_gauge" Gauge None PLUGIN
        "Gauges of the plugin, by the name it gave"
    PluginHistogram "plugin_histogram" Histogram None PLUGIN
        "Observations of the plugin, by the name it gave"
}

impl Name {
    /// The name as it stands on `/metrics`, without the `_bucket`, `_sum` and `_count` of histograms.
    #[must_use]
    pub fn full(self) -> String {
        let spec = self.spec();
        let unit = match spec.unit {
            Unit::None => "",
            Unit::Bytes => "_bytes",
            Unit::Seconds => "_seconds",
        };
        let total = if spec.kind == Kind::Counter {
            "_total"
        } else {
            ""
        };
        format!("{PREFIX}_{}{unit}{total}", spec.stem)
    }
}

/// The reference page, in Markdown.
#[must_use]
pub fn reference() -> String {
    let mut page = String::from(
        "# Metrics\n\n\
         Generated by `weir metrics`; edit `host/src/telemetry/names.rs` instead.\n\n\
         `weir run` serves these in the OpenMetrics text format at `http://127.0.0.1:9464/metrics` \
         (`--metrics-listen`), beside `/live` and `/ready`. A series exists from the start of its \
         pipeline, so that a counter which never moved reads 0 rather than being absent.\n\n\
         | name | type | labels | meaning |\n|---|---|---|---|\n",
    );
    for name in Name::ALL {
        let spec = name.spec();
        let kind = spec.kind.as_str();
        let labels = spec
            .labels
            .iter()
            .map(|label| format!("`{label}`"))
            .collect::<Vec<_>>()
            .join(", ");
        // Writing to a string does not fail.
        let _ = writeln!(
            page,
            "| `{}` | {kind} | {labels} | {} |",
            name.full(),
            spec.help
        );
    }
    page
}
