//! Keys that a bucket can have. Pure.
//!
//! Clients of buckets accept letters, digits and `-`, `_`, `/`, `=` and `.` in a key, and no empty part
//! between two dots. Every other byte of a view's key, and `=` itself, is written as `=` and two hexadecimal
//! digits. So two keys never become one, and a reader can recover each key.

/// Bytes of an escaped key, at most. A subject has room for more, but not for any length: the server ends the
/// connection on which a line of more than 4,096 bytes comes (`MAX_CONTROL_LINE_SIZE` in its `const.go`).
const LONGEST: usize = 1024;

/// A key as the bucket has it; none if it is empty or too long.
#[must_use]
pub fn escape(key: &str) -> Option<String> {
    let mut escaped = String::with_capacity(key.len());
    let mut after_dot = true;
    let bytes = key.as_bytes();
    for (place, byte) in bytes.iter().enumerate() {
        let dot_is_fine = || !after_dot && !matches!(bytes.get(place + 1), None | Some(b'.'));
        let is_plain = match byte {
            b'-' | b'_' | b'/' => true,
            b'.' => dot_is_fine(),
            other => other.is_ascii_alphanumeric(),
        };
        match is_plain {
            true => escaped.push(char::from(*byte)),
            false => escaped.push_str(&format!("={byte:02X}")),
        }
        after_dot = is_plain && *byte == b'.';
        if escaped.len() > LONGEST {
            return None;
        }
    }
    (!escaped.is_empty()).then_some(escaped)
}

/// The key that was escaped; none if nobody escapes any key like this.
#[must_use]
pub fn unescape(escaped: &[u8]) -> Option<String> {
    let mut key = Vec::with_capacity(escaped.len());
    let mut rest = escaped;
    while let [first, behind @ ..] = rest {
        rest = behind;
        key.push(match first {
            b'=' => {
                let (digits, behind) = rest.split_at_checked(2)?;
                rest = behind;
                u8::from_str_radix(str::from_utf8(digits).ok()?, 16).ok()?
            }
            other => *other,
        });
    }
    let key = String::from_utf8(key).ok()?;
    (escape(&key)?.as_bytes() == escaped).then_some(key)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may fail by panicking")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_a_bucket_does_not_take_is_written_in_digits() {
        for (key, escaped) in [
            ("user-1/a_b", "user-1/a_b"),
            ("a.b", "a.b"),
            (".a..b.", "=2Ea=2E.b=2E"),
            ("a b*>\r\n", "a=20b=2A=3E=0D=0A"),
            ("a=20b", "a=3D20b"),
            ("ü", "=C3=BC"),
        ] {
            assert_eq!(escape(key).as_deref(), Some(escaped), "{key}");
        }
        assert_eq!(escape(""), None);
        assert_eq!(escape(&"x".repeat(LONGEST)).unwrap().len(), LONGEST);
        assert_eq!(escape(&"x".repeat(LONGEST + 1)), None);
        for other in ["=", "=2", "=61", "=2e", "a b", "a..b", ".a", "=FF"] {
            assert_eq!(unescape(other.as_bytes()), None, "{other}");
        }
    }

    proptest! {
        #[test]
        fn every_key_comes_back_and_is_one_that_clients_take(key in "\\PC{1,40}|[.=a]{1,9}") {
            let escaped = escape(&key).unwrap();
            let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_/=.".contains(&byte);
            prop_assert!(escaped.bytes().all(is_plain));
            prop_assert!(escaped.split('.').all(|token| !token.is_empty()));
            prop_assert_eq!(unescape(escaped.as_bytes()), Some(key));
        }

        #[test]
        fn nothing_is_read_that_was_not_written(bytes in prop::collection::vec(any::<u8>(), 0..20)) {
            if let Some(key) = unescape(&bytes) {
                prop_assert_eq!(escape(&key).unwrap().into_bytes(), bytes);
            }
        }
    }
}
