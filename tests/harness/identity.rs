//! An operator with one account, as NATS knows them from signed tokens, and credentials files of its
//! users.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use nkeys::KeyPair;
use serde_json::{Value, json};
use std::time::{SystemTime, UNIX_EPOCH};

/// The keys of an operator, of its system account and of the account that pipelines run in.
pub struct Operator {
    operator: KeyPair,
    system: KeyPair,
    account: KeyPair,
}

impl Operator {
    pub fn new() -> Self {
        Self {
            operator: KeyPair::new_operator(),
            system: KeyPair::new_account(),
            account: KeyPair::new_account(),
        }
    }

    /// For the configuration file of a server that trusts this operator and knows both accounts.
    pub fn server_configuration(&self) -> String {
        let own = json!({ "type": "operator", "version": 2 });
        let operator = token(&self.operator, &self.operator, None, own);
        let (system, account) = (self.system.public_key(), self.account.public_key());
        // The server keeps JetStream off the system account, and will not start otherwise.
        let known = |key, storage| token(&self.operator, key, None, account_claims(storage));
        format!(
            "operator: {operator}\nsystem_account: {system}\nresolver: MEMORY\n\
             resolver_preload: {{ {system}: {}, {account}: {} }}\n",
            known(&self.system, 0),
            known(&self.account, -1),
        )
    }

    /// The text of a credentials file for a new user of the account.
    pub fn credentials(&self) -> String {
        self.credentials_until(None)
    }

    /// The same, not valid any more.
    pub fn expired_credentials(&self) -> String {
        self.credentials_until(Some(now() - 60))
    }

    /// The same, valid for so many seconds from now.
    pub fn short_credentials(&self, seconds: u64) -> String {
        self.credentials_until(Some(now() + seconds))
    }

    fn credentials_until(&self, expires: Option<u64>) -> String {
        let user = KeyPair::new_user();
        let claims = json!({
            "pub": {}, "sub": {}, "subs": -1, "data": -1, "payload": -1, "type": "user", "version": 2,
        });
        let token = token(&self.account, &user, expires, claims);
        let seed = user.seed().expect("the key has a seed");
        format!(
            "-----BEGIN NATS USER JWT-----\n{token}\n------END NATS USER JWT------\n\n\
             -----BEGIN USER NKEY SEED-----\n{seed}\n------END USER NKEY SEED------\n"
        )
    }
}

/// No limits but that of what JetStream may store; -1 is none, 0 is nothing.
fn account_claims(storage: i64) -> Value {
    json!({
        "limits": {
            "subs": -1, "data": -1, "payload": -1, "imports": -1, "exports": -1, "wildcards": true,
            "conn": -1, "leaf": -1, "mem_storage": storage, "disk_storage": storage, "streams": storage,
            "consumer": storage,
        },
        "type": "account",
        "version": 2,
    })
}

/// Claims about `subject`, signed by `issuer`.
fn token(issuer: &KeyPair, subject: &KeyPair, expires: Option<u64>, claims: Value) -> String {
    let mut body = json!({
        "jti": subject.public_key(),
        "iat": now(),
        "iss": issuer.public_key(),
        "sub": subject.public_key(),
        "name": "test",
        "nats": claims,
    });
    if let Some(expires) = expires {
        body["exp"] = expires.into();
    }
    let encode = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
    let header = json!({ "typ": "JWT", "alg": "ed25519-nkey" }).to_string();
    let signed = format!(
        "{}.{}",
        encode(header.as_bytes()),
        encode(body.to_string().as_bytes())
    );
    let signature = issuer.sign(signed.as_bytes()).expect("cannot sign");
    format!("{signed}.{}", encode(&signature))
}

/// Seconds since 1970.
fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.expect("the clock is set").as_secs()
}
