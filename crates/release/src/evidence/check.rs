//! One piece of evidence, one subject, one signer: what it shows.

use serde::Serialize;
use serde_json::Value;
use sha2::{Digest as _, Sha256, Sha384, Sha512};
use sigstore_verify::types::bundle::MessageDigest;
use sigstore_verify::types::{HashAlgorithm, pae};

use super::bundle::{Bundle, within_limit};
use super::error::EvidenceError;
use super::keyless::{self, Identity, TrustRoot};
use super::keys::PublicKey;
use super::statement::{PAYLOAD_TYPE, SIGNATURE, Statement};
use crate::oci::Digest;

/// Who must have signed.
#[derive(Clone, Debug)]
pub enum Signer {
    /// Who holds this key; with a trust root, what its log has an entry of.
    Key(PublicKey, Option<TrustRoot>),
    /// Who an issuer vouches for.
    Identity(Identity),
}

/// What was verified.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Attestation {
    pub predicate_type: String,
    pub predicate: Value,
    /// The name of the key, or the identity and its issuer.
    pub signer: String,
    /// When it was signed, where a log or an authority says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time: Option<jiff::Timestamp>,
}

impl Attestation {
    /// Whether it is a signature and nothing more.
    #[must_use]
    pub fn is_signature(&self) -> bool {
        self.predicate_type == SIGNATURE
    }
}

/// Verifies a bundle with a statement.
///
/// # Errors
/// It is not signed by the signer, is not about the subject, or lacks what proves it; the code says which.
pub fn check(bundle: &Bundle, subject: &Digest, signer: &Signer) -> Result<Attestation, EvidenceError> {
    let statement = bundle.unverified_statement()?;
    let (signer, time) = match signer {
        Signer::Key(key, root) => {
            if bundle.has_certificate() {
                return Err(EvidenceError::new(
                    "evidence-identity",
                    "it is signed with a certificate, not with the key",
                    "name the identity and its issuer, and a trust root",
                ));
            }
            verify_envelope(bundle, key)?;
            statement.must_be_about(subject)?;
            let time = match root {
                Some(root) => keyless::verify_logged(bundle, subject, key, root)?,
                None => None,
            };
            (format!("key {}", key.id()), time)
        }
        Signer::Identity(identity) => {
            if !bundle.has_certificate() {
                return Err(EvidenceError::new(
                    "evidence-identity",
                    "it is signed with a key, not with a certificate of an identity",
                    "name the key, or sign with an identity",
                ));
            }
            let verified = keyless::verify(bundle, keyless::artifact(subject)?, identity)?;
            statement.must_be_about(subject)?;
            verified
        }
    };
    Ok(Attestation {
        predicate_type: statement.predicate_type,
        predicate: statement.predicate,
        signer,
        time,
    })
}

/// Verifies a signature of bytes: a bundle of `cosign sign-blob`, or a statement about their digest.
///
/// # Errors
/// As [`check`].
pub fn check_bytes(bundle: &Bundle, bytes: &[u8], signer: &Signer) -> Result<Attestation, EvidenceError> {
    if bundle.envelope().is_some() {
        return check(bundle, &Digest::of(bytes), signer);
    }
    let (signer, time) = match signer {
        Signer::Identity(identity) => keyless::verify(bundle, bytes.into(), identity)?,
        Signer::Key(key, root) => {
            let sigstore_verify::types::SignatureContent::MessageSignature(message) = &bundle.inner().content else {
                return Err(EvidenceError::unsupported(
                    "the bundle signs neither bytes nor a statement",
                ));
            };
            if bundle.has_certificate() {
                return Err(EvidenceError::new(
                    "evidence-identity",
                    "it is signed with a certificate, not with the key",
                    "name the identity and its issuer, and a trust root",
                ));
            }
            key.verify(bytes, message.signature.as_bytes())?;
            if message
                .message_digest
                .as_ref()
                .is_some_and(|named| !is_of(named, bytes))
            {
                return Err(EvidenceError::new(
                    "evidence-subject",
                    "the bundle names another digest than the file has",
                    "get the bundle that was made with this file; this one was changed after it was signed",
                ));
            }
            let time = match root {
                Some(root) => keyless::verify_logged(bundle, &Digest::of(bytes), key, root)?,
                None => None,
            };
            (format!("key {}", key.id()), time)
        }
    };
    Ok(Attestation {
        predicate_type: SIGNATURE.to_owned(),
        predicate: Value::Object(serde_json::Map::new()),
        signer,
        time,
    })
}

/// Whether a digest that a bundle names is that of these bytes.
fn is_of(named: &MessageDigest, bytes: &[u8]) -> bool {
    let digest = match named.algorithm {
        HashAlgorithm::Sha2256 => Sha256::digest(bytes).to_vec(),
        HashAlgorithm::Sha2384 => Sha384::digest(bytes).to_vec(),
        HashAlgorithm::Sha2512 => Sha512::digest(bytes).to_vec(),
        // What is not known is not shown to fit.
        _ => return false,
    };
    named.digest.as_bytes() == digest
}

