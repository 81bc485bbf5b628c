//! Objects as files: plain, or a tree for kustomize that Argo CD or Flux follow.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{LABEL_ENVIRONMENT, LABEL_PLATFORM, Scope, WAVE, objects};
use crate::encrypted;

/// What makes a tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// A folder for each environment with a file for each component.
    Plain,
    /// The same, with a `kustomization.yaml`.
    Kustomize,
    /// The same, with an `Application` of Argo CD for each environment.
    ArgoCd,
    /// The same, with a `GitRepository` and a `Kustomization` of Flux for each environment.
    Flux,
}

/// Where a tree lies in a git repository, for what follows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repository {
    pub url: String,
    pub branch: String,
    /// Directory of the tree in the repository; empty for its root.
    pub path: String,
}

/// The value as YAML.
///
/// # Errors
/// When it has no form in YAML, which no object of ours lacks.
pub fn yaml(value: &Value) -> Result<String, String> {
    serde_saphyr::to_string(value).map_err(|error| error.to_string())
}

/// The objects as one stream.
///
/// # Errors
/// As [`yaml`].
pub fn stream(objects: &[Value]) -> Result<String, String> {
    let texts: Result<Vec<String>, String> = objects
        .iter()
        .map(|object| Ok(format!("---\n{}\n", yaml(object)?.trim_end())))
        .collect();
    Ok(texts?.concat())
}

/// The files of a tree, by path.
///
/// # Errors
/// When it is to be followed and no repository is given.
pub fn files(
    form: Form,
    environments: &[Scope<'_>],
    repository: Option<&Repository>,
) -> Result<BTreeMap<String, String>, String> {
    let mut all = BTreeMap::new();
    for scope in environments {
        if form != Form::Flux {
            decryptable(scope)?;
        }
        let folder = format!("environments/{}", scope.environment);
        let mut of_file: BTreeMap<String, Vec<Value>> = BTreeMap::new();
        for mut object in objects(scope) {
            if form == Form::ArgoCd
                && let Some(wave) = object["metadata"]["annotations"].get(WAVE).cloned()
            {
                object["metadata"]["annotations"]["argocd.argoproj.io/sync-wave"] = wave;
            }
            of_file.entry(file_of(&object)).or_default().push(object);
        }
        // As they are written: SOPS signs the whole of a file.
        let encrypted: Vec<(&str, &str)> = scope
            .encrypted
            .iter()
            .filter(|file| file.form == encrypted::Form::Sops)
            .map(|file| (file.file_name(), file.text.as_str()))
            .collect();
        for (name, text) in &encrypted {
            if of_file.contains_key(*name) {
                return Err(format!("{name} is the name of a file of the tree too; rename it"));
            }
            all.insert(format!("{folder}/{name}"), (*text).to_owned());
        }
        if form != Form::Plain {
            let names: Vec<&str> = of_file
                .keys()
                .map(String::as_str)
                .chain(encrypted.iter().map(|(name, _)| *name))
                .collect();
            let kustomization =
                json!({"apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization", "resources": names});
            all.insert(format!("{folder}/kustomization.yaml"), yaml(&kustomization)?);
        }
        for (file, objects) in of_file {
            all.insert(format!("{folder}/{file}"), stream(&objects)?);
        }
        let followers = match form {
            Form::Plain | Form::Kustomize => Vec::new(),
            Form::ArgoCd => vec![argo(scope, repository.ok_or(NO_REPOSITORY)?, &folder)],
            Form::Flux => flux(scope, repository.ok_or(NO_REPOSITORY)?, &folder),
        };
        if !followers.is_empty() {
            let name = if form == Form::ArgoCd { "argocd" } else { "flux" };
            all.insert(format!("{name}/{}.yaml", scope.environment), stream(&followers)?);
        }
    }
    Ok(all)
}

/// The file of a tree that an object is in.
pub(super) fn file_of(object: &Value) -> String {
    let of = object["metadata"]["labels"]["app.kubernetes.io/instance"].as_str();
    match (of, object["kind"].as_str()) {
        (Some(name), _) => format!("component-{name}.yaml"),
        (None, Some("SecretStore" | "ExternalSecret" | "SealedSecret")) => "secrets.yaml".to_owned(),
        (None, _) => "platform.yaml".to_owned(),
    }
}

const NO_REPOSITORY: &str = "what follows the tree must know where it lies";

/// Whether something other than Flux may apply the objects.
///
/// # Errors
/// Where a file of SOPS is among them: nothing else decrypts it.
pub fn decryptable(scope: &Scope<'_>) -> Result<(), String> {
    match scope.encrypted.iter().find(|file| file.form == encrypted::Form::Sops) {
        None => Ok(()),
        Some(file) => Err(format!(
            "{} is encrypted by SOPS, and is decrypted by Flux alone: as it is, the Secret would have no value that works",
            file.path
        )),
    }
}

fn below(repository: &Repository, folder: &str) -> String {
    match repository.path.trim_matches('/') {
        "" => folder.to_owned(),
        path => format!("{path}/{folder}"),
    }
}

fn labels(scope: &Scope<'_>) -> Value {
    json!({LABEL_PLATFORM: scope.platform.name, LABEL_ENVIRONMENT: scope.environment})
}

fn argo(scope: &Scope<'_>, repository: &Repository, folder: &str) -> Value {
    json!({"apiVersion": "argoproj.io/v1alpha1", "kind": "Application",
    "metadata": {"name": format!("{}-{}", scope.platform.name, scope.environment), "namespace": "argocd", "labels": labels(scope)},
    "spec": {
        "project": "default",
        "source": {"repoURL": repository.url, "targetRevision": repository.branch, "path": below(repository, folder)},
        "destination": {"server": "https://kubernetes.default.svc", "namespace": scope.namespace()},
        "syncPolicy": {"automated": {"prune": true, "selfHeal": true}, "syncOptions": ["ServerSideApply=true"]},
    }})
}

fn flux(scope: &Scope<'_>, repository: &Repository, folder: &str) -> Vec<Value> {
    let name = format!("{}-{}", scope.platform.name, scope.environment);
    let metadata = json!({"name": name, "namespace": "flux-system", "labels": labels(scope)});
    let mut kustomization = json!({"apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization", "metadata": metadata, "spec": {
        "interval": "10m", "path": format!("./{}", below(repository, folder)), "prune": true, "wait": true,
        "sourceRef": {"kind": "GitRepository", "name": name},
    }});
    if decryptable(scope).is_err() {
        kustomization["spec"]["decryption"] = json!({"provider": "sops"});
        if let Some(keys) = &scope.platform.secrets.decryption {
            kustomization["spec"]["decryption"]["secretRef"] = json!({"name": keys});
        }
    }
    vec![
        json!({"apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "GitRepository", "metadata": metadata,
            "spec": {"interval": "1m", "url": repository.url, "ref": {"branch": repository.branch}}}),
        kustomization,
    ]
}
