//! What an operator more costs in a chain: one to eight that pass every message on.

use crate::Measure;
use crate::race::{Runner, Times, race};
use crate::scene::{BATCH, Scene, Use, messages};
use anyhow::{Context, Result};
use weir::config::resolved::Bounds;
use weir::message::Message;
use weir::process::chain::Chain;
use weir::process::route::{OperatorSet, Route};
use weir_figures::{Table, micros};

const LENGTHS: [usize; 5] = [0, 1, 2, 4, 8];

/// As many as one call of a plugin gets unless a pipeline says otherwise.
const BOUNDS: Bounds = Bounds {
    messages: 256,
    bytes: 4 << 20,
};

const METHOD: &str = "Processor time for each message, without a broker: batches of 64 messages \
    of 128 bytes go through the call step of a lane, with this many operators with the identity \
    plugin, each with its own instance; medians of 21 rounds in which the lengths alternate. The \
    row without operators is the cost of the step itself.";

/// A chain of workers, and a batch that visits all of them.
pub(crate) fn runner(scene: &Scene, uses: &[(&str, Use)], batch: Vec<Message>) -> Result<Runner> {
    let workers: Result<Vec<_>> = uses
        .iter()
        .map(|(file, how)| scene.worker(file, how))
        .collect();
    let batch = batch.into_iter().map(|message| (message, every_stop()));
    let chain = Chain::new(workers?, BOUNDS);
    Ok(Runner::Chain(Box::new(chain), batch.collect()))
}

/// All operators of the longest chain; those behind the end of a chain are not asked for.
fn every_stop() -> OperatorSet {
    let operator = |number: usize| weir::config::resolved::Operator {
        name: format!("work-{number}"),
        plugin: weir::config::component::Reference::File("work.wasm".into()),
        config: serde_json::Value::Null,
        subjects: Vec::new(),
        headers: weir::config::resolved::HeaderSelection::None,
        grants: weir::config::resolved::Grants::default(),
        limits: weir::config::limits::Limits::default(),
        trusted: false,
        rollout: weir::config::resolved::Rollout::default(),
        require_signature: Vec::new(),
        windows: None,
    };
    let operators: Vec<_> = (0..8).map(operator).collect();
    Route::compile(&operators).operators("bench.in")
}

/// Measures every length.
pub(crate) fn measure(measure: &Measure) -> Result<()> {
    let scene = Scene::new(measure)?;
    let mut runners = Vec::new();
    for length in LENGTHS {
        let uses = vec![("identity.wasm", Use::default()); length];
        let runner = runner(&scene, &uses, messages(BATCH, 128, 0))?;
        runners.push((length.to_string(), runner));
    }
    let times = race(measure.quick, runners)?;
    let title = "Operators in a chain";
    measure.write("chain", title, METHOD, vec![table(&times)?], &[], &times)
}

fn table(times: &[Times]) -> Result<Table> {
    let mut table = Table::new(&["operators", "a message", "for each operator"]);
    let none = times.first().context("nothing was measured")?.median;
    for (length, times) in LENGTHS.into_iter().zip(times) {
        let each = match length {
            0 => "-".to_owned(),
            _ => micros((times.median - none) / length as f64),
        };
        table.row([times.what.clone(), micros(times.median), each]);
    }
    Ok(table)
}
