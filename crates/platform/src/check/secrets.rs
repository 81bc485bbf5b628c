//! Where Secrets come from: stores that can give them, files that fit their environment, nothing that opens itself.

use std::collections::BTreeMap;

use stoke_model::duration::parse_go;
use stoke_model::manifest::{join, join_index};
use stoke_model::names::{check_dns_1123, check_subdomain};

use super::Issues;
use super::parts::{or_nearest, secret_key, secret_name};
use crate::encrypted::Form;
use crate::environment::Resolved;
use crate::secrets;
use crate::spec::secrets::{AzureAuth, Azurekv, MADE, SecretStore, Vault};

pub(super) fn look(resolved: &Resolved, issues: &mut Issues) {
    let scope = resolved.scope();
    let given = &resolved.platform.secrets;
    let stores = || given.stores.keys().map(String::as_str);
    let mut refer = |path: String, name: &str| {
        if !given.stores.contains_key(name) {
            let message = format!("there is no store `{name}`");
            let fix = or_nearest(name, stores(), "add it below `secrets.stores`, with one provider");
            issues.error("platform-reference", path, message, fix);
        }
    };
    if let Some(from) = given.from() {
        refer("secrets.from".into(), from);
    }
    for (name, named) in &given.named {
        if let Some(store) = &named.store {
            refer(join(&join("secrets.named", name), "store"), store);
        }
    }
    if let Some(refresh) = &given.refresh
        && parse_go(refresh).map_or(true, |time| time.is_negative())
    {
        issues.error(
            "platform-size",
            "secrets.refresh",
            format!("`{refresh}` is not a time"),
            "write a time with a unit, for example `1h`, or `0s` for once",
        );
    }
    for (name, store) in &given.stores {
        let path = join("secrets.stores", name);
        if name == MADE || check_subdomain(name).is_err() {
            issues.error(
                "platform-name",
                &path,
                format!("`{name}` cannot name a store"),
                "use lower-case letters, digits and `-`; `made` means Secrets that someone makes",
            );
        }
        self::store(&path, store, issues);
    }
    for (name, named) in &given.named {
        let path = join("secrets.named", name);
        secret_name(&path, name, issues);
        for (key, property) in &named.keys {
            let path = join(&join(&path, "keys"), key);
            secret_key(&path, key, issues);
            if property.trim().is_empty() {
                issues.error(
                    "platform-secret-store",
                    path,
                    "it names no property",
                    "write the name of the property in the store",
                );
            }
        }
    }
    for secret in scope.external() {
        remote(
            &secret.name,
            &secret.remote,
            given.stores.get(secret.store),
            resolved,
            issues,
        );
        if let Some(login) = scope.logins(secret.store).find(|login| *login == secret.name) {
            issues.error(
                "platform-circle",
                join("secrets.named", login),
                format!("`{login}` opens the store `{}`, and comes out of it", secret.store),
                "make it by hand or out of an encrypted file, and remove it here",
            );
        }
    }
    files(resolved, issues);
}

/// Names that a store may have.
fn remote(name: &str, remote: &str, store: Option<&SecretStore>, resolved: &Resolved, issues: &mut Issues) {
    let Some(store) = store else { return };
    let (is_taken, what) = if store.azurekv.is_some() {
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
        (
            (1..=127).contains(&remote.len()) && remote.chars().all(plain),
            "Azure Key Vault takes letters, digits and `-`",
        )
    } else if store.gcpsm.is_some() {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
        (
            (1..=255).contains(&remote.len()) && remote.chars().all(plain),
            "Google's Secret Manager takes letters, digits, `-` and `_`",
        )
    } else if store.kubernetes.is_some() {
        (
            check_subdomain(remote).is_ok(),
            "it is the name of a Secret of Kubernetes",
        )
    } else {
        let plain = |c: char| c.is_ascii_graphic() && !"?#\"'\\".contains(c);
        (remote.chars().all(plain), "it is a path without blanks")
    };
    if is_taken {
        return;
    }
    let secrets = &resolved.platform.secrets;
    let path = match secrets.named.get(name) {
        Some(named) if named.path.is_some() => join(&join("secrets.named", name), "path"),
        _ if secrets.prefix.is_some() => "secrets.prefix".to_owned(),
        _ => join("secrets.named", name),
    };
    issues.error(
        "platform-secret-store",
        path,
        format!("the store has no secret of the name `{remote}`: {what}"),
        format!("write a `prefix` and, below `secrets.named.{name}`, a `path` that the store takes"),
    );
}

