//! A bound for nested payloads: who reads them recursively would overflow the stack.

/// Levels of nesting that a payload may have: as many as most readers of JSON take, serde_json among them.
pub const DEPTH: usize = 127;

/// Refuses JSON that is nested deeper than [`DEPTH`] levels. Whether it is JSON otherwise is not looked at.
///
/// # Errors
/// That it is.
pub fn check_depth(json: &[u8]) -> Result<(), String> {
    let mut depth = 0_usize;
    let mut bytes = json.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth = depth.saturating_sub(1),
            b'"' => skip_text(&mut bytes),
            _ => {}
        }
        if depth > DEPTH {
            return Err(too_deep());
        }
    }
    Ok(())
}

/// To the end of a text, whose first quote was read.
fn skip_text(bytes: &mut std::slice::Iter<'_, u8>) {
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => return,
            b'\\' => {
                bytes.next();
            }
            _ => {}
        }
    }
}

/// Why a payload that is nested too deep is refused.
#[must_use]
pub fn too_deep() -> String {
    format!("the payload has more than {DEPTH} levels of nesting")
}
