//! What an image must have, and whether what was found is enough. Pure: what is attached was fetched and is handed over.
//!
//! A policy names authorities (keys, identities) and rules. The first rule whose pattern fits an image holds for it; an image that no rule names is refused,
//! unless the policy says otherwise.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;
use stoke_diagnostics::{Diagnostic, Source};
use stoke_model::manifest::{self, Fields, Node};

use super::bundle::Bundle;
use super::check::{Attestation, Signer, check, check_envelope};
use super::error::EvidenceError;
use super::keyless::{Identity, Pattern, TrustRoot};
use super::keys::PublicKey;
use super::simple::{self, Simple};
use super::statement::{SIGNATURE, predicate_type};
use crate::oci::Digest;

/// What images must have.
#[derive(Clone, Debug)]
pub struct Policy {
    authorities: BTreeMap<String, Signer>,
    rules: Vec<Rule>,
    /// Whether images that no rule names are let in.
    others: bool,
}

#[derive(Clone, Debug)]
struct Rule {
    /// With `*` for what is between slashes, `**` for anything.
    images: Vec<Images>,
    needs: Vec<Need>,
}

#[derive(Clone, Debug)]
struct Images {
    written: String,
    expression: regex::Regex,
}

#[derive(Clone, Debug)]
struct Need {
    predicate_type: String,
    /// Names of authorities, of which `count` must have signed.
    by: Vec<String>,
    count: usize,
    /// JSON pointers into the predicate, and what must be there.
    with: Vec<(String, Value)>,
}

/// A piece of evidence as it was fetched.
#[derive(Clone, Debug)]
pub enum Raw {
    Bundle(Vec<u8>),
    /// An envelope of cosign's older attestations.
    Envelope(Vec<u8>),
    Simple(Simple),
    /// One that could not be fetched or is of no known kind: why.
    Unreadable(String),
}

/// What an authority has shown, or why a piece shows nothing.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Found {
    /// Authorities that signed it.
    pub by: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attestation: Option<Attestation>,
    /// Why it shows nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<&'static str>,
}

/// Whether an image may run, and why not.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Verdict {
    pub allowed: bool,
    /// What is missing, each in a sentence; for an image that is let in, what it has.
    pub reasons: Vec<String>,
}

const KEYS: [&str; 3] = ["authorities", "rules", "others"];

/// Reads a policy. `file` gives the bytes of a file that the policy names.
///
/// # Errors
/// Everything that is wrong with it, each at its place.
pub fn read(source: &Source, file: &dyn Fn(&str) -> Result<Vec<u8>, String>) -> Result<Policy, Vec<Diagnostic>> {
    let (documents, complaints) = manifest::read(source);
    if stoke_diagnostics::has_errors(&complaints) {
        return Err(complaints);
    }
    let mut fields = Fields::new(source);
    let Some(root) = documents.first() else {
        return Err(vec![
            Diagnostic::of_file(
                stoke_diagnostics::Severity::Error,
                "image-policy",
                source.name(),
                "the policy is empty",
            )
            .with_fix("write `authorities` and `rules`"),
        ]);
    };
    fields.keys(root, "", &KEYS);
    let mut policy = Policy {
        authorities: BTreeMap::new(),
        rules: Vec::new(),
        others: fields
            .word(root, "others", "", &[("refuse", false), ("allow", true)])
            .unwrap_or(false),
    };
    if let Some(node) = root.get("authorities") {
        if fields.mapping(node, "authorities") {
            for entry in node.entries() {
                let path = format!("authorities.{}", entry.key);
                if let Some(signer) = authority(&mut fields, &entry.value, &path, file) {
                    policy.authorities.insert(entry.key.clone(), signer);
                }
            }
        }
    } else {
        fields.missing(root, "authorities", "");
    }
    let named: Vec<String> = root
        .get("authorities")
        .map(|node| node.entries().iter().map(|entry| entry.key.clone()).collect())
        .unwrap_or_default();
    for (path, node) in fields.list(root, "rules", "") {
        if let Some(rule) = rule(&mut fields, node, &path, &named) {
            policy.rules.push(rule);
        }
    }
    if root.get("rules").is_none() {
        fields.missing(root, "rules", "");
    }
    let complaints = fields.into_complaints();
    match stoke_diagnostics::has_errors(&complaints) {
        true => Err(complaints),
        false => Ok(policy),
    }
}

