//! Whether memory is flat over ten million messages, for a plugin in each language.

use crate::Measure;
use crate::clock::thread_time;
use crate::languages::project::{self, Tools};
use crate::load::{self, answer};
use crate::scene::{BATCH, runtime};
use anyhow::{Context, Result, anyhow, bail};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use weir::cli::project::Language;
use weir::config::limits::Limits;
use weir::config::resolved::HeaderSelection;
use weir::headers::Headers;
use weir::message::Message;
use weir::plugin::{LoadOptions, OperatorSettings, Worker};
use weir::telemetry::metrics::Metrics;
use weir_figures::{Table, bytes, growth, micros, resident};

/// Messages of each language.
const MESSAGES: usize = 10_000_000;
/// Parts that are judged, and looks at the memory in each.
const PARTS: usize = 10;
const LOOKS: usize = 10;
/// Of the operator.
const CONFIG: &str = r#"{"limit":30}"#;
/// Batches that differ from each other; they come again and again.
const BATCHES: usize = 100;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[arg(long)]
    component: PathBuf,
    /// The folder of compiled plugins
    #[arg(long)]
    cache: PathBuf,
    #[arg(long)]
    messages: usize,
    /// Calls after which an instance is replaced; what an operator has unless it says otherwise.
    #[arg(long, default_value_t = Limits::default().recycle_calls)]
    recycle_calls: u64,
}

/// What was seen of one plugin.
#[derive(Debug, Deserialize, Serialize)]
struct Calls {
    messages: usize,
    /// The most that the process had resident, and the instance of linear memory, in each part.
    resident: Vec<u64>,
    memory: Vec<u64>,
    /// Instances that were needed.
    instances: u64,
    /// Microseconds of processor for each message.
    message: f64,
}

const METHOD: &str = "The plugin that `weir plugin new` makes is called with batches of 64 small \
    JSON messages, \
    without a broker, in a process for each language, with the default limits of an operator. \
    Memory is read a hundred times; the maximum of each tenth of the messages counts. An instance \
    is replaced after 100,000 calls, and when its memory grows beyond 48 MiB; this contributes to \
    flat memory of a host.";

/// Measures every language that can be had here.
pub(crate) fn measure(measure: &Measure) -> Result<()> {
    let tools = Tools {
        weir: &measure.weir,
        out: &measure.out.join("soak"),
        node_modules: measure.node_modules.as_deref(),
    };
    let messages = if measure.quick { 64_000 } else { MESSAGES };
    let (mut rows, mut notes) = (Vec::new(), Vec::new());
    for language in Language::ALL {
        if let Some(reason) = project::skipped(language) {
            notes.push(format!("{language} was left out: {reason}."));
            continue;
        }
        eprintln!("bench: {language}");
        let calls = project::build_once(&tools, language)
            .and_then(|component| ask(&component, &measure.out.join("compiled"), messages));
        match calls {
            Ok(calls) => rows.push((language.name(), calls)),
            Err(error) => notes.push(format!("{language} failed: {error:#}.")),
        }
        // After each of them: the whole takes long, and the next may be interrupted.
        let notes: Vec<&str> = notes.iter().map(String::as_str).collect();
        let title = "Each language, without a broker";
        let table = table(&rows);
        measure.write("soak-languages", title, METHOD, vec![table], &notes, &rows)?;
    }
    Ok(())
}

fn ask(component: &Path, cache: &Path, messages: usize) -> Result<Calls> {
    // Compiled in another process, because what the compiler held would hide what a plugin does.
    load::ask(
        &load::Arguments::new(component.to_owned(), CONFIG, cache),
        false,
    )?;
    let this = std::env::current_exe().context("cannot find this program")?;
    let mut command = Command::new(this);
    command.arg("calls").arg("--component").arg(component);
    command.arg("--cache").arg(cache);
    answer(command.args(["--messages", &messages.to_string()]))
}

