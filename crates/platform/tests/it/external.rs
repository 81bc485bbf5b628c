//! Secrets out of stores and encrypted files: objects as the External Secrets Operator has them, in the order in which they are needed.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use stoke_platform::plan::{Readiness, readiness};
use stoke_platform::render::tree::{Form, Repository, decryptable, files};
use stoke_platform::render::{Scope, objects};
use stoke_platform::secrets::{all, to_make};
use stoke_platform::spec;

use crate::{FULL, environments, right};

/// A field: its type, whether it is required, its values.
type Fields = BTreeMap<(String, String), (String, bool, Vec<String>)>;

fn fields() -> Fields {
    let lines = include_str!("external-secrets.txt").lines();
    let mut all = Fields::new();
    for line in lines.filter(|line| !line.starts_with('#')) {
        let parts: Vec<&str> = line.split(' ').collect();
        let words = parts.iter().find_map(|part| part.strip_prefix('='));
        let words = words.map(|words| words.split('|').map(str::to_owned).collect());
        let path = if parts[1] == "." { "" } else { parts[1] };
        all.insert(
            (parts[0].to_owned(), path.to_owned()),
            (
                parts[2].to_owned(),
                parts.contains(&"required"),
                words.unwrap_or_default(),
            ),
        );
    }
    all
}

/// What the operator's definitions say of a value; each field that is there is counted.
fn judge(fields: &Fields, kind: &str, path: &str, value: &Value, seen: &mut BTreeSet<String>) {
    let Some((of_type, _, words)) = fields.get(&(kind.to_owned(), path.to_owned())) else {
        panic!("{kind} has no field `{path}`");
    };
    seen.insert(format!("{kind} {path}"));
    let is = match value {
        Value::Object(_) => "object",
        Value::Array(_) => "array",
        Value::String(_) => "string",
        Value::Bool(_) => "boolean",
        _ => "integer",
    };
    assert_eq!(is, of_type, "{kind} {path}");
    assert!(
        words.is_empty() || words.iter().any(|word| value == word.as_str()),
        "{kind} {path}: {value}"
    );
    let below = |key: &str| {
        if path.is_empty() {
            key.to_owned()
        } else {
            format!("{path}.{key}")
        }
    };
    if let Value::Object(map) = value {
        for (key, value) in map {
            judge(fields, kind, &below(key), value, seen);
        }
        for ((_, required), (_, is_required, _)) in fields.iter().filter(|((of, _), _)| of == kind) {
            let Some((above, key)) = required.rsplit_once('.') else {
                continue;
            };
            assert!(
                !is_required || above != path || map.contains_key(key),
                "{kind} {required} is required"
            );
        }
    }
    for item in value.as_array().into_iter().flatten() {
        judge(fields, kind, &format!("{path}[]"), item, seen);
    }
}

#[test]
fn objects_have_the_fields_of_the_operator() {
    let fields = fields();
    let mut seen = BTreeSet::new();
    let mut count = 0;
    for resolved in environments(&right(FULL)) {
        for object in objects(&resolved.scope()) {
            let kind = object["kind"].as_str().unwrap();
            if object["apiVersion"] == "external-secrets.io/v1" {
                judge(&fields, kind, "", &object["spec"], &mut seen);
                count += 1;
            }
        }
    }
    println!("{count} objects, {} fields", seen.len());
    assert!(count >= 40 && seen.len() >= 70, "{count} {}", seen.len());
}

