//! Every metric, in one enum: name, type, unit, labels, meaning.
//!
//! `weir metrics` prints the reference page `docs/metrics.md` from this table; a test fails if the two
//! differ. A name is public: renaming one is a breaking change.

use std::fmt::Write as _;

/// The prefix of all metric names.
pub const PREFIX: &str = "weir";

/// How a metric behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only grows while the process runs. Its samples end in `_total`.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts observations in buckets.
    Histogram,
}

impl Kind {
    /// The name of the type on `/metrics`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// The unit of a metric, unless it counts things. Part of the name.
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
    /// One sentence without a full stop.
    pub help: &'static str,
}

const PROCESS: &[&str] = &[];
const BUILD: &[&str] = &["version", "contract"];
const PIPELINE: &[&str] = &["pipeline"];
const OPERATOR: &[&str] = &["pipeline", "operator"];
const SOURCE: &[&str] = &["pipeline", "source"];
const FALLBACK: &[&str] = &["pipeline", "reason"];
const DISCARDED: &[&str] = &["pipeline", "operator", "reason"];
const PLUGIN: &[&str] = &["pipeline", "operator", "name"];

macro_rules! names {
    ($($variant:ident $stem:literal $kind:ident $unit:ident $labels:ident $help:literal)*) => {
        /// All metrics of weir.
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
        "Always 1; the labels name the running version"

    ClientsReplaced "clients_replaced" Counter None PROCESS
        "Clients for management that were replaced because their task had ended"
    LogEntriesLost "log_entries_lost" Counter None PROCESS
        "Log entries that could not be written to stderr"

    Running "running" Gauge None PIPELINE
        "1 while all lanes of the pipeline are running; 0 while it starts, waits to restart, or has failed"
    Connected "connected" Gauge None PIPELINE
        "1 while every connection of the pipeline to NATS is up, 0 while one is down"
    Stalled "stalled" Gauge None PIPELINE
        "1 while the pipeline has work and has settled nothing for `stalled-after`; `/ready` and `weir status` say what it waits for"
    Restarts "restarts" Counter None PIPELINE
        "Restarts of the pipeline after it could not continue"
    Reconnects "reconnects" Counter None PIPELINE
        "Reconnects of a lane's connection to NATS"

    Received "received" Counter None PIPELINE
        "Messages received from the source, including redeliveries"
    ReceivedBytes "received" Counter Bytes PIPELINE
        "Payload and header bytes received from the source"
    Redelivered "redelivered" Counter None PIPELINE
        "Messages received from the source that had been delivered before"
    Batches "batches" Counter None PIPELINE
        "Batches that were processed"
    Published "published" Counter None PIPELINE
        "Results, dead letters and parked inputs that JetStream acknowledged, including duplicates"
    PublishedBytes "published" Counter Bytes PIPELINE
        "Payload bytes of acknowledged results, dead letters and parked inputs"
    PublishDuplicates "publish_duplicates" Counter None PIPELINE
        "Results and dead letters that the server recognised as duplicates by their message id and did not store again; within a batch the server does not report duplicates"
    FastIngest "fast_ingest" Gauge None PIPELINE
        "1 if the stream of the results accepted batches (fast ingest) when the pipeline started, otherwise 0"
    FastIngestPublished "fast_ingest_published" Counter None PIPELINE
        "Results that JetStream acknowledged as part of a batch; included in the published ones"
    FastIngestRepeated "fast_ingest_repeated" Counter None PIPELINE
        "Results that were published again one by one because their batch had ended before them"
    FastIngestFallbacks "fast_ingest_fallbacks" Counter None FALLBACK
        "Times that a lane switched to publishing one by one for a while, because the server did not accept a batch: `disabled`, `unsupported`, `limit` or `broken`"
    PublishFailures "publish_failures" Counter None PIPELINE
        "Results, dead letters and parked inputs that were refused or not acknowledged in time; they are published again or retried"
    Acked "acked" Counter None PIPELINE
        "Inputs settled by an ack: published or dropped"
    Dropped "dropped" Counter None PIPELINE
        "Inputs for which the plugin emitted nothing"
    Retried "retried" Counter None PIPELINE
        "Retries that a plugin asked for"
    RetriedInfrastructure "retried_infrastructure" Counter None PIPELINE
        "Retries because publishing failed or a plugin could not be called"
    Parked "parked" Counter None PIPELINE
        "Inputs with a long retry delay that wait in the parking stream instead of the consumer"
    Unparked "unparked" Counter None PIPELINE
        "Parked inputs that came back when they were due"
    ParkedPending "parked_pending" Gauge None PIPELINE
        "Messages in the parking stream that are not due or not settled yet"
    JobCommits "job_commits" Counter None PIPELINE
        "Stored commits of a job's partitions, including claims of partitions"
    JobCommitsResolved "job_commits_resolved" Counter None PIPELINE
        "Commits of a job whose answer was lost and that proved to be stored; included in the commits"
    JobTakeovers "job_takeovers" Counter None PIPELINE
        "Partitions of a job that this host has claimed and recovered"
    JobTakeoversWarm "job_takeovers_warm" Counter None PIPELINE
        "Claims of partitions for which this host stood by or had the state on disk, so it read only the missing part"
    JobRecordsRead "job_records_read" Counter None PIPELINE
        "Records of changes and snapshots of key groups that claims and standbys read to bring the state of a partition up to date with its log"
    JobStatesDiscarded "job_states_discarded" Counter None PIPELINE
        "States on disk that were discarded because they were damaged, of another job or of another version of weir; the host reads them from the stream of the job"
    JobStandbys "job_standbys" Gauge None PIPELINE
        "Partitions of a job that another host owns and whose log this host follows"
    JobStandbysLevel "job_standbys_level" Gauge None PIPELINE
        "Standbys of this host that have all records of the log that the host knows of"
    JobStandbyStateBytes "job_standby_state" Gauge Bytes PIPELINE
        "Bytes of the state of all partitions that this host stands by for, counted like the state of owned partitions"
    JobDeposed "job_deposed" Counter None PIPELINE
        "Partitions of a job that another host has claimed while this one owned them"
    JobFailures "job_failures" Counter None PIPELINE
        "Requests of a job to the server that failed and were repeated: reads, commits and purges"
    JobBatchesAbandoned "job_batches_abandoned" Counter None PIPELINE
        "Commits of a job, of this host or another, that the server abandoned because they were not complete in time; it stores nothing of them"
    JobForwarded "job_forwarded" Counter None PIPELINE
        "Results and dead letters of a job that were forwarded and acknowledged (`forward: true`), including duplicates"
    JobForwardDuplicates "job_forward_duplicates" Counter None PIPELINE
        "Forwarded results and dead letters that the server recognised as duplicates and did not store again"
    JobForwardFailures "job_forward_failures" Counter None PIPELINE
        "Times that a result or a dead letter of a job could not be forwarded; the host tries again, and later ones wait"
    JobViewSkipped "job_view_skipped" Counter None PIPELINE
        "Times that a result or a value of the state is not in a view: it lacks a part of the key, or is too long"
    ViewWatchers "view_watchers" Gauge None PIPELINE
        "Watchers of the pipeline's views at this host"
    ViewWatchersEnded "view_watchers_ended" Counter None PIPELINE
        "Watches of views that the host ended: it could not read the bucket any more, or the watcher was too slow"
    JobPartitionsFailing "job_partitions_failing" Gauge None PIPELINE
        "Partitions of this host that failed for a lasting reason; the host tries each again with growing pauses while the others continue"
    JobCommitLatency "job_commit" Histogram Seconds PIPELINE
        "From the creation of a commit until the host knows that it is stored"
    JobPaused "job_paused" Gauge None PIPELINE
        "1 if the operator has paused the job, which then processes nothing on any host"
    JobStateRows "job_state_rows" Gauge None PIPELINE
        "Values, timers and messages that wait in the state of all partitions that this host owns"
    JobStateKeys "job_state_keys" Gauge None PIPELINE
        "Keys with values in the state of all partitions that this host owns, counted for each operator"
    JobStateBytes "job_state" Gauge Bytes PIPELINE
        "Bytes of the state of all partitions that this host owns, in memory or on disk, as they count against their budgets"
    JobLogRecords "job_log_records" Gauge None PIPELINE
        "Deltas in the logs of all partitions that this host owns: a failover without a standby reads these in addition to snapshots"
    JobLogBytes "job_log" Gauge Bytes PIPELINE
        "Bytes of these deltas"
    MessagesWithoutKey "messages_without_key" Counter None PIPELINE
        "Messages that lack a part of the `key` of their source; `on-missing-key` says what becomes of them; a redelivery counts again"
    EventTimesInvalid "event_times_invalid" Counter None PIPELINE
        "Messages without a valid event time (`event-time`): missing, not a time, or not from 1970 to 2262; a redelivery counts again"
    EventTimesAhead "event_times_ahead" Counter None PIPELINE
        "Messages of a job whose event time is further ahead of the clock than `watermark.max-ahead`; they are processed and do not move the watermark"
    Watermark "watermark" Gauge Seconds PIPELINE
        "The least watermark of the partitions of a job that this host owns, in seconds since 1970; 0 before the first watermark"
    EventTimeLag "event_time_lag" Gauge Seconds PIPELINE
        "How far the watermark is behind the clock of this host; it grows while no message comes"
    Dead "dead" Counter None PIPELINE
        "Dead letters that JetStream acknowledged"
    Termed "termed" Counter None PIPELINE
        "Inputs settled by a term: they became dead letters, or were rejected while dead letters are off"
    InProgressSent "in_progress_sent" Counter None PIPELINE
        "In-progress acks that prevented the redelivery of slow messages"
    UnsettledDropped "unsettled_dropped" Counter None PIPELINE
        "Inputs released without settlement, because of a stop without a connection or a bug in the host; JetStream redelivers them"
    InFlight "in_flight" Gauge None PIPELINE
        "Messages between pull and settlement"
    InFlightBytes "in_flight" Gauge Bytes PIPELINE
        "Bytes of messages between pull and settlement"
    Lag "lag" Gauge None PIPELINE
        "Messages in the stream that the consumer has not delivered yet"
    SourceLag "source_lag" Gauge None SOURCE
        "The same for each of the `sources` of a job: messages of its stream that this host has not read for its partitions"
    AckPending "ack_pending" Gauge None PIPELINE
        "Messages delivered to any host and not settled yet, according to the server"
    MissedHeartbeats "missed_heartbeats" Counter None PIPELINE
        "Times the server missed heartbeats during a pull"
    PullErrors "pull_errors" Counter None PIPELINE
        "Pulls that ended in an error and were repeated"
    LateMessages "late_messages" Counter None PIPELINE
        "Messages of a job that were too late for all their windows, with or without `late`"
    Latency "latency" Histogram Seconds PIPELINE
        "From the time JetStream stored an input to its settlement"

    Calls "calls" Counter None OPERATOR
        "Calls of the plugin's process, including bisection"
    Messages "messages" Counter None OPERATOR
        "Messages passed to the plugin, including bisection"
    CallSeconds "call" Histogram Seconds OPERATOR
        "Time of one batch call, including the border"
    Traps "traps" Counter None OPERATOR
        "Calls that ended in a trap"
    Deadlines "deadlines" Counter None OPERATOR
        "Calls that missed their deadline"
    MemoryRefusals "memory_refusals" Counter None OPERATOR
        "Calls that failed after a memory allocation above the limit was refused"
    OutputRefusals "output_refusals" Counter None OPERATOR
        "Calls that returned more bytes than the limit"
    WrongLengths "wrong_lengths" Counter None OPERATOR
        "Calls that returned a wrong number of outcomes"
    Bisections "bisections" Counter None OPERATOR
        "Batches that were split to find the message that makes the plugin fail"
    InstancesCreated "instances_created" Counter None OPERATOR
        "Instances of the component that were started and configured"
    InstancesDiscarded "instances_discarded" Counter None DISCARDED
        "Discarded instances, by reason"
    Instances "instances" Gauge None OPERATOR
        "Live instances"
    MemoryBytes "memory" Gauge Bytes OPERATOR
        "Linear memory of the live instances"
    Swaps "swaps" Counter None OPERATOR
        "Times that a lane switched to a new version of the plugin"
    SwapsRefused "swaps_refused" Counter None OPERATOR
        "New versions of the plugin that were refused; the old version kept running"
    Rollbacks "rollbacks" Counter None OPERATOR
        "New versions of the plugin that this host rolled back because of failed messages or slow calls"
    ReceiptsFailed "receipts_failed" Counter None OPERATOR
        "Receipts of swaps that could not be completed"
    ShadowCompared "shadow_compared" Counter None OPERATOR
        "Outputs of a shadow that were compared with those of the live pipeline"
    ShadowDifferences "shadow_differences" Counter None OPERATOR
        "Outputs of a shadow that differ from those of the live pipeline, or exist only on one side"
    ShadowNotCompared "shadow_not_compared" Counter None OPERATOR
        "Outputs of a shadow that could not be compared"
    ShadowStateDifferences "shadow_state_differences" Gauge None OPERATOR
        "Values and timers that differ between a job and its shadow on this host, when they were compared last"
    LogEntries "log_entries" Counter None OPERATOR
        "Entries and lines that the plugin logged"
    LogSuppressed "log_suppressed" Counter None OPERATOR
        "Entries and lines above the rate limit, which were not logged"
    MetricsRefused "metrics_refused" Counter None OPERATOR
        "Metric calls of the plugin that were refused because of an invalid name or more than 64 names"
    HttpRequests "http_requests" Counter None OPERATOR
        "HTTP requests of the plugin, including denied and failed ones"
    HttpDenied "http_denied" Counter None OPERATOR
        "HTTP requests that were denied because of the server or the address that its name resolves to"
    HttpFailed "http_failed" Counter None OPERATOR
        "HTTP requests that ended without a complete response"
    PluginCounter "plugin_counter" Counter None PLUGIN
        "Counters of the plugin, by name"
    PluginGauge "plugin_gauge" Gauge None PLUGIN
        "Gauges of the plugin, by name"
    PluginHistogram "plugin_histogram" Histogram None PLUGIN
        "Observations of the plugin, by name"
}

impl Name {
    /// The name on `/metrics`, without the `_bucket`, `_sum` and `_count` of histograms.
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
         pipeline, so a counter that never moved is 0 and not absent.\n\n\
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