fn store(path: &str, store: &SecretStore, issues: &mut Issues) {
    match store.providers()[..] {
        [_] => {}
        [] => issues.error(
            "platform-secret-store",
            path,
            "it has no provider",
            "add one of `existing`, `vault`, `aws`, `gcpsm`, `azurekv`, `kubernetes`",
        ),
        [first, second, ..] => issues.error(
            "platform-contradiction",
            join(path, second),
            format!("a store has one provider, and `{first}` is one"),
            "make two stores of it",
        ),
    }
    for (key, selector) in store.keys() {
        let path = format!("{path}.{key}");
        secret_name(&join(&path, "name"), &selector.name, issues);
        secret_key(&join(&path, "key"), &selector.key, issues);
    }
    if let Some(existing) = &store.existing
        && check_subdomain(&existing.name).is_err()
    {
        issues.error(
            "platform-name",
            format!("{path}.existing.name"),
            format!("`{}` is not the name of a store", existing.name),
            "write the name that `kubectl get secretstores,clustersecretstores` shows",
        );
    }
    if let Some(it) = &store.vault {
        vault(&join(path, "vault"), it, issues);
    }
    if let Some(aws) = &store.aws {
        let path = join(path, "aws");
        let is_region = aws.region.split('-').count() >= 3
            && aws
                .region
                .chars()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
        if !is_region {
            issues.error(
                "platform-address",
                join(&path, "region"),
                format!("`{}` is not a region of AWS", aws.region),
                "write it as `eu-west-1`",
            );
        }
        if let Some(role) = &aws.role
            && (!role.starts_with("arn:") || !role.contains(":role/"))
        {
            issues.error(
                "platform-address",
                join(&path, "role"),
                format!("`{role}` is not a role of Amazon's IAM"),
                "write it as `arn:aws:iam::123456789012:role/NAME`",
            );
        }
        if let Some(auth) = &aws.auth {
            one_way(
                &join(&path, "auth"),
                &[("jwt", auth.jwt.is_some()), ("secretRef", auth.secret_ref.is_some())],
                issues,
            );
        }
    }
    if let Some(gcp) = &store.gcpsm {
        let path = join(path, "gcpsm");
        let id = &gcp.project_id;
        let is_id = (6..=30).contains(&id.len())
            && id.starts_with(|c: char| c.is_ascii_lowercase())
            && id
                .chars()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
            && !id.ends_with('-');
        if !is_id {
            issues.error(
                "platform-address",
                join(&path, "projectID"),
                format!("`{id}` is not the id of a project"),
                "write the id, not the name or number: `gcloud projects list` shows it",
            );
        }
        if let Some(auth) = &gcp.auth {
            let ways = [
                ("workloadIdentity", auth.workload_identity.is_some()),
                ("secretRef", auth.secret_ref.is_some()),
            ];
            one_way(&join(&path, "auth"), &ways, issues);
        }
    }
    if let Some(it) = &store.azurekv {
        azure(&join(path, "azurekv"), it, issues);
    }
    if let Some(it) = &store.kubernetes {
        let path = join(path, "kubernetes");
        if check_dns_1123(&it.remote_namespace).is_err() {
            issues.error(
                "platform-name",
                join(&path, "remoteNamespace"),
                format!("`{}` is not the name of a namespace", it.remote_namespace),
                "use lower-case letters, digits and `-`",
            );
        }
        if let Some(url) = it.server.as_ref().and_then(|server| server.url.as_ref()) {
            // As the operator writes it, a name without a scheme is one of this cluster.
            if url.contains("://") {
                address(&format!("{path}.server.url"), url, issues);
            }
        }
        let ways = [
            ("serviceAccount", it.auth.service_account.is_some()),
            ("token", it.auth.token.is_some()),
        ];
        one_way(&join(&path, "auth"), &ways, issues);
    }
}

/// One way to log in, no more and no less.
fn one_way(path: &str, ways: &[(&str, bool)], issues: &mut Issues) {
    let there: Vec<&str> = ways.iter().filter(|(_, is)| *is).map(|(key, _)| *key).collect();
    let all: Vec<String> = ways.iter().map(|(key, _)| format!("`{key}`")).collect();
    match there[..] {
        [_] => {}
        [] => issues.error(
            "platform-secret-store",
            path,
            "it says no way to log in",
            format!("add one of {}", all.join(", ")),
        ),
        [first, second, ..] => issues.error(
            "platform-contradiction",
            join(path, second),
            format!("it is logged in one way, and `{first}` is one"),
            format!("keep one of {}", all.join(", ")),
        ),
    }
}

fn address(path: &str, url: &str, issues: &mut Issues) {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    let host = rest.map(|rest| rest.split([':', '/']).next().unwrap_or_default());
    if host.is_none_or(|host| check_subdomain(host).is_err()) || url.contains('@') {
        issues.error(
            "platform-address",
            path,
            "this is not the address of a server",
            "write it as `https://vault.example.com:8200`, without a user",
        );
    }
}

