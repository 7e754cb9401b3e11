use super::*;

#[test]
fn a_burst_is_written_and_what_follows_comes_back_with_time() {
    let start = Instant::now();
    let mut bucket = Bucket {
        tokens: BURST,
        filled: start,
        suppressed: 0,
    };
    for _ in 0..BURST {
        assert_eq!(bucket.take(start), Some(0));
    }
    assert_eq!(bucket.take(start), None);
    assert_eq!(bucket.take(start + REFILL / 2), None);
    assert_eq!(bucket.take(start + REFILL), Some(2));
    assert_eq!(bucket.take(start + REFILL), None);
    let later = start + REFILL * 1_000_000;
    assert_eq!(bucket.take(later), Some(1));
    assert_eq!(bucket.tokens, BURST - 1);
}

#[test]
fn a_long_entry_is_cut_between_characters() {
    assert_eq!(cut("short", ENTRY), "short");
    let long = format!("{}ü", "x".repeat(ENTRY - 1));
    assert_eq!(cut(&long, ENTRY), &long[..ENTRY - 1]);
}
