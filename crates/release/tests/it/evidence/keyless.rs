//! Bundles of identities: one that is right, and each way in which one is not.

use rcgen::SanType;
use serde_json::{Value, json};
use stoke_release::evidence::{Bundle, EvidenceError, Identity, Pattern, Signer, Statement, TrustRoot, check};
use stoke_release::oci::Digest;

use super::world::{Ask, World, b64};

const NAME: &str = "ada@example.com";
const ISSUER: &str = "https://accounts.example.com";

fn signer(root: &Value, name: Pattern, issuer: &str) -> Signer {
    Signer::Identity(Identity {
        root: TrustRoot::read(root.to_string().as_bytes()).unwrap(),
        name,
        issuer: Pattern::Exact(issuer.to_owned()),
    })
}

fn checked(bundle: &Value, digest: &Digest, signer: &Signer) -> Result<String, EvidenceError> {
    let bundle = Bundle::read(bundle.to_string().as_bytes())?;
    check::check(&bundle, digest, signer).map(|found| found.signer)
}

fn exact(name: &str) -> Pattern {
    Pattern::Exact(name.to_owned())
}

#[test]
fn an_identity_is_verified_offline() {
    let world = World::new();
    let root = world.trust_root();
    let digest = Digest::of(b"image");
    let bundle = world.sign(&Statement::signature(&digest), &Ask::default());
    let signed_by = format!("{NAME} ({ISSUER})");
    assert_eq!(
        checked(&bundle, &digest, &signer(&root, exact(NAME), ISSUER)).unwrap(),
        signed_by
    );
    let pattern = Pattern::matching(".*@example\\.com").unwrap();
    assert_eq!(
        checked(&bundle, &digest, &signer(&root, pattern, ISSUER)).unwrap(),
        signed_by
    );
    let workflow = "https://ci.example.com/etl/.ci/release.yml@refs/tags/v1";
    let ask = Ask {
        name: SanType::URI(workflow.try_into().unwrap()),
        ..Ask::default()
    };
    let bundle = world.sign(&Statement::signature(&digest), &ask);
    checked(&bundle, &digest, &signer(&root, exact(workflow), ISSUER)).unwrap();
}

#[test]
fn names_issuers_and_subjects_are_held_against_what_was_asked_for() {
    let world = World::new();
    let root = world.trust_root();
    let digest = Digest::of(b"image");
    let bundle = world.sign(&Statement::signature(&digest), &Ask::default());
    let code = |digest: &Digest, signer: &Signer| checked(&bundle, digest, signer).unwrap_err().code;
    assert_eq!(
        code(&digest, &signer(&root, exact("eve@example.com"), ISSUER)),
        "evidence-identity"
    );
    // A pattern is for the whole name.
    let part = Pattern::matching("example\\.com").unwrap();
    assert_eq!(code(&digest, &signer(&root, part, ISSUER)), "evidence-identity");
    assert_eq!(
        code(&digest, &signer(&root, exact(NAME), "https://evil.example.com")),
        "evidence-issuer"
    );
    assert_eq!(
        code(&Digest::of(b"other"), &signer(&root, exact(NAME), ISSUER)),
        "evidence-subject"
    );
    // Another instance: neither its authority nor its logs are known.
    let other = World::new().trust_root();
    let unknown = code(&digest, &signer(&other, exact(NAME), ISSUER));
    assert!(
        ["evidence-log", "evidence-certificate", "evidence-timestamp"].contains(&unknown),
        "{unknown}"
    );
}

#[test]
fn certificates_must_be_valid_when_they_sign() {
    let world = World::new();
    let root = world.trust_root();
    let digest = Digest::of(b"image");
    let rows: [(&str, Ask, &[&str]); 4] = [
        (
            "after its end",
            Ask {
                after: 601,
                ..Ask::default()
            },
            &["evidence-expired", "evidence-certificate"],
        ),
        (
            "before its begin",
            Ask {
                after: -1,
                ..Ask::default()
            },
            &["evidence-expired", "evidence-certificate"],
        ),
        (
            "not logged",
            Ask {
                certificate_log: false,
                ..Ask::default()
            },
            &["evidence-certificate"],
        ),
        (
            "for another use",
            Ask {
                code_signing: false,
                ..Ask::default()
            },
            &["evidence-certificate"],
        ),
    ];
    for (what, ask, codes) in rows {
        let bundle = world.sign(&Statement::signature(&digest), &ask);
        let error = checked(&bundle, &digest, &signer(&root, exact(NAME), ISSUER)).unwrap_err();
        assert!(codes.contains(&error.code), "{what}: {error:?}");
    }
}

