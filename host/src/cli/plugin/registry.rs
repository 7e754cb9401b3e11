//! `weir plugin push|pull|list|tag`: plugins in a bucket of JetStream.

use crate::cli::{Console, files};
use crate::config::component::{InBucket, SCHEME, check_name, check_version};
use crate::nats::registry::{Listed, Pushed, Registry};
use crate::nats::{self, Connection};
use crate::plugin;
use crate::report;
use anyhow::{Context, Result, anyhow};
use serde_json::json;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::PathBuf;

#[derive(clap::Args)]
#[command(after_help = "\
A version is never overwritten; the same component may be pushed again. The bucket is made if it is not \
there.")]
pub(in crate::cli) struct Push {
    /// The component.
    #[arg(value_name = "COMPONENT")]
    component: PathBuf,

    /// What it is to be called: nats://BUCKET/NAME@VERSION.
    #[arg(value_name = "REFERENCE", value_parser = InBucket::parse)]
    to: InBucket,

    /// Let this tag name the version; hosts that follow the tag take it.
    #[arg(long, value_name = "TAG", value_parser = version)]
    tag: Vec<String>,

    /// Copies that a bucket gets which has to be made.
    #[arg(long, value_name = "COUNT", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=5))]
    replicas: u8,

    #[command(flatten)]
    reach: files::Reach,
}

#[derive(clap::Args)]
pub(in crate::cli) struct Pull {
    /// nats://BUCKET/NAME@VERSION, or a tag in place of the version.
    #[arg(value_name = "REFERENCE", value_parser = InBucket::parse)]
    from: InBucket,

    /// Where it goes [default: NAME.wasm]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,

    #[command(flatten)]
    reach: files::Reach,
}

#[derive(clap::Args)]
pub(in crate::cli) struct List {
    /// nats://BUCKET
    #[arg(value_name = "BUCKET", value_parser = bucket)]
    bucket: String,

    #[command(flatten)]
    reach: files::Reach,
}

#[derive(clap::Args)]
pub(in crate::cli) struct Tag {
    /// The version: nats://BUCKET/NAME@VERSION.
    #[arg(value_name = "REFERENCE", value_parser = InBucket::parse)]
    version: InBucket,

    /// The tag that is to name it.
    #[arg(value_name = "TAG", value_parser = version)]
    tag: String,

    #[command(flatten)]
    reach: files::Reach,
}

fn version(text: &str) -> Result<String, String> {
    check_version(text).map(|()| text.to_owned())
}

fn bucket(text: &str) -> Result<String, String> {
    let name = text.strip_prefix(SCHEME).unwrap_or(text);
    let name = name.strip_suffix('/').unwrap_or(name);
    check_name("bucket", name).map(|()| name.to_owned())
}

impl Push {
    pub(in crate::cli) fn run(&self, console: &Console) -> Result<u8> {
        let file = self.component.display();
        let bytes = std::fs::read(&self.component)
            .map_err(|error| files::unreadable(&self.component, &error))?;
        let found = plugin::inspect(&bytes).with_context(|| format!("cannot push `{file}`"))?;
        let contract = found
            .contract
            .map_err(|why| report::usage(anyhow!(why).context(format!("cannot push `{file}`"))))?;
        let InBucket {
            bucket,
            name,
            version,
        } = &self.to;
        let pushed = connected(&self.reach, async |connection| {
            let replicas = usize::from(self.replicas);
            let registry = Registry::open_or_make(&connection, bucket, replicas).await?;
            let pushed = registry.push(name, version, &bytes, contract).await?;
            for tag in &self.tag {
                registry.tag(name, version, tag).await?;
            }
            Ok(pushed)
        })?;
        if console.json {
            console.value(&json!({
                "reference": self.to.to_string(),
                "digest": found.digest,
                "size": bytes.len(),
                "contract": contract,
                "new": pushed == Pushed::New,
                "tags": self.tag,
            }))?;
        } else {
            let already = match pushed {
                Pushed::New => "",
                Pushed::AlreadyThere => ", which was there already",
            };
            console.print(&format!("{} {}{already}", self.to, found.digest))?;
        }
        Ok(report::DONE)
    }
}

impl Pull {
    pub(in crate::cli) fn run(&self, console: &Console) -> Result<u8> {
        let InBucket {
            bucket,
            name,
            version,
        } = &self.from;
        let (resolved, found, bytes) = connected(&self.reach, async |connection| {
            let registry = Registry::open(&connection, bucket).await?;
            let (resolved, found) = registry.resolve(name, version).await?;
            let bytes = registry.fetch(&found).await?;
            Ok((resolved, found, bytes))
        })?;
        let usual = || PathBuf::from(format!("{name}.wasm"));
        let file = self.output.clone().unwrap_or_else(usual);
        std::fs::write(&file, bytes)
            .with_context(|| format!("cannot write `{}`", file.display()))?;
        if console.json {
            console.value(&json!({ "file": file, "version": resolved, "digest": found.digest }))?;
        } else {
            console.print(&format!("{}: {resolved} {}", file.display(), found.digest))?;
        }
        Ok(report::DONE)
    }
}

impl List {
    pub(in crate::cli) fn run(&self, console: &Console) -> Result<u8> {
        let all = connected(&self.reach, async |connection| {
            Registry::open(&connection, &self.bucket)
                .await?
                .list()
                .await
        })?;
        if console.json {
            console.value(&all)?;
        } else {
            console.print(&text(&all))?;
        }
        Ok(report::DONE)
    }
}

/// A line for each version, with the tags that name it.
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
            let digest = found.digest.get(..12).unwrap_or(&found.digest);
            let pushed = found.pushed.get(..19).unwrap_or(&found.pushed);
            // Writing to a string does not fail.
            let _ = writeln!(
                out,
                "{name}@{version}  {digest}  {}  {}  {pushed}Z{named}",
                bytesize::ByteSize(found.size),
                found.contract,
            );
        }
    }
    out
}

impl Tag {
    pub(in crate::cli) fn run(&self, console: &Console) -> Result<u8> {
        let InBucket {
            bucket,
            name,
            version,
        } = &self.version;
        connected(&self.reach, async |connection| {
            let registry = Registry::open(&connection, bucket).await?;
            registry.tag(name, version, &self.tag).await
        })?;
        if console.json {
            console.value(&json!({ "reference": self.version.to_string(), "tag": self.tag }))?;
        } else {
            console.print(&format!("{name}@{} is {version}", self.tag))?;
        }
        Ok(report::DONE)
    }
}

/// Does something over a connection.
fn connected<T>(
    reach: &files::Reach,
    work: impl AsyncFnOnce(Connection) -> Result<T>,
) -> Result<T> {
    let settings = reach.settings()?;
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start a runtime")?
        .block_on(async { work(nats::connect(&settings, "plugins").await?).await })
}
