//! Keys: ECDSA on P-256 and Ed25519 to sign with; those, ECDSA on P-384 and RSA to verify with.

use std::fmt;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair};
use sha2::{Digest, Sha256};
use sigstore_verify::crypto::VerificationKey;
use sigstore_verify::types::{DerPublicKey, SignatureBytes};

use super::error::EvidenceError;
use super::{ring_provider, sealed};

/// Labels of PEM for keys that cosign encrypts, the older one first.
const SEALED: [&str; 2] = ["ENCRYPTED COSIGN PRIVATE KEY", "ENCRYPTED SIGSTORE PRIVATE KEY"];
/// A `SubjectPublicKeyInfo` up to the point of the curve (RFC 5480: id-ecPublicKey, secp256r1).
const P256_PREFIX: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce,
    0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];
/// A `SubjectPublicKeyInfo` up to the key (RFC 8410).
const ED25519_PREFIX: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// What a new key is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Algorithm {
    /// What cosign makes and every tool of sigstore verifies.
    #[default]
    EcdsaP256,
    Ed25519,
}

enum Pair {
    P256(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

/// A key that signs. It is never shown.
pub struct PrivateKey {
    pair: Pair,
    pkcs8: Vec<u8>,
    public: PublicKey,
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PrivateKey({})", self.public.id())
    }
}

fn unreadable(why: impl fmt::Display) -> EvidenceError {
    EvidenceError::new(
        "evidence-key",
        format!("the private key cannot be read: {why}"),
        "take an ECDSA P-256 or Ed25519 key: PKCS#8 as PEM, or one that cosign or `stoke keygen` made",
    )
}

impl PrivateKey {
    /// Makes a key.
    ///
    /// # Errors
    /// A machine without random numbers.
    pub fn generate(algorithm: Algorithm) -> Result<PrivateKey, EvidenceError> {
        let random = SystemRandom::new();
        let pkcs8 = match algorithm {
            Algorithm::EcdsaP256 => EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &random),
            // Version 1, without the public key: what OpenSSL, Go and so cosign read.
            Algorithm::Ed25519 => Ed25519KeyPair::generate_pkcs8(&random),
        };
        let pkcs8 = pkcs8.map_err(|_| unreadable("the machine gives no random numbers"))?;
        let pkcs8 = match algorithm {
            Algorithm::EcdsaP256 => pkcs8.as_ref().to_vec(),
            Algorithm::Ed25519 => ed25519_version_1(pkcs8.as_ref())?,
        };
        PrivateKey::from_pkcs8(pkcs8)
    }

    /// Reads a key as PEM: PKCS#8, or encrypted as cosign does, which the password opens.
    ///
    /// # Errors
    /// A text that is not such a key, a wrong password, none where one is needed.
    pub fn from_pem(text: &str, password: Option<&[u8]>) -> Result<PrivateKey, EvidenceError> {
        let pem = pem::parse(text).map_err(unreadable)?;
        match pem.tag() {
            "PRIVATE KEY" => PrivateKey::from_pkcs8(pem.into_contents()),
            tag if SEALED.contains(&tag) => {
                let password = password.ok_or_else(|| {
                    EvidenceError::new(
                        "evidence-password",
                        "the private key is encrypted and no password was given",
                        "set COSIGN_PASSWORD to the password it was made with",
                    )
                })?;
                PrivateKey::from_pkcs8(sealed::open(pem.contents(), password)?)
            }
            "EC PRIVATE KEY" => Err(unreadable(
                "it is in the form of SEC 1; `openssl pkcs8 -topk8 -nocrypt -in FILE` makes PKCS#8 of it",
            )),
            "ENCRYPTED PRIVATE KEY" => Err(unreadable(
                "it is encrypted as PKCS#8 describes; `openssl pkcs8 -in FILE` opens it, `cosign import-key-pair` makes one of cosign's of it",
            )),
            "PUBLIC KEY" => Err(unreadable("it is a public key")),
            other => Err(unreadable(format!("it is a `{other}`"))),
        }
    }

