//! Loads the bytes of a component from a file, a bucket, a registry or the binary, before anything runs. Blocks on
//! servers; a running host that follows a tag fetches asynchronously (`rollout/follow.rs`).

use crate::config::component::{InBucket, InRegistry, Reference};
use crate::config::resolved::Nats;
use crate::nats::registry::Registry as Bucket;
use crate::oci::{LARGEST, Registry};
use crate::report::ResultExt;
use crate::threads;
use crate::{nats, signature, standard};
use anyhow::{Context, Result, anyhow};
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// A loaded component.
pub struct Component {
    pub bytes: Vec<u8>,
    /// Its name in errors and logs.
    pub origin: String,
    /// Its minisign signature, if there is one.
    pub signature: Option<String>,
}

/// Reads or fetches the component that a reference currently names. `nats` has the server of buckets and
/// the root certificates to trust.
///
/// # Errors
/// If it does not exist, or its server cannot be reached.
pub fn fetch(reference: &Reference, nats: Option<&Nats>) -> Result<Component> {
    let origin = reference.to_string();
    match reference {
        Reference::File(file) => Ok(Component {
            bytes: read(file)?,
            signature: signature::beside(file)?,
            origin,
        }),
        Reference::Bucket(place) => {
            let nats =
                nats.context("the `nats:` section with the server of its bucket is invalid")?;
            let (bytes, signature) = wait(async || from_bucket(nats, place).await)?;
            Ok(Component {
                bytes,
                origin,
                signature,
            })
        }
        Reference::Standard(place) => Ok(Component {
            bytes: standard::find(&place.name, place.version.as_deref())
                .usage()?
                .component()?,
            signature: None,
            origin,
        }),
        Reference::Registry(place) => {
            let (bytes, signature) = wait(async || from_registry(nats, place).await)?;
            Ok(Component {
                bytes,
                origin,
                signature,
            })
        }
    }
}

/// The bytes of a file.
///
/// # Errors
/// If it cannot be read, is none, or is larger than any component.
pub fn read(file: &Path) -> Result<Vec<u8>> {
    let what = || format!("cannot read plugin `{}`", file.display());
    // A pipe or a device would be read without end.
    if !std::fs::metadata(file).with_context(what)?.is_file() {
        return Err(anyhow!("it is not a file")).with_context(what);
    }
    let mut bytes = Vec::new();
    let opened = File::open(file).with_context(what)?;
    let read = opened.take(LARGEST + 1).read_to_end(&mut bytes);
    if read.with_context(what)? as u64 > LARGEST {
        let most = bytesize::ByteSize(LARGEST);
        return Err(anyhow!("it is larger than {most}")).with_context(what);
    }
    Ok(bytes)
}

async fn from_bucket(nats: &Nats, place: &InBucket) -> Result<(Vec<u8>, Option<String>)> {
    let connection = nats::connect(nats, "plugins").await?;
    let bucket = Bucket::open(&connection, &place.bucket).await?;
    let (_, found) = bucket.resolve(&place.name, &place.version).await?;
    Ok((bucket.fetch(&found).await?, found.signature))
}

async fn from_registry(
    nats: Option<&Nats>,
    place: &InRegistry,
) -> Result<(Vec<u8>, Option<String>)> {
    let ca = nats.and_then(|nats| nats.tls.ca.as_deref());
    let found = Registry::open(place, ca)?.fetch().await?;
    Ok((found.bytes, found.signature))
}

/// Runs asynchronous work to its end on a separate thread, because the caller's thread may have a
/// runtime.
///
/// # Errors
/// Those of the work.
fn wait<T: Send>(work: impl AsyncFnOnce() -> Result<T> + Send) -> Result<T> {
    let alone = || threads::block_on(work());
    std::thread::scope(|scope| {
        let thread = scope.spawn(alone);
        thread
            .join()
            .unwrap_or_else(|_| Err(anyhow!("fetching a plugin panicked; this is a bug in weir")))
    })
}