fn authority(
    fields: &mut Fields<'_>,
    node: &Node,
    path: &str,
    file: &dyn Fn(&str) -> Result<Vec<u8>, String>,
) -> Option<Signer> {
    const ALLOWED: [&str; 7] = [
        "key",
        "keyFile",
        "identity",
        "identityMatches",
        "issuer",
        "issuerMatches",
        "trustRoot",
    ];
    if !fields.keys(node, path, &ALLOWED) {
        return None;
    }
    let refuse = |fields: &mut Fields<'_>, error: EvidenceError| {
        fields.complain("image-policy", node.place, path, error.message, &error.fix);
    };
    let read = |fields: &mut Fields<'_>, key: &str| -> Option<Vec<u8>> {
        let name = fields.text(node, key, path)?;
        match file(name) {
            Ok(bytes) => Some(bytes),
            Err(why) => {
                let message = format!("`{name}` cannot be read: {why}");
                fields.complain(
                    "image-policy",
                    node.place,
                    path,
                    message,
                    "name a file beside the policy",
                );
                None
            }
        }
    };
    let root = match node.get("trustRoot") {
        None => None,
        Some(_) => match TrustRoot::read(&read(fields, "trustRoot")?) {
            Ok(root) => Some(root),
            Err(error) => {
                refuse(fields, error);
                return None;
            }
        },
    };
    let text = match (node.get("key"), node.get("keyFile")) {
        (Some(_), None) => Some(fields.text(node, "key", path)?.to_owned()),
        (None, Some(_)) => Some(String::from_utf8_lossy(&read(fields, "keyFile")?).into_owned()),
        (None, None) => None,
        (Some(_), Some(_)) => {
            let message = "it has both `key` and `keyFile`".to_owned();
            fields.complain("image-policy", node.place, path, message, "keep one of them");
            return None;
        }
    };
    if let Some(text) = text {
        let mixed = ALLOWED[2..6].iter().find(|key| node.get(key).is_some());
        if let Some(mixed) = mixed {
            let message = format!("it has a key and `{mixed}`: a key has no identity");
            fields.complain("image-policy", node.place, path, message, "make two authorities of it");
            return None;
        }
        return match PublicKey::from_pem(&text) {
            Ok(key) => Some(Signer::Key(key, root)),
            Err(error) => {
                refuse(fields, error);
                None
            }
        };
    }
    let mut pattern = |exact: &str, matching: &str| -> Option<Pattern> {
        if let Some(text) = fields.text(node, exact, path) {
            return Some(Pattern::Exact(text.to_owned()));
        }
        if let Some(text) = fields.text(node, matching, path) {
            return match Pattern::matching(text) {
                Ok(pattern) => Some(pattern),
                Err(error) => {
                    refuse(fields, error);
                    None
                }
            };
        }
        if node.get(exact).is_none() && node.get(matching).is_none() {
            let message = format!("it has neither a key nor `{exact}`");
            fields.complain(
                "image-policy",
                node.place,
                path,
                message,
                "write `keyFile`, or `identity`, `issuer` and `trustRoot`",
            );
        }
        None
    };
    let name = pattern("identity", "identityMatches")?;
    let issuer = pattern("issuer", "issuerMatches")?;
    let Some(root) = root else {
        let message = "an identity needs a trust root".to_owned();
        fields.complain(
            "image-policy",
            node.place,
            path,
            message,
            "write `trustRoot: trusted_root.json`, the file of the sigstore instance that signs",
        );
        return None;
    };
    Some(Signer::Identity(Identity { root, name, issuer }))
}

/// A pattern of images: `*` for what is between slashes, `**` for anything.
fn images(written: &str) -> Option<Images> {
    let mut text = String::from("^");
    let mut rest = written;
    while let Some(first) = rest.chars().next() {
        if let Some(after) = rest.strip_prefix("**") {
            text.push_str(".*");
            rest = after;
        } else if first == '*' {
            text.push_str("[^/]*");
            rest = &rest[1..];
        } else {
            text.push_str(&regex::escape(&first.to_string()));
            rest = &rest[first.len_utf8()..];
        }
    }
    // A name without tag and digest stands for all of them.
    text.push_str("([:@].*)?$");
    let expression = regex::Regex::new(&text).ok()?;
    Some(Images {
        written: written.to_owned(),
        expression,
    })
}