#[test]
fn an_environment_says_where_secrets_come_from() {
    let file = right(FULL);
    let of = |environment: Option<&str>| file.in_environment(environment).unwrap();
    for (resolved, store) in [(of(None), "vault-kubernetes"), (of(Some("prod")), "shared")] {
        let scope = resolved.scope();
        let rendered = objects(&scope);
        let named = |kind: &str, name: &str| {
            let mut found = rendered.iter();
            found
                .find(|object| object["kind"] == kind && object["metadata"]["name"] == name)
                .cloned()
        };
        let external = |name: &str| named("ExternalSecret", name).unwrap_or_else(|| panic!("{name}"));
        assert_eq!(external("adls")["spec"]["secretStoreRef"]["name"], store);
        // Of each Secret that is named everything is made, and nothing twice.
        for (name, keys) in all(&scope) {
            let Some(object) = named("ExternalSecret", &name) else {
                assert!(scope.is_sealed(&name), "{name} comes from nowhere");
                assert!(named("SealedSecret", &name).is_some());
                continue;
            };
            assert!(!scope.is_sealed(&name));
            let given: Vec<&str> = object["spec"]["data"]
                .as_array()
                .unwrap()
                .iter()
                .map(|data| data["secretKey"].as_str().unwrap())
                .collect();
            assert!(
                keys.keys().all(|key| given.contains(&key.as_str())),
                "{name}: {given:?}"
            );
        }
        assert_eq!(to_make(&scope), BTreeMap::new());
        // Stores that nothing comes from are not made; all Secrets are there before the first component.
        assert!(named("SecretStore", "there").is_none());
        for object in &rendered {
            let wave = stoke_platform::plan::wave(object);
            let is_secret = matches!(
                object["kind"].as_str(),
                Some("SecretStore" | "ExternalSecret" | "SealedSecret")
            );
            let is_of_component = object["metadata"]["labels"]["app.kubernetes.io/instance"].is_string();
            assert!(!is_secret || wave == 0);
            assert!(!is_of_component || wave > 0);
        }
    }
    // A certificate is a Secret too, of its own type.
    let prod = of(Some("prod"));
    let certificate = objects(&prod.scope())
        .into_iter()
        .find(|object| object["metadata"]["name"] == "prod-tls")
        .unwrap();
    assert_eq!(certificate["spec"]["target"]["template"]["type"], "kubernetes.io/tls");
    assert_eq!(certificate["spec"]["data"][0]["remoteRef"]["key"], "prod-prod-tls");
    // On a laptop they are made, whatever the file says of stores.
    let laptop = FULL.replace("  from: vault-kubernetes\n", "  from: made\n");
    let laptop = right(&laptop);
    let resolved = laptop.in_environment(None).unwrap();
    assert!(
        objects(&resolved.scope())
            .iter()
            .all(|object| object["kind"] != "ExternalSecret")
    );
    assert!(to_make(&resolved.scope()).contains_key("keys") && !to_make(&resolved.scope()).contains_key("airflow"));
}

#[test]
fn pods_start_again_when_what_they_read_once_changes() {
    let file = right(FULL);
    let resolved = file.in_environment(None).unwrap();
    let workload = |objects: &[Value], name: &str| {
        let found = objects.iter().find(|object| {
            matches!(object["kind"].as_str(), Some("Deployment" | "StatefulSet")) && object["metadata"]["name"] == name
        });
        found.cloned().unwrap()
    };
    let before = objects(&resolved.scope());
    // Secrets out of a store are known by their names; their values are not.
    let reload =
        |name: &str| workload(&before, name)["metadata"]["annotations"]["secret.reloader.stakater.com/reload"].clone();
    assert_eq!(reload("pg"), "pg-login");
    assert_eq!(reload("lake"), "keys,pg-login");
    assert_eq!(reload("stream"), Value::Null);
    // Those of a file by what is encrypted there.
    let sealed = |objects: &[Value], name: &str| {
        workload(objects, name)["spec"]["template"]["metadata"]["annotations"]["platform.stoke.dev/secrets"].clone()
    };
    let mut other = resolved.clone();
    other.encrypted[0].text.push_str("# encrypted again\n");
    let after = objects(&other.scope());
    assert!(sealed(&before, "schedules").is_string());
    assert_ne!(sealed(&before, "schedules"), sealed(&after, "schedules"));
    assert_eq!(sealed(&before, "pg"), Value::Null);
}

const SHOP: &str = "name: shop
namespace: shop
secrets: {files: [login.sops.yaml], decryption: sops-keys}
components:
  pg: {kind: postgresql, login: {secret: login}}
";

