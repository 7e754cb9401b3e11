//! Signs as minisign does: a key, the line of its public half, and the text of a `.minisig` file.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rcgen::{KeyPair, PKCS_ED25519, PublicKeyData, SigningKey};

/// A key of its own.
pub struct Signer {
    key: KeyPair,
    /// Tells keys apart.
    id: [u8; 8],
}

impl Signer {
    pub fn new(id: u8) -> Self {
        Self {
            key: KeyPair::generate_for(&PKCS_ED25519).unwrap(),
            id: [id; 8],
        }
    }

    /// The line that `require-signature` takes.
    pub fn public(&self) -> String {
        STANDARD.encode([b"Ed", &self.id[..], self.key.der_bytes()].concat())
    }

    /// The signature of these bytes: of their BLAKE2b hash, and of itself with its comment.
    pub fn sign(&self, bytes: &[u8]) -> String {
        let signature = self
            .key
            .sign(blake2b_simd::blake2b(bytes).as_bytes())
            .unwrap();
        let comment = "for the tests";
        let whole = [&signature, comment.as_bytes()].concat();
        let line = [b"ED", &self.id[..], &signature].concat();
        format!(
            "untrusted comment: signature of a test\n{}\ntrusted comment: {comment}\n{}\n",
            STANDARD.encode(line),
            STANDARD.encode(self.key.sign(&whole).unwrap()),
        )
    }
}