fn rule(fields: &mut Fields<'_>, node: &Node, path: &str, authorities: &[String]) -> Option<Rule> {
    if !fields.keys(node, path, &["images", "require"]) {
        return None;
    }
    let mut patterns = Vec::new();
    for text in fields.text_or_texts(node, "images", path).unwrap_or_default() {
        patterns.extend(images(&text));
    }
    if patterns.is_empty() {
        fields.missing(node, "images", path);
    }
    let mut needs = Vec::new();
    for (path, node) in fields.list(node, "require", path) {
        needs.extend(need(fields, node, &path, authorities));
    }
    if node.get("require").is_none() {
        // `require: []` says that nothing is needed.
        fields.missing(node, "require", path);
    }
    Some(Rule {
        images: patterns,
        needs,
    })
}

fn need(fields: &mut Fields<'_>, node: &Node, path: &str, authorities: &[String]) -> Option<Need> {
    if !fields.keys(node, path, &["predicate", "by", "count", "with"]) {
        return None;
    }
    let wrong = |fields: &mut Fields<'_>, message: String, fix: &str| {
        fields.complain("image-policy", node.place, path, message, fix);
    };
    let predicate_type = match fields.text(node, "predicate", path).map(predicate_type) {
        None => SIGNATURE.to_owned(),
        Some(Ok(address)) => address,
        Some(Err(error)) => {
            wrong(fields, error.message, &error.fix);
            return None;
        }
    };
    let by = fields.text_or_texts(node, "by", path).unwrap_or_default();
    if by.is_empty() {
        fields.missing(node, "by", path);
    }
    for name in &by {
        if !authorities.contains(name) {
            let near = manifest::nearest(name, authorities.iter().map(String::as_str));
            let fix = near.map_or("name one of `authorities`".to_owned(), |near| {
                format!("did you mean `{near}`?")
            });
            wrong(fields, format!("there is no authority `{name}`"), &fix);
        }
    }
    let count = fields.whole(node, "count", path).unwrap_or(1);
    let count = match usize::try_from(count) {
        Ok(count) if (1..=by.len().max(1)).contains(&count) => count,
        _ => {
            let message = format!("`count` is {count}, and {} can sign", by.len());
            wrong(fields, message, "write a number between 1 and how many are named");
            1
        }
    };
    let mut with = Vec::new();
    if let Some(conditions) = node.get("with")
        && fields.mapping(conditions, "with")
    {
        for entry in conditions.entries() {
            if !entry.key.starts_with('/') {
                wrong(
                    fields,
                    format!("`{}` is not a JSON pointer", entry.key),
                    "write where it is in the predicate: `/runDetails/builder/id`",
                );
            }
            with.push((entry.key.clone(), entry.value.to_value()));
        }
    }
    Some(Need {
        predicate_type,
        by,
        count,
        with,
    })
}

impl Policy {
    /// One authority without a name, and no rule: to examine by.
    #[must_use]
    pub fn of(signer: Signer) -> Policy {
        Policy {
            authorities: BTreeMap::from([(String::new(), signer)]),
            rules: Vec::new(),
            others: false,
        }
    }

    /// Whether something must have been shown of an image; else [`require`] decides by its name alone.
    #[must_use]
    pub fn asks(&self, image: &str) -> bool {
        self.rule(image).is_some_and(|rule| !rule.needs.is_empty())
    }

    fn rule(&self, image: &str) -> Option<&Rule> {
        let fits = |rule: &&Rule| rule.images.iter().any(|images| images.expression.is_match(image));
        self.rules.iter().find(fits)
    }

    /// Verifies what is attached to an image against every authority: who signed what, and why a piece shows nothing.
    #[must_use]
    pub fn examine(&self, digest: &Digest, pieces: &[Raw]) -> Vec<Found> {
        pieces.iter().map(|piece| self.examine_one(digest, piece)).collect()
    }

