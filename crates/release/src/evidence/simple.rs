//! Cosign's older form: a payload that names the digest, signed as it stands, in an image at the tag `sha256-….sig`.
//!
//! Source: cosign's `SIGNATURE_SPEC.md`, which takes the payload from Red Hat's "simple signing".

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::error::EvidenceError;
use super::keys::{PrivateKey, PublicKey};
use crate::oci::Digest;

/// What a layer with a payload is.
pub const MEDIA_TYPE: &str = "application/vnd.dev.cosign.simplesigning.v1+json";
/// The annotation of the layer that holds the signature, in base64.
pub const SIGNATURE: &str = "dev.cosignproject.cosign/signature";
/// The annotation that holds a certificate, where no key signed.
pub const CERTIFICATE: &str = "dev.sigstore.cosign/certificate";
const KIND: &str = "cosign container image signature";
/// Largest payload that is read, in bytes.
const MOST_BYTES: usize = 1 << 20;

/// A payload and its signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Simple {
    pub payload: Vec<u8>,
    /// In base64.
    pub signature: String,
}

/// Signs a digest under the name of its image.
///
/// # Errors
/// A machine without random numbers.
pub fn sign(digest: &Digest, repository: &str, key: &PrivateKey) -> Result<Simple, EvidenceError> {
    let payload = json!({
        "critical": {
            "identity": {"docker-reference": repository},
            "image": {"docker-manifest-digest": digest.as_str()},
            "type": KIND,
        },
        "optional": null,
    });
    let payload = payload.to_string().into_bytes();
    let signature = STANDARD.encode(key.sign(&payload)?);
    Ok(Simple { payload, signature })
}

/// Verifies a payload: its signature, its kind, its digest.
///
/// # Errors
/// Whichever of these is wrong.
pub fn verify(simple: &Simple, digest: &Digest, key: &PublicKey) -> Result<(), EvidenceError> {
    if simple.payload.len() > MOST_BYTES {
        return Err(EvidenceError::new(
            "evidence-too-large",
            format!("the payload has {} bytes, more than {MOST_BYTES}", simple.payload.len()),
            "sign again",
        ));
    }
    let signature = STANDARD
        .decode(simple.signature.trim())
        .map_err(|error| EvidenceError::malformed(format!("the signature is not base64: {error}")))?;
    key.verify(&simple.payload, &signature)?;
    // Only now is what it says worth reading.
    let read: Value = serde_json::from_slice(&simple.payload)
        .map_err(|error| EvidenceError::malformed(format!("the payload is not JSON: {error}")))?;
    let text = |pointer: &str| read.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let kind = text("/critical/type");
    // Cosign 1 to 3 take both.
    if kind != KIND && kind != "atomic container signature" {
        return Err(EvidenceError::unsupported(format!(
            "the payload is a `{kind}`, not a `{KIND}`"
        )));
    }
    let found = text("/critical/image/docker-manifest-digest");
    if found != digest.as_str() {
        return Err(EvidenceError::new(
            "evidence-subject",
            format!("the payload is about {found}, not about {digest}"),
            "sign this digest; a signature of another says nothing of it",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::Algorithm;

    #[test]
    fn a_payload_holds_for_its_digest_and_key_only() {
        let key = PrivateKey::generate(Algorithm::EcdsaP256).unwrap();
        let stranger = PrivateKey::generate(Algorithm::EcdsaP256).unwrap();
        let digest = Digest::of(b"image");
        let good = sign(&digest, "registry.example.com/etl", &key).unwrap();
        verify(&good, &digest, key.public()).unwrap();
        let changed = |change: &dyn Fn(&mut Simple)| {
            let mut changed = good.clone();
            change(&mut changed);
            verify(&changed, &digest, key.public()).unwrap_err().code
        };
        assert_eq!(changed(&|simple| simple.payload[20] ^= 1), "evidence-signature");
        assert_eq!(changed(&|simple| simple.signature = "%".into()), "evidence-malformed");
        assert_eq!(changed(&|simple| simple.signature.clear()), "evidence-signature");
        assert_eq!(
            changed(&|simple| simple.payload = vec![b' '; MOST_BYTES + 1]),
            "evidence-too-large"
        );
        let code = |digest: &Digest, key: &PublicKey| verify(&good, digest, key).unwrap_err().code;
        assert_eq!(code(&Digest::of(b"other"), key.public()), "evidence-subject");
        assert_eq!(code(&digest, stranger.public()), "evidence-signature");
        // Signed by the right key, and something else.
        for (payload, wanted) in [("{}", "evidence-unsupported"), ("[", "evidence-malformed")] {
            let payload = payload.as_bytes().to_vec();
            let signature = STANDARD.encode(key.sign(&payload).unwrap());
            let other = Simple { payload, signature };
            assert_eq!(verify(&other, &digest, key.public()).unwrap_err().code, wanted);
        }
    }
}
