//! What a running host tells about itself: numbers here, entries in `logs`.

pub mod metrics;
pub mod names;
