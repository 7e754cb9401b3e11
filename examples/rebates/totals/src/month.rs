//! Months of the calendar, in UTC.

/// The month of a time in nanoseconds since the Unix epoch, as `2026-11`.
pub fn of(time: u64) -> String {
    const NANOSECONDS_OF_A_DAY: u64 = 86_400_000_000_000;
    let (mut year, mut days) = (1970, time / NANOSECONDS_OF_A_DAY);
    let mut month = 0;
    loop {
        let length = days_of(year, month);
        if days < length {
            return format!("{year}-{:02}", month + 1);
        }
        days -= length;
        month += 1;
        if month == 12 {
            (year, month) = (year + 1, 0);
        }
    }
}

/// Days of a month; January is 0.
fn days_of(year: u64, month: u64) -> u64 {
    let is_leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    match month {
        1 if is_leap => 29,
        1 => 28,
        3 | 5 | 8 | 10 => 30,
        _ => 31,
    }
}

#[test]
fn months_are_those_of_the_calendar() {
    for (seconds, month) in [
        (0, "1970-01"),
        (951_782_399, "2000-02"),
        (951_868_799, "2000-02"),
        (951_868_800, "2000-03"),
        (1_793_491_199, "2026-10"),
        (1_793_491_200, "2026-11"),
        (1_798_761_599, "2026-12"),
        (4_107_542_400, "2100-03"),
    ] {
        assert_eq!(of(seconds * 1_000_000_000), month, "{seconds}");
    }
    assert_eq!(of(u64::MAX), "2554-07");
}
