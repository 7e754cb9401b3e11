//! The `nats:` section.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How to reach NATS. Use at most one kind of credentials: a file, an nkey, a user with a password, or a token.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Nats {
    /// Addresses of the servers of one cluster, `nats://` or `tls://`. `--nats` on the command line overrides them.
    /// If the file has no address, weir uses the environment variable `NATS_URL`.
    #[schemars(example = ["nats://a.example:4222", "nats://b.example:4222"])]
    pub servers: Vec<String>,
    /// One address, instead of `servers`.
    #[schemars(example = &"nats://127.0.0.1:4222")]
    pub url: Option<String>,
    /// A `.creds` file with a JWT and its seed. A relative path starts at the folder of this file.
    pub credentials: Option<String>,
    /// A file with an nkey seed, or the seed itself, preferably as `${NAME}`.
    pub nkey: Option<String>,
    /// A user's name; needs `password`.
    pub user: Option<String>,
    /// Preferably written as `${NAME}`, which reads it from the environment.
    #[schemars(example = &"${NATS_PASSWORD}")]
    pub password: Option<String>,
    /// Preferably written as `${NAME}`, which reads it from the environment.
    #[schemars(example = &"${NATS_TOKEN}")]
    pub token: Option<String>,
    /// Encryption of the connection.
    pub tls: Tls,
    /// The prefix of the connection's inboxes, for accounts that restrict subscriptions.
    pub inbox_prefix: String,
    /// The JetStream domain that has the streams, buckets and consumers, if the connection is in another domain: for
    /// example the domain of the hub, from a leaf node.
    #[schemars(example = &"hub")]
    pub domain: Option<String>,
    /// The prefix of the subjects of the JetStream API, if the account imports the API of another account under its
    /// own prefix. Use it instead of `domain`.
    #[schemars(example = &"JS.acme.API")]
    pub api_prefix: Option<String>,
}

impl Default for Nats {
    fn default() -> Self {
        Self {
            servers: vec!["nats://127.0.0.1:4222".to_owned()],
            url: None,
            credentials: None,
            nkey: None,
            user: None,
            password: None,
            token: None,
            tls: Tls::default(),
            inbox_prefix: "_INBOX".to_owned(),
            domain: None,
            api_prefix: None,
        }
    }
}

/// Encryption of the connection. Relative paths start at the folder of this file.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Tls {
    /// Refuse a server without TLS.
    pub required: bool,
    /// Start with the TLS handshake, for servers with `handshake_first`.
    pub first: bool,
    /// A PEM file with the root certificates to trust, instead of the system's.
    pub ca: Option<String>,
    /// A PEM file with the client's certificate; needs `key`.
    pub cert: Option<String>,
    /// A PEM file with the certificate's private key; needs `cert`.
    pub key: Option<String>,
}
