//! Observability of a running host: logs and metrics.

#[cfg(test)]
pub(crate) mod allocations;
pub mod log_limit;
pub mod logs;
pub mod metrics;
pub mod names;
pub mod version_stats;
