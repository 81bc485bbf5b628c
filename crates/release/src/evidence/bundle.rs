//! Sigstore bundles, version 0.3: what was signed, its signature, and what verifies it, in one JSON text.

use sha2::{Digest as _, Sha256};
use sigstore_verify::types::{
    DigestBytes, DsseEnvelope, DsseSignature, HashAlgorithm, KeyId, MediaType, MessageDigest, MessageSignature,
    PayloadBytes, PublicKeyIdentifier, SignatureBytes, SignatureContent, VerificationMaterial,
    VerificationMaterialContent, pae,
};

use super::error::EvidenceError;
use super::keys::PrivateKey;
use super::statement::{PAYLOAD_TYPE, Statement};

/// The media type that is written.
pub const MEDIA_TYPE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";
/// Largest bundle that is read, in bytes: a bill of materials of a large image has some ten million.
pub const MOST_BYTES: u64 = 64 << 20;

/// A sigstore bundle.
#[derive(Clone, Debug, PartialEq)]
pub struct Bundle(sigstore_verify::types::Bundle);

/// Refuses more bytes than a bundle may have.
pub(crate) fn within_limit(count: usize) -> Result<(), EvidenceError> {
    if count as u64 > MOST_BYTES {
        return Err(EvidenceError::new(
            "evidence-too-large",
            format!("it has {count} bytes, more than the {MOST_BYTES} that are read"),
            "attach a smaller one",
        ));
    }
    Ok(())
}

impl Bundle {
    /// Reads a bundle of version 0.1, 0.2 or 0.3.
    ///
    /// # Errors
    /// Bytes that are not one, more than [`MOST_BYTES`], envelopes with other than one signature.
    pub fn read(bytes: &[u8]) -> Result<Bundle, EvidenceError> {
        within_limit(bytes.len())?;
        let wrong = |error: String| EvidenceError::malformed(format!("it is not a sigstore bundle: {error}"));
        let mut value: serde_json::Value = serde_json::from_slice(bytes).map_err(|error| wrong(error.to_string()))?;
        // With an Ed25519 key cosign writes a digest and not which one. It is a hint: the signature is over the bytes themselves.
        if let Some(message) = value
            .get_mut("messageSignature")
            .and_then(serde_json::Value::as_object_mut)
            && message
                .get("messageDigest")
                .is_some_and(|digest| digest.get("algorithm").is_none())
        {
            message.remove("messageDigest");
        }
        sigstore_verify::types::Bundle::from_json(&value.to_string())
            .map(Bundle)
            .map_err(|error| wrong(error.to_string()))
    }

    /// The bundle as it is stored.
    ///
    /// # Errors
    /// Never for one that was read or made here.
    pub fn to_json(&self) -> Result<String, EvidenceError> {
        self.0
            .to_json()
            .map_err(|error| EvidenceError::malformed(error.to_string()))
    }

    pub(crate) fn inner(&self) -> &sigstore_verify::types::Bundle {
        &self.0
    }

    /// The envelope inside; none for a signature of bytes that are elsewhere.
    pub(crate) fn envelope(&self) -> Option<&DsseEnvelope> {
        match &self.0.content {
            SignatureContent::DsseEnvelope(envelope) => Some(envelope),
            _ => None,
        }
    }

    /// Whether its signer is named by a certificate; else by the hint of a key.
    #[must_use]
    pub fn has_certificate(&self) -> bool {
        self.0.signing_certificate().is_some()
    }

    /// What is signed, not verified: to choose by, never to believe.
    ///
    /// # Errors
    /// An envelope with something else than a statement.
    pub fn unverified_statement(&self) -> Result<Statement, EvidenceError> {
        let envelope = self
            .envelope()
            .ok_or_else(|| EvidenceError::unsupported("the bundle signs bytes, not an in-toto statement"))?;
        if envelope.payload_type != PAYLOAD_TYPE {
            return Err(EvidenceError::unsupported(format!(
                "the payload of the envelope is `{}`, not `{PAYLOAD_TYPE}`",
                envelope.payload_type
            )));
        }
        Statement::read(envelope.payload.as_bytes())
    }
}

/// Signs a statement with a key.
///
/// # Errors
/// A statement that is too large; a machine without random numbers.
pub fn attest(statement: &Statement, key: &PrivateKey) -> Result<Bundle, EvidenceError> {
    let payload = serde_json::to_vec(statement).map_err(|error| EvidenceError::malformed(error.to_string()))?;
    // Base64 makes a third more of it.
    within_limit(payload.len() / 3 * 4)?;
    let signature = key.sign(&pae(PAYLOAD_TYPE, &payload))?;
    let signature = DsseSignature::new(SignatureBytes::new(signature), KeyId::new(""));
    let envelope = DsseEnvelope::new(PAYLOAD_TYPE, PayloadBytes::new(payload), signature);
    Ok(signed(SignatureContent::DsseEnvelope(envelope), key))
}

/// Signs the bytes of a file with a key.
///
/// # Errors
/// A machine without random numbers.
pub fn sign_bytes(bytes: &[u8], key: &PrivateKey) -> Result<Bundle, EvidenceError> {
    let digest = DigestBytes::new(Sha256::digest(bytes).to_vec());
    let message = MessageSignature::new(SignatureBytes::new(key.sign(bytes)?))
        .with_message_digest(MessageDigest::new(HashAlgorithm::Sha2256, digest));
    Ok(signed(SignatureContent::MessageSignature(message), key))
}

fn signed(content: SignatureContent, key: &PrivateKey) -> Bundle {
    let hint = PublicKeyIdentifier::new(key.public().id());
    let material = VerificationMaterial::new(VerificationMaterialContent::PublicKey(hint));
    Bundle(sigstore_verify::types::Bundle::new(
        MediaType::Bundle0_3,
        material,
        content,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;

    use crate::evidence::check::{Signer, check_bytes};
    use crate::evidence::keys::Algorithm;

    #[test]
    fn bytes_that_were_signed_are_verified_and_no_others() {
        for algorithm in [Algorithm::EcdsaP256, Algorithm::Ed25519] {
            let (key, other) = (
                PrivateKey::generate(algorithm).unwrap(),
                PrivateKey::generate(algorithm).unwrap(),
            );
            let text = sign_bytes(b"content", &key).unwrap().to_json().unwrap();
            let bundle = Bundle::read(text.as_bytes()).unwrap();
            let signer = |key: &PrivateKey| Signer::Key(key.public().clone(), None);
            assert!(check_bytes(&bundle, b"content", &signer(&key)).is_ok());
            for (bytes, signer) in [(&b"Content"[..], signer(&key)), (b"content", signer(&other))] {
                let refused = check_bytes(&bundle, bytes, &signer).unwrap_err();
                assert_eq!(refused.code, "evidence-signature");
            }
            // The digest beside the signature is not signed, and a bundle that contradicts itself is refused, as cosign does.
            let digest = |bytes: &[u8]| STANDARD.encode(Sha256::digest(bytes));
            let changed = text.replace(&digest(b"content"), &digest(b"Content"));
            assert_ne!(changed, text);
            let refused = check_bytes(&Bundle::read(changed.as_bytes()).unwrap(), b"content", &signer(&key));
            assert_eq!(refused.unwrap_err().code, "evidence-subject");
        }
    }
}
