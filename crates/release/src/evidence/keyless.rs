//! Bundles whose signer has a certificate: the chain to Fulcio, its timestamp of certificate transparency, the proof of Rekor, the time, and whose it is.
//!
//! Everything is verified offline, by sigstore's own library, against a trust root that is given as a file. No step is left out; a bundle without the log's
//! proof or without a trusted time is refused.

use std::fmt;
use std::sync::Arc;

use sigstore_verify::error::{CertificateError, Error, TransparencyLogError};
use sigstore_verify::trust_root::TrustedRoot;
use sigstore_verify::types::{Artifact, Sha256Hash};
use sigstore_verify::{PublicKeyVerificationPolicy, VerificationPolicy, VerificationResult, Verifier};

use super::bundle::Bundle;
use super::error::EvidenceError;
use super::keys::PublicKey;
use super::ring_provider;
use crate::oci::Digest;

/// Largest trust root that is read, in bytes; sigstore's has 7,000.
const MOST_BYTES: usize = 4 << 20;

/// Authorities, logs and their keys: sigstore's `trusted_root.json`.
#[derive(Clone)]
pub struct TrustRoot(Arc<Verifier>);

impl fmt::Debug for TrustRoot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TrustRoot")
    }
}

fn unusable(why: impl fmt::Display) -> EvidenceError {
    EvidenceError::new(
        "evidence-trust-root",
        format!("the trust root cannot be used: {why}"),
        "take the `trusted_root.json` of the sigstore instance that signed",
    )
}

impl TrustRoot {
    /// Reads a trust root.
    ///
    /// # Errors
    /// Bytes that are not one; keys and certificates in it that cannot be used.
    pub fn read(bytes: &[u8]) -> Result<TrustRoot, EvidenceError> {
        ring_provider::install();
        if bytes.len() > MOST_BYTES {
            return Err(unusable(format!(
                "it has {} bytes, more than {MOST_BYTES}",
                bytes.len()
            )));
        }
        let text = std::str::from_utf8(bytes).map_err(unusable)?;
        let root = TrustedRoot::from_json(text).map_err(unusable)?;
        Verifier::new(&root)
            .map(|verifier| TrustRoot(Arc::new(verifier)))
            .map_err(unusable)
    }
}

/// What a name in a certificate must be.
#[derive(Clone, Debug)]
pub enum Pattern {
    Exact(String),
    /// An expression that the whole name must match.
    Matching(regex::Regex),
}

impl Pattern {
    /// An expression for the whole of a name.
    ///
    /// # Errors
    /// A text that is not a regular expression.
    pub fn matching(text: &str) -> Result<Pattern, EvidenceError> {
        regex::Regex::new(&format!("^(?:{text})$"))
            .map(Pattern::Matching)
            .map_err(|error| {
                EvidenceError::new(
                    "evidence-identity",
                    format!("`{text}` is not a regular expression: {error}"),
                    "write one that matches the whole name",
                )
            })
    }

    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        match self {
            Pattern::Exact(exact) => exact == text,
            Pattern::Matching(expression) => expression.is_match(text),
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Pattern::Exact(text) => f.write_str(text),
            Pattern::Matching(expression) => write!(f, "/{}/", expression.as_str()),
        }
    }
}

/// Who must have signed: a name, and the issuer that vouches for it.
#[derive(Clone, Debug)]
pub struct Identity {
    pub root: TrustRoot,
    /// The name in the certificate: an address of e-mail, or of a workflow.
    pub name: Pattern,
    pub issuer: Pattern,
}

