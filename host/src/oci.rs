//! Components in OCI registries: fetch, push, list.
//!
//! A pushed artifact has the layout of the CNCF's WebAssembly working group
//! (<https://tag-runtime.cncf.io/wgs/wasm/deliverables/wasm-oci-artifact/>), with exactly one layer, which
//! `wkg` and other clients read. The signature is an annotation of that layer: with a second layer those
//! clients would refuse the artifact.
//!
//! Only this module imports `oci_client`. A registry on this machine is accessed over plain HTTP, every
//! other over TLS.

mod access;
mod layout;

use crate::config::component::InRegistry;
use crate::plugin::Inspection;
use crate::report::ResultExt;
use access::{client, credentials, explained};
use anyhow::{Context, Result, anyhow};
use futures_util::StreamExt;
use oci_client::manifest::{OciDescriptor, OciImageManifest};
use oci_client::secrets::RegistryAuth;
use oci_client::{Client, Reference};
use std::path::Path;
use std::time::Duration;

/// The largest component that is fetched or read: many times the size of one with the largest language runtime.
pub const LARGEST: u64 = 256 << 20;
/// Timeout of a whole fetch, push or listing.
const WHOLE: Duration = Duration::from_secs(300);
/// Tags per request.
const PAGE: usize = 500;
/// The maximum number of tags that are listed.
const MOST_TAGS: usize = 10_000;

/// A component from a registry.
#[derive(Debug)]
pub struct Fetched {
    pub bytes: Vec<u8>,
    /// Its minisign signature, if it was pushed with one.
    pub signature: Option<String>,
    /// The SHA-256 of the manifest.
    pub digest: String,
}

/// What the tag named before a push.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pushed {
    New,
    /// The same component with the same signature.
    AlreadyThere,
    /// Another manifest, with this digest.
    Moved(String),
}

/// One reference of one registry.
pub struct Registry {
    client: Client,
    credentials: RegistryAuth,
    location: InRegistry,
    reference: Reference,
}

impl Registry {
    /// Prepares access to a registry with the user's credentials; `ca` is a file with root certificates in
    /// addition to the system's. Sends nothing yet.
    ///
    /// # Errors
    /// If the credentials or the root certificates cannot be read.
    pub fn open(location: &InRegistry, ca: Option<&Path>) -> Result<Self> {
        let what = || format!("cannot reach the registry `{}`", location.registry);
        Ok(Self {
            client: client(location, ca).with_context(what)?,
            credentials: credentials(&location.registry).with_context(what)?,
            reference: reference(location),
            location: location.clone(),
        })
    }

    /// The digest of the manifest that the reference currently names.
    ///
    /// # Errors
    /// If there is none, or the registry does not answer.
    pub async fn digest(&self) -> Result<String> {
        self.within(self.manifest_digest())
            .await
            .with_context(|| format!("cannot find `{}`", self.location))
    }

    async fn manifest_digest(&self) -> Result<String> {
        let asked = self
            .client
            .fetch_manifest_digest(&self.reference, &self.credentials);
        asked
            .await
            .map_err(|error| explained(error, &self.location))
    }

    /// The component and its signature.
    ///
    /// # Errors
    /// If it does not exist, is not a component, is too large, or does not match its digest.
    pub async fn fetch(&self) -> Result<Fetched> {
        self.within(self.fetch_unbounded())
            .await
            .with_context(|| format!("cannot fetch `{}`", self.location))
    }

    async fn fetch_unbounded(&self) -> Result<Fetched> {
        let (manifest, digest) = self.manifest().await?;
        let layer = layout::component_of(&manifest)?;
        let bytes = self.blob(layer).await?;
        Ok(Fetched {
            bytes,
            signature: layout::signature(layer),
            digest,
        })
    }

    async fn manifest(&self) -> Result<(OciImageManifest, String)> {
        let asked = self
            .client
            .pull_image_manifest(&self.reference, &self.credentials);
        asked
            .await
            .map_err(|error| explained(error, &self.location))
    }

