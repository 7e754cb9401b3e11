//! What each safety feature costs that can be switched off, or be measured by itself.

use crate::Measure;
use crate::chain;
use crate::race::{Runner, Times, race};
use crate::scene::{BATCH, Scene, Use, messages, orders};
use anyhow::Result;
use weir::message::Message;
use weir_figures::{Table, micros};

const METHOD: &str = "Processor time for each message of a batch of 64, without a broker, in one process; \
    medians of 21 rounds in which both variants of a row alternate. A call that checks the clock \
    can be ended at its deadline; `trusted` plugins do not check it. Readiness to find the \
    message that makes a plugin fail is the difference between the call step of a lane and the \
    bare call, minus the step without operators: an upper bound, because the step also judges \
    each message. For a message that fails, one of 64 messages panics; the time is that of the \
    whole batch, which is halved until the message is found, divided by its messages. A log line \
    for each message is created and rejected by its level, or created and written within the \
    limit of 50 lines a second.";

const NOTES: [&str; 1] = [
    "Features that cannot be disabled have no figure. The memory limit is only checked when a \
    plugin's memory grows, which does not happen in a warm plugin. The limits on output and \
    handles are comparisons in the lifting; the figures of the border include them and the timer \
    around each call.",
];

/// The config of the plugin that talks.
fn talk(what: &str) -> Use {
    Use {
        config: format!(r#"{{"talk":"{what}"}}"#),
        ..Use::default()
    }
}

/// Measures every row.
pub(crate) fn measure(measure: &Measure) -> Result<()> {
    let scene = Scene::new(measure)?;
    let mut rows = Vec::new();
    for (what, file, config, batch) in [
        (
            "passing on",
            "identity.wasm",
            "null",
            messages(BATCH, 128, 0),
        ),
        ("JSON", "json.wasm", "null", orders(BATCH)),
        ("filter in Rust", "long_orders.wasm", "null", orders(BATCH)),
        ("filter in CEL", "filter.wasm", CEL, orders(BATCH)),
    ] {
        let times = deadline(measure, &scene, file, config, batch)?;
        rows.push((format!("deadline, {what}"), times));
    }
    for (what, level) in [("rejected", "debug"), ("written", "info")] {
        let (silent, talks) = (talk("silent"), talk(level));
        let times = [("without", silent), ("with", talks)].map(|(what, how)| {
            let worker = Box::new(scene.worker("talk.wasm", &how)?);
            Ok((
                what.to_owned(),
                Runner::Plugin(worker, messages(BATCH, 128, 0)),
            ))
        });
        let runners: Result<Vec<_>> = times.into_iter().collect();
        rows.push((
            format!("a log line, {what}"),
            race(measure.quick, runners?)?,
        ));
    }
    rows.extend(bisection(measure, &scene)?);
    let title = "What safety costs";
    measure.write("safety", title, METHOD, vec![table(&rows)], &NOTES, &rows)
}

const CEL: &str = r#"{"when":"size(payload.lines) > 3"}"#;

/// The same plugin on both engines.
fn deadline(
    measure: &Measure,
    scene: &Scene,
    file: &str,
    config: &str,
    batch: Vec<Message>,
) -> Result<Vec<Times>> {
    let mut runners = Vec::new();
    for (what, trusted) in [("without", true), ("with", false)] {
        let how = Use {
            config: config.to_owned(),
            trusted,
            ..Use::default()
        };
        let worker = Box::new(scene.worker(file, &how)?);
        runners.push((what.to_owned(), Runner::Plugin(worker, batch.clone())));
    }
    race(measure.quick, runners)
}

/// Being ready for a message that makes a plugin fail, and meeting one.
fn bisection(measure: &Measure, scene: &Scene) -> Result<Vec<(String, Vec<Times>)>> {
    let batch = || messages(BATCH, 128, 0);
    let silent = ("talk.wasm", talk("silent"));
    let worker = Box::new(scene.worker(silent.0, &silent.1)?);
    let runners = vec![
        ("call".to_owned(), Runner::Plugin(worker, batch())),
        ("walk".to_owned(), chain::runner(scene, &[], batch())?),
        (
            "station".to_owned(),
            chain::runner(scene, std::slice::from_ref(&silent), batch())?,
        ),
        (
            "panic".to_owned(),
            chain::runner(scene, &[("talk.wasm", talk("panic"))], batch())?,
        ),
    ];
    let times = race(measure.quick, runners)?;
    let [call, walk, station, panic] = times.as_slice() else {
        return Ok(Vec::new());
    };
    // The walk is no part of it.
    let mut ready = station.clone();
    ready.median -= walk.median;
    let ready = vec![call.clone(), ready, walk.clone()];
    let met = vec![station.clone(), panic.clone()];
    Ok(vec![
        ("ready to find a failing message".to_owned(), ready),
        ("finding a failing one in 64".to_owned(), met),
    ])
}

fn table(rows: &[(String, Vec<Times>)]) -> Table {
    let mut table = Table::new(&["", "without", "with", "costs", "ratio"]);
    for (what, times) in rows {
        let [without, with, ..] = times.as_slice() else {
            continue;
        };
        table.row([
            what.clone(),
            micros(without.median),
            micros(with.median),
            micros(with.median - without.median),
            format!("{:.2}", with.median / without.median),
        ]);
    }
    table
}