#[test]
fn files_of_sops_go_to_flux_as_they_are_and_nowhere_else() {
    let file = right(SHOP);
    let resolved = file.in_environment(None).unwrap();
    let scopes: Vec<Scope<'_>> = vec![resolved.scope()];
    let repository = Repository {
        url: "https://git.example.com/platform.git".into(),
        branch: "main".into(),
        path: String::new(),
    };
    let tree = files(Form::Flux, &scopes, Some(&repository)).unwrap();
    assert_eq!(
        tree["environments/default/login.sops.yaml"],
        include_str!("login.sops.yaml")
    );
    assert!(tree["environments/default/kustomization.yaml"].contains("login.sops.yaml"));
    let flux = &tree["flux/default.yaml"];
    assert!(
        flux.contains("provider: sops") && flux.contains("name: sops-keys"),
        "{flux}"
    );
    for form in [Form::Plain, Form::Kustomize, Form::ArgoCd] {
        let why = files(form, &scopes, Some(&repository)).unwrap_err();
        assert!(why.contains("login.sops.yaml is encrypted by SOPS"), "{why}");
    }
    assert!(decryptable(&resolved.scope()).is_err());
    assert_eq!(to_make(&resolved.scope()), BTreeMap::new());
}

#[test]
fn a_controller_says_whether_a_secret_is_there() {
    let object = |kind: &str, generation: i64, conditions: Value| serde_json::json!({"kind": kind, "metadata": {"generation": generation}, "status": {"conditions": conditions, "observedGeneration": 2}});
    let ready = serde_json::json!([{"type": "Ready", "status": "True"}]);
    assert_eq!(readiness(&object("ExternalSecret", 2, ready.clone())), Readiness::Ready);
    let failed = serde_json::json!([{"type": "Ready", "status": "False", "message": "permission denied"}]);
    for (object, wanted) in [
        (object("ExternalSecret", 2, failed), "permission denied"),
        (object("SecretStore", 3, ready.clone()), "has not seen its change"),
        (object("SealedSecret", 2, ready), "has not seen it"),
    ] {
        match readiness(&object) {
            Readiness::Coming(why) => assert!(why.contains(wanted), "{why}"),
            other => panic!("{other:?}"),
        }
    }
}

