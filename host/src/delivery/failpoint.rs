//! Where a fault test may stop the host.
//!
//! In builds with debug assertions, `WEIR_HALT_AT=<station>:<count>` makes the process say
//! `halted at <station>` on stderr and stand still once that many messages have passed the station,
//! so that a test can kill it exactly there. Release builds have no such switch.

use std::str::FromStr;

/// A place between two steps of the corridor.
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
            _ => return Err(()),
        })
    }
}

/// The switch of one lane.
#[derive(Debug, Default)]
pub struct Failpoint(Option<(Station, usize)>);

impl Failpoint {
    /// Reads the environment; always off in release builds.
    #[must_use]
    pub fn from_environment() -> Self {
        if !cfg!(debug_assertions) {
            return Self(None);
        }
        let wish = std::env::var("WEIR_HALT_AT").ok();
        Self(wish.as_deref().and_then(|wish| {
            let (station, count) = wish.split_once(':')?;
            Some((station.parse().ok()?, count.parse().ok()?))
        }))
    }

    /// Counts messages at a station; true once the count is met.
    #[must_use]
    pub fn passed(&mut self, station: Station, messages: usize) -> bool {
        let Some((wished, left)) = &mut self.0 else {
            return false;
        };
        if *wished != station {
            return false;
        }
        *left = left.saturating_sub(messages);
        *left == 0
    }

    /// Says so, and waits to be killed.
    pub fn halt(&self, station: Station) -> ! {
        eprintln!("halted at {station:?}");
        loop {
            std::thread::park();
        }
    }
}
