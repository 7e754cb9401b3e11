//! The credentials of the host. They are read again for each connection, so that renewed credentials are
//! used.

use crate::config::resolved::Auth;
use crate::report::{self, ResultExt};
use anyhow::{Context, Result, anyhow};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use nkeys::KeyPair;
use serde_json::{Map, Value};
use std::path::Path;

/// Adds what identifies the host to the options of CONNECT. `nonce` is the server's challenge.
///
/// # Errors
/// When the credentials cannot be read, or cannot sign.
pub(super) async fn identify(
    auth: &Auth,
    nonce: &str,
    options: &mut Map<String, Value>,
) -> Result<()> {
    let mut add = |name: &str, value: &str| options.insert(name.to_owned(), value.into());
    match auth {
        Auth::None => {}
        Auth::UserPassword { user, password } => {
            add("user", user);
            add("pass", password);
        }
        Auth::Token(token) => {
            add("auth_token", token);
        }
        Auth::NkeySeed(seed) => {
            let (key, signature) = sign(seed, nonce.as_bytes())?;
            add("nkey", &key);
            add("sig", &BASE64_URL_SAFE_NO_PAD.encode(signature));
        }
        Auth::CredentialsFile(file) => {
            let (jwt, signature) = token(file, nonce.as_bytes()).await?;
            add("jwt", &jwt);
            add("sig", &BASE64_URL_SAFE_NO_PAD.encode(signature));
        }
    }
    Ok(())
}

/// The JWT of a credentials file as it is now, and the server's challenge signed with its seed.
///
/// # Errors
/// When the file cannot be read, or has no such contents.
pub(super) async fn token(file: &Path, nonce: &[u8]) -> Result<(String, Vec<u8>)> {
    let read = tokio::fs::read_to_string(file).await;
    let what = || format!("cannot read the credentials file `{}`", file.display());
    let text = read.with_context(what)?;
    let found = credentials(&text);
    let (jwt, seed) = found
        .context("it has no JWT and seed")
        .with_context(what)
        .hint(|| "use a file with a user's JWT and seed, as `nsc generate creds` prints it")?;
    let (_, signature) = sign(seed, nonce)?;
    Ok((jwt.to_owned(), signature))
}

/// The public key of a seed, and the server's challenge signed with it.
fn sign(seed: &str, nonce: &[u8]) -> Result<(String, Vec<u8>)> {
    let signed = KeyPair::from_seed(seed).and_then(|key| {
        let signature = key.sign(nonce)?;
        Ok((key.public_key(), signature))
    });
    // The cause might quote the seed.
    signed.map_err(|_| {
        let text = "the server's challenge cannot be signed: the seed is damaged";
        report::hint(anyhow!(text), "check `nats.nkey` or `nats.credentials`")
    })
}

/// The JWT and the seed of a credentials file: the lines behind the first and the second
/// `-----BEGIN ...-----`.
fn credentials(text: &str) -> Option<(&str, &str)> {
    let mut lines = text.lines().map(str::trim);
    let mut block = || {
        lines.find(|line| line.contains("-----BEGIN "))?;
        lines.find(|line| !line.is_empty())
    };
    Some((block()?, block()?)).filter(|(jwt, seed)| !jwt.starts_with('-') && seed.starts_with('S'))
}

#[cfg(test)]
mod tests {
    use super::credentials;

    #[test]
    fn a_credentials_file_has_a_jwt_and_a_seed() {
        let file = "-----BEGIN NATS USER JWT-----\neyJ0\n------END NATS USER JWT------\n\nwords\n\n\
            -----BEGIN USER NKEY SEED-----\r\nSUAX\r\n------END USER NKEY SEED------\n";
        assert_eq!(credentials(file), Some(("eyJ0", "SUAX")));
        assert_eq!(credentials("-----BEGIN NATS USER JWT-----\neyJ0\n"), None);
        assert_eq!(credentials(""), None);
    }
}
