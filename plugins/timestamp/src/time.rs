//! A time from the year -9999 to the end of the year 9999. `jiff::Timestamp` ends on 9999-12-30, and many tables have
//! the last second of 9999 for "without end".

use jiff::civil::{DateTime, date};
use jiff::fmt::strtime::{self, BrokenDownTime};
use jiff::fmt::temporal::Pieces;
use jiff::tz::{AmbiguousOffset, Offset, TimeZone};
use jiff::{Error, SignedDuration, Timestamp};

const EPOCH: DateTime = date(1970, 1, 1).at(0, 0, 0, 0);
const NANOSECONDS_OF_A_SECOND: i128 = 1_000_000_000;

/// By the clock of UTC.
#[derive(Clone, Copy)]
pub struct Time(DateTime);

impl Time {
    /// When 1970 began.
    pub const EPOCH: Self = Self(EPOCH);

    /// So many nanoseconds after 1970 began; `None` outside of the years that there are.
    pub fn from_nanosecond(nanoseconds: i128) -> Option<Self> {
        let seconds = i64::try_from(nanoseconds.div_euclid(NANOSECONDS_OF_A_SECOND)).ok()?;
        let rest = i32::try_from(nanoseconds.rem_euclid(NANOSECONDS_OF_A_SECOND)).ok()?;
        let since = SignedDuration::new(seconds, rest);
        EPOCH.checked_add(since).ok().map(Self)
    }

    pub fn as_nanosecond(self) -> i128 {
        EPOCH.duration_until(self.0).as_nanos()
    }

    /// Reads RFC 3339.
    pub fn rfc3339(text: &str) -> Result<Self, Error> {
        text.parse::<Timestamp>().map(Self::from).or_else(|error| {
            let pieces = Pieces::parse(text).ok();
            let pieces = pieces.and_then(|pieces| {
                let local = pieces.date().to_datetime(pieces.time()?);
                Some((local, pieces.to_numeric_offset()?))
            });
            pieces.map_or(Err(error), |(local, offset)| {
                Self::with_offset(local, offset)
            })
        })
    }

    /// Reads a pattern of strftime; `zone` is that of times that do not say theirs.
    pub fn parse(pattern: &str, text: &str, zone: &TimeZone) -> Result<Self, Error> {
        let time = strtime::parse(pattern, text)?;
        // A pattern without a time of day means midnight.
        let local = match time.hour() {
            Some(_) => time.to_datetime(),
            None => time.to_date().map(|date| date.at(0, 0, 0, 0)),
        };
        if time.offset().is_some() || time.timestamp().is_some() || time.iana_time_zone().is_some()
        {
            return time.to_timestamp().map(Self::from).or_else(|error| {
                match (local, time.offset()) {
                    (Ok(local), Some(offset)) => Self::with_offset(local, offset),
                    _ => Err(error),
                }
            });
        }
        let local = local?;
        let offset = match zone.to_ambiguous_timestamp(local).offset() {
            AmbiguousOffset::Unambiguous { offset } => offset,
            AmbiguousOffset::Gap { before, .. } | AmbiguousOffset::Fold { before, .. } => before,
        };
        Self::with_offset(local, offset)
    }

    fn with_offset(local: DateTime, offset: Offset) -> Result<Self, Error> {
        local.checked_sub(seconds(offset)).map(Self)
    }

    /// As `jiff` has it, or the nearest that it has.
    fn timestamp(self) -> Result<Timestamp, Timestamp> {
        let nearest = match self.0 < EPOCH {
            true => Timestamp::MIN,
            false => Timestamp::MAX,
        };
        Offset::UTC.to_timestamp(self.0).map_err(|_| nearest)
    }

    /// Writes RFC 3339, by the clock of this zone.
    pub fn to_rfc3339(self, zone: &TimeZone) -> Result<String, Error> {
        match *zone == TimeZone::UTC {
            true => Ok(format!("{}Z", self.0)),
            false => self.format("%Y-%m-%dT%H:%M:%S%.f%:z", zone),
        }
    }

    /// Writes it by a pattern of strftime and the clock of this zone.
    pub fn format(self, pattern: &str, zone: &TimeZone) -> Result<String, Error> {
        match self.timestamp() {
            Ok(timestamp) => strtime::format(pattern, &timestamp.to_zoned(zone.clone())),
            Err(nearest) => {
                let offset = zone.to_offset(nearest);
                let local = self.0.checked_add(seconds(offset))?;
                let mut local = BrokenDownTime::from(local);
                local.set_offset(Some(offset));
                local.set_iana_time_zone(zone.iana_name().map(str::to_owned));
                local.to_string(pattern)
            }
        }
    }
}

impl From<Timestamp> for Time {
    fn from(timestamp: Timestamp) -> Self {
        Self(Offset::UTC.to_datetime(timestamp))
    }
}

fn seconds(offset: Offset) -> SignedDuration {
    SignedDuration::from_secs(offset.seconds().into())
}