    fn from_pkcs8(pkcs8: Vec<u8>) -> Result<PrivateKey, EvidenceError> {
        if let Ok(pair) = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &pkcs8, &SystemRandom::new()) {
            let spki = [&P256_PREFIX[..], pair.public_key().as_ref()].concat();
            let public = PublicKey::from_der(spki)?;
            let pair = Pair::P256(pair);
            return Ok(PrivateKey { pair, pkcs8, public });
        }
        let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(&pkcs8)
            .map_err(|_| unreadable("it is neither ECDSA on P-256, with its public key inside, nor Ed25519"))?;
        let spki = [&ED25519_PREFIX[..], pair.public_key().as_ref()].concat();
        let public = PublicKey::from_der(spki)?;
        let pair = Pair::Ed25519(pair);
        Ok(PrivateKey { pair, pkcs8, public })
    }

    /// The key as PEM: encrypted as cosign does with a password, else PKCS#8 that anyone can use who reads it.
    ///
    /// # Errors
    /// A machine without random numbers.
    pub fn to_pem(&self, password: Option<&[u8]>) -> Result<String, EvidenceError> {
        let (tag, contents) = match password {
            None => ("PRIVATE KEY", self.pkcs8.clone()),
            Some(password) => (SEALED[1], sealed::seal(&self.pkcs8, password, &SystemRandom::new())?),
        };
        Ok(pem_text(tag, contents))
    }

    /// Its public half.
    #[must_use]
    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    /// Signs a message: ASN.1 for ECDSA, over SHA-256; 64 bytes for Ed25519.
    ///
    /// # Errors
    /// A machine without random numbers.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, EvidenceError> {
        match &self.pair {
            Pair::Ed25519(pair) => Ok(pair.sign(message).as_ref().to_vec()),
            Pair::P256(pair) => {
                let signature = pair.sign(&SystemRandom::new(), message);
                let signature = signature.map_err(|_| unreadable("the machine gives no random numbers"))?;
                Ok(signature.as_ref().to_vec())
            }
        }
    }
}

/// Of `OneAsymmetricKey` (RFC 5958) with both halves, the one with the private half alone.
fn ed25519_version_1(both: &[u8]) -> Result<Vec<u8>, EvidenceError> {
    const HEAD: [u8; 16] = [
        0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
    ];
    let mark = both.windows(4).position(|window| window == [0x04, 0x22, 0x04, 0x20]);
    let seed = mark.and_then(|at| both.get(at + 4..at + 36));
    let seed = seed.ok_or_else(|| unreadable("the generated key does not have the form of RFC 5958"))?;
    Ok([&HEAD[..], seed].concat())
}

fn pem_text(tag: &str, contents: Vec<u8>) -> String {
    let config = pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF);
    pem::encode_config(&pem::Pem::new(tag, contents), config)
}

/// A key that verifies.
#[derive(Clone)]
pub struct PublicKey {
    der: DerPublicKey,
    key: Arc<VerificationKey>,
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({})", self.id())
    }
}

impl PartialEq for PublicKey {
    fn eq(&self, other: &PublicKey) -> bool {
        self.der.as_bytes() == other.der.as_bytes()
    }
}

impl PublicKey {
    /// Reads a key as PEM, `PUBLIC KEY`.
    ///
    /// # Errors
    /// A text that is not such a key, or of a kind that is not supported.
    pub fn from_pem(text: &str) -> Result<PublicKey, EvidenceError> {
        let refused = |why: String| {
            EvidenceError::new(
                "evidence-key",
                format!("the public key cannot be read: {why}"),
                "name a file that begins with `-----BEGIN PUBLIC KEY-----`, as `cosign.pub` does",
            )
        };
        let pem = pem::parse(text).map_err(|error| refused(error.to_string()))?;
        match pem.tag() {
            "PUBLIC KEY" => PublicKey::from_der(pem.into_contents()),
            other => Err(refused(format!("it is a `{other}`"))),
        }
    }

