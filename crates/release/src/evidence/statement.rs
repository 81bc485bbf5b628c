//! What is signed: an in-toto statement says something (a predicate) of subjects (digests).

use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

use super::error::EvidenceError;
use crate::oci::Digest;

/// The type of statements that are written.
pub const V1: &str = "https://in-toto.io/Statement/v1";
/// The type before it, which cosign and GitHub wrote for years; it has the same fields.
const V0_1: &str = "https://in-toto.io/Statement/v0.1";
/// What the payload of an envelope is.
pub const PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";

/// Predicate: a signature and nothing more, as cosign 3 writes it.
pub const SIGNATURE: &str = "https://sigstore.dev/cosign/sign/v1";
/// Predicate: how it was built.
pub const PROVENANCE: &str = "https://slsa.dev/provenance/v1";
/// Predicate: a bill of materials in the form of CycloneDX.
pub const CYCLONEDX: &str = "https://cyclonedx.org/bom";
/// Predicate: a bill of materials in the form of SPDX.
pub const SPDX: &str = "https://spdx.dev/Document";
/// Predicate: what tests or checks said (in-toto's `test-result`).
pub const TEST_RESULT: &str = "https://in-toto.io/attestation/test-result/v0.1";

/// Short names of predicates on the command line and in policies, as cosign has them.
pub const NAMES: [(&str, &str); 5] = [
    ("signature", SIGNATURE),
    ("slsaprovenance1", PROVENANCE),
    ("cyclonedx", CYCLONEDX),
    ("spdxjson", SPDX),
    ("test-result", TEST_RESULT),
];

/// The address of a predicate by its short name; an address stays as it is.
///
/// # Errors
/// A text that is neither.
pub fn predicate_type(text: &str) -> Result<String, EvidenceError> {
    if let Some((_, address)) = NAMES.iter().find(|(name, _)| *name == text) {
        return Ok((*address).to_owned());
    }
    if text.contains("://") {
        return Ok(text.to_owned());
    }
    let names: Vec<&str> = NAMES.iter().map(|(name, _)| *name).collect();
    Err(EvidenceError::new(
        "evidence-predicate",
        format!("`{text}` is not a type of predicate"),
        format!("write its address, or one of {}", names.join(", ")),
    ))
}

/// What the statement is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subject {
    /// Not looked at when evidence is checked: digests decide.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// By algorithm, in hexadecimal digits.
    pub digest: BTreeMap<String, String>,
}

impl Subject {
    pub fn new(name: impl Into<String>, digest: &Digest) -> Subject {
        Subject {
            name: name.into(),
            digest: BTreeMap::from([("sha256".to_owned(), digest.hex().to_owned())]),
        }
    }
}

/// An in-toto statement, version 1.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Statement {
    #[serde(rename = "_type")]
    kind: String,
    #[serde(rename = "subject")]
    pub subjects: Vec<Subject>,
    pub predicate_type: String,
    #[serde(default)]
    pub predicate: Value,
}

impl Statement {
    pub fn new(subjects: Vec<Subject>, predicate_type: impl Into<String>, predicate: Value) -> Statement {
        Statement {
            kind: V1.to_owned(),
            subjects,
            predicate_type: predicate_type.into(),
            predicate,
        }
    }

    /// A signature of an image: the statement that says nothing but its digest.
    #[must_use]
    pub fn signature(digest: &Digest) -> Statement {
        Statement::new(
            vec![Subject::new("", digest)],
            SIGNATURE,
            Value::Object(serde_json::Map::new()),
        )
    }

    /// Reads a payload.
    ///
    /// # Errors
    /// Bytes that are not a statement, or one without subjects.
    pub fn read(payload: &[u8]) -> Result<Statement, EvidenceError> {
        let statement: Statement = serde_json::from_slice(payload)
            .map_err(|error| EvidenceError::malformed(format!("the payload is not an in-toto statement: {error}")))?;
        if statement.kind != V1 && statement.kind != V0_1 {
            return Err(EvidenceError::unsupported(format!(
                "the payload says it is a `{}`, not an in-toto statement",
                statement.kind
            )));
        }
        if statement.subjects.is_empty() {
            return Err(EvidenceError::malformed(
                "the statement is about nothing: it has no subject",
            ));
        }
        Ok(statement)
    }

    /// Whether one of its subjects is this.
    #[must_use]
    pub fn is_about(&self, digest: &Digest) -> bool {
        let is = |subject: &Subject| subject.digest.get("sha256").is_some_and(|hex| hex == digest.hex());
        self.subjects.iter().any(is)
    }

    /// Refuses one that is about something else.
    ///
    /// # Errors
    /// No subject has the digest; those it has are named.
    pub fn must_be_about(&self, digest: &Digest) -> Result<(), EvidenceError> {
        if self.is_about(digest) {
            return Ok(());
        }
        let of = |subject: &Subject| {
            let mut all = subject.digest.iter().map(|(kind, hex)| format!("{kind}:{hex}"));
            all.next().unwrap_or_else(|| subject.name.clone())
        };
        let named: Vec<String> = self.subjects.iter().take(3).map(of).collect();
        Err(EvidenceError::new(
            "evidence-subject",
            format!("it is about {}, not about {digest}", named.join(", ")),
            "sign this digest; an envelope made for another says nothing of it",
        ))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn statements_are_read_and_held_against_a_digest() {
        let digest = Digest::of(b"image");
        let statement = Statement::signature(&digest);
        let again = Statement::read(&serde_json::to_vec(&statement).unwrap()).unwrap();
        assert_eq!(again, statement);
        again.must_be_about(&digest).unwrap();
        let other = again.must_be_about(&Digest::of(b"other")).unwrap_err();
        assert_eq!(other.code, "evidence-subject");
        assert!(other.message.contains(digest.hex()), "{other}");
        let rows = [
            (json!({}), "evidence-malformed"),
            (
                json!({"_type": "x", "subject": [{"digest": {}}], "predicateType": "t"}),
                "evidence-unsupported",
            ),
            (
                json!({"_type": V1, "subject": [], "predicateType": "t"}),
                "evidence-malformed",
            ),
            (
                json!({"_type": V1, "subject": [{}], "predicateType": "t"}),
                "evidence-malformed",
            ),
            (json!([1]), "evidence-malformed"),
        ];
        for (value, code) in rows {
            let read = Statement::read(value.to_string().as_bytes());
            assert_eq!(read.unwrap_err().code, code, "{value}");
        }
        // A digest of another algorithm that happens to have the same text is another digest.
        let sha512 = json!({"_type": V1, "subject": [{"digest": {"sha512": digest.hex()}}], "predicateType": "t"});
        assert!(
            !Statement::read(sha512.to_string().as_bytes())
                .unwrap()
                .is_about(&digest)
        );
    }

    #[test]
    fn predicates_have_short_names() {
        assert_eq!(predicate_type("spdxjson").unwrap(), SPDX);
        assert_eq!(
            predicate_type("https://example.com/x").unwrap(),
            "https://example.com/x"
        );
        assert_eq!(predicate_type("spdx").unwrap_err().code, "evidence-predicate");
    }
}
