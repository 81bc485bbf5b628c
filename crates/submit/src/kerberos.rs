//! Kerberos: `krb5.conf`, the keytab, delegation tokens.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::build::Build;
use crate::conf::{Conf, invalid};
use crate::error::PlanError;
use crate::object::Object;
use crate::submission::Role;
use crate::uri;

const KRB5_PATH: &str = "spark.kubernetes.kerberos.krb5.path";
const KRB5_MAP: &str = "spark.kubernetes.kerberos.krb5.configMapName";
const KEYTAB: &str = "spark.kerberos.keytab";
const PRINCIPAL: &str = "spark.kerberos.principal";
const TOKEN_SECRET: &str = "spark.kubernetes.kerberos.tokenSecret.name";
const TOKEN_KEY: &str = "spark.kubernetes.kerberos.tokenSecret.itemKey";
const KRB5_VOLUME: &str = "krb5-file";
const KEYTAB_VOLUME: &str = "kerberos-keytab";
const KEYTAB_DIRECTORY: &str = "/mnt/secrets/kerberos-keytab";
const TOKEN_VOLUME: &str = "hadoop-secret";
const TOKEN_DIRECTORY: &str = "/mnt/secrets/hadoop-credentials";
/// Key of the delegation tokens in a Secret of ours.
const OWN_TOKEN_KEY: &str = "hadoop-tokens";

/// Checks that the keys go together and adds what they ask for.
pub(crate) fn kerberos(build: &mut Build<'_>) -> Result<(), PlanError> {
    let conf = build.conf.clone();
    both_or_neither(&conf, KEYTAB, PRINCIPAL)?;
    both_or_neither(&conf, TOKEN_SECRET, TOKEN_KEY)?;
    krb5(build, &conf)?;
    match conf.get(KEYTAB) {
        Some(keytab) if uri::scheme(&keytab) != Some("local") => upload_keytab(build, &keytab),
        keytab => {
            tokens(build, &conf, keytab.is_some());
            Ok(())
        }
    }
}

fn both_or_neither(conf: &Conf, first: &str, second: &str) -> Result<(), PlanError> {
    for (given, missing) in [(first, second), (second, first)] {
        if conf.contains(given) && !conf.contains(missing) {
            return Err(PlanError::MissingKey {
                key: missing.to_owned(),
                reason: format!("`{given}` is set, and the two go together"),
            });
        }
    }
    Ok(())
}

fn krb5(build: &mut Build<'_>, conf: &Conf) -> Result<(), PlanError> {
    let source = match (conf.get(KRB5_PATH), conf.get(KRB5_MAP)) {
        (None, None) => return Ok(()),
        (Some(path), Some(_)) => {
            return Err(invalid(
                KRB5_PATH,
                &path,
                &format!("`{KRB5_MAP}` is set too; keep one of the two"),
            ));
        }
        (None, Some(existing)) => json!({"name": existing}),
        (Some(path), None) => {
            let found = build.request.files.krb5_conf.as_ref();
            let file = found.ok_or_else(|| invalid(KRB5_PATH, &path, "the file does not exist or cannot be read"))?;
            let name = format!("{}-krb5-file", build.prefix);
            let mut data = Object::new();
            data.insert(file.name.clone(), json!(file.text));
            build.add(Role::KerberosFile, json!({
                "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data, "immutable": true,
            }));
            json!({"items": [{"key": file.name, "path": file.name}], "name": name})
        }
    };
    build
        .draft
        .add_volume(json!({"configMap": source, "name": KRB5_VOLUME}));
    build
        .draft
        .add_mount(json!({"mountPath": "/etc/krb5.conf", "name": KRB5_VOLUME, "subPath": "krb5.conf"}));
    Ok(())
}

fn upload_keytab(build: &mut Build<'_>, keytab: &str) -> Result<(), PlanError> {
    let content = build.request.files.keytab.as_ref();
    let content = content.ok_or_else(|| invalid(KEYTAB, keytab, "the file does not exist or cannot be read"))?;
    let file = keytab.rsplit('/').next().unwrap_or(keytab);
    let secret = format!("{}-kerberos-keytab", build.prefix);
    build
        .draft
        .add_volume(json!({"name": KEYTAB_VOLUME, "secret": {"secretName": secret}}));
    build
        .draft
        .add_mount(json!({"mountPath": KEYTAB_DIRECTORY, "name": KEYTAB_VOLUME}));
    build.add(Role::Keytab, secret_object(&secret, file, content));
    build.add_property(KEYTAB, format!("{KEYTAB_DIRECTORY}/{file}"));
    Ok(())
}

/// Delegation tokens: a Secret that exists, or one of ours when tokens were obtained for the submitter.
fn tokens(build: &mut Build<'_>, conf: &Conf, has_keytab: bool) {
    let (secret, key) = match (
        conf.get(TOKEN_SECRET),
        conf.get(TOKEN_KEY),
        &build.request.files.delegation_tokens,
    ) {
        (Some(secret), Some(key), _) => (secret, key),
        (_, _, Some(tokens)) if !has_keytab => {
            let secret = format!("{}-delegation-tokens", build.prefix);
            build.add(Role::DelegationTokens, secret_object(&secret, OWN_TOKEN_KEY, tokens));
            (secret, OWN_TOKEN_KEY.to_owned())
        }
        _ => return,
    };
    build
        .draft
        .add_volume(json!({"name": TOKEN_VOLUME, "secret": {"secretName": secret}}));
    build
        .draft
        .add_mount(json!({"mountPath": TOKEN_DIRECTORY, "name": TOKEN_VOLUME}));
    build
        .draft
        .add_env("HADOOP_TOKEN_FILE_LOCATION", &format!("{TOKEN_DIRECTORY}/{key}"));
}

fn secret_object(name: &str, key: &str, content: &[u8]) -> Value {
    let mut data = Object::new();
    data.insert(key.to_owned(), json!(STANDARD.encode(content)));
    json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "data": data, "immutable": true})
}
