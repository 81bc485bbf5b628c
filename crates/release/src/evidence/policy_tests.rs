use serde_json::json;

use super::*;
use crate::evidence::statement::{PROVENANCE, Statement, Subject};
use crate::evidence::{Algorithm, PrivateKey, attest};

fn key() -> PrivateKey {
    PrivateKey::generate(Algorithm::EcdsaP256).unwrap()
}

fn policy(text: &str, files: &[(&str, String)]) -> Result<Policy, Vec<String>> {
    let source = Source::new("images.yaml", text);
    let file = |name: &str| {
        let found = files.iter().find(|(known, _)| *known == name);
        found
            .map(|(_, text)| text.clone().into_bytes())
            .ok_or_else(|| "not there".to_owned())
    };
    read(&source, &file).map_err(|wrong| wrong.iter().map(|wrong| wrong.message.clone()).collect())
}

const TWO: &str = "
authorities:
  ci: {keyFile: ci.pub}
  owner: {keyFile: owner.pub}
rules:
- images: 'registry.example.com/**'
  require:
  - by: [ci, owner]
    count: 2
  - predicate: slsaprovenance1
    by: ci
    with: {/runDetails/builder/id: 'https://ci.example.com'}
- images: ['localhost:5000/*']
  require: []
";

#[test]
fn an_image_needs_what_its_rule_says() {
    let (ci, owner, stranger) = (key(), key(), key());
    let files = [("ci.pub", ci.public().to_pem()), ("owner.pub", owner.public().to_pem())];
    let policy = policy(TWO, &files).unwrap();
    let digest = Digest::of(b"image");
    let signed = |key: &PrivateKey, digest: &Digest| {
        Raw::Bundle(
            attest(&Statement::signature(digest), key)
                .unwrap()
                .to_json()
                .unwrap()
                .into_bytes(),
        )
    };
    let built = |key: &PrivateKey, builder: &str| {
        let predicate = json!({"runDetails": {"builder": {"id": builder}}});
        let statement = Statement::new(vec![Subject::new("", &digest)], PROVENANCE, predicate);
        Raw::Bundle(attest(&statement, key).unwrap().to_json().unwrap().into_bytes())
    };
    let good = "https://ci.example.com";
    let other = Digest::of(b"other");
    let image = "registry.example.com/team/etl:1.0";
    let rows: Vec<(&str, Vec<Raw>, bool, &str)> = vec![
        (
            image,
            vec![signed(&ci, &digest), signed(&owner, &digest), built(&ci, good)],
            true,
            "a signature by ci, owner",
        ),
        (image, vec![], false, "it has no signature by 2 of ci, owner"),
        (
            image,
            vec![signed(&ci, &digest), built(&ci, good)],
            false,
            "it has no signature by 2 of ci, owner; ci signed",
        ),
        // Twice the same one is one.
        (
            image,
            vec![signed(&ci, &digest), signed(&ci, &digest), built(&ci, good)],
            false,
            "ci signed",
        ),
        (
            image,
            vec![signed(&ci, &digest), signed(&owner, &digest), built(&owner, good)],
            false,
            "it has no https://slsa.dev/provenance/v1 by ci",
        ),
        (
            image,
            vec![
                signed(&ci, &digest),
                signed(&owner, &digest),
                built(&ci, "https://laptop"),
            ],
            false,
            "`/runDetails/builder/id` is \"https://laptop\", not \"https://ci.example.com\"",
        ),
        // Made for another image and attached to this one.
        (
            image,
            vec![signed(&ci, &other), signed(&owner, &digest), built(&ci, good)],
            false,
            "attached, and refused: ci: it is about sha256:",
        ),
        (
            image,
            vec![signed(&ci, &digest), signed(&stranger, &digest), built(&ci, good)],
            false,
            "the signature is not one of key",
        ),
        (
            image,
            vec![
                Raw::Bundle(b"garbage".to_vec()),
                Raw::Unreadable("the registry is down".to_owned()),
            ],
            false,
            "attached, and refused: the registry is down",
        ),
        ("localhost:5000/etl", vec![], true, "needs nothing"),
        // A pattern does not reach over slashes, nor is a name below another host this one.
        ("localhost:5000/team/etl", vec![], false, "no rule of the policy names"),
        ("evil.example.com/registry.example.com/etl", vec![], false, "no rule"),
        ("registry.example.com.evil.org/etl", vec![], false, "no rule"),
    ];
    for (image, pieces, allowed, says) in rows {
        let verdict = require(&policy, image, &policy.examine(&digest, &pieces));
        assert_eq!(verdict.allowed, allowed, "{image}: {verdict:?}");
        assert!(
            verdict.reasons.join("\n").contains(says),
            "{image}: {says}: {verdict:#?}"
        );
    }
}

