//! Keeps secrets out of everything that a process prints for people: errors, findings, logs.
//!
//! Two nets. What is known to be a secret, because it was read as one, is replaced wherever it appears
//! ([`keep`]). What looks like one is replaced without being known: the user part of a URL, seeds of nkeys,
//! JWTs and private keys. Results of commands are data and pass unchanged; no command has a secret in its
//! result.

use std::borrow::Cow;
use std::sync::{PoisonError, RwLock};

/// What stands in the place of a secret.
pub const HIDDEN: &str = "***";

/// Bytes of the shortest secret that is replaced: a shorter one would be found in our own words.
const SHORTEST: usize = 4;

/// Characters of a seed of an nkey.
const SEED: usize = 58;

/// Characters of the shortest text that is taken for a JWT.
const JWT: usize = 40;

/// Secrets of this process, the longest first, each with what stands in its place.
static KNOWN: RwLock<Vec<(String, String)>> = RwLock::new(Vec::new());

/// Remembers a secret until the process ends. `shown` stands in its place.
pub fn keep_as(secret: &str, shown: &str) {
    let json = serde_json::Value::from(secret).to_string();
    let escaped = json.trim_matches('"');
    let debug = secret.escape_debug().to_string();
    let mut known = KNOWN.write().unwrap_or_else(PoisonError::into_inner);
    for form in [secret, escaped, &debug] {
        if form.len() >= SHORTEST && !known.iter().any(|(known, _)| known == form) {
            known.push((form.to_owned(), shown.to_owned()));
        }
    }
    // One that holds another is replaced as a whole.
    known.sort_by_key(|(secret, _)| std::cmp::Reverse(secret.len()));
}

/// Remembers a secret until the process ends.
pub fn keep(secret: &str) {
    keep_as(secret, HIDDEN);
}

/// The text without secrets.
#[must_use]
pub fn hide(text: &str) -> Cow<'_, str> {
    let mut hidden = Cow::Borrowed(text);
    let known = KNOWN.read().unwrap_or_else(PoisonError::into_inner);
    for (secret, shown) in known.iter() {
        if hidden.contains(secret) {
            hidden = hidden.replace(secret, shown).into();
        }
    }
    for look in [users_of_urls, words, private_keys] {
        if let Some(changed) = look(&hidden) {
            hidden = changed.into();
        }
    }
    hidden
}

/// `nats://user:password@host` and `nats://token@host` without what precedes the host.
fn users_of_urls(text: &str) -> Option<String> {
    let mut changed = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("://") {
        changed.push_str(before);
        changed.push_str("://");
        let ends = |c: char| c.is_whitespace() || c.is_control() || "`\"',<>".contains(c);
        let url = after.split(ends).next().unwrap_or_default();
        let user = user(url).unwrap_or_default();
        if user > 0 {
            changed.push_str(HIDDEN);
        }
        rest = after.get(user..).unwrap_or_default();
    }
    changed.push_str(rest);
    (changed != text).then_some(changed)
}

/// How long the user part of a URL without its scheme is. What follows a slash is a path, which may have an
/// `@` of its own (`nats://BUCKET/NAME@VERSION`), unless what precedes the slash is no host with a port.
fn user(url: &str) -> Option<usize> {
    let host = url.split('/').next().unwrap_or_default();
    if let Some(at) = host.rfind('@') {
        return Some(at);
    }
    let (_, port) = host.rsplit_once(':')?;
    let is_port = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    if is_port || port.is_empty() || port.ends_with(']') {
        return None;
    }
    // Without a host there is nothing but what may be a password.
    Some(url.rfind('@').unwrap_or(host.len()))
}

/// Seeds of nkeys, and JWTs.
fn words(text: &str) -> Option<String> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let mut changed = String::new();
    let mut rest = text;
    while !rest.is_empty() {
        let length = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
        let (word, after) = rest.split_at_checked(length.max(1)).unwrap_or((rest, ""));
        // Of another character than ASCII.
        let (word, after) = match word {
            "" => {
                let mut characters = rest.chars();
                characters.next();
                let after = characters.as_str();
                (rest.strip_suffix(after).unwrap_or(rest), after)
            }
            _ => (word, after),
        };
        let is_secret = is_seed(word) || word.starts_with("eyJ") && word.len() >= JWT;
        changed.push_str(if is_secret { HIDDEN } else { word });
        rest = after;
    }
    (changed != text).then_some(changed)
}

