//! How the driver authenticates at the Kubernetes API: a service account, or credentials put into a Secret.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use crate::build::Build;
use crate::conf::{Conf, invalid};
use crate::error::PlanError;
use crate::object::{Draft, Object};
use crate::submission::Role;

const DIRECTORY: &str = "/mnt/secrets/spark-kubernetes-credentials";
const VOLUME: &str = "kubernetes-credentials";
const DRIVER: &str = "spark.kubernetes.authenticate.driver";
const ACCOUNT: &str = "spark.kubernetes.authenticate.driver.serviceAccountName";

/// Names the driver's service account, or mounts the Secret with its credentials and redacts the token.
pub(crate) fn driver(build: &mut Build<'_>) -> Result<(), PlanError> {
    let conf = build.conf.clone();
    // (property, key in the Secret, base64 of the content)
    let mut secrets: Vec<(&str, &str, Option<String>)> = vec![
        (
            "oauthTokenFile",
            "oauth-token",
            conf.raw(&format!("{DRIVER}.oauthToken"))
                .map(|token| STANDARD.encode(token)),
        ),
        ("caCertFile", "ca-cert", None),
        ("clientKeyFile", "client-key", None),
        ("clientCertFile", "client-cert", None),
    ];
    for (property, _, content) in &mut secrets[1..] {
        let key = format!("{DRIVER}.{property}");
        if let Some(path) = conf.raw(&key) {
            let found = build.request.files.credentials.get(path);
            let found = found.ok_or_else(|| invalid(&key, path, "the file does not exist or cannot be read"))?;
            *content = Some(STANDARD.encode(found));
        }
    }
    let account = conf.get(ACCOUNT);
    if secrets.iter().any(|(_, _, content)| content.is_some()) {
        let name = format!("{}-kubernetes-credentials", build.prefix);
        build
            .draft
            .add_volume(json!({"name": VOLUME, "secret": {"secretName": name}}));
        build.draft.add_mount(json!({"mountPath": DIRECTORY, "name": VOLUME}));
        let mut data = Object::new();
        for (_, key, content) in secrets.iter().filter(|(_, _, content)| content.is_some()) {
            data.insert((*key).to_owned(), json!(content));
        }
        build.add(
            Role::Credentials,
            json!({
                "apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "data": data, "immutable": true,
            }),
        );
        if let Some(account) = account {
            build.warnings.push(format!(
                "`{ACCOUNT}` = `{account}` is not applied: the credentials given by `{DRIVER}.*` take precedence"
            ));
        }
    } else if let Some(account) = account {
        set_account(&mut build.draft, &account);
    }
    for key in conf.values.keys().filter(|key| key.ends_with("oauthToken")) {
        build.add_property(key, "<present_but_redacted>");
    }
    for (property, key, content) in &secrets {
        let mounted = format!("{DRIVER}.mounted.{property}");
        let location = conf
            .raw(&mounted)
            .map(str::to_owned)
            .or_else(|| content.as_ref().map(|_| format!("{DIRECTORY}/{key}")));
        if let Some(location) = location {
            build.add_property(&mounted, location);
        }
    }
    Ok(())
}

/// Names an executor's service account (the driver's when it has none of its own), unless its template did.
pub(crate) fn executor(draft: &mut Draft, conf: &Conf) {
    let account = conf
        .get("spark.kubernetes.authenticate.executor.serviceAccountName")
        .or_else(|| conf.get(ACCOUNT));
    if let Some(account) = account
        && !draft.spec().contains_key("serviceAccount")
    {
        set_account(draft, &account);
    }
}

fn set_account(draft: &mut Draft, account: &str) {
    let spec = draft.spec();
    spec.insert("serviceAccount".to_owned(), json!(account));
    spec.insert("serviceAccountName".to_owned(), json!(account));
}
