//! The commands for an OCI registry.

use super::{Pull, Push, Upload};
use crate::cli::{Console, files};
use crate::config::component::InRegistry;
use crate::oci::{Pushed, Registry};
use crate::threads::block_on;
use anyhow::Result;
use serde_json::json;

pub(super) fn push(push: &Push, to: &InRegistry, upload: Upload, console: &Console) -> Result<()> {
    let registry = open(&push.reach, to)?;
    let Upload {
        bytes,
        found,
        contract,
        signature,
    } = upload;
    let is_signed = signature.is_some();
    let (pushed, digest) = block_on(registry.push(bytes, &found, signature, &push.tag))?;
    if console.json {
        let before = match &pushed {
            Pushed::Moved(before) => Some(before),
            Pushed::New | Pushed::AlreadyThere => None,
        };
        return console.value(&json!({
            "reference": to.to_string(),
            "manifest": digest,
            "digest": found.digest,
            "size": found.size,
            "contract": contract,
            "new": pushed != Pushed::AlreadyThere,
            "moved_from": before,
            "signed": is_signed,
            "tags": push.tag,
        }));
    }
    let how = match pushed {
        Pushed::New => String::new(),
        Pushed::AlreadyThere => ", already there".to_owned(),
        Pushed::Moved(before) => format!(", moved from {before}"),
    };
    console.print(&format!("{to}@{digest}{how}"))
}

pub(super) fn pull(pull: &Pull, from: &InRegistry, console: &Console) -> Result<()> {
    let found = block_on(open(&pull.reach, from)?.fetch())?;
    let name = from.repository.rsplit('/').next().unwrap_or("plugin");
    let file = pull.write(name, &found.bytes, found.signature.as_deref())?;
    let value = json!({
        "file": file,
        "manifest": found.digest,
        "digest": blake3::hash(&found.bytes).to_hex().as_str(),
        "signed": found.signature.is_some(),
    });
    console.answer(&value, &format!("{}: {}", file.display(), found.digest))
}

pub(super) fn list(reach: &files::Reach, location: &InRegistry, console: &Console) -> Result<()> {
    let tags = block_on(open(reach, location)?.tags())?;
    console.answer(&json!({ "tags": tags }), &tags.join("\n"))
}

/// The `nats:` section of a file names the root certificates to trust in addition to the system's.
fn open(reach: &files::Reach, location: &InRegistry) -> Result<Registry> {
    Registry::open(location, reach.authority()?.as_deref())
}