fn verify_envelope(bundle: &Bundle, key: &PublicKey) -> Result<(), EvidenceError> {
    let envelope = bundle
        .envelope()
        .ok_or_else(|| EvidenceError::unsupported("the bundle signs bytes, not an in-toto statement"))?;
    let message = pae(&envelope.payload_type, envelope.payload.as_bytes());
    key.verify(&message, envelope.signature.sig.as_bytes())
}

/// Verifies an envelope of cosign's older attestations, which stands without a bundle.
///
/// # Errors
/// As [`check`].
pub fn check_envelope(bytes: &[u8], subject: &Digest, key: &PublicKey) -> Result<Attestation, EvidenceError> {
    within_limit(bytes.len())?;
    let envelope: sigstore_verify::types::DsseEnvelope = serde_json::from_slice(bytes)
        .map_err(|error| EvidenceError::malformed(format!("it is not an envelope: {error}")))?;
    if envelope.payload_type != PAYLOAD_TYPE {
        return Err(EvidenceError::unsupported(format!(
            "the payload of the envelope is `{}`, not `{PAYLOAD_TYPE}`",
            envelope.payload_type
        )));
    }
    let message = pae(&envelope.payload_type, envelope.payload.as_bytes());
    key.verify(&message, envelope.signature.sig.as_bytes())?;
    let statement = Statement::read(envelope.payload.as_bytes())?;
    statement.must_be_about(subject)?;
    Ok(Attestation {
        predicate_type: statement.predicate_type,
        predicate: statement.predicate,
        signer: format!("key {}", key.id()),
        time: None,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::evidence::statement::{PROVENANCE, Subject};
    use crate::evidence::{Algorithm, PrivateKey, attest};

    #[test]
    fn an_attestation_holds_for_its_subject_and_key_only() {
        for algorithm in [Algorithm::EcdsaP256, Algorithm::Ed25519] {
            let key = PrivateKey::generate(algorithm).unwrap();
            let stranger = PrivateKey::generate(algorithm).unwrap();
            let by = |key: &PrivateKey| Signer::Key(key.public().clone(), None);
            let digest = Digest::of(b"image");
            let statement = Statement::new(vec![Subject::new("etl", &digest)], PROVENANCE, json!({"a": 1}));
            let bundle = attest(&statement, &key).unwrap();
            let bundle = Bundle::read(bundle.to_json().unwrap().as_bytes()).unwrap();
            let found = check(&bundle, &digest, &by(&key)).unwrap();
            assert_eq!(found.predicate, json!({"a": 1}));
            assert_eq!(found.signer, format!("key {}", key.public().id()));
            let code = |digest: &Digest, signer: &Signer| check(&bundle, digest, signer).unwrap_err().code;
            assert_eq!(code(&digest, &by(&stranger)), "evidence-signature");
            assert_eq!(code(&Digest::of(b"other"), &by(&key)), "evidence-subject");
        }
    }

    /// Each byte of a bundle flipped, each beginning of it, and texts that are no bundles: nothing is verified but what was signed, and nothing panics.
    #[test]
    fn what_was_changed_is_refused() {
        let key = PrivateKey::generate(Algorithm::EcdsaP256).unwrap();
        let signer = Signer::Key(key.public().clone(), None);
        let digest = Digest::of(b"image");
        let good = attest(&Statement::signature(&digest), &key).unwrap().to_json().unwrap();
        let verified = |bytes: &[u8]| Bundle::read(bytes).and_then(|bundle| check(&bundle, &digest, &signer));
        let whole = verified(good.as_bytes()).unwrap();
        let mut survived = 0;
        for at in 0..good.len() {
            assert!(verified(&good.as_bytes()[..at]).is_err(), "{at}");
            for flip in [1, 0x20, 0x80] {
                let mut changed = good.clone().into_bytes();
                changed[at] ^= flip;
                // The hint of the key is a hint, and names of unknown fields are free: what is verified is what was signed.
                if let Ok(found) = verified(&changed) {
                    survived += 1;
                    assert_eq!(found, whole, "{at}");
                }
            }
        }
        assert!(survived < good.len(), "{survived} of {}", good.len() * 3);
        for text in [
            "",
            "{}",
            "[]",
            "null",
            "\u{0}",
            "{\"mediaType\":\"application/vnd.dev.sigstore.bundle.v0.3+json\"}",
        ] {
            assert_eq!(
                verified(text.as_bytes()).unwrap_err().code,
                "evidence-malformed",
                "{text}"
            );
        }
        let deep = "[".repeat(100_000);
        assert_eq!(verified(deep.as_bytes()).unwrap_err().code, "evidence-malformed");
        let huge = vec![b' '; super::super::bundle::MOST_BYTES as usize + 1];
        assert_eq!(verified(&huge).unwrap_err().code, "evidence-too-large");
    }
}