#[test]
fn the_log_must_prove_this_signature() {
    let world = World::new();
    let root = world.trust_root();
    let digest = Digest::of(b"image");
    let good = world.sign(&Statement::signature(&digest), &Ask::default());
    let other = world.sign(&Statement::signature(&Digest::of(b"other")), &Ask::default());
    let entry = "/verificationMaterial/tlogEntries/0";
    let changed = |pointer: &str, value: Value| {
        let mut bundle = good.clone();
        *bundle.pointer_mut(&format!("{entry}{pointer}")).unwrap() = value;
        bundle
    };
    let without = |key: &str| {
        let mut bundle = good.clone();
        bundle.pointer_mut(entry).unwrap().as_object_mut().unwrap().remove(key);
        bundle
    };
    let zeroes = || json!(b64([0; 32]));
    let mut no_entry = good.clone();
    no_entry["verificationMaterial"]["tlogEntries"] = json!([]);
    let mut swapped = good.clone();
    swapped["dsseEnvelope"] = other["dsseEnvelope"].clone();
    let mut stolen = good.clone();
    stolen["verificationMaterial"]["certificate"] = other["verificationMaterial"]["certificate"].clone();
    let rows = [
        ("no entry", no_entry),
        ("no proof", without("inclusionProof")),
        ("no promise, so no time", without("inclusionPromise")),
        ("another root", changed("/inclusionProof/rootHash", zeroes())),
        ("another path", changed("/inclusionProof/hashes", json!([b64([0; 32])]))),
        ("another place", changed("/inclusionProof/logIndex", json!("0"))),
        ("another time", changed("/integratedTime", json!("1768435231"))),
        ("another log", changed("/logId/keyId", zeroes())),
        (
            "a promise of nothing",
            changed("/inclusionPromise/signedEntryTimestamp", json!(b64([0; 70]))),
        ),
        (
            "no checkpoint",
            changed("/inclusionProof/checkpoint/envelope", json!("")),
        ),
        (
            "the entry of another signature",
            changed("", other.pointer(entry).unwrap().clone()),
        ),
        ("the envelope of another image", swapped),
        ("the certificate of another signature", stolen),
    ];
    for (what, bundle) in rows {
        let error = checked(&bundle, &digest, &signer(&root, exact(NAME), ISSUER)).unwrap_err();
        let codes = [
            "evidence-log",
            "evidence-timestamp",
            "evidence-signature",
            "evidence-subject",
            "evidence-malformed",
            "evidence-certificate",
        ];
        assert!(codes.contains(&error.code), "{what}: {error:?}");
        assert!(!error.message.is_empty() && !error.fix.is_empty(), "{what}");
    }
}

#[test]
fn a_key_and_an_identity_do_not_stand_for_one_another() {
    let world = World::new();
    let digest = Digest::of(b"image");
    let key = stoke_release::evidence::PrivateKey::generate(Default::default()).unwrap();
    let by_key = stoke_release::evidence::attest(&Statement::signature(&digest), &key).unwrap();
    let identity = signer(&world.trust_root(), exact(NAME), ISSUER);
    assert_eq!(
        check::check(&by_key, &digest, &identity).unwrap_err().code,
        "evidence-identity"
    );
    let by_name = world.sign(&Statement::signature(&digest), &Ask::default());
    let of_key = Signer::Key(key.public().clone(), None);
    assert_eq!(
        checked(&by_name, &digest, &of_key).unwrap_err().code,
        "evidence-identity"
    );
    // With a trust root, a key's signature must be in its log.
    let logged = Signer::Key(
        key.public().clone(),
        Some(TrustRoot::read(world.trust_root().to_string().as_bytes()).unwrap()),
    );
    assert_eq!(
        check::check(&by_key, &digest, &logged).unwrap_err().code,
        "evidence-log"
    );
}

#[test]
fn trust_roots_that_cannot_be_used_are_refused() {
    let good = World::new().trust_root();
    let broken = |pointer: &str, value: Value| {
        let mut root = good.clone();
        *root.pointer_mut(pointer).unwrap() = value;
        root.to_string()
    };
    let duplicate = {
        let mut root = good.clone();
        let log = root["tlogs"][0].clone();
        root["tlogs"].as_array_mut().unwrap().push(log);
        root.to_string()
    };
    for text in [
        String::new(),
        "[]".to_owned(),
        broken("/tlogs/0/publicKey/rawBytes", json!("AAAA")),
        broken("/certificateAuthorities/0/certChain/certificates", json!([])),
        duplicate,
        " ".repeat(5 << 20),
    ] {
        assert_eq!(
            TrustRoot::read(text.as_bytes()).unwrap_err().code,
            "evidence-trust-root"
        );
    }
}
