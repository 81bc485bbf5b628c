//! Who made it and what was shown of it: keys, signatures, in-toto statements, their verification, and what an image must have.
//!
//! In: bytes (keys, bundles, payloads, trust roots), the digest they should be about. Out: evidence to attach, or what was verified; else a refusal that says
//! why. Nothing here knows a clock: times of signatures come from what authorities signed. Only [`store`] knows registries; all else is pure.
//! - [`keys`]: ECDSA P-256 and Ed25519 keys; [`sealed`]: those that cosign encrypts
//! - [`statement`]: what is signed: in-toto statements; [`provenance`] and [`verdicts`] are predicates of ours
//! - [`bundle`]: sigstore bundles v0.3 made with a key
//! - [`simple`]: cosign's older form: a payload in an image at the tag `sha256-….sig`
//! - [`attach`]: evidence as OCI artifacts
//! - [`keyless`]: trust roots, and bundles whose signer has a certificate instead of a key
//! - [`check`]: one piece of evidence, one subject, one signer: what it shows
//! - [`policy`]: what an image must have
//! - [`store`]: evidence fetched from beside an image, and put there
//!
//! Sources: the sigstore bundle and its client specification, DSSE 1.0, in-toto attestation 1.0, SLSA provenance 1.0, cosign's signature specification.

pub mod attach;
pub mod bundle;
pub mod check;
mod error;
pub mod keyless;
pub mod keys;
pub mod policy;
pub mod provenance;
mod ring_provider;
mod sealed;
pub mod simple;
pub mod statement;
pub mod store;
pub mod verdicts;

pub use bundle::{Bundle, attest, sign_bytes};
pub use check::{Attestation, Signer, check};
pub use error::EvidenceError;
pub use keyless::{Identity, Pattern, TrustRoot};
pub use keys::{Algorithm, PrivateKey, PublicKey};
pub use policy::{Found, Policy, Verdict, require};
pub use statement::{Statement, Subject};
