//! Sensors that are silent, and sensors that drift away from what they measured before.
//!
//! What is remembered of a sensor is in the state of its key. Both watches go by the times in the messages, so the
//! same readings give the same alerts, whenever they are processed and in which batches.
//!
//! - `gap.rs` finds the time between two readings that is too long.
//! - `drift.rs` compares a minute with those before.
//! - this file keeps what they remember, and has the timer.

mod drift;
mod gap;
#[cfg(test)]
mod tests;

use drift::{Baseline, Minute};
use gap::Silence;
use serde::Deserialize;
use weir_sdk::timers::{self, Clock};
use weir_sdk::{Error, Message, Operator, Output, Outputs, State, Stateful, Timer, config};

const SILENCE: State<Silence> = State::new("silence");
const BASELINE: State<Baseline> = State::new("baseline");

/// The operator's `config:`.
#[derive(Deserialize)]
#[serde(tag = "watch", rename_all = "kebab-case", deny_unknown_fields)]
enum Settings {
    #[serde(rename_all = "kebab-case")]
    Gaps {
        silent_for: String,
    },
    Drift {
        baseline: usize,
        limit: u32,
    },
}

enum Watch {
    /// A sensor without readings for more than so many nanoseconds is silent.
    Gaps(u64),
    Drift(drift::Rule),
}

impl Operator for Watch {
    type Config = Settings;

    fn configure(settings: Settings) -> Result<Self, String> {
        match settings {
            Settings::Gaps { silent_for } => {
                let time = config::duration(&silent_for);
                let time = time.map_err(|why| format!("`silent-for`: {why}"))?;
                let time = u64::try_from(time.as_nanos());
                Ok(Self::Gaps(time.map_err(|_| "`silent-for` is too long")?))
            }
            Settings::Drift { baseline: 0, .. } => {
                Err("`baseline`: there would be nothing to compare with".to_owned())
            }
            Settings::Drift { baseline, limit } => Ok(Self::Drift(drift::Rule { baseline, limit })),
        }
    }

    fn process(&mut self, message: &Message) -> Result<Outputs, Error> {
        let key = message.state_key();
        match self {
            Self::Gaps(silent_for) => {
                let mut silence = SILENCE.get(key)?.unwrap_or_default();
                silence.add(message.event_time);
                decide(key, silence, timers::now(Clock::EventTime), *silent_for)
            }
            Self::Drift(rule) => {
                let minute: Minute = message.json()?;
                let mut baseline = BASELINE.get(key)?.unwrap_or_default();
                let alert = baseline.compare(&minute, rule);
                BASELINE.set(key, &baseline)?;
                alert.iter().map(Output::json).collect()
            }
        }
    }
}

impl Stateful for Watch {
    fn on_timer(&mut self, timer: &Timer) -> Result<Outputs, Error> {
        match (self, SILENCE.get(&timer.key)?) {
            (Self::Gaps(silent_for), Some(silence)) => {
                let watermark = timers::now(Clock::EventTime).max(timer.at);
                decide(&timer.key, silence, watermark, *silent_for)
            }
            _ => Ok(Outputs::none()),
        }
    }
}

/// Says what is known as of this watermark, and comes back when more will be.
fn decide(
    key: &str,
    mut silence: Silence,
    watermark: u64,
    silent_for: u64,
) -> Result<Outputs, Error> {
    let alerts = silence.decide(key, watermark, silent_for);
    SILENCE.set(key, &silence)?;
    if let Some(at) = silence.due(silent_for) {
        timers::set(key, "due", Clock::EventTime, at)?;
    }
    alerts.iter().map(Output::json).collect()
}

weir_sdk::export_stateful!(Watch);