    fn examine_one(&self, digest: &Digest, piece: &Raw) -> Found {
        let refused = |why: String, code: &'static str| Found {
            by: Vec::new(),
            attestation: None,
            refused: Some(why),
            code: Some(code),
        };
        let bundle = match piece {
            Raw::Unreadable(why) => return refused(why.clone(), "evidence-unsupported"),
            Raw::Bundle(bytes) => match Bundle::read(bytes) {
                Ok(bundle) => Some(bundle),
                Err(error) => return refused(error.message, error.code),
            },
            _ => None,
        };
        let mut by = Vec::new();
        let mut attestation = None;
        let mut reasons: Vec<String> = Vec::new();
        let mut code = "evidence-missing";
        for (name, signer) in &self.authorities {
            let checked = match (piece, &bundle, signer) {
                (_, Some(bundle), signer) => check(bundle, digest, signer),
                // Without a bundle there is no proof of a log: a key alone verifies it, and only where no log is asked for.
                (Raw::Envelope(bytes), _, Signer::Key(key, None)) => check_envelope(bytes, digest, key),
                (Raw::Simple(simple), _, Signer::Key(key, None)) => {
                    simple::verify(simple, digest, key).map(|()| Attestation {
                        predicate_type: SIGNATURE.to_owned(),
                        predicate: Value::Object(serde_json::Map::new()),
                        signer: format!("key {}", key.id()),
                        time: None,
                    })
                }
                _ => Err(EvidenceError::unsupported(
                    "it is in cosign's older form, which carries no proof of a transparency log",
                )),
            };
            match checked {
                Ok(found) => {
                    by.push(name.clone());
                    attestation = Some(found);
                }
                Err(error) => {
                    code = error.code;
                    reasons.push(format!("{name}: {}", error.message).trim_start_matches(": ").to_owned());
                }
            }
        }
        if attestation.is_none() {
            return refused(reasons.join("; "), code);
        }
        Found {
            by,
            attestation,
            refused: None,
            code: None,
        }
    }
}

/// Whether an image may run by what was found of it. `image` is its name as the manifest has it; evidence was held against its digest.
#[must_use]
pub fn require(policy: &Policy, image: &str, found: &[Found]) -> Verdict {
    let Some(rule) = policy.rule(image) else {
        let reason = match policy.others {
            true => format!("no rule of the policy names `{image}`, and it lets others in"),
            false => format!("no rule of the policy names `{image}`, and it refuses others"),
        };
        return Verdict {
            allowed: policy.others,
            reasons: vec![reason],
        };
    };
    let mut missing = Vec::new();
    let mut met = Vec::new();
    for need in &rule.needs {
        match satisfied(need, found) {
            Ok(by) => met.push(format!("{} by {}", shown(&need.predicate_type), by.join(", "))),
            Err(why) => missing.push(why),
        }
    }
    if missing.is_empty() {
        let pattern = rule.images.first().map_or("", |images| images.written.as_str());
        if met.is_empty() {
            met.push(format!("the rule for `{pattern}` needs nothing"));
        }
        return Verdict {
            allowed: true,
            reasons: met,
        };
    }
    // What was attached and shows nothing explains what is missing.
    let mut refused: Vec<String> = found.iter().filter_map(|found| found.refused.clone()).collect();
    refused.dedup();
    missing.extend(
        refused
            .into_iter()
            .take(3)
            .map(|why| format!("attached, and refused: {why}")),
    );
    Verdict {
        allowed: false,
        reasons: missing,
    }
}

fn shown(predicate_type: &str) -> &str {
    match predicate_type {
        SIGNATURE => "a signature",
        other => other,
    }
}

fn satisfied(need: &Need, found: &[Found]) -> Result<Vec<String>, String> {
    let of_type = |found: &&Found| {
        let attestation = found.attestation.as_ref();
        attestation.is_some_and(|attestation| attestation.predicate_type == need.predicate_type)
    };
    let differs = |predicate: &Value| {
        need.with
            .iter()
            .find(|(pointer, wanted)| predicate.pointer(pointer) != Some(wanted))
            .map(|(pointer, wanted)| {
                let there = predicate
                    .pointer(pointer)
                    .map_or("nothing".to_owned(), Value::to_string);
                format!("`{pointer}` is {there}, not {wanted}")
            })
    };
    let mut by: Vec<String> = Vec::new();
    let mut different = None;
    for found in found.iter().filter(of_type) {
        let predicate = found.attestation.as_ref().map(|attestation| &attestation.predicate);
        if let Some(why) = predicate.and_then(differs) {
            different = Some(why);
            continue;
        }
        for name in found.by.iter().filter(|name| need.by.contains(name)) {
            if !by.contains(name) {
                by.push(name.clone());
            }
        }
    }
    by.sort();
    if by.len() >= need.count {
        return Ok(by);
    }
    let wanted = match need.count {
        1 => need.by.join(" or "),
        count => format!("{count} of {}", need.by.join(", ")),
    };
    let has = match (by.is_empty(), different) {
        (_, Some(why)) => format!("; in one that is there {why}"),
        (true, None) => String::new(),
        (false, None) => format!("; {} signed", by.join(", ")),
    };
    Err(format!(
        "it has no {} by {wanted}{has}",
        shown(&need.predicate_type).trim_start_matches("a ")
    ))
}

#[cfg(test)]
#[path = "policy_tests.rs"]
mod tests;
