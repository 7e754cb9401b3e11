//! A process that loads plugins and says how long that took and what it holds: what one process has
//! touched before would be in the figures of the next, so each is asked in a process of its own.

use crate::clock::process_time;
use crate::scene::{BATCH, Use, closed_folder, messages, runtime, settings};
use anyhow::{Context, Result, anyhow};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Instant;
use weir::plugin::{LoadOptions, Plugin, Worker};
use weir_figures::resident;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[arg(long)]
    component: PathBuf,
    /// The operator's `config:`
    #[arg(long)]
    config: String,
    /// The folder of compiled plugins
    #[arg(long)]
    cache: PathBuf,
    /// Components that differ from each other
    #[arg(long)]
    plugins: usize,
    /// Instances of each
    #[arg(long)]
    instances: usize,
}

/// What the process took and holds, in all.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Loaded {
    /// Seconds by the clock, and of the processor, to load all.
    pub(crate) seconds: f64,
    pub(crate) cpu: f64,
    /// Bytes resident with nothing loaded, with everything loaded, with every instance made and
    /// configured, and after a call of each.
    pub(crate) before: u64,
    pub(crate) loaded: u64,
    pub(crate) started: u64,
    pub(crate) called: u64,
}

/// Asks a process of its own; `empty` empties the cache first.
pub(crate) fn ask(arguments: &Arguments, empty: bool) -> Result<Loaded> {
    if empty {
        closed_folder(&arguments.cache)?;
    }
    let this = std::env::current_exe().context("cannot find this program")?;
    let mut command = Command::new(this);
    command
        .arg("load")
        .arg("--component")
        .arg(&arguments.component);
    command.arg("--config").arg(&arguments.config);
    command.arg("--cache").arg(&arguments.cache);
    command.args(["--plugins", &arguments.plugins.to_string()]);
    command.args(["--instances", &arguments.instances.to_string()]);
    answer(&mut command)
}

/// The JSON that a process of this program prints.
pub(crate) fn answer<T: serde::de::DeserializeOwned>(command: &mut Command) -> Result<T> {
    let output = command
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output();
    let output = output.with_context(|| format!("cannot start {command:?}"))?;
    if !output.status.success() {
        return Err(anyhow!("{command:?} ended with {}", output.status));
    }
    serde_json::from_slice(&output.stdout).context("cannot understand its answer")
}

impl Arguments {
    /// Plugins without or with a config, from a cache.
    pub(crate) fn new(component: PathBuf, config: &str, cache: &Path) -> Self {
        Self {
            component,
            config: config.to_owned(),
            cache: cache.to_owned(),
            plugins: 1,
            instances: 1,
        }
    }

    pub(crate) fn times(self, plugins: usize, instances: usize) -> Self {
        Self {
            plugins,
            instances,
            ..self
        }
    }
}

/// Loads, starts and calls, and prints what it took.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let bytes = std::fs::read(&arguments.component).context("cannot read the component")?;
    let all = arguments.plugins * arguments.instances;
    let instances = u32::try_from(all).context("too many instances")?;
    let runtime = runtime(Some(arguments.cache.clone()), instances + 8)?;
    let before = resident(None)?;
    let (began, cpu) = (Instant::now(), process_time()?);
    let mut plugins = Vec::new();
    for number in 0..arguments.plugins {
        let bytes = distinct(&bytes, number);
        plugins.push(runtime.load_bytes(&bytes, "bench", LoadOptions::default())?);
    }
    let (seconds, cpu) = (began.elapsed().as_secs_f64(), process_time()? - cpu);
    let loaded = resident(None)?;
    let tokio = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start a runtime")?;
    let settings = settings(&Use {
        config: arguments.config.clone(),
        ..Use::default()
    });
    let each = plugins
        .iter()
        .flat_map(|plugin| std::iter::repeat_n(plugin, arguments.instances));
    let new = |plugin: &Arc<Plugin>| Worker::new(&runtime, plugin.clone(), settings.clone());
    let mut workers: Vec<Worker> = each.map(new).collect();
    let batch = messages(BATCH, 128, 0);
    let (started, called) = tokio.block_on(async {
        for worker in &mut workers {
            worker.warm().await?;
        }
        let started = resident(None)?;
        for worker in &mut workers {
            let outcomes = worker.process(&batch).await;
            outcomes.map_err(|fault| anyhow!("{fault}"))?;
        }
        anyhow::Ok((started, resident(None)?))
    })?;
    let loaded = Loaded {
        seconds,
        cpu,
        before,
        loaded,
        started,
        called,
    };
    println!("{}", serde_json::to_string(&loaded)?);
    Ok(())
}

/// The component with a custom section of its own, which means nothing and makes it another file; the
/// first as it is.
fn distinct(component: &[u8], number: usize) -> Vec<u8> {
    const NAME: &[u8] = b"bench";
    if number == 0 {
        return component.to_vec();
    }
    let data = number.to_le_bytes();
    let mut bytes = component.to_vec();
    // The section's id and length, the name's length, the name.
    let (name, length) = (NAME.len() as u8, (1 + NAME.len() + data.len()) as u8);
    bytes.extend([0, length, name]);
    bytes.extend(NAME);
    bytes.extend(data);
    bytes
}

#[cfg(test)]
mod tests {
    use super::distinct;

    #[test]
    fn components_differ_in_a_section_at_their_end() {
        let component = b"\0asm";
        assert_eq!(distinct(component, 0), component);
        let one = distinct(component, 1);
        // The section's length is that of all that follows it.
        assert_eq!(one.get(..6), Some(b"\0asm\0\x0e".as_slice()));
        assert_eq!(one.len(), 6 + 14);
        assert_ne!(one, distinct(component, 2));
    }
}