    /// Reads a `SubjectPublicKeyInfo`.
    ///
    /// # Errors
    /// Bytes that are not one, or of a kind that is not supported.
    pub fn from_der(der: Vec<u8>) -> Result<PublicKey, EvidenceError> {
        ring_provider::install();
        let der = DerPublicKey::new(der);
        let key = VerificationKey::from_spki(&der).map_err(|error| {
            EvidenceError::new(
                "evidence-key",
                format!("the public key cannot be used: {error}"),
                "take a key of ECDSA P-256, ECDSA P-384, Ed25519, or RSA of 2048 bits and more",
            )
        })?;
        let key = Arc::new(key);
        Ok(PublicKey { der, key })
    }

    /// The key as PEM.
    #[must_use]
    pub fn to_pem(&self) -> String {
        pem_text("PUBLIC KEY", self.der.as_bytes().to_vec())
    }

    pub(crate) fn der(&self) -> &DerPublicKey {
        &self.der
    }

    /// Its name in bundles and reports: SHA-256 of the `SubjectPublicKeyInfo` in base64, as sigstore's clients write the hint of a key.
    #[must_use]
    pub fn id(&self) -> String {
        STANDARD.encode(Sha256::digest(self.der.as_bytes()))
    }

    /// Verifies a signature of a message.
    ///
    /// # Errors
    /// One that does not verify.
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), EvidenceError> {
        let signature = SignatureBytes::new(signature.to_vec());
        self.key
            .verify(message, &signature)
            .map_err(|_| EvidenceError::signature(format!("the signature is not one of key {}", self.id())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_sign_verify_and_survive_their_texts() {
        for algorithm in [Algorithm::EcdsaP256, Algorithm::Ed25519] {
            let key = PrivateKey::generate(algorithm).unwrap();
            let signature = key.sign(b"message").unwrap();
            for again in [
                PrivateKey::from_pem(&key.to_pem(None).unwrap(), None).unwrap(),
                PrivateKey::from_pem(&key.to_pem(Some(b"word")).unwrap(), Some(b"word")).unwrap(),
            ] {
                assert_eq!(again.public(), key.public());
            }
            let public = PublicKey::from_pem(&key.public().to_pem()).unwrap();
            public.verify(b"message", &signature).unwrap();
            let stranger = PrivateKey::generate(algorithm).unwrap();
            for (key, message, signature) in [
                (&public, &b"messagf"[..], &signature[..]),
                (&public, b"message", &signature[1..]),
                (&public, b"message", b""),
                (stranger.public(), b"message", &signature),
            ] {
                assert_eq!(key.verify(message, signature).unwrap_err().code, "evidence-signature");
            }
            assert!(!format!("{key:?}").contains(&STANDARD.encode(&key.pkcs8)[20..40]));
        }
    }

    #[test]
    fn texts_that_are_not_keys_are_refused() {
        let key = PrivateKey::generate(Algorithm::EcdsaP256).unwrap();
        let sealed = key.to_pem(Some(b"word")).unwrap();
        let open = key.to_pem(None).unwrap();
        let public = key.public().to_pem();
        let code = |text: &str, password: Option<&[u8]>| PrivateKey::from_pem(text, password).unwrap_err().code;
        assert_eq!(code(&sealed, None), "evidence-password");
        assert_eq!(code(&sealed, Some(b"")), "evidence-password");
        for text in ["", "garbage", &public, &open[..open.len() / 2], &open.replace("PRIVATE", "EC PRIVATE")] {
            assert_eq!(code(text, None), "evidence-key", "{text}");
        }
        for text in ["", "garbage", &open, &public.replace("MFkw", "MFkx"), &public[..60]] {
            assert_eq!(PublicKey::from_pem(text).unwrap_err().code, "evidence-key", "{text}");
        }
    }
}
