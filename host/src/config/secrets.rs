//! Which values of a file may be secrets: credentials in `nats:`, and every value whose key is the name of a
//! secret, in any place, even if the key is unknown.

use super::tree::{Kind, Node, Scalar};

/// Keys of `nats:` whose values are none. Others may be secrets under a wrong name.
const PUBLIC: [&str; 9] = [
    "url",
    "servers",
    "user",
    "required",
    "first",
    "inbox-prefix",
    "domain",
    "api-prefix",
    "tls",
];

/// Keys of files, of which a value that looks like a path is none.
const FILES: [&str; 4] = ["credentials", "ca", "cert", "key"];

/// What names of secrets end in, in lower case and without `-` and `_`.
const NAMES: [&str; 14] = [
    "password",
    "passwd",
    "passphrase",
    "pwd",
    "secret",
    "token",
    "seed",
    "nkey",
    "apikey",
    "accesskey",
    "privatekey",
    "secretkey",
    "credential",
    "credentials",
];

/// The values in a document that may be secrets.
pub(super) fn find(document: &Node) -> Vec<String> {
    let mut found = Vec::new();
    named(document, false, &mut found);
    if let Some(nats) = document.entry("nats") {
        of_nats(&nats.value, &mut found);
    }
    found
}

fn named(node: &Node, secret: bool, found: &mut Vec<String>) {
    match &node.kind {
        Kind::Scalar(Scalar { text, .. }) if secret && !is_path(text) && !is_plain(text) => {
            found.push(text.clone());
        }
        Kind::Map(entries) => entries.iter().for_each(|entry| {
            let key: String = entry.key.to_lowercase().replace(['-', '_', ' '], "");
            let secret = secret || NAMES.iter().any(|name| key.ends_with(name));
            named(&entry.value, secret, found);
        }),
        Kind::List(items) => items.iter().for_each(|item| named(item, secret, found)),
        Kind::Scalar(_) | Kind::Broken => {}
    }
}

fn of_nats(node: &Node, found: &mut Vec<String>) {
    let Kind::Map(entries) = &node.kind else {
        return named(node, true, found);
    };
    for entry in entries {
        let key = entry.key.as_str();
        match &entry.value.kind {
            Kind::Map(_) if key == "tls" => of_nats(&entry.value, found),
            Kind::Scalar(scalar) if FILES.contains(&key) && is_path(&scalar.text) => {}
            _ if PUBLIC.contains(&key) => {}
            _ => named(&entry.value, true, found),
        }
    }
}

/// Whether a text has the form of a file's path, so that a finding may show which file is missing.
fn is_path(text: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || "/._-~ ".contains(c);
    let ends_like_a_file = text.rsplit('/').next().is_some_and(|name| {
        let extension = name.rsplit_once('.').map(|(_, extension)| extension);
        extension.is_some_and(|extension| (1..=5).contains(&extension.len()))
    });
    text.chars().all(is_part) && (text.starts_with(['/', '.', '~']) || ends_like_a_file)
}

/// Whether a text is a boolean or a small number, which would be found in our own words.
fn is_plain(text: &str) -> bool {
    let is_number = text.len() < 6 && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number || ["true", "false", "null"].contains(&text.to_lowercase().as_str())
}
