//! What a running host tells about itself.

pub mod logs;
pub mod metrics;
pub mod names;
pub mod sampled;
pub mod version_stats;
