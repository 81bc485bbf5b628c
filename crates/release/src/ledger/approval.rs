//! Approvals: a signed statement about one release, one environment and the rules it has.

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::history::Place;
use crate::environment::{Approvals, Environment};
use crate::evidence::{Bundle, EvidenceError, PrivateKey, PublicKey, Signer, Statement, Subject, attest, check};
use crate::oci::Digest;

/// Type of the predicate.
pub const TYPE: &str = "https://stoke.dev/predicates/approval/v1";

/// What is signed, beside the release's digest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Terms {
    pub environment: String,
    /// Digest of the environment's rules.
    pub rules: Digest,
    /// Whether it stands in for soak time and gates.
    pub skip_verification: bool,
}

/// Who approved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Approver {
    pub name: String,
    pub skips_verification: bool,
}

/// Signs an approval.
///
/// # Errors
/// A machine without random numbers.
pub fn sign(
    release: &Digest,
    environment: &Environment,
    skip_verification: bool,
    key: &PrivateKey,
) -> Result<Bundle, EvidenceError> {
    let terms = Terms {
        environment: environment.name.clone(),
        rules: environment.digest(),
        skip_verification,
    };
    let statement = Statement::new(vec![Subject::new("release", release)], TYPE, json!(terms));
    attest(&statement, key)
}

/// Who approves this release here: each person once, by the newest of their approvals that are valid. Others count for nothing.
#[must_use]
pub fn approvers(release: &Digest, environment: &Environment, approvals: &Approvals, place: &Place) -> Vec<Approver> {
    let rules = environment.digest();
    let of_release: Vec<&String> = place
        .approvals
        .iter()
        .rev()
        .filter(|(of, _)| of == release)
        .map(|(_, bundle)| bundle)
        .collect();
    let of_key = |key: &crate::environment::Key| {
        let signer = Signer::Key(PublicKey::from_pem(&key.public_key).ok()?, None);
        of_release.iter().find_map(|bundle| {
            let bundle = Bundle::read(bundle.as_bytes()).ok()?;
            let attestation = check(&bundle, release, &signer).ok()?;
            let terms: Terms = serde_json::from_value(attestation.predicate).ok()?;
            let valid =
                attestation.predicate_type == TYPE && terms.environment == environment.name && terms.rules == rules;
            valid.then(|| Approver {
                name: key.name.clone(),
                skips_verification: terms.skip_verification,
            })
        })
    };
    approvals.keys.iter().filter_map(of_key).collect()
}