/// Verifies a bundle with a certificate; `artifact` is a digest, or bytes where the bundle signs these. Returns the signer and the time.
pub(super) fn verify(
    bundle: &Bundle,
    artifact: Artifact<'_>,
    identity: &Identity,
) -> Result<(String, Option<jiff::Timestamp>), EvidenceError> {
    // Names are compared here, since they may be patterns; everything else is verified first.
    let policy = VerificationPolicy::any_identity();
    let result = identity
        .root
        .0
        .verify(artifact, bundle.inner(), &policy)
        .map_err(refusal)?;
    if !(result.certificate_verified() && result.sct_verified() && result.tlog_verified()) {
        return Err(EvidenceError::unsupported("not every part of the bundle was verified"));
    }
    let name = result
        .identity()
        .map(|name| name.as_str().to_owned())
        .unwrap_or_default();
    let issuer = result.issuer().unwrap_or_default();
    if !identity.name.matches(&name) {
        return Err(EvidenceError::new(
            "evidence-identity",
            format!("`{name}` signed it, not `{}`", identity.name),
            "name the identity that should sign, or have the right one sign",
        ));
    }
    if !identity.issuer.matches(issuer) {
        return Err(EvidenceError::new(
            "evidence-issuer",
            format!("`{issuer}` vouches for `{name}`, not `{}`", identity.issuer),
            "name the issuer of the identity",
        ));
    }
    Ok((format!("{name} ({issuer})"), time(&result)))
}

/// Verifies a bundle of a key with what a transparency log says of it. Without a trust root the log is not asked for.
pub(super) fn verify_logged(
    bundle: &Bundle,
    digest: &Digest,
    key: &PublicKey,
    root: &TrustRoot,
) -> Result<Option<jiff::Timestamp>, EvidenceError> {
    let policy = PublicKeyVerificationPolicy::new(key.der().clone());
    let result = root
        .0
        .verify(artifact(digest)?, bundle.inner(), &policy)
        .map_err(refusal)?;
    Ok(time(&result))
}

/// A digest as sigstore's library takes it.
pub(super) fn artifact(digest: &Digest) -> Result<Artifact<'static>, EvidenceError> {
    Sha256Hash::from_hex(digest.hex())
        .map(Artifact::from)
        .map_err(|error| EvidenceError::malformed(error.to_string()))
}

fn time(result: &VerificationResult) -> Option<jiff::Timestamp> {
    result.verified_timestamps().iter().min().copied()
}

/// Why sigstore's library refused, as a code of ours.
fn refusal(error: Error) -> EvidenceError {
    let message = error.to_string();
    let of = |code, fix: &str| EvidenceError::new(code, message.clone(), fix);
    let other_root = "name the trust root of the instance that signed";
    match error {
        Error::IdentityMismatch { .. } => of("evidence-identity", "name the identity that should sign"),
        Error::IssuerMismatch { .. } => of("evidence-issuer", "name the issuer of the identity"),
        Error::SignatureInvalid(_) => EvidenceError::signature(message),
        Error::ArtifactMismatch(_) => of(
            "evidence-subject",
            "sign this digest; an envelope made for another says nothing of it",
        ),
        Error::Certificate(CertificateError::NotYetValid { .. } | CertificateError::Expired { .. }) => {
            of("evidence-expired", "sign again")
        }
        Error::Certificate(_) => of("evidence-certificate", other_root),
        Error::TransparencyLog(TransparencyLogError::IntegratedTime(_)) => of("evidence-expired", "sign again"),
        Error::TransparencyLog(_) => of(
            "evidence-log",
            "sign again with the transparency log that the trust root names",
        ),
        Error::Timestamp(_) => of(
            "evidence-timestamp",
            "sign again with a timestamp authority or a log that the trust root names",
        ),
        Error::Bundle(_) if message.contains("nclusion proof") => of(
            "evidence-log",
            "sign again with the transparency log that the trust root names",
        ),
        Error::InvalidTrustRoot(_) | Error::TrustRoot(_) | Error::TrustedCertificate(_) => unusable(message),
        Error::UnsupportedBundle(_) | Error::UnsupportedArtifact(_) => EvidenceError::unsupported(message),
        _ => EvidenceError::malformed(message),
    }
}