/// Each store with a mistake: the place and what is said.
#[test]
fn stores_that_give_nothing_are_refused() {
    let file = |secrets: &str| {
        format!(
            "name: shop\nnamespace: shop\ncomponents:\n  pg: {{kind: postgresql, login: {{secret: login}}}}\nsecrets:\n{secrets}"
        )
    };
    let vault = |more: &str| {
        format!("  from: a\n  stores:\n    a:\n      vault:\n        server: https://v.example.com\n{more}")
    };
    let kubernetes = "        auth: {kubernetes: {role: r}}\n";
    right(&file(&vault(kubernetes)));
    for (secrets, line, code, fix) in [
        ("  from: other\n  stores: {a: {existing: {name: a}}}\n".to_owned(), 6, "platform-reference", "there are a"),
        ("  from: vaul\n  stores: {vault: {existing: {name: a}}}\n".into(), 6, "platform-reference", "did you mean `vault`?"),
        ("  from: a\n  stores:\n    a: {}\n".into(), 8, "platform-secret-store", "add one of `existing`"),
        ("  from: a\n  stores:\n    a: {existing: {name: a}, aws: {service: SecretsManager, region: eu-west-1}}\n".into(), 8, "platform-contradiction", "make two stores"),
        ("  from: a\n  refresh: hourly\n  stores: {a: {existing: {name: a}}}\n".into(), 7, "platform-size", "`1h`"),
        ("  stores:\n    made: {existing: {name: a}}\n".into(), 7, "platform-name", "someone makes"),
        (vault("        auth: {}\n"), 11, "platform-secret-store", "add one of `kubernetes`"),
        (vault("        auth: {kubernetes: {role: r}, tokenSecretRef: {name: t, key: token}}\n"), 11, "platform-contradiction", "keep one of"),
        (vault("        auth: {kubernetes: {mountPath: k}}\n"), 11, "missing-field", "add `role`"),
        (vault("        token: hvs.CAESIJ1x2y3z4a5b6c7d8e9f0\n        auth: {kubernetes: {role: r}}\n"), 11, "platform-secret", "put it into a Secret"),
        (vault("        auth: {tokenSecretRef: {name: t, key: hvs.CAESIJ1x2y3z4a5b6c7d8e9f0}}\n"), 11, "platform-secret", "put it into a Secret"),
        (vault("        auth: {tokenSecretRef: {name: login, key: token}}\n  named: {login: {}}\n"), 12, "platform-circle", "make it by hand"),
        (vault("        path: /secret/\n        auth: {kubernetes: {role: r}}\n"), 11, "platform-address", "for example `secret`"),
        (vault("        version: v3\n        auth: {kubernetes: {role: r}}\n"), 11, "bad-value", "write `v1`"),
        (vault("        serverr: x\n        auth: {kubernetes: {role: r}}\n"), 11, "unknown-field", "did you mean `server`?"),
        (vault(kubernetes).replace("https://v.example.com", "https://u:pw-47@v.example.com"), 10, "platform-secret", "put it into a Secret"),
        (vault(kubernetes) + "  named: {login: {store: other}}\n", 12, "platform-reference", "there are a"),
        (vault(kubernetes) + "  named: {login: {keys: {password: ''}}}\n", 12, "platform-secret-store", "name of the property"),
        (vault(kubernetes) + "  files: [missing.yaml]\n", 12, "platform-secret-file", "directory of this file"),
        (vault(kubernetes) + "  files: [bound.yaml]\n", 12, "platform-secret-file", "encrypt it for the namespace `shop`"),
        (vault(kubernetes) + "  decryption: keys\n", 12, "platform-contradiction", "name such a file"),
        ("  from: a\n  stores: {a: {aws: {service: SecretsManager, region: Europe}}}\n".into(), 7, "platform-address", "eu-west-1"),
        ("  from: a\n  stores: {a: {aws: {service: SSM, region: eu-west-1}}}\n".into(), 7, "bad-value", "SecretsManager"),
        ("  from: a\n  stores: {a: {aws: {service: SecretsManager, region: eu-west-1, auth: {}}}}\n".into(), 7, "platform-secret-store", "`jwt`"),
        ("  from: a\n  prefix: team/\n  stores: {a: {gcpsm: {projectID: acme-data}}}\n".into(), 7, "platform-secret-store", "that the store takes"),
        ("  from: a\n  stores: {a: {gcpsm: {projectID: Acme Data}}}\n".into(), 7, "platform-address", "gcloud projects list"),
        ("  from: a\n  named: {login: {path: a_b}}\n  stores: {a: {azurekv: {vaultUrl: 'https://a.vault.azure.net', authType: WorkloadIdentity}}}\n".into(), 7, "platform-secret-store", "that the store takes"),
        ("  from: a\n  stores: {a: {azurekv: {vaultUrl: 'https://a.vault.azure.net'}}}\n".into(), 7, "platform-secret-store", "add `tenantId`"),
        ("  from: a\n  stores: {a: {azurekv: {vaultUrl: 'https://a.vault.azure.net', authType: ManagedIdentity, serviceAccountRef: {name: a}}}}\n".into(), 7, "platform-contradiction", "WorkloadIdentity"),
        ("  from: a\n  stores: {a: {kubernetes: {remoteNamespace: Vault, auth: {serviceAccount: {name: a}}}}}\n".into(), 7, "platform-name", "lower-case letters"),
        ("  from: a\n  stores: {a: {kubernetes: {remoteNamespace: vault, auth: {}}}}\n".into(), 7, "platform-secret-store", "`serviceAccount`"),
    ] {
        let text = file(&secrets);
        let found = crate::read(&text).map(|_| ()).unwrap_err();
        let said: Vec<String> = found
            .iter()
            .map(|found| format!("{}:{} {} | {}", found.line, found.code, found.message, found.fix_text()))
            .collect();
        let is = found
            .iter()
            .any(|found| found.line == line && found.code == code && found.fix_text().contains(fix));
        assert!(is, "{line}:{code} {fix}\n{text}\n{}", said.join("\n"));
        let shown: String = found.iter().map(|found| found.render()).collect();
        assert!(!shown.contains("CAESIJ1x") && !shown.contains("pw-47"), "{shown}");
    }
    assert!(!spec::BEGIN.is_empty());
}
