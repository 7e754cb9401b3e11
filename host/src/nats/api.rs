//! The subjects of the JetStream API, under the prefix in a pipeline's `nats:` section: that of a domain, or
//! of an import from another account.
//!
//! This file makes every API subject that weir writes itself; the client makes the others, with the same
//! prefix. Acks need none: each delivery contains its reply subject.

use crate::config::resolved::Nats;
use std::fmt::Display;
use std::sync::Arc;

/// Makes the subjects of requests. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Api(Arc<str>);

impl Api {
    #[must_use]
    pub fn of(settings: &Nats) -> Self {
        Self(settings.api_prefix.as_str().into())
    }

    /// What every subject begins with, without the dot behind it.
    #[must_use]
    pub fn prefix(&self) -> &str {
        &self.0
    }

    #[must_use]
    pub fn stream_info(&self, stream: &str) -> String {
        self.subject(format_args!("STREAM.INFO.{stream}"))
    }

    #[must_use]
    pub fn stream_create(&self, stream: &str) -> String {
        self.subject(format_args!("STREAM.CREATE.{stream}"))
    }

    #[must_use]
    pub fn stream_update(&self, stream: &str) -> String {
        self.subject(format_args!("STREAM.UPDATE.{stream}"))
    }

    #[must_use]
    pub fn stream_purge(&self, stream: &str) -> String {
        self.subject(format_args!("STREAM.PURGE.{stream}"))
    }

    #[must_use]
    pub fn stream_names(&self) -> String {
        self.subject("STREAM.NAMES")
    }

    /// Where one stored message is asked for.
    #[must_use]
    pub fn message(&self, stream: &str) -> String {
        self.subject(format_args!("STREAM.MSG.GET.{stream}"))
    }

    /// Where stored messages are asked for that any replica may answer with.
    #[must_use]
    pub fn direct_get(&self, stream: &str) -> String {
        self.subject(format_args!("DIRECT.GET.{stream}"))
    }

    #[must_use]
    pub fn consumer_info(&self, stream: &str, consumer: &str) -> String {
        self.subject(format_args!("CONSUMER.INFO.{stream}.{consumer}"))
    }

    /// `consumer` is its name, with a dot and its filter if it has exactly one; `>` in a hint.
    #[must_use]
    pub fn consumer_create(&self, stream: &str, consumer: &str) -> String {
        self.subject(format_args!("CONSUMER.CREATE.{stream}.{consumer}"))
    }

    /// Where a consumer without a name is made.
    #[must_use]
    pub fn ephemeral(&self, stream: &str) -> String {
        self.subject(format_args!("CONSUMER.CREATE.{stream}"))
    }

    #[must_use]
    pub fn consumer_delete(&self, stream: &str, consumer: &str) -> String {
        self.subject(format_args!("CONSUMER.DELETE.{stream}.{consumer}"))
    }

    /// Where a pull is asked for.
    #[must_use]
    pub fn next(&self, stream: &str, consumer: &str) -> String {
        self.subject(format_args!("CONSUMER.MSG.NEXT.{stream}.{consumer}"))
    }

    fn subject(&self, request: impl Display) -> String {
        format!("{}.{request}", self.0)
    }
}
