//! How long a partition waits before the next try.

use std::time::Duration;

/// The first pause, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(5), Duration::from_secs(2));

/// Waits before the attempt behind this one, from 1: twice as long each time, between half of that and all
/// of it, so that what failed together does not come back together.
pub async fn pause(attempt: u32) {
    let (first, longest) = PAUSES;
    let nominal = first.saturating_mul(1 << attempt.saturating_sub(1).min(20));
    let varied = nominal.min(longest).mul_f64(rand::random_range(0.5..=1.0));
    tokio::time::sleep(varied).await;
}