#[test]
fn both_older_forms_count_where_no_log_is_asked_for() {
    let ci = key();
    let text = "authorities: {ci: {keyFile: ci.pub}}\nrules: [{images: '**', require: [{by: ci}]}]";
    let policy = policy(text, &[("ci.pub", ci.public().to_pem())]).unwrap();
    let digest = Digest::of(b"image");
    let one = simple::sign(&digest, "registry.example.com/etl", &ci).unwrap();
    let found = policy.examine(&digest, &[Raw::Simple(one)]);
    assert!(require(&policy, "a", &found).allowed, "{found:?}");
    assert!(!require(&policy, "a", &policy.examine(&Digest::of(b"x"), &[])).allowed);
}

#[test]
fn what_is_wrong_with_a_policy_is_said_at_its_place() {
    let public = key().public().to_pem();
    let files = [("ci.pub", public)];
    let rows = [
        ("", "empty"),
        ("rules: []", "authorities"),
        ("authorities: {}", "rules"),
        (
            "authorities: {a: {keyFile: no.pub}}\nrules: []",
            "`no.pub` cannot be read",
        ),
        ("authorities: {a: {key: garbage}}\nrules: []", "public key"),
        ("authorities: {a: {}}\nrules: []", "neither a key nor `identity`"),
        (
            "authorities: {a: {identity: x}}\nrules: []",
            "neither a key nor `issuer`",
        ),
        (
            "authorities: {a: {identity: x, issuer: z}}\nrules: []",
            "needs a trust root",
        ),
        (
            "authorities: {a: {identityMatches: '(', issuer: z, trustRoot: ci.pub}}\nrules: []",
            "trust root cannot be used",
        ),
        (
            "authorities: {a: {keyFile: ci.pub, issuer: z}}\nrules: []",
            "a key has no identity",
        ),
        ("authorities: {a: {keyFile: ci.pub}}\nrules: [{images: x}]", "require"),
        ("authorities: {a: {keyFile: ci.pub}}\nrules: [{require: []}]", "images"),
        (
            "authorities: {a: {keyFile: ci.pub}}\nrules: [{images: x, require: [{by: b}]}]",
            "there is no authority `b`",
        ),
        (
            "authorities: {a: {keyFile: ci.pub}}\nrules: [{images: x, require: [{}]}]",
            "by",
        ),
        (
            "authorities: {a: {keyFile: ci.pub}}\nrules: [{images: x, require: [{by: a, count: 2}]}]",
            "`count` is 2, and 1 can sign",
        ),
        (
            "authorities: {a: {keyFile: ci.pub}}\nrules: [{images: x, require: [{by: a, predicate: sbom}]}]",
            "not a type of predicate",
        ),
        (
            "authorities: {a: {keyFile: ci.pub}}\nrules: [{images: x, require: [{by: a, with: {x: 1}}]}]",
            "not a JSON pointer",
        ),
        ("authoritys: {}\nrules: []", "there is no key `authoritys`"),
        ("authorities: {}\nrules: []\nothers: maybe", "others"),
    ];
    for (text, says) in rows {
        let wrong = policy(text, &files).unwrap_err();
        assert!(wrong.iter().any(|wrong| wrong.contains(says)), "{text}: {wrong:?}");
    }
}
