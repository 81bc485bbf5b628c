//! Files with encrypted Secrets that a platform takes as they are: SealedSecrets, and Secrets that SOPS encrypted. Pure: texts are passed in, nothing is ever decrypted.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::Value;
use stoke_diagnostics::{Diagnostic, Excerpt, Severity, Source};
use stoke_model::manifest::{self, Content, Node, join};

/// What encrypted a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// `SealedSecret` of `bitnami.com/v1alpha1`: its controller decrypts it in the cluster.
    Sealed,
    /// A Secret with values of SOPS: Flux decrypts it before it is applied.
    Sops,
}

/// A Secret that comes of a file.
#[derive(Clone, Debug, PartialEq)]
pub struct Secret {
    pub name: String,
    /// The namespace that is written in the file.
    pub namespace: Option<String>,
    /// Whether a SealedSecret is bound to its namespace.
    pub is_bound: bool,
    pub keys: BTreeSet<String>,
    pub object: Value,
    /// Line of the document in the file.
    pub line: usize,
}

#[derive(Clone, Debug, PartialEq)]
pub struct EncryptedFile {
    /// As the platform names it.
    pub path: String,
    pub form: Form,
    /// As it is written.
    pub text: String,
    pub secrets: Vec<Secret>,
}

impl EncryptedFile {
    /// The last part of its path.
    #[must_use]
    pub fn file_name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or(&self.path)
    }
}

/// Reads a file.
///
/// # Errors
/// Everything that is wrong with it; of a Secret in plain no value is shown.
pub fn read(path: &str, text: &str) -> Result<EncryptedFile, Vec<Diagnostic>> {
    let source = Source::new(path, text);
    let (documents, mut complaints) = manifest::read(&source);
    if stoke_diagnostics::has_errors(&complaints) {
        // A line of it may be a secret in plain.
        complaints
            .iter_mut()
            .for_each(|found| found.excerpt = Excerpt::default());
        return Err(complaints);
    }
    let (mut secrets, mut forms) = (Vec::new(), Vec::new());
    for document in &documents {
        match one(&source, document) {
            Ok((form, secret)) => {
                forms.push(form);
                secrets.push(secret);
            }
            Err(found) => complaints.push(*found),
        }
    }
    let form = match (&forms[..], complaints.is_empty()) {
        ([first, rest @ ..], true) if rest.iter().all(|form| form == first) => *first,
        ([_, ..], true) => {
            let found = Diagnostic::of_file(
                Severity::Error,
                "platform-secret-file",
                path,
                "SealedSecrets and Secrets of SOPS are in one file, and each is decrypted by another program",
            );
            return Err(vec![found.with_fix("keep them in two files")]);
        }
        (_, true) => {
            let found = Diagnostic::of_file(Severity::Error, "platform-secret-file", path, "it is empty");
            return Err(vec![found.with_fix("write it with `kubeseal` or `sops --encrypt`")]);
        }
        _ => return Err(complaints),
    };
    Ok(EncryptedFile {
        path: path.to_owned(),
        form,
        text: text.to_owned(),
        secrets,
    })
}

fn one(source: &Arc<Source>, document: &Node) -> Result<(Form, Secret), Box<Diagnostic>> {
    let text = |path: &str| document.lookup(path).and_then(Node::as_str);
    let wrong = |path: &str, message: String, fix: &str| {
        let place = document.place_of(path);
        let mut found = Diagnostic::at(Severity::Error, "platform-secret-file", source, place, path, message);
        found.excerpt = Excerpt::default();
        Box::new(found.with_fix(fix.to_owned()))
    };
    let (version, kind) = (text("apiVersion").unwrap_or_default(), text("kind").unwrap_or_default());
    let (form, holders): (Form, &[&str]) = match (version, kind) {
        ("bitnami.com/v1alpha1", "SealedSecret") => (Form::Sealed, &["spec.encryptedData"]),
        ("v1", "Secret") if document.get("sops").is_some() => (Form::Sops, &["data", "stringData"]),
        ("v1", "Secret") => {
            return Err(wrong(
                "kind",
                "this Secret is not encrypted: whoever reads the file knows what is in it".into(),
                "change its values, and write the file with `kubeseal` or `sops --encrypt`",
            ));
        }
        _ => {
            return Err(wrong(
                "kind",
                format!("`{kind}` of `{version}` is neither a SealedSecret nor a Secret that SOPS encrypted"),
                "write the file with `kubeseal` or `sops --encrypt`",
            ));
        }
    };
    let Some(name) = text("metadata.name") else {
        return Err(wrong("metadata", "it has no name".into(), "add `metadata.name`"));
    };
    let mut keys = BTreeSet::new();
    for holder in holders {
        for entry in document.lookup(holder).map(Node::entries).unwrap_or_default() {
            let path = join(holder, &entry.key);
            let encrypted = match (form, &entry.value.content) {
                (Form::Sealed, Content::String(value)) => !value.is_empty(),
                (Form::Sops, Content::String(value)) => value.starts_with("ENC[") && value.ends_with(']'),
                _ => false,
            };
            if !encrypted {
                return Err(wrong(
                    &path,
                    format!("`{}` is not encrypted", entry.key),
                    "change the value, and encrypt the file again",
                ));
            }
            keys.insert(entry.key.clone());
        }
    }
    if keys.is_empty() {
        return Err(wrong(
            holders[0],
            "no key of a Secret is in it".into(),
            "write the file with `kubeseal` or `sops --encrypt`",
        ));
    }
    let annotation = |key: &str| text(&format!("metadata.annotations[\"sealedsecrets.bitnami.com/{key}\"]"));
    let secret = Secret {
        name: name.to_owned(),
        namespace: text("metadata.namespace").map(str::to_owned),
        is_bound: annotation("cluster-wide") != Some("true"),
        keys,
        object: document.to_value(),
        line: document.place.line,
    };
    Ok((form, secret))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str) -> Vec<String> {
        let found = read("s.yaml", text).unwrap_err();
        found.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn only_what_is_encrypted_is_read() {
        let sealed = "apiVersion: bitnami.com/v1alpha1\nkind: SealedSecret\nmetadata: {name: keys, namespace: a}\nspec: {encryptedData: {one: AgB, two: AgC}}\n";
        let file = read("s.yaml", sealed).unwrap();
        assert_eq!((file.form, file.secrets[0].keys.len()), (Form::Sealed, 2));
        let sops = "apiVersion: v1\nkind: Secret\nmetadata: {name: keys}\nstringData: {one: 'ENC[AES256_GCM,data:x]'}\nsops: {version: 3.9.0}\n";
        assert_eq!(read("s.yaml", sops).unwrap().form, Form::Sops);
        for (text, wanted) in [
            (
                sops.replace("ENC[AES256_GCM,data:x]", "s3cr3t-47"),
                "`one` is not encrypted",
            ),
            (sops.replace("sops: {version: 3.9.0}\n", ""), "is not encrypted"),
            (sealed.replace("{one: AgB, two: AgC}", "{}"), "no key"),
            (sealed.replace("SealedSecret", "ConfigMap"), "neither"),
            (sealed.replace("name: keys, ", ""), "no name"),
            (format!("{sealed}---\n{sops}"), "two files"),
            (String::new(), "it is empty"),
            (sops.replace("'ENC[AES256_GCM,data:x]'", "[s3cr3t-47"), "s.yaml"),
        ] {
            let found = told(&text).join("\n");
            assert!(
                found.contains(wanted) && !found.contains("s3cr3t-47"),
                "{wanted}: {found}"
            );
        }
    }
}
