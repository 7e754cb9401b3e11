//! Why a connection failed, and what to do about it.
//!
//! async-nats prints a source in `Display` and also returns it from `source()`; the kind and the innermost
//! source contain everything. A TLS failure arrives as a general I/O error: only its source identifies it.

use crate::config::resolved::Tls;
use crate::report;
use anyhow::anyhow;
use async_nats::rustls::{AlertDescription, CertificateError, Error as TlsError};
use async_nats::{ConnectError, ConnectErrorKind};
use std::error::Error;
use std::io;

/// For credentials that a server does not take.
pub(super) const CREDENTIALS: &str =
    "check `nats.user`, `nats.password`, `nats.token`, `nats.nkey` or `nats.credentials`";
/// For an address without a listener.
pub(super) const NOBODY: &str =
    "start a server with `nats-server -js`, or name another with `--nats URL` or `nats.url`";
const TLS_FIRST: &str = "check that a nats server listens at this address; set `nats.tls.first` if it begins with TLS (`handshake_first`)";

/// The cause as an error with its hint. `tls` is what the connection was told about TLS.
pub(super) fn connect(error: &ConnectError, tls: &Tls) -> anyhow::Error {
    let (text, hint) = match tls_error(error.source()) {
        Some(failed) => handshake(failed, tls),
        None => plain(error, tls),
    };
    report::hint(anyhow!(text), hint)
}

/// What failed in a handshake, as an error with its hint.
pub(super) fn encrypt(error: io::Error, tls: &Tls) -> anyhow::Error {
    match tls_error(Some(&error)) {
        Some(failed) => {
            let (text, hint) = handshake(failed, tls);
            report::hint(anyhow!(text), hint)
        }
        None => report::hint(error, silent(tls)),
    }
}

/// For a server that is there and waits for something else than it gets.
pub(super) fn silent(tls: &Tls) -> &'static str {
    if tls.first { NOBODY } else { TLS_FIRST }
}

/// The error of the TLS library, wherever it is in the chain. An [`io::Error`] does not return
/// what it carries from `source()`.
fn tls_error<'a>(mut next: Option<&'a (dyn Error + 'static)>) -> Option<&'a TlsError> {
    while let Some(cause) = next {
        if let Some(found) = cause.downcast_ref::<TlsError>() {
            return Some(found);
        }
        next = match cause.downcast_ref::<io::Error>().map(io::Error::get_ref) {
            Some(Some(carried)) => Some(carried),
            _ => cause.source(),
        };
    }
    None
}

fn handshake(error: &TlsError, tls: &Tls) -> (String, &'static str) {
    match error {
        TlsError::InvalidMessage(_) => {
            let hint = if tls.first {
                "leave out `nats.tls.first`, or set `handshake_first` in the server's `tls` block"
            } else {
                "configure `tls` in the server, or leave out `nats.tls.required` and the scheme `tls://`"
            };
            (
                "the server does not speak TLS where it is expected".to_owned(),
                hint,
            )
        }
        TlsError::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        ) => (
            error.to_string(),
            "set `nats.url` to an address that the server's certificate has",
        ),
        TlsError::InvalidCertificate(
            CertificateError::Expired
            | CertificateError::ExpiredContext { .. }
            | CertificateError::NotValidYet
            | CertificateError::NotValidYetContext { .. },
        ) => (
            error.to_string(),
            "renew the server's certificate, or set the clock of this machine",
        ),
        TlsError::InvalidCertificate(_) => (
            error.to_string(),
            "set `nats.tls.ca` to the PEM file of the authority that signed the server's certificate",
        ),
        TlsError::AlertReceived(alert) if is_about_a_certificate(*alert) => (
            format!("the server refused the client's certificate: {alert:?}"),
            "set `nats.tls.cert` and `nats.tls.key` to a certificate that the server trusts",
        ),
        other => (other.to_string(), "check `nats.tls`"),
    }
}

/// What servers say of a client's certificate; the versions of TLS and the servers differ.
fn is_about_a_certificate(alert: AlertDescription) -> bool {
    matches!(
        alert,
        AlertDescription::CertificateRequired
            | AlertDescription::NoCertificate
            | AlertDescription::BadCertificate
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateUnknown
            | AlertDescription::UnknownCA
            | AlertDescription::AccessDenied
    )
}

fn plain(error: &ConnectError, tls: &Tls) -> (String, &'static str) {
    let mut innermost: Option<&dyn Error> = error.source();
    while let Some(next) = innermost.and_then(Error::source) {
        innermost = Some(next);
    }
    let kind = error.kind();
    let text = match innermost {
        _ if kind == ConnectErrorKind::Authentication => {
            "the server's challenge cannot be signed: the seed is damaged".to_owned()
        }
        Some(source) if kind != ConnectErrorKind::AuthorizationViolation => source.to_string(),
        _ => kind.to_string(),
    };
    let hint = match kind {
        _ if text.contains("connections exceeded") => {
            "raise the server's or the account's `max_connections`: a host has one for each lane, and two more"
        }
        ConnectErrorKind::AuthorizationViolation | ConnectErrorKind::Authentication => CREDENTIALS,
        ConnectErrorKind::Tls => "check `nats.tls`: `ca`, `cert` and `key` name PEM files",
        ConnectErrorKind::Dns | ConnectErrorKind::ServerParse => {
            "check the address: `--nats`, `nats.url` or the environment variable NATS_URL"
        }
        ConnectErrorKind::TimedOut | ConnectErrorKind::Io if !was_refused(error) => silent(tls),
        _ => NOBODY,
    };
    (text, hint)
}

/// Whether there is no listener.
fn was_refused(error: &ConnectError) -> bool {
    let cause = error.source();
    let cause = cause.and_then(|cause| cause.downcast_ref::<io::Error>());
    cause.is_some_and(|cause| {
        use io::ErrorKind::{ConnectionRefused, HostUnreachable, NetworkUnreachable};
        matches!(
            cause.kind(),
            ConnectionRefused | HostUnreachable | NetworkUnreachable
        )
    })
}
