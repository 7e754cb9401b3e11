//! The oracle: what the pipelines must make of the readings.
//!
//! All readings of a sensor stand in an array in the order of their times. Minutes and days are groups of it, a gap
//! is a place between two of its elements, and a drift is a look back from a minute.

use crate::readings::{PLANTS, Reading};
use example_streams::compare::Results;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};
use std::collections::BTreeMap;

const MINUTE: u64 = 60_000;
/// As `silent-for` of `pipeline-gaps.yaml`.
const SILENT: u64 = 30 * MINUTE;
/// As `baseline` of `pipeline-drift.yaml`.
const BASELINE: usize = 36;
/// As `limit` of `pipeline-drift.yaml`.
const LIMIT: i64 = 300;

/// What each stream must have on subjects that begin so.
#[must_use]
pub fn expected(readings: &[Reading]) -> Vec<(&'static str, &'static str, Results)> {
    vec![
        ("MINUTES", "minutes.", minutes(readings)),
        ("MINUTES", "late.", late(readings)),
        ("GAPS", "gaps.", gaps(readings)),
        ("DRIFT", "drift.", drift(readings)),
        ("DAYS", "days.", days(readings)),
    ]
}

/// The last minute of each sensor, as the view `latest` has it.
#[must_use]
pub fn latest(readings: &[Reading]) -> BTreeMap<String, Value> {
    let minutes = minutes(readings).into_iter();
    let last = minutes.filter_map(|(subject, of_sensor)| {
        let device = subject.strip_prefix("minutes.")?.to_owned();
        Some((device, of_sensor.last()?.clone()))
    });
    last.collect()
}

/// What is counted of some readings.
struct Figures {
    count: usize,
    sum: i64,
    average: f64,
    least: Option<i64>,
    most: Option<i64>,
}

fn figures(readings: &[Reading]) -> Figures {
    let values = || readings.iter().map(|reading| reading.vibration);
    let sum: i64 = values().sum();
    Figures {
        count: readings.len(),
        sum,
        average: sum as f64 / readings.len() as f64,
        least: values().min(),
        most: values().max(),
    }
}

/// The readings of each sensor, in the order of their times.
fn by_sensor<'a>(readings: impl Iterator<Item = &'a Reading>) -> Vec<Vec<Reading>> {
    let mut sorted: Vec<Reading> = readings.cloned().collect();
    sorted.sort_by_key(|reading| (reading.sensor, reading.time));
    let of_sensors = sorted.chunk_by(|one, next| one.sensor == next.sensor);
    of_sensors.map(<[Reading]>::to_vec).collect()
}

/// What `pipeline.yaml` must find: the minutes of each sensor, without the readings that come late.
#[must_use]
pub fn minutes(readings: &[Reading]) -> Results {
    let mut results = Results::new();
    for of_sensor in by_sensor(readings.iter().filter(|reading| !reading.is_late())) {
        for minute in of_sensor.chunk_by(|one, next| one.time / MINUTE == next.time / MINUTE) {
            let (Some(first), figures) = (minute.first(), figures(minute)) else {
                continue;
            };
            let of_device = results.entry(format!("minutes.{}", first.device()));
            of_device.or_default().push(json!({
                "plant": first.plant().0, "device": first.device(),
                "minute": text(first.time / MINUTE * MINUTE),
                "readings": figures.count, "sum": figures.sum, "average": figures.average,
                "least": figures.least, "most": figures.most,
            }));
        }
    }
    results
}

/// What comes late, as it was published and in the order in which it came.
fn late(readings: &[Reading]) -> Results {
    let late = readings.iter().filter(|reading| reading.is_late());
    let late = late.map(|reading| (format!("late.{}", reading.subject()), reading.payload()));
    example_streams::compare::results(&late.collect::<Vec<_>>(), "late.")
}

/// What `pipeline-gaps.yaml` must find: the silences, and behind the last reading one of each sensor.
fn gaps(readings: &[Reading]) -> Results {
    let mut results = Results::new();
    for of_sensor in by_sensor(readings.iter()) {
        let Some(device) = of_sensor.first().map(Reading::device) else {
            continue;
        };
        let of_device = results.entry(format!("gaps.{device}")).or_default();
        for (at, reading) in of_sensor.iter().enumerate() {
            let (since, next) = (reading.time, of_sensor.get(at + 1));
            if next.is_some_and(|next| next.time - since <= SILENT) {
                continue;
            }
            of_device.push(json!({ "alert": "gap", "device": device, "since": since }));
            if let Some(next) = next {
                let alert =
                    json!({ "alert": "back", "device": device, "since": since, "at": next.time });
                of_device.push(alert);
            }
        }
    }
    results
}

