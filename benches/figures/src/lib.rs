//! What the benches have in common: a section of figures with its setting, as JSON for machines and
//! as part of a page for people.
//!
//! Each section is measured by itself and is a file of its own, with every run in it, so that one can
//! be measured again without the others. [`Page`] puts the page together from the files that are
//! there. Nothing here measures.

mod memory;
mod page;
mod setting;

pub use memory::{Growth, growth};
pub use page::{FIGURES, JOBS, Page, SOAK};
pub use setting::{Setting, resident};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// One section of a page.
#[derive(Debug, Deserialize, Serialize)]
pub struct Section {
    /// The name of its file.
    pub name: String,
    pub title: String,
    pub setting: Setting,
    /// How it was measured, in sentences.
    pub method: String,
    pub tables: Vec<Table>,
    /// What the tables do not say; a paragraph each.
    #[serde(default)]
    pub notes: Vec<String>,
    /// Every run.
    pub runs: serde_json::Value,
}

/// One table, its figures written as a person reads them.
#[derive(Debug, Default, Deserialize, Serialize)]
pub struct Table {
    /// The first column names the row; the others hold figures.
    pub columns: Vec<String>,
    pub rows: Vec<Vec<String>>,
}

impl Table {
    /// A table without rows.
    #[must_use]
    pub fn new(columns: &[&str]) -> Self {
        Self {
            columns: columns.iter().map(|&name| name.to_owned()).collect(),
            rows: Vec::new(),
        }
    }

    /// Adds a row.
    pub fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }
}

impl Section {
    /// Writes it to `<folder>/<name>.json`.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, folder: &Path) -> Result<()> {
        std::fs::create_dir_all(folder)
            .with_context(|| format!("cannot create `{}`", folder.display()))?;
        let file = folder.join(format!("{}.json", self.name));
        let text = serde_json::to_string_pretty(self).context("cannot write the figures")?;
        std::fs::write(&file, text + "\n")
            .with_context(|| format!("cannot write `{}`", file.display()))
    }

    /// Reads it again; `None` where it has not been measured.
    ///
    /// # Errors
    /// When the file is there and cannot be understood.
    pub fn read(folder: &Path, name: &str) -> Result<Option<Self>> {
        let file = folder.join(format!("{name}.json"));
        let Ok(text) = std::fs::read_to_string(&file) else {
            return Ok(None);
        };
        serde_json::from_str(&text)
            .map(Some)
            .with_context(|| format!("cannot understand `{}`", file.display()))
    }
}

/// The middle value; of an even number the mean of the two in the middle. None have 0.
#[must_use]
pub fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    let at = |index: usize| values.get(index).copied().unwrap_or_default();
    match values.len() {
        0 => 0.0,
        even if even % 2 == 0 => f64::midpoint(at(middle - 1), at(middle)),
        _ => at(middle),
    }
}

/// Microseconds, with as many digits as mean something.
#[must_use]
pub fn micros(value: f64) -> String {
    match value.abs() {
        small if small < 0.995 => format!("{value:.2} µs"),
        some if some < 99.5 => format!("{value:.1} µs"),
        many if many < 9999.5 => format!("{value:.0} µs"),
        _ => format!("{:.1} ms", value / 1e3),
    }
}

/// Bytes as KiB or MiB.
#[must_use]
pub fn bytes(value: f64) -> String {
    match value.abs() {
        small if small < 1_048_576.0 => format!("{:.0} KiB", value / 1024.0),
        _ => format!("{:.1} MiB", value / 1_048_576.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_and_of_two_the_mean() {
        assert_eq!(median([3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median([4.0, 1.0, 2.0, 3.0]), 2.5);
        assert_eq!(median([]), 0.0);
    }

    #[test]
    fn figures_have_as_many_digits_as_mean_something() {
        assert_eq!(micros(0.276), "0.28 µs");
        assert_eq!(micros(8.64), "8.6 µs");
        assert_eq!(micros(632.4), "632 µs");
        assert_eq!(micros(39_500.0), "39.5 ms");
        assert_eq!(bytes(33_000.0), "32 KiB");
        assert_eq!(bytes(12_582_912.0), "12.0 MiB");
    }
}