fn table(rows: &[(&str, Calls)]) -> Table {
    let process = ["process, first million", "process, most later", "verdict"];
    let instance = ["instance, first million", "instance, most later"];
    let columns = [["language"].as_slice(), &process, &instance].concat();
    let mut table = Table::new(&[columns.as_slice(), &["instances", "a message"]].concat());
    for (language, calls) in rows {
        let (Some(process), Some(instance)) = (growth(&calls.resident), growth(&calls.memory))
        else {
            continue;
        };
        table.row([
            (*language).to_owned(),
            bytes(process.first as f64),
            bytes(process.later as f64),
            process.verdict().to_owned(),
            bytes(instance.first as f64),
            bytes(instance.later as f64),
            calls.instances.to_string(),
            micros(calls.message),
        ]);
    }
    table
}

/// Calls one plugin, and prints what was seen.
pub(crate) fn call(arguments: &Arguments) -> Result<()> {
    let runtime = runtime(Some(arguments.cache.clone()), 4)?;
    let bytes = std::fs::read(&arguments.component).context("cannot read the component")?;
    let plugin = runtime.load_bytes(&bytes, "soak", LoadOptions::default())?;
    let metrics = Metrics::new().operator("bench", "soak");
    let settings = OperatorSettings {
        pipeline: "bench".into(),
        operator: "soak".into(),
        config: CONFIG.into(),
        headers: HeaderSelection::None,
        limits: Limits {
            // Other work on the machine must not end a call.
            deadline: std::time::Duration::from_secs(30),
            recycle_calls: arguments.recycle_calls,
            ..Limits::default()
        },
        windows: None,
        metrics: Arc::clone(&metrics),
    };
    let mut worker = Worker::new(&runtime, plugin, Arc::new(settings));
    let tokio = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start a runtime")?;
    let batches: Vec<Vec<Message>> = (0..BATCHES).map(batch).collect();
    let calls = arguments.messages / BATCH;
    let look = calls / (PARTS * LOOKS);
    if look == 0 {
        bail!("too few messages to look at the memory in between");
    }
    let (mut looks, mut most) = (Vec::new(), 0);
    let before = thread_time();
    tokio.block_on(async {
        for (number, batch) in (1..=look * PARTS * LOOKS).zip(batches.iter().cycle()) {
            let outcomes = worker.process(batch).await;
            outcomes.map_err(|fault| anyhow!("{fault}: {}", fault.stderr))?;
            most = most.max(metrics.memory_bytes.get());
            if number % look == 0 {
                looks.push((resident(None)?, u64::try_from(most).unwrap_or_default()));
                most = 0;
            }
        }
        anyhow::Ok(())
    })?;
    let took = (thread_time() - before).as_secs_f64() * 1e6;
    let messages = look * PARTS * LOOKS * BATCH;
    let parts = |of: fn(&(u64, u64)) -> u64| {
        let parts = looks.chunks(LOOKS);
        parts.filter_map(|part| part.iter().map(of).max()).collect()
    };
    let seen = Calls {
        messages,
        resident: parts(|look| look.0),
        memory: parts(|look| look.1),
        instances: metrics.instances_created.get(),
        message: took / messages as f64,
    };
    println!("{}", serde_json::to_string(&seen)?);
    Ok(())
}

/// Readings of a sensor, every second one above the limit, with other numbers in each batch.
fn batch(batch: usize) -> Vec<Message> {
    let reading = |number: usize| {
        let room = batch * BATCH + number;
        let celsius = if number.is_multiple_of(2) { 12.5 } else { 31.5 };
        let payload = serde_json::json!({"sensor": format!("room-{room}"), "celsius": celsius});
        Message {
            watermark: None,
            is_late: false,
            source: None,
            foreign: None,
            subject: "readings.room".into(),
            payload: payload.to_string().into(),
            headers: Headers::default(),
            key: None,
            event_time: 1_790_000_000_000_000_000,
            sequence: room as u64 + 1,
            attempt: 1,
        }
    };
    (0..BATCH).map(reading).collect()
}
