//! `weir plugin push|pull|list|tag`: plugins in a JetStream bucket or an OCI registry, depending on the
//! scheme of the reference.

mod bucket;
mod oci;

use super::standard;
use crate::cli::{Console, files};
use crate::config::component::{InBinary, InBucket, InRegistry, SCHEME, check_name, check_version};
use crate::plugin::{self, Inspection};
use crate::report;
use crate::signature;
use anyhow::{Context, Result, anyhow};
use std::path::{Path, PathBuf};

#[derive(clap::Args)]
#[command(after_help = "\
You cannot overwrite a version in a bucket, but you can push the same component again. If the bucket does \
not exist, the command creates it. A tag in a registry can move; the output says so.")]
pub(in crate::cli) struct Push {
    /// The component: a file, or a standard plugin as std:NAME.
    #[arg(value_name = "COMPONENT")]
    component: PathBuf,

    /// The target: nats://BUCKET/NAME@VERSION or oci://REGISTRY/REPOSITORY:TAG.
    #[arg(value_name = "REFERENCE", value_parser = pushed)]
    to: Store,

    /// Also point this tag to the version; hosts that follow the tag swap to it.
    #[arg(long, value_name = "TAG", value_parser = version)]
    tag: Vec<String>,

    /// The minisign signature to push with the component [default: COMPONENT.minisig, if it exists]
    #[arg(long, value_name = "FILE")]
    signature: Option<PathBuf>,

    /// Replicas of the bucket, if the command creates it.
    #[arg(long, value_name = "COUNT", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=5))]
    replicas: u8,

    #[command(flatten)]
    reach: files::Reach,
}

#[derive(clap::Args)]
#[command(after_help = "\
If the component was pushed with a signature, the command writes the signature to FILE.minisig.")]
pub(in crate::cli) struct Pull {
    /// nats://BUCKET/NAME@VERSION, or a tag instead of the version; or
    /// oci://REGISTRY/REPOSITORY:TAG@DIGEST, where the tag or the digest is optional.
    #[arg(value_name = "REFERENCE", value_parser = pulled)]
    from: Store,

    /// Where to write the component [default: NAME.wasm]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,

    #[command(flatten)]
    reach: files::Reach,
}

#[derive(clap::Args)]
#[command(group = clap::ArgGroup::new("listed").args(["location", "std"]).required(true))]
pub(in crate::cli) struct List {
    /// nats://BUCKET or oci://REGISTRY/REPOSITORY
    #[arg(value_name = "PLACE", value_parser = listed)]
    location: Option<Listing>,

    /// The standard plugins, which are part of weir.
    #[arg(long)]
    std: bool,

    #[command(flatten)]
    reach: files::Reach,
}

#[derive(clap::Args)]
pub(in crate::cli) struct Tag {
    /// The version: nats://BUCKET/NAME@VERSION.
    #[arg(value_name = "REFERENCE", value_parser = InBucket::parse)]
    version: InBucket,

    /// The tag to point to the version.
    #[arg(value_name = "TAG", value_parser = version)]
    tag: String,

    #[command(flatten)]
    reach: files::Reach,
}

/// The location of a component.
#[derive(Clone)]
enum Store {
    Bucket(InBucket),
    Registry(InRegistry),
}

/// A location with several components.
#[derive(Clone)]
enum Listing {
    Bucket(String),
    Repository(InRegistry),
}

fn pushed(text: &str) -> Result<Store, String> {
    match InRegistry::is_meant(text) {
        true => InRegistry::parse_tag(text).map(Store::Registry),
        false => InBucket::parse(text).map(Store::Bucket),
    }
}

fn pulled(text: &str) -> Result<Store, String> {
    if let Some(standard) = InBinary::parse(text) {
        let InBinary { name, .. } = standard?;
        return Err(format!(
            "`std:{name}` is part of weir: a pipeline names it, and `weir plugin push` copies it to a bucket"
        ));
    }
    match InRegistry::is_meant(text) {
        true => InRegistry::parse(text).map(Store::Registry),
        false => InBucket::parse(text).map(Store::Bucket),
    }
}

fn listed(text: &str) -> Result<Listing, String> {
    if InRegistry::is_meant(text) {
        return InRegistry::parse_repository(text).map(Listing::Repository);
    }
    let name = text.strip_prefix(SCHEME).unwrap_or(text);
    let name = name.strip_suffix('/').unwrap_or(name);
    check_name("bucket", name).map(|()| Listing::Bucket(name.to_owned()))
}

fn version(text: &str) -> Result<String, String> {
    check_version(text).map(|()| text.to_owned())
}

/// What is pushed.
struct Upload {
    bytes: Vec<u8>,
    found: Inspection,
    contract: &'static str,
    signature: Option<String>,
}

impl Push {
    pub(in crate::cli) fn run(&self, console: &Console) -> Result<u8> {
        let upload = self.upload()?;
        match &self.to {
            Store::Bucket(location) => bucket::push(self, location, upload, console)?,
            Store::Registry(location) => oci::push(self, location, upload, console)?,
        }
        Ok(report::DONE)
    }

    /// Reads the component, which must be a plugin, and its signature.
    fn upload(&self) -> Result<Upload> {
        let what = || format!("cannot push `{}`", self.component.display());
        let bytes = standard::component(&self.component)?;
        let found = plugin::inspect(&bytes).with_context(what)?;
        let contract = found.contract.clone();
        let contract = contract.map_err(|why| report::usage(anyhow!(why).context(what())))?;
        let signature = match &self.signature {
            Some(file) => Some(
                std::fs::read_to_string(file)
                    .with_context(|| format!("cannot read the signature `{}`", file.display()))?,
            ),
            None => signature::beside(&self.component)?,
        };
        if let Some(text) = &signature {
            signature::is_signature(text).with_context(what)?;
        }
        Ok(Upload {
            bytes,
            found,
            contract,
            signature,
        })
    }
}

impl Pull {
    pub(in crate::cli) fn run(&self, console: &Console) -> Result<u8> {
        match &self.from {
            Store::Bucket(location) => bucket::pull(self, location, console)?,
            Store::Registry(location) => oci::pull(self, location, console)?,
        }
        Ok(report::DONE)
    }

    /// Writes a component and its signature; `name` is its default name.
    fn write(&self, name: &str, bytes: &[u8], signature: Option<&str>) -> Result<PathBuf> {
        let usual = || PathBuf::from(format!("{name}.wasm"));
        let file = self.output.clone().unwrap_or_else(usual);
        // The signature first, because a host that watches the file needs both.
        if let Some(text) = signature {
            write(&signature::path_beside(&file), text.as_bytes())?;
        }
        write(&file, bytes)?;
        Ok(file)
    }
}

fn write(file: &Path, bytes: &[u8]) -> Result<()> {
    std::fs::write(file, bytes).with_context(|| format!("cannot write `{}`", file.display()))
}

impl List {
    pub(in crate::cli) fn run(&self, console: &Console) -> Result<u8> {
        match &self.location {
            Some(Listing::Bucket(bucket)) => bucket::list(&self.reach, bucket, console)?,
            Some(Listing::Repository(location)) => oci::list(&self.reach, location, console)?,
            None => {
                let (value, text) = standard::list()?;
                console.answer(&value, &text)?;
            }
        }
        Ok(report::DONE)
    }
}

impl Tag {
    pub(in crate::cli) fn run(&self, console: &Console) -> Result<u8> {
        bucket::tag(&self.reach, &self.version, &self.tag, console)?;
        Ok(report::DONE)
    }
}