/// What `pipeline-drift.yaml` must find in the minutes.
fn drift(readings: &[Reading]) -> Results {
    let mut results = Results::new();
    for of_sensor in minutes(readings).values() {
        let number =
            |minute: &Value, name: &str| minute.get(name).and_then(Value::as_i64).unwrap_or(0);
        let mut was_far = false;
        for (at, minute) in of_sensor.iter().enumerate() {
            let before = of_sensor
                .get(at.saturating_sub(BASELINE)..at)
                .unwrap_or_default();
            let total = |name: &str| {
                before
                    .iter()
                    .map(|minute| number(minute, name))
                    .sum::<i64>()
            };
            let (sum, count) = (total("sum"), total("readings"));
            let (own, own_count) = (number(minute, "sum"), number(minute, "readings"));
            let apart = (own * count - sum * own_count).abs();
            let is_far = before.len() >= BASELINE / 3 && apart > LIMIT * count * own_count;
            if is_far != was_far {
                let alert = if is_far { "drift" } else { "steady" };
                let device = minute
                    .get("device")
                    .and_then(Value::as_str)
                    .unwrap_or_default();
                let of_device = results.entry(format!("drift.{device}")).or_default();
                of_device.push(json!({
                    "alert": alert, "device": device, "minute": minute.get("minute"),
                    "average": own as f64 / own_count as f64, "baseline": sum as f64 / count as f64,
                }));
            }
            was_far = is_far;
        }
    }
    results
}

/// What `pipeline-days.yaml` must find: days of the plant's time zone.
fn days(readings: &[Reading]) -> Results {
    let mut results = Results::new();
    for (plant, zone) in PLANTS {
        let Ok(zone) = TimeZone::get(zone) else {
            continue;
        };
        let of_plant = readings.iter().filter(|reading| reading.plant().0 == plant);
        for of_sensor in by_sensor(of_plant) {
            let day = |reading: &Reading| day(reading.time, &zone);
            for readings in of_sensor.chunk_by(|one, next| day(one) == day(next)) {
                let (Some(first), figures) = (readings.first(), figures(readings)) else {
                    continue;
                };
                let (from, to) = day(first);
                let of_device = results.entry(format!("days.{plant}.{}", first.device()));
                of_device.or_default().push(json!({
                    "plant": plant, "device": first.device(), "from": from, "to": to,
                    "readings": figures.count, "average": figures.average, "most": figures.most,
                }));
            }
        }
    }
    results
}

/// The bounds of the day in which a time lies.
fn day(time: u64, zone: &TimeZone) -> (String, String) {
    let bounds = || {
        let time = Timestamp::from_millisecond(i64::try_from(time).ok()?).ok()?;
        let day = time.to_zoned(zone.clone()).date();
        let next = day.tomorrow().ok()?;
        let begin = |day: jiff::civil::Date| Some(day.to_zoned(zone.clone()).ok()?.timestamp());
        Some((begin(day)?.to_string(), begin(next)?.to_string()))
    };
    bounds().unwrap_or_default()
}

/// A time as the headers of windows have it.
fn text(time: u64) -> String {
    let time = i64::try_from(time)
        .ok()
        .and_then(|time| Timestamp::from_millisecond(time).ok());
    time.map(|time| time.to_string()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::readings::readings;
    use example_streams::compare::count;

    #[test]
    fn what_is_planted_is_found() {
        let all = readings(5, 20_000);
        let named = |results: &Results, name: &str| {
            let alerts = results.values().flatten();
            alerts
                .filter(|alert| alert.get("alert").is_some_and(|alert| alert == name))
                .count()
        };
        let gaps = gaps(&all);
        // About every second block of eight hours of a sensor has one; the last gap of each ends with the readings.
        assert!(named(&gaps, "back") > 40, "{gaps:?}");
        assert_eq!(named(&gaps, "gap"), named(&gaps, "back") + 6);
        let drift = drift(&all);
        assert!(named(&drift, "drift") > 10, "{drift:?}");
        assert!(named(&drift, "steady") > 10, "{drift:?}");
    }

    #[test]
    fn every_reading_is_in_a_minute_or_late_and_in_a_day_of_its_plant() {
        let all = readings(5, 20_000);
        let readings = |results: &Results| {
            let counts = results
                .values()
                .flatten()
                .filter_map(|result| result.get("readings"));
            counts.filter_map(Value::as_u64).sum::<u64>()
        };
        let minutes = readings(&minutes(&all));
        assert_eq!(minutes + count(&late(&all)), all.len() as u64);
        assert_eq!(readings(&days(&all)), all.len() as u64);
    }

    #[test]
    fn the_day_on_which_clocks_are_set_back_has_25_hours() {
        let of = |zone: &str| {
            TimeZone::get(zone)
                .map(|zone| day(1_761_500_000_000, &zone))
                .unwrap_or_default()
        };
        let hamburg = (
            "2025-10-25T22:00:00Z".to_owned(),
            "2025-10-26T23:00:00Z".to_owned(),
        );
        let pune = (
            "2025-10-25T18:30:00Z".to_owned(),
            "2025-10-26T18:30:00Z".to_owned(),
        );
        assert_eq!((of("Europe/Berlin"), of("Asia/Kolkata")), (hamburg, pune));
    }
}
