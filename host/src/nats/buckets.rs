//! Buckets of JetStream: found, or created by the first host that needs them.

mod keys;
mod objects;

pub(super) use keys::{Entry, Keys, Write};
pub(super) use objects::{Objects, Stored};

use super::Connection;
use super::streams::jetstream;
use crate::report;
use anyhow::anyhow;

/// `kind` is what the name of the bucket's stream begins with.
fn cannot_make(bucket: &str, kind: &str, error: &str) -> anyhow::Error {
    let error = anyhow!("{error}").context(format!("cannot create the bucket `{bucket}`"));
    let action = format!("allow this user to create the stream `{kind}_{bucket}`, or create it");
    report::hint(error, action)
}
