//! The commands for a JetStream bucket.

use super::{Pull, Push, Upload};
use crate::cli::shown::{moment, short};
use crate::cli::{Console, files};
use crate::config::component::InBucket;
use crate::nats::registry::{Listed, Pushed, Registry};
use anyhow::Result;
use serde_json::json;
use std::collections::BTreeMap;
use std::fmt::Write;

pub(super) fn push(push: &Push, to: &InBucket, upload: Upload, console: &Console) -> Result<()> {
    let Upload {
        bytes,
        found,
        contract,
        signature,
    } = upload;
    let InBucket {
        bucket,
        name,
        version,
    } = to;
    let is_signed = signature.is_some();
    let pushed = push.reach.connected("plugins", async |connection| {
        let replicas = usize::from(push.replicas);
        let registry = Registry::open_or_make(&connection, bucket, replicas).await?;
        // Before anything is stored, because a pushed version is never deleted.
        for tag in &push.tag {
            registry.may_tag(name, version, tag).await?;
        }
        let pushed = registry
            .push(name, version, &bytes, contract, signature)
            .await?;
        for tag in &push.tag {
            registry.tag(name, version, tag).await?;
        }
        Ok(pushed)
    })?;
    if console.json {
        return console.value(&json!({
            "reference": to.to_string(),
            "digest": found.digest,
            "size": bytes.len(),
            "contract": contract,
            "new": pushed == Pushed::New,
            "signed": is_signed,
            "tags": push.tag,
        }));
    }
    let already = match pushed {
        Pushed::New => "",
        Pushed::AlreadyThere => ", already there",
        Pushed::SignedAnew => ", already there; replaced its signature",
    };
    console.print(&format!("{to} {}{already}", found.digest))
}

pub(super) fn pull(pull: &Pull, from: &InBucket, console: &Console) -> Result<()> {
    let InBucket {
        bucket,
        name,
        version,
    } = from;
    let (resolved, found, bytes) = pull.reach.connected("plugins", async |connection| {
        let registry = Registry::open(&connection, bucket).await?;
        let (resolved, found) = registry.resolve(name, version).await?;
        let bytes = registry.fetch(&found).await?;
        Ok((resolved, found, bytes))
    })?;
    let file = pull.write(name, &bytes, found.signature.as_deref())?;
    let value = json!({
        "file": file,
        "version": resolved,
        "digest": found.digest,
        "signed": found.signature.is_some(),
    });
    let text = format!("{}: {resolved} {}", file.display(), found.digest);
    console.answer(&value, &text)
}

pub(super) fn list(reach: &files::Reach, bucket: &str, console: &Console) -> Result<()> {
    let all = reach.connected("plugins", async |connection| {
        Registry::open(&connection, bucket).await?.list().await
    })?;
    console.answer(&all, &text(&all))
}

/// A line for each version, with its tags.
fn text(all: &BTreeMap<String, Listed>) -> String {
    let mut out = String::new();
    for (name, Listed { versions, tags }) in all {
        for (version, found) in versions {
            let named = tags.iter().filter(|(_, named)| *named == version);
            let named: Vec<&str> = named.map(|(tag, _)| tag.as_str()).collect();
            let named = match named.is_empty() {
                true => String::new(),
                false => format!("  [{}]", named.join(", ")),
            };
            let (digest, pushed) = (short(&found.digest), moment(&found.pushed));
            let signed = match found.signature {
                Some(_) => "  signed",
                None => "",
            };
            // Writing to a string does not fail.
            let _ = writeln!(
                out,
                "{name}@{version}  {digest}  {}  {}  {pushed}Z{signed}{named}",
                bytesize::ByteSize(found.size),
                found.contract,
            );
        }
    }
    out
}

pub(super) fn tag(
    reach: &files::Reach,
    version: &InBucket,
    tag: &str,
    console: &Console,
) -> Result<()> {
    reach.connected("plugins", async |connection| {
        let registry = Registry::open(&connection, &version.bucket).await?;
        registry.tag(&version.name, &version.version, tag).await
    })?;
    let text = format!("{}@{tag} is {}", version.name, version.version);
    console.answer(
        &json!({ "reference": version.to_string(), "tag": tag }),
        &text,
    )
}
