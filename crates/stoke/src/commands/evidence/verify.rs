//! `stoke verify`: who signed an image, and what was attested; or a file with its bundle.

use std::path::{Path, PathBuf};

use serde_json::json;
use stoke_diagnostics::Source;
use stoke_release::evidence::policy::{self, Policy, Raw};
use stoke_release::evidence::{
    Attestation, Bundle, EvidenceError, Found, Identity, Pattern, PublicKey, Signer, TrustRoot, check, statement, store,
};
use stoke_release::oci::Digest;

use super::{Place, evidence_failure, oci_failure, read};
use crate::cli::Context;
use crate::failure::{Failure, Outcome};
use crate::terminal::{Format, table};

/// Arguments of `stoke verify`.
#[derive(clap::Args)]
#[command(group(clap::ArgGroup::new("who").required(true).args(["key", "identity", "identity_matches", "policy"])))]
pub struct Arguments {
    /// An image, or with --bundle a file
    subject: String,
    /// The public key of who must have signed
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// The name in the certificate of who must have signed
    #[arg(long, value_name = "NAME", requires = "issuer_of")]
    identity: Option<String>,
    /// An expression that the whole name must match
    #[arg(long, value_name = "REGEX", requires = "issuer_of")]
    identity_matches: Option<String>,
    /// Who vouches for the name
    #[arg(long, value_name = "URL", group = "issuer_of")]
    issuer: Option<String>,
    #[arg(long, value_name = "REGEX", group = "issuer_of")]
    issuer_matches: Option<String>,
    /// The `trusted_root.json` of the sigstore instance; with --key, its log must have the signature
    #[arg(long, value_name = "FILE")]
    trust_root: Option<PathBuf>,
    /// What the image must have, in a file
    #[arg(long, value_name = "FILE", conflicts_with_all = ["kind", "trust_root", "bundle"])]
    policy: Option<PathBuf>,
    /// The type of predicate that must be attested [default: a signature]
    #[arg(long = "type", value_name = "TYPE")]
    kind: Option<String>,
    /// The bundle of a file that was signed
    #[arg(long, value_name = "FILE")]
    bundle: Option<PathBuf>,
}

pub async fn run(arguments: Arguments, context: &mut Context) -> Outcome<u8> {
    if let Some(file) = &arguments.policy {
        return by_policy(&arguments.subject, file, context).await;
    }
    let signer = signer(&arguments)?;
    let wanted =
        statement::predicate_type(arguments.kind.as_deref().unwrap_or("signature")).map_err(evidence_failure)?;
    if let Some(file) = &arguments.bundle {
        let bundle = Bundle::read(&read(file)?).map_err(evidence_failure)?;
        let bytes = read(Path::new(&arguments.subject))?;
        let found = check::check_bytes(&bundle, &bytes, &signer).map_err(evidence_failure)?;
        if arguments.kind.is_some() && found.predicate_type != wanted {
            return Err(evidence_failure(other_predicate(&wanted, &found.predicate_type)));
        }
        show(&Digest::of(&bytes), &arguments.subject, &[found], context);
        return Ok(0);
    }
    let place = Place::open(&arguments.subject, false, context)?;
    let image = place
        .repository
        .fetch(place.name.as_deref())
        .await
        .map_err(oci_failure)?;
    let digest = image.descriptor.digest;
    let pieces = store::gather(&place.repository, &digest, &place.cache)
        .await
        .map_err(oci_failure)?;
    let found = Policy::of(signer).examine(&digest, &pieces);
    let good: Vec<Attestation> = found.iter().filter_map(|found| found.attestation.clone()).collect();
    let fitting: Vec<Attestation> = good
        .iter()
        .filter(|one| one.predicate_type == wanted)
        .cloned()
        .collect();
    if fitting.is_empty() {
        return Err(evidence_failure(nothing(
            &place.bare,
            &digest,
            &wanted,
            &pieces,
            &found,
        )));
    }
    show(&digest, &place.bare, &fitting, context);
    Ok(0)
}

fn other_predicate(wanted: &str, found: &str) -> EvidenceError {
    EvidenceError {
        code: "evidence-predicate",
        message: format!("it attests {found}, not {wanted}"),
        fix: "name the type of predicate that is there with --type".to_owned(),
    }
}

