//! The bytes of a component, from wherever its reference leads: for who loads one before anything
//! runs. Waits for servers; hosts that follow a tag fetch by themselves (`rollout/follow.rs`).

use crate::config::component::{InBucket, InRegistry, Reference};
use crate::config::resolved::Nats;
use crate::nats::registry::Registry as Bucket;
use crate::oci::Registry;
use crate::threads;
use crate::{nats, signature};
use anyhow::{Context, Result, anyhow};

/// A component as it was found.
pub struct Component {
    pub bytes: Vec<u8>,
    /// Names it in errors and logs.
    pub origin: String,
    /// Of minisign, where there is one.
    pub signature: Option<String>,
}

/// Reads or fetches what a reference names now. `nats` is where buckets are, and whose authorities
/// are trusted.
///
/// # Errors
/// When it is not there, or where it is cannot be reached.
pub fn fetch(reference: &Reference, nats: Option<&Nats>) -> Result<Component> {
    let origin = reference.to_string();
    match reference {
        Reference::File(file) => Ok(Component {
            bytes: std::fs::read(file).with_context(|| format!("cannot read plugin `{origin}`"))?,
            signature: signature::beside(file)?,
            origin,
        }),
        Reference::Bucket(place) => {
            let nats = nats.context("nothing sound says where its bucket is")?;
            let (bytes, signature) = wait(async || from_bucket(nats, place).await)?;
            Ok(Component {
                bytes,
                origin,
                signature,
            })
        }
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

/// Waits for the end of asynchronous work, on a thread of its own: the caller's may have a runtime.
///
/// # Errors
/// Those of the work.
fn wait<T: Send>(work: impl AsyncFnOnce() -> Result<T> + Send) -> Result<T> {
    let alone = || threads::block_on(work());
    std::thread::scope(|scope| {
        let thread = scope.spawn(alone);
        thread.join().unwrap_or_else(|_| {
            Err(anyhow!(
                "fetching a plugin panicked; this is a fault of weir"
            ))
        })
    })
}
