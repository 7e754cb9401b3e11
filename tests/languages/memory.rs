//! Whether memory stops to grow under a soak.

use super::{JAVASCRIPT_RECYCLES, PYTHON_RECYCLES, Subject};

/// Stretches in which memory has to stop growing. A collector has a high-water mark of its own, and
/// does not reach it in the same call each time; what leaks grows in every stretch.
const STRETCHES: usize = 6;

/// How far a stretch may go beyond the one before: what one call more can add before it is seen.
const ONE_CALL: i64 = 1 << 20;

/// Calls until a stretch of `calls` needs no more memory than the one before it. `call` gets its
/// number and returns the bytes that the instance has after it. An instance that leaks and is
/// replaced for it in time counts as flat, because that is what its host sees.
pub async fn stays_flat(
    subject: &Subject,
    calls: usize,
    mut call: impl AsyncFnMut(usize) -> Result<i64, String>,
) -> Result<(), String> {
    // One call may take an instance beyond the size at which it is replaced.
    let recycles = subject.limits.recycle_bytes;
    let replaced = [JAVASCRIPT_RECYCLES, PYTHON_RECYCLES].contains(&recycles);
    let replaced_at = replaced.then(|| i64::try_from(recycles / 8 * 9).unwrap());
    let mut highest = Vec::new();
    for stretch in 0..STRETCHES {
        let mut most = 0;
        for number in stretch * calls..(stretch + 1) * calls {
            let bytes = call(number).await;
            most = most.max(bytes.map_err(|error| format!("call {number}: {error}"))?);
        }
        assert!(most > 0, "the memory of an instance is not counted");
        let before = highest.last().copied();
        highest.push(most);
        let allowed = replaced_at.or(before.map(|bytes| bytes + ONE_CALL));
        if before.is_some() && allowed.is_some_and(|allowed| most <= allowed) {
            return Ok(());
        }
    }
    Err(format!("memory grew in every stretch: {highest:?} bytes"))
}
