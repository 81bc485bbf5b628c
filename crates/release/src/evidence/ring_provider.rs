//! What sigstore's library computes with: ring, the one provider of this binary.
//!
//! ring verifies messages only. Where a digest is all there is, ECDSA is verified by the pure implementations of its curves.

use p256::ecdsa::signature::hazmat::PrehashVerifier;
use ring::digest::{Context, SHA256, SHA384, SHA512};
use ring::signature as with;
use sigstore_verify::crypto::{CryptoProvider, Error, HashContext, SigningScheme, install_default_provider};
use sigstore_verify::types::HashAlgorithm;

#[derive(Debug)]
struct Ring;

/// Has sigstore's library compute with ring.
pub(super) fn install() {
    // The second time it says that it is installed.
    let _ = install_default_provider(&Ring);
}

struct Hash(Context);

impl HashContext for Hash {
    fn update(&mut self, data: &[u8]) {
        self.0.update(data);
    }

    fn finalize(self: Box<Self>) -> Vec<u8> {
        self.0.finish().as_ref().to_vec()
    }
}

fn unsupported(scheme: SigningScheme) -> Error {
    Error::UnsupportedAlgorithm(scheme.name().to_owned())
}

fn algorithm(scheme: SigningScheme) -> Result<&'static dyn with::VerificationAlgorithm, Error> {
    Ok(match scheme {
        SigningScheme::EcdsaP256Sha256 => &with::ECDSA_P256_SHA256_ASN1,
        SigningScheme::EcdsaP256Sha384 => &with::ECDSA_P256_SHA384_ASN1,
        SigningScheme::EcdsaP384Sha256 => &with::ECDSA_P384_SHA256_ASN1,
        SigningScheme::EcdsaP384Sha384 => &with::ECDSA_P384_SHA384_ASN1,
        SigningScheme::Ed25519 => &with::ED25519,
        SigningScheme::RsaPssSha256 => &with::RSA_PSS_2048_8192_SHA256,
        SigningScheme::RsaPssSha384 => &with::RSA_PSS_2048_8192_SHA384,
        SigningScheme::RsaPssSha512 => &with::RSA_PSS_2048_8192_SHA512,
        SigningScheme::RsaPkcs1Sha256 => &with::RSA_PKCS1_2048_8192_SHA256,
        SigningScheme::RsaPkcs1Sha384 => &with::RSA_PKCS1_2048_8192_SHA384,
        SigningScheme::RsaPkcs1Sha512 => &with::RSA_PKCS1_2048_8192_SHA512,
        other => return Err(unsupported(other)),
    })
}

impl CryptoProvider for Ring {
    fn hash(&self, algorithm: HashAlgorithm) -> Result<Box<dyn HashContext>, Error> {
        let algorithm = match algorithm {
            HashAlgorithm::Sha2256 => &SHA256,
            HashAlgorithm::Sha2384 => &SHA384,
            HashAlgorithm::Sha2512 => &SHA512,
            other => return Err(Error::UnsupportedAlgorithm(other.to_string())),
        };
        Ok(Box::new(Hash(Context::new(algorithm))))
    }

    fn verify_raw(&self, scheme: SigningScheme, key: &[u8], data: &[u8], signature: &[u8]) -> Result<(), Error> {
        let key = with::UnparsedPublicKey::new(algorithm(scheme)?, key);
        key.verify(data, signature)
            .map_err(|_| Error::Verification(format!("the signature by {} does not verify", scheme.name())))
    }

    fn verify_prehashed(
        &self,
        scheme: SigningScheme,
        key: &[u8],
        digest: &[u8],
        signature: &[u8],
    ) -> Result<(), Error> {
        let wrong = || Error::Verification(format!("the signature by {} does not verify", scheme.name()));
        match scheme {
            SigningScheme::EcdsaP256Sha256 | SigningScheme::EcdsaP256Sha384 => {
                let key = p256::ecdsa::VerifyingKey::from_sec1_bytes(key).map_err(|_| wrong())?;
                let signature = p256::ecdsa::Signature::from_der(signature).map_err(|_| wrong())?;
                key.verify_prehash(digest, &signature).map_err(|_| wrong())
            }
            SigningScheme::EcdsaP384Sha256 | SigningScheme::EcdsaP384Sha384 => {
                let key = p384::ecdsa::VerifyingKey::from_sec1_bytes(key).map_err(|_| wrong())?;
                let signature = p384::ecdsa::Signature::from_der(signature).map_err(|_| wrong())?;
                key.verify_prehash(digest, &signature).map_err(|_| wrong())
            }
            other => Err(unsupported(other)),
        }
    }
}
