//! Signatures that minisign itself has made, and what is none.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::*;
use crate::report;

/// What minisign 0.11 wrote; the key that signed is nowhere.
const KEY: &str = "RWSHCc3vjIsQJXnZMsaNPnuOdAb3Mase93U1v8ULAKi6hZcPf5cucwdv";
const OTHER_KEY: &str = "RWRv1s5jUI2YTSyAgE7jvmpzMUxx8dATyP2QQKaHYFvO1xYsfjxCCR+H";
const SIGNED: &[u8] = b"a component";
const SIGNATURE: &str = "untrusted comment: signature from minisign secret key
RUSHCc3vjIsQJeVFqQH/R7CzK1b86Jua9++132zKkDqPsx9dsQMciX+MOWpRdmsxUtTszR0ytBWThn0Ix9aMozq3fYGy4ThC9gE=
trusted comment: for the tests
XHZzb+K0dTQFl7Zp3cbnkdUJwHSL7Rp4kz0WukXfuBqcy6EsG5VPB3IVIeOb4qBXYYf+HcsQ0cXO8hLik7ejBQ==
";
/// Of `minisign -S -l`.
const OLDER_FORMAT: &str = "untrusted comment: signature from minisign secret key
RWSHCc3vjIsQJciJ6XDI0CPZEpTQvM8xIWkxhLfsk01O023MJe5cw3ijIO2pLo2zPJlL/LRuiiPIql/FX365qSyZNvlTBEPpNwQ=
trusted comment: for the tests
l23mN0fsp5Z0A4ClRUEcZ9qIZHsKY2YX7bP/R/s+QUSdnz9WGMJ4zml/Tm88015d6pqE678UKAfstpxJv6VLCw==
";

fn key(text: &str) -> Key {
    Key::of_text(text).unwrap()
}

fn refused(keys: &[Key], bytes: &[u8], signature: Option<&str>) -> String {
    let error = check(keys, bytes, signature).unwrap_err();
    assert!(!report::hints(&error).is_empty(), "{error:#}");
    report::line(&error)
}

#[test]
fn what_minisign_has_signed_is_accepted() {
    let keys = [key(OTHER_KEY), key(KEY)];
    check(&keys, SIGNED, Some(SIGNATURE)).unwrap();
    check(&keys, SIGNED, Some(OLDER_FORMAT)).unwrap();
    check(&[], b"anything", None).unwrap();
    check(&[], b"anything", Some("nonsense")).unwrap();
}

#[test]
fn what_is_not_signed_or_wrongly_is_refused() {
    let keys = [key(KEY)];
    assert!(refused(&keys, SIGNED, None).contains("no signature"));
    assert!(refused(&keys, SIGNED, Some("nonsense")).contains("not a minisign signature"));
    assert!(refused(&keys, b"another", Some(SIGNATURE)).contains("for different bytes"));
    assert!(refused(&keys, b"another", Some(OLDER_FORMAT)).contains("for different bytes"));
    let changed = SIGNATURE.replace("for the tests", "for anything");
    assert!(refused(&keys, SIGNED, Some(&changed)).contains("for different bytes"));
    let other = [key(OTHER_KEY)];
    assert!(refused(&other, SIGNED, Some(SIGNATURE)).contains("not signed with any of the keys"));
    let endless = SIGNATURE.replace("tests", &"t".repeat(LONGEST));
    assert!(refused(&keys, SIGNED, Some(&endless)).contains("not a minisign signature"));
}

#[test]
fn a_key_is_read_from_its_file_with_its_comment_and_without() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("key.pub");
    for text in [format!("untrusted comment: ours\n{KEY}\n"), KEY.to_owned()] {
        std::fs::write(&file, text).unwrap();
        check(&[Key::File(file.clone())], SIGNED, Some(SIGNATURE)).unwrap();
    }
    std::fs::write(&file, "no key").unwrap();
    let error = check(&[Key::File(file)], SIGNED, Some(SIGNATURE)).unwrap_err();
    assert!(error.to_string().contains("is not a minisign public key"));
    assert_eq!(Key::of_text("keys/release.pub"), None);
}
