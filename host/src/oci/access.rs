//! Access to a registry: the client with its limits, the user's credentials, and the explanation of the
//! client's errors.

use crate::config::component::InRegistry;
use crate::report::{self, ResultExt};
use anyhow::{Context, Result, anyhow};
use docker_credential::{CredentialRetrievalError, DockerCredential};
use oci_client::Client;
use oci_client::client::{Certificate, CertificateEncoding, ClientConfig, ClientProtocol};
use oci_client::errors::{OciDistributionError, OciEnvelope, OciErrorCode};
use oci_client::manifest::ImageIndexEntry;
use oci_client::secrets::RegistryAuth;
use std::error::Error;
use std::fs::File;
use std::io::{BufReader, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio_rustls::rustls::crypto::ring;

/// Timeout for connecting.
const CONNECT: Duration = Duration::from_secs(10);
/// Timeout without data in a response.
const SILENCE: Duration = Duration::from_secs(30);

/// A client for one registry.
pub(super) fn client(location: &InRegistry, ca: Option<&Path>) -> Result<Client> {
    // The client uses the process's crypto provider. If it was installed before, it was the same.
    let _ = ring::default_provider().install_default();
    let roots = match ca {
        Some(file) => vec![Certificate {
            encoding: CertificateEncoding::Pem,
            data: std::fs::read(file)
                .with_context(|| format!("cannot read `{}`", file.display()))?,
        }],
        None => Vec::new(),
    };
    let config = ClientConfig {
        protocol: match location.is_loopback() {
            true => ClientProtocol::Http,
            false => ClientProtocol::Https,
        },
        extra_root_certificates: roots,
        platform_resolver: Some(Box::new(webassembly)),
        connect_timeout: Some(CONNECT),
        read_timeout: Some(SILENCE),
        user_agent: concat!("weir/", env!("CARGO_PKG_VERSION")),
        ..ClientConfig::default()
    };
    Client::try_from(config).map_err(|error| anyhow!(innermost(&error)))
}

/// Chooses among several manifests under one name.
fn webassembly(entries: &[ImageIndexEntry]) -> Option<String> {
    let is_wasm = |entry: &&ImageIndexEntry| {
        let platform = entry.platform.as_ref();
        platform.is_some_and(|platform| platform.architecture.to_string() == "wasm")
    };
    let found = entries.iter().find(is_wasm);
    found.map(|entry| entry.digest.clone())
}

/// The credentials that `docker login` has stored for a registry, in its file or with a helper.
///
/// # Errors
/// If there are credentials that cannot be read.
pub(super) fn credentials(registry: &str) -> Result<RegistryAuth> {
    let folder = std::env::var_os("DOCKER_CONFIG").map(PathBuf::from);
    let home = || Some(PathBuf::from(std::env::var_os("HOME")?).join(".docker"));
    let Some(folder) = folder.or_else(home) else {
        return Ok(RegistryAuth::Anonymous);
    };
    let file = folder.join("config.json");
    let what = || format!("cannot read the credentials in `{}`", file.display());
    let opened = match File::open(&file) {
        Ok(opened) => BufReader::new(opened),
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(RegistryAuth::Anonymous),
        Err(error) => return Err(error).with_context(what),
    };
    match docker_credential::get_credential_from_reader(opened, registry) {
        Ok(DockerCredential::UsernamePassword(user, password)) => {
            report::secrets::keep(&password);
            Ok(RegistryAuth::Basic(user, password))
        }
        Ok(DockerCredential::IdentityToken(_)) => Err(anyhow!(
            "identity tokens are not supported, and there is one for `{registry}`"
        ))
        .with_context(what)
        .hint(|| "log in with a user and a password, or with an access token as the password"),
        Err(CredentialRetrievalError::NoCredentialConfigured) => Ok(RegistryAuth::Anonymous),
        Err(error) => {
            let error = error.to_string();
            let mut lines = error.lines().map(str::trim).filter(|line| !line.is_empty());
            let first = lines.next().unwrap_or("unknown format").to_lowercase();
            Err(anyhow!(first))
                .with_context(what)
                .hint(|| format!("log in again with `docker login {registry}`"))
        }
    }
}

/// Explains an error of the client, with a hint.
pub(super) fn explained(error: OciDistributionError, location: &InRegistry) -> anyhow::Error {
    let registry = &location.registry;
    if is_missing(&error) {
        let what = match (&location.digest, &location.tag) {
            (Some(_), _) => "there is nothing with this digest",
            (None, Some(_)) => "there is no such tag",
            (None, None) => "there is no such repository",
        };
        let hint = format!("see `weir plugin list {}`", location.whole_repository());
        return report::hint(anyhow!(what), hint);
    }
    if is_refused(&error) {
        let hint = format!(
            "log in with `docker login {registry}`: weir reads `config.json` in $DOCKER_CONFIG or ~/.docker"
        );
        let what =
            format!("`{registry}` denies access with the stored credentials, or without any");
        return report::hint(anyhow!(what), hint);
    }
    match &error {
        OciDistributionError::DigestError(_) => report::hint(
            anyhow!("its bytes do not match its digest"),
            "do not run it; push it again, and ask who has changed the registry",
        ),
        OciDistributionError::RequestError(request) if request.is_timeout() => {
            unreachable(registry, "it does not respond in time")
        }
        OciDistributionError::RequestError(_) => unreachable(registry, &innermost(&error)),
        OciDistributionError::RegistryError { envelope, .. } => {
            anyhow!("the registry says: {}", said(envelope))
        }
        OciDistributionError::ServerError { code, message, .. } => {
            match serde_json::from_str(message) {
                Ok(envelope) => anyhow!("the registry says: {}", said(&envelope)),
                Err(_) => anyhow!("the registry responds with status {code}"),
            }
        }
        other => anyhow!(innermost(other)),
    }
}

fn unreachable(registry: &str, why: &str) -> anyhow::Error {
    let error = anyhow!("`{registry}` cannot be reached: {why}");
    report::hint(
        error,
        "check whether the registry is running and its name is correct",
    )
}

/// Why the download of a layer ended early.
#[expect(
    clippy::needless_pass_by_value,
    reason = "it is what an error is turned into"
)]
pub(super) fn broken(error: std::io::Error) -> anyhow::Error {
    let inner = error.get_ref().map(|inner| inner as &(dyn Error + 'static));
    let digest = inner.is_some_and(|inner| inner.is::<oci_client::errors::DigestError>());
    match digest {
        true => report::hint(
            anyhow!("its bytes do not match its digest"),
            "do not run it; push it again, and ask who has changed the registry",
        ),
        false => anyhow!("the download ends early: {}", innermost(&error)),
    }
}

/// Whether the requested object does not exist.
pub(super) fn is_missing(error: &OciDistributionError) -> bool {
    use OciErrorCode::{BlobUnknown, ManifestBlobUnknown, ManifestUnknown, NameUnknown, NotFound};
    let codes = [
        BlobUnknown,
        ManifestBlobUnknown,
        ManifestUnknown,
        NameUnknown,
        NotFound,
    ];
    match error {
        OciDistributionError::ImageManifestNotFoundError(_)
        | OciDistributionError::ServerError { code: 404, .. } => true,
        OciDistributionError::RegistryError { envelope, .. } => has(envelope, &codes),
        _ => false,
    }
}

fn is_refused(error: &OciDistributionError) -> bool {
    let codes = [OciErrorCode::Unauthorized, OciErrorCode::Denied];
    match error {
        OciDistributionError::AuthenticationFailure(_)
        | OciDistributionError::UnauthorizedError { .. }
        | OciDistributionError::ServerError {
            code: 401 | 403, ..
        } => true,
        OciDistributionError::RegistryError { envelope, .. } => has(envelope, &codes),
        _ => false,
    }
}

fn has(envelope: &OciEnvelope, codes: &[OciErrorCode]) -> bool {
    envelope
        .errors
        .iter()
        .any(|error| codes.contains(&error.code))
}

fn said(envelope: &OciEnvelope) -> String {
    let messages = envelope.errors.iter().map(|error| error.message.as_str());
    messages.collect::<Vec<_>>().join("; ")
}

/// The last cause, which says what happened; the others only say what was attempted.
fn innermost(error: &dyn Error) -> String {
    let mut last = error;
    while let Some(source) = last.source() {
        last = source;
    }
    last.to_string()
}