    /// Downloads a layer and verifies its digest.
    async fn blob(&self, layer: &OciDescriptor) -> Result<Vec<u8>> {
        let size = u64::try_from(layer.size).unwrap_or(u64::MAX);
        if size > LARGEST {
            let (size, most) = (bytesize::ByteSize(size), bytesize::ByteSize(LARGEST));
            return Err(anyhow!(
                "it has {size}, more than the limit of {most} for a component"
            ));
        }
        let asked = self.client.pull_blob_stream(&self.reference, layer);
        let asked = asked
            .await
            .map_err(|error| explained(error, &self.location))?;
        let mut stream = asked.stream;
        let mut bytes = Vec::new();
        while let Some(chunk) = stream.next().await {
            let chunk = chunk.map_err(access::broken)?;
            if (bytes.len() + chunk.len()) as u64 > size {
                return Err(anyhow!(
                    "the registry sends more than the {size} bytes that it has announced"
                ));
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes)
    }

    /// Stores a component under the reference's tag and under further tags. `found` is the result of
    /// [`crate::plugin::inspect`] for its bytes.
    ///
    /// # Errors
    /// If the registry refuses it.
    pub async fn push(
        &self,
        bytes: Vec<u8>,
        found: &Inspection,
        signature: Option<String>,
        tags: &[String],
    ) -> Result<(Pushed, String)> {
        self.within(self.push_unbounded(bytes, found, signature, tags))
            .await
            .with_context(|| format!("cannot push to `{}`", self.location))
    }

    async fn push_unbounded(
        &self,
        bytes: Vec<u8>,
        found: &Inspection,
        signature: Option<String>,
        tags: &[String],
    ) -> Result<(Pushed, String)> {
        let artifact = layout::artifact(bytes, found, signature)?;
        let before = self.before().await?;
        let is_same = before
            .as_ref()
            .is_some_and(|(before, _)| artifact.is(before));
        let (manifest, pushed) = match before {
            Some((before, _)) if is_same => (before, Pushed::AlreadyThere),
            Some((_, digest)) => (artifact.manifest, Pushed::Moved(digest)),
            None => (artifact.manifest, Pushed::New),
        };
        if pushed != Pushed::AlreadyThere {
            let (layers, config) = (&[artifact.layer], artifact.config);
            let manifest = Some(manifest.clone());
            self.client
                .push(&self.reference, layers, config, &self.credentials, manifest)
                .await
                .map_err(|error| explained(error, &self.location))?;
        }
        for tag in tags {
            let location = self.location.tagged(tag);
            self.client
                .push_manifest(&reference(&location), &manifest.clone().into())
                .await
                .map_err(|error| explained(error, &location))
                .with_context(|| format!("cannot tag it as `{tag}`"))?;
        }
        Ok((pushed, self.manifest_digest().await?))
    }

    /// What the tag names before a push.
    async fn before(&self) -> Result<Option<(OciImageManifest, String)>> {
        // A token for pushing is also valid for pulling, and is requested once.
        let operation = oci_client::RegistryOperation::Push;
        let login = self
            .client
            .auth(&self.reference, &self.credentials, operation);
        login
            .await
            .map_err(|error| explained(error, &self.location))?;
        let asked = self
            .client
            .pull_image_manifest(&self.reference, &self.credentials);
        match asked.await {
            Ok(found) => Ok(Some(found)),
            Err(error) if access::is_missing(&error) => Ok(None),
            Err(error) => Err(explained(error, &self.location)),
        }
    }

    /// The tags of the repository, in the registry's order.
    ///
    /// # Errors
    /// If there is no such repository, or the registry does not answer.
    pub async fn tags(&self) -> Result<Vec<String>> {
        self.within(self.tags_unbounded())
            .await
            .with_context(|| format!("cannot list `{}`", self.location.whole_repository()))
    }

    async fn tags_unbounded(&self) -> Result<Vec<String>> {
        let mut all: Vec<String> = Vec::new();
        loop {
            let last = all.last().map(String::as_str);
            let page = self
                .client
                .list_tags(&self.reference, &self.credentials, Some(PAGE), last);
            let page = page
                .await
                .map_err(|error| explained(error, &self.location))?;
            // Some registries do not support pages and return everything again.
            let fresh: Vec<String> = page
                .tags
                .into_iter()
                .filter(|tag| !all.contains(tag))
                .collect();
            if fresh.is_empty() || all.len() > MOST_TAGS {
                return Ok(all);
            }
            all.extend(fresh);
        }
    }

    async fn within<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        match tokio::time::timeout(WHOLE, work).await {
            Ok(done) => done,
            Err(_) => Err(anyhow!("it takes longer than {} s", WHOLE.as_secs()))
                .hint(|| format!("check whether `{}` is available", self.location.registry)),
        }
    }
}

/// The reference in the client's form. A digest overrides a tag.
fn reference(location: &InRegistry) -> Reference {
    let (registry, repository) = (location.registry.clone(), location.repository.clone());
    match (&location.digest, &location.tag) {
        (Some(digest), _) => Reference::with_digest(registry, repository, digest.clone()),
        (None, Some(tag)) => Reference::with_tag(registry, repository, tag.clone()),
        (None, None) => Reference::with_tag(registry, repository, "latest".to_owned()),
    }
}