/// Why nothing was verified: nothing is attached, something else is, or each piece is refused.
fn nothing(name: &str, digest: &Digest, wanted: &str, pieces: &[Raw], found: &[Found]) -> EvidenceError {
    if pieces.is_empty() {
        return EvidenceError {
            code: "evidence-missing",
            message: format!("{name}@{digest}: nothing is attached to it"),
            fix: "sign it: `stoke sign`".to_owned(),
        };
    }
    let others: Vec<&str> = found
        .iter()
        .filter_map(|found| Some(found.attestation.as_ref()?.predicate_type.as_str()))
        .collect();
    if let Some(first) = others.first() {
        return other_predicate(wanted, first);
    }
    let mut refused: Vec<&str> = found.iter().filter_map(|found| found.refused.as_deref()).collect();
    refused.dedup();
    let code = found.iter().find_map(|found| found.code).unwrap_or("evidence-missing");
    EvidenceError {
        code,
        message: format!("{name}@{digest}: {}", refused.join("; ")),
        fix: "do not use the image unless its signer explains it; or name the signer it has".to_owned(),
    }
}

fn signer(arguments: &Arguments) -> Outcome<Signer> {
    let root = match &arguments.trust_root {
        Some(file) => Some(TrustRoot::read(&read(file)?).map_err(evidence_failure)?),
        None => None,
    };
    if let Some(file) = &arguments.key {
        let text = String::from_utf8_lossy(&read(file)?).into_owned();
        return Ok(Signer::Key(PublicKey::from_pem(&text).map_err(evidence_failure)?, root));
    }
    let pattern = |exact: &Option<String>, matching: &Option<String>| match (exact, matching) {
        (Some(exact), _) => Ok(Pattern::Exact(exact.clone())),
        (None, matching) => Pattern::matching(matching.as_deref().unwrap_or_default()).map_err(evidence_failure),
    };
    let Some(root) = root else {
        return Err(Failure::input(
            "stoke::verify::trust-root",
            "an identity is verified against a trust root, and none is named",
        )
        .fix("name the `trusted_root.json` of the sigstore instance with --trust-root"));
    };
    Ok(Signer::Identity(Identity {
        root,
        name: pattern(&arguments.identity, &arguments.identity_matches)?,
        issuer: pattern(&arguments.issuer, &arguments.issuer_matches)?,
    }))
}

fn show(digest: &Digest, name: &str, found: &[Attestation], context: &mut Context) {
    match context.terminal.format() {
        Format::Json => context
            .terminal
            .json(&json!({"name": name, "digest": digest, "verified": found})),
        Format::Text => {
            let mut rows = vec![["PREDICATE", "SIGNED BY", "TIME"].map(String::from).to_vec()];
            rows.extend(found.iter().map(|one| {
                let time = one.time.map_or("not known".to_owned(), |time| time.to_string());
                vec![one.predicate_type.clone(), one.signer.clone(), time]
            }));
            for line in table(&rows) {
                context.terminal.out(line);
            }
            context.terminal.note(format!("{name}: {digest}"));
        }
    }
}

async fn by_policy(image: &str, file: &Path, context: &mut Context) -> Outcome<u8> {
    let text = String::from_utf8_lossy(&read(file)?).into_owned();
    let source = Source::new(&file.display().to_string(), &text);
    let directory = file.parent().unwrap_or(Path::new("")).to_owned();
    let beside = |name: &str| std::fs::read(directory.join(name)).map_err(|error| error.to_string());
    let policy = match policy::read(&source, &beside) {
        Ok(policy) => policy,
        Err(mut wrong) => {
            let last = wrong.pop();
            for complaint in &wrong {
                context.terminal.note(complaint.render());
            }
            let diagnostic = Box::new(last.unwrap_or_else(|| {
                stoke_diagnostics::Diagnostic::of_file(
                    stoke_diagnostics::Severity::Error,
                    "image-policy",
                    source.name(),
                    "the policy cannot be read",
                )
            }));
            return Err(Failure { diagnostic, exit: 2 });
        }
    };
    let place = Place::open(image, false, context)?;
    let fetched = place
        .repository
        .fetch(place.name.as_deref())
        .await
        .map_err(oci_failure)?;
    let digest = fetched.descriptor.digest;
    let pieces = store::gather(&place.repository, &digest, &place.cache)
        .await
        .map_err(oci_failure)?;
    let found = policy.examine(&digest, &pieces);
    let verdict = policy::require(&policy, image, &found);
    match context.terminal.format() {
        Format::Json => context
            .terminal
            .json(&json!({"name": image, "digest": digest, "verdict": verdict, "found": found})),
        Format::Text => {
            let word = if verdict.allowed { "allowed" } else { "refused" };
            context.terminal.out(format!("{word}: {}@{digest}", place.bare));
            verdict
                .reasons
                .iter()
                .for_each(|reason| context.terminal.out(format!("  {reason}")));
        }
    }
    Ok(u8::from(!verdict.allowed))
}