/// `S`, the kind of its owner, and base 32.
fn is_seed(word: &str) -> bool {
    let is_base32 = |byte: u8| byte.is_ascii_uppercase() || (b'2'..=b'7').contains(&byte);
    let mut bytes = word.bytes();
    word.len() == SEED
        && bytes.next() == Some(b'S')
        && bytes.next().is_some_and(|kind| b"ACNOUX".contains(&kind))
        && bytes.all(is_base32)
}

/// What follows the first line of a private key in PEM, to its end.
fn private_keys(text: &str) -> Option<String> {
    const BEGIN: &str = "PRIVATE KEY-----";
    const END: &str = "-----END";
    let (before, after) = text.split_once(BEGIN)?;
    let rest = after.find(END).and_then(|end| after.get(end..));
    Some(format!(
        "{before}{BEGIN}{HIDDEN}{}",
        rest.unwrap_or_default()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_looks_like_a_secret_is_hidden_and_what_looks_like_a_reference_is_not() {
        for (text, shown) in [
            ("at `nats://u:pw@h:4222`", "at `nats://***@h:4222`"),
            ("nats://token@h, tls://a:b@c", "nats://***@h, tls://***@c"),
            ("nats://u:p/w@h", "nats://***@h"),
            ("nats://u:p@w@h/x", "nats://***@h/x"),
            ("oci://u:pw@r.example/a:1", "oci://***@r.example/a:1"),
            ("https://u:pw@h/?a=b", "https://***@h/?a=b"),
            ("nats://plugins/redact@1.0", "nats://plugins/redact@1.0"),
            ("oci://h:5000/a@sha256:0f", "oci://h:5000/a@sha256:0f"),
            (
                "oci://[::1]:5000/a:1@sha256:0f",
                "oci://[::1]:5000/a:1@sha256:0f",
            ),
            ("nats://h:4222/ and a@b", "nats://h:4222/ and a@b"),
            ("nats://user:pw", "nats://***"),
            ("nats://user:pw/x", "nats://***/x"),
        ] {
            assert_eq!(hide(text), shown);
        }
        let seed = format!("SU{}", "A2".repeat(28));
        let jwt = format!("eyJ{}.b-c_d", "x9".repeat(30));
        let text = format!("seed=\"{seed}\" jwt {jwt}, é");
        assert_eq!(hide(&text), "seed=\"***\" jwt ***, é");
        let key = "-----BEGIN EC PRIVATE KEY-----\nMHcCAQ\n-----END EC PRIVATE KEY-----";
        let shown = "-----BEGIN EC PRIVATE KEY-----***-----END EC PRIVATE KEY-----";
        assert_eq!(hide(key), shown);
    }

    #[test]
    fn what_is_known_is_hidden_in_every_form_of_a_string() {
        keep("sword\"fish\\1");
        keep_as("harpoon-of-steel", "${HARPOON}");
        keep("harpoon");
        for text in ["sword\"fish\\1", "sword\\\"fish\\\\1"] {
            assert_eq!(hide(text), "***");
        }
        assert_eq!(hide("a harpoon-of-steel"), "a ${HARPOON}");
        keep("x");
        assert_eq!(hide("x"), "x");
    }

    proptest! {
        #[test]
        fn text_without_secrets_is_as_it_was(text in "[a-z0-9 é:@./{}]{0,60}") {
            prop_assume!(!text.contains("://"));
            prop_assert_eq!(hide(&text), text.as_str());
        }

        #[test]
        fn hiding_ends_whatever_the_text(text in "\\PC{0,60}") {
            let once = hide(&text).into_owned();
            prop_assert_eq!(hide(&once), once.as_str());
        }
    }
}
