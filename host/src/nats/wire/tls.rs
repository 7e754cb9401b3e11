//! TLS of a connection: what the host trusts and presents, read from files at each connection.

use crate::config::resolved::Tls;
use crate::report::ResultExt;
use anyhow::{Context, Result};
use std::path::Path;
use std::sync::Arc;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto};

/// Trusts the system's authorities and the configured one, and presents the configured certificate.
///
/// # Errors
/// Names the file that cannot be used.
pub(super) async fn connector(settings: &Tls) -> Result<TlsConnector> {
    let mut roots = RootCertStore::empty();
    // What of the system's store cannot be read is not trusted.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if let Some(ca) = &settings.ca {
        for certificate in certificates(ca).await? {
            let added = roots.add(certificate);
            added.with_context(|| format!("cannot trust a certificate in `{}`", ca.display()))?;
        }
    }
    let provider = Arc::new(crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .context("cannot set up TLS")?
        .with_root_certificates(roots);
    let config = match &settings.identity {
        None => config.with_no_client_auth(),
        Some((certificate, key)) => {
            let (chain, path) = (certificates(certificate).await?, key);
            let key = PrivateKeyDer::from_pem_slice(&read(key).await?);
            let key = key.with_context(|| format!("there is no key in `{}`", path.display()))?;
            let config = config.with_client_auth_cert(chain, key);
            config.with_context(|| format!("cannot use the key in `{}`", path.display()))?
        }
    };
    Ok(TlsConnector::from(Arc::new(config)))
}

async fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let pem = read(file).await?;
    let all = CertificateDer::pem_slice_iter(&pem).collect::<Result<Vec<_>, _>>();
    let all = all.with_context(|| format!("there is no certificate in `{}`", file.display()));
    all.hint(|| "check `nats.tls`: `ca`, `cert` and `key` name PEM files")
}

async fn read(file: &Path) -> Result<Vec<u8>> {
    let read = tokio::fs::read(file).await;
    read.with_context(|| format!("cannot read `{}`", file.display()))
}