fn vault(path: &str, it: &Vault, issues: &mut Issues) {
    address(&join(path, "server"), &it.server, issues);
    if it.server.starts_with("http://") {
        issues.warning(
            "platform-secret-store",
            join(path, "server"),
            "secrets and the token go over the network in plain",
            "write `https://`",
        );
    }
    if let Some(mount) = &it.path
        && (mount.is_empty() || mount.starts_with('/') || mount.ends_with('/'))
    {
        issues.error(
            "platform-address",
            join(path, "path"),
            format!("`{mount}` is not where an engine is mounted"),
            "write it without `/` at its ends, for example `secret`",
        );
    }
    let auth = &it.auth;
    let ways = [
        ("kubernetes", auth.kubernetes.is_some()),
        ("appRole", auth.app_role.is_some()),
        ("tokenSecretRef", auth.token_secret_ref.is_some()),
    ];
    one_way(&join(path, "auth"), &ways, issues);
}

fn azure(path: &str, it: &Azurekv, issues: &mut Issues) {
    address(&join(path, "vaultUrl"), &it.vault_url, issues);
    let way = it.auth_type.unwrap_or_default();
    let mut needs = |key: &str, there: bool| {
        if !there {
            issues.error(
                "platform-secret-store",
                path,
                format!("a way in by {way:?} needs `{key}`"),
                format!("add `{key}`, or write another `authType`"),
            );
        }
    };
    if way == AzureAuth::ServicePrincipal {
        needs("tenantId", it.tenant_id.is_some());
        needs("authSecretRef", it.auth_secret_ref.is_some());
    }
    for (key, there, of) in [
        (
            "authSecretRef",
            it.auth_secret_ref.is_some(),
            AzureAuth::ServicePrincipal,
        ),
        (
            "serviceAccountRef",
            it.service_account_ref.is_some(),
            AzureAuth::WorkloadIdentity,
        ),
        ("identityId", it.identity_id.is_some(), AzureAuth::ManagedIdentity),
    ] {
        if there && of != way {
            issues.error(
                "platform-contradiction",
                join(path, key),
                format!("`{key}` is of {of:?}, and the way in is {way:?}"),
                format!("remove it, or write `authType: {of:?}`"),
            );
        }
    }
}

/// Encrypted files: bound to the namespace they are for, with the keys that are wanted, each Secret once.
fn files(resolved: &Resolved, issues: &mut Issues) {
    let scope = resolved.scope();
    let namespace = scope.namespace();
    let wanted = secrets::all(&scope);
    let mut seen: BTreeMap<&str, &str> = BTreeMap::new();
    let mut names: BTreeMap<&str, &str> = BTreeMap::new();
    for (index, file) in resolved.encrypted.iter().enumerate() {
        let path = join_index("secrets.files", index);
        if let Some(other) = names.insert(file.file_name(), &file.path) {
            let message = format!("`{other}` has the same name in a tree of files");
            issues.error("platform-collision", &path, message, "rename one of the files");
        }
        for secret in &file.secrets {
            let of = format!("Secret `{}` of {}:{}", secret.name, file.path, secret.line);
            if let Some(other) = seen.insert(&secret.name, &file.path) {
                let message = format!("{of} is made by {other} too");
                issues.error("platform-collision", &path, message, "remove one of the two");
            }
            let there = secret.namespace.as_deref();
            let fits = match file.form {
                Form::Sealed => !secret.is_bound || there.is_none_or(|there| there == namespace),
                // Nothing may be written into it: its namespace must stand there.
                Form::Sops => there == Some(namespace),
            };
            if !fits {
                let there = there.map_or_else(|| "without a namespace".to_owned(), |there| format!("for `{there}`"));
                issues.error(
                    "platform-secret-file",
                    &path,
                    format!("{of} is {there}, and the platform is in `{namespace}`"),
                    format!("encrypt it for the namespace `{namespace}`, and name that file in the environment"),
                );
            }
            for (key, about) in wanted.get(&secret.name).into_iter().flatten() {
                if !secret.keys.contains(key) {
                    let all: Vec<&str> = secret.keys.iter().map(String::as_str).collect();
                    issues.error(
                        "platform-secret-file",
                        &path,
                        format!("{of} has no key `{key}`, which `{}` names", about.component),
                        format!("add it to the file, or name one of {}", all.join(", ")),
                    );
                }
            }
        }
    }
    let has_sops = resolved.encrypted.iter().any(|file| file.form == Form::Sops);
    if resolved.platform.secrets.decryption.is_some() && !has_sops {
        issues.error(
            "platform-contradiction",
            "secrets.decryption",
            "no file is encrypted by SOPS, so that this has no effect",
            "remove it, or name such a file in `files`",
        );
    }
    if let Some(name) = &resolved.platform.secrets.decryption {
        secret_name("secrets.decryption", name, issues);
    }
}
