//! Points at which a test halts the host.
//!
//! In builds with debug assertions, `WEIR_HALT_AT=<step>:<count>` makes the process print `halted at <step>`
//! on stderr and stop after this many messages, or steps of a partition, so that a test can kill it exactly
//! there. `WEIR_PANIC_AT` makes the lane panic. Release builds have no such switches.

use std::str::FromStr;
use std::sync::atomic::{AtomicBool, Ordering};

/// A place between two steps: first those of a lane at least once, then those of a partition of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Station {
    /// Taken from the source, nothing done yet.
    Pulled,
    /// Taken from the parking stream, nothing done yet.
    Unparked,
    /// Plugins have answered, nothing is published.
    Called,
    /// Published, acks not awaited.
    Published,
    /// Publish acks are in, inputs not settled.
    Confirmed,
    /// Stored in the parking stream, inputs not settled.
    Parked,
    /// Inputs settled, perhaps not yet written to the socket.
    Settled,
    /// A claim is stored, nothing is recovered.
    Claimed,
    /// The state is there, nothing is read.
    Recovered,
    /// A batch is processed, its commit is not sent.
    Processed,
    /// A commit is sent, its answer not awaited.
    Sent,
    /// A commit is stored, and not known in the state of the host.
    Committed,
    /// The same of a commit with a snapshot.
    Snapshotted,
    /// A commit is stored and known, the log is not purged.
    Noted,
    /// The log is purged.
    Purged,
}

impl FromStr for Station {
    type Err = ();
    fn from_str(name: &str) -> Result<Self, ()> {
        Ok(match name {
            "pulled" => Self::Pulled,
            "unparked" => Self::Unparked,
            "called" => Self::Called,
            "published" => Self::Published,
            "confirmed" => Self::Confirmed,
            "parked" => Self::Parked,
            "settled" => Self::Settled,
            "claimed" => Self::Claimed,
            "recovered" => Self::Recovered,
            "processed" => Self::Processed,
            "sent" => Self::Sent,
            "committed" => Self::Committed,
            "snapshotted" => Self::Snapshotted,
            "noted" => Self::Noted,
            "purged" => Self::Purged,
            _ => return Err(()),
        })
    }
}

/// The switch of one lane.
#[derive(Debug, Default)]
pub struct Failpoint(Option<Switch>);

#[derive(Debug)]
struct Switch {
    station: Station,
    /// Messages that still pass it before.
    left: usize,
    then: Failure,
}

/// What a fault test wants to happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The process stands still, to be killed.
    Halt,
    /// The lane panics; once in a process, so that the next one goes through.
    Panic,
}

/// Whether a lane of this process has panicked at its failpoint.
static PANICKED: AtomicBool = AtomicBool::new(false);

impl Failpoint {
    /// Reads the environment; always off in release builds.
    #[must_use]
    pub fn from_environment() -> Self {
        if !cfg!(debug_assertions) {
            return Self(None);
        }
        let switch = |variable: &str, then| {
            let wish = std::env::var(variable).ok()?;
            let (station, count) = wish.split_once(':')?;
            Some(Switch {
                station: station.parse().ok()?,
                left: count.parse().ok()?,
                then,
            })
        };
        let halt = || switch("WEIR_HALT_AT", Failure::Halt);
        Self(halt().or_else(|| switch("WEIR_PANIC_AT", Failure::Panic)))
    }

    /// Counts messages at a station; what is to happen once the count is met.
    #[must_use]
    pub fn passed(&mut self, station: Station, messages: usize) -> Option<Failure> {
        let switch = self.0.as_mut().filter(|switch| switch.station == station)?;
        switch.left = switch.left.saturating_sub(messages);
        (switch.left == 0).then_some(switch.then)
    }
}

impl Failure {
    /// Lets it happen; goes on where it has happened before.
    pub fn happen(self, station: Station) {
        match self {
            Self::Halt => {
                eprintln!("halted at {station:?}");
                loop {
                    std::thread::park();
                }
            }
            Self::Panic if PANICKED.swap(true, Ordering::Relaxed) => {}
            #[expect(clippy::panic, reason = "this is what a fault test asks for")]
            Self::Panic => std::panic::panic_any(format!("panicked at {station:?}")),
        }
    }
}
