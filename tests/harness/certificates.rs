//! An authority and what it signs, made anew for each test, as files that a server and a host read.

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose,
};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A certificate authority, and the folder with everything it signed.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: TempDir,
}

/// A certificate and its private key, as PEM files.
pub struct Certified {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

impl Authority {
    /// An authority of this name.
    pub fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().expect("cannot make a key");
        let issuer = CertifiedIssuer::self_signed(params, key).expect("cannot sign");
        let folder = tempfile::tempdir().expect("cannot create a folder");
        write(folder.path(), "authority.pem", &issuer.pem());
        Self { issuer, folder }
    }

    /// The authority's own certificate: whoever trusts it trusts what it signed.
    pub fn certificate(&self) -> PathBuf {
        self.folder.path().join("authority.pem")
    }

    /// A certificate for a server or a client with these names or addresses.
    pub fn sign(&self, name: &str, subjects: &[&str]) -> Certified {
        let subjects: Vec<String> = subjects.iter().map(|&subject| subject.into()).collect();
        let mut params = CertificateParams::new(subjects).expect("not a name or address");
        params.distinguished_name.push(DnType::CommonName, name);
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        let key = KeyPair::generate().expect("cannot make a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("cannot sign");
        let folder = self.folder.path();
        Certified {
            certificate: write(folder, &format!("{name}.pem"), &certificate.pem()),
            key: write(folder, &format!("{name}.key"), &key.serialize_pem()),
        }
    }
}

fn write(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, text).expect("cannot write a file");
    path
}
