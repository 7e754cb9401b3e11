//! Limits of the server, the account and the stream: the meaning of a refusal, and the key that fixes it.
//!
//! Pure. [`PullLimits`] is what a consumer allows a pull to ask for.

use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::consumer::Config;
use std::time::Duration;

/// What to do about a stream or a consumer that the server refuses to make. `section` has the settings:
/// `source`, `sink`, ...
pub(super) fn hint(code: ErrorCode, section: &str) -> Option<String> {
    let hint = match code {
        ErrorCode::CONSUMER_MAX_PENDING_ACK_EXCESS => {
            "set `source.max-ack-pending` to a value that the server, the account and the stream allow".to_owned()
        }
        ErrorCode::STREAM_MAX_BYTES_REQUIRED => {
            format!("the account needs a bound: set `{section}.create: {{ max-bytes: 1GiB }}`")
        }
        ErrorCode::STREAM_MAX_STREAM_BYTES_EXCEEDED
        | ErrorCode::STORAGE_RESOURCES_EXCEEDED
        | ErrorCode::MEMORY_RESOURCES_EXCEEDED
        | ErrorCode::INSUFFICIENT_RESOURCES
        | ErrorCode::ACCOUNT_RESOURCES_EXCEEDED => {
            format!("set `{section}.create: {{ max-bytes: ... }}` to at most the remaining space, or raise the account's limit")
        }
        ErrorCode::MAXIMUM_STREAMS_LIMIT => {
            "raise the account's `max_streams`, or let another stream capture the subject".to_owned()
        }
        ErrorCode::MAXIMUM_CONSUMERS_LIMIT => {
            "raise `max_consumers` of the account or the stream, or delete a consumer that nobody uses".to_owned()
        }
        ErrorCode::CLUSTER_NO_PEERS | ErrorCode::STREAM_REPLICAS_NOT_SUPPORTED => {
            format!("set `{section}.create: {{ replicas: ... }}` to at most the number of servers in the cluster")
        }
        ErrorCode::NO_LIMITS => "give the account limits for JetStream".to_owned(),
        _ => return None,
    };
    Some(hint)
}

/// What a pull may ask for at most; `None` where there is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PullLimits {
    pub messages: Option<usize>,
    pub bytes: Option<usize>,
    pub expires: Option<Duration>,
}

impl PullLimits {
    /// Those of a consumer. The server puts its own there.
    pub(super) fn of(config: &Config) -> Self {
        let positive = |limit: i64| usize::try_from(limit).ok().filter(|limit| *limit > 0);
        Self {
            messages: positive(config.max_batch),
            bytes: positive(config.max_bytes),
            expires: Some(config.max_expires).filter(|expires| !expires.is_zero()),
        }
    }

    /// Takes in what the server says of a pull that asked for too much: the limit was set since. Whether it
    /// says that.
    pub fn learn(&mut self, text: &str) -> bool {
        let limit = |name: &str| text.strip_prefix("Exceeded MaxRequest")?.strip_prefix(name);
        if let Some(number) = limit("Batch of ").and_then(|text| text.trim().parse().ok()) {
            self.messages = Some(number);
        } else if let Some(number) = limit("MaxBytes of ").and_then(|text| text.trim().parse().ok())
        {
            self.bytes = Some(number);
        } else if let Some(time) = limit("Expires of ").and_then(|text| go_duration(text.trim())) {
            self.expires = Some(time);
        } else {
            return false;
        }
        true
    }
}

/// A duration as Go prints it: `1m30s`, `1.5s`, `250ms`.
fn go_duration(text: &str) -> Option<Duration> {
    let (mut rest, mut seconds) = (text, 0.0);
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, behind) = rest.split_at(end);
        let unit = behind
            .find(|c: char| c.is_ascii_digit())
            .unwrap_or(behind.len());
        let (unit, left) = behind.split_at(unit);
        let factor = match unit {
            "h" => 3600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 1e-3,
            "µs" | "us" => 1e-6,
            "ns" => 1e-9,
            _ => return None,
        };
        seconds += number.parse::<f64>().ok()? * factor;
        rest = left;
    }
    Duration::try_from_secs_f64(seconds)
        .ok()
        .filter(|it| !it.is_zero())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_of_the_server_is_learnt_as_the_limit_that_it_names() {
        let mut limits = PullLimits::default();
        assert!(limits.learn("Exceeded MaxRequestBatch of 100"));
        assert!(limits.learn("Exceeded MaxRequestMaxBytes of 65536"));
        assert!(limits.learn("Exceeded MaxRequestExpires of 1m1.5s"));
        let learnt = PullLimits {
            messages: Some(100),
            bytes: Some(65536),
            expires: Some(Duration::from_millis(61_500)),
        };
        assert_eq!(limits, learnt);
        for other in [
            "Exceeded MaxWaiting",
            "Exceeded MaxRequestBatch of many",
            "",
        ] {
            assert!(!limits.learn(other), "{other}");
        }
        assert_eq!(limits, learnt);
    }

    #[test]
    fn durations_of_go_are_read() {
        assert_eq!(go_duration("250ms"), Some(Duration::from_millis(250)));
        assert_eq!(go_duration("1h0m0s"), Some(Duration::from_secs(3600)));
        for other in ["", "5", "s", "0s", "5 s", "-5s", "1e9h9"] {
            assert_eq!(go_duration(other), None, "{other}");
        }
    }
}
