//! Errors of YAML itself, as findings.

use super::tree::location;
use crate::report::findings::{Collector, Location};
use serde_saphyr::granit_parser::{ErrorKind, ScanError};

/// Tabs in indentation are the usual reason, and parsers report them far from their location. If the
/// document has any, each is a finding instead of the parser's error.
pub(super) fn report(text: &str, error: &ScanError, findings: &mut Collector) {
    let location = location(*error.marker());
    let first = text
        .lines()
        .take(location.line)
        .enumerate()
        .filter(|(index, line)| index + 1 < location.line && line.starts_with("---"))
        .last()
        .map_or(0, |(index, _)| index);
    let mut tabs = 0;
    for (index, line) in text.lines().enumerate().skip(first) {
        if index > first && line.starts_with("---") {
            break;
        }
        let indentation = line.chars().take_while(|c| c.is_whitespace());
        if let Some(column) = indentation.clone().position(|c| c == '\t')
            && indentation.count() < line.chars().count()
        {
            tabs += 1;
            findings.add_hint(
                Location {
                    line: index + 1,
                    column: column + 1,
                },
                "a tab cannot indent YAML",
                "use spaces",
            );
        }
    }
    if tabs == 0 {
        let message = error.info();
        let message = message.trim_end_matches('.');
        match error.kind() {
            ErrorKind::TabNotAllowed => findings.add_hint(location, message, "use spaces"),
            _ => findings.add(location, format!("the YAML cannot be read: {message}")),
        }
    }
}
