//! Files that are generated, or that a diagnostic is compared with: rewritten with `BLESS=1`.

use similar::TextDiff;
use std::path::Path;

/// Fails with a diff when the file does not hold `text`. With `BLESS=1` the file is written instead.
#[track_caller]
pub fn assert_file_holds(path: &Path, text: &str) {
    if std::env::var_os("BLESS").is_some_and(|bless| bless == "1") {
        std::fs::write(path, text).expect("cannot write the file");
        return;
    }
    let held = std::fs::read_to_string(path).unwrap_or_default();
    if held != text {
        let diff = TextDiff::from_lines(&held, text);
        panic!(
            "{} has drifted; run the test again with BLESS=1 if it should be:\n{}",
            path.display(),
            diff.unified_diff().header("in the file", "now")
        );
    }
}
