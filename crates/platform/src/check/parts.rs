//! What several components have: names, secrets, images, sizes, addresses.

use std::collections::BTreeMap;

use serde_json::json;
use stoke_model::manifest::{join, nearest};
use stoke_model::memory::{ByteUnit, Memory};
use stoke_model::names::{check_dns_1035, check_subdomain, suggest_dns_1035};
use stoke_model::redaction::is_secret;

use super::Issues;
use crate::spec::{Amount, Credentials, Database, Login, Resources, Run, SecretKey, Storage};

/// Longest name of a component: objects have it with an ending.
const LONGEST: usize = 40;

pub(super) fn name(path: &str, name: &str, of: &str, issues: &mut Issues) {
    let fix = || match suggest_dns_1035(name, LONGEST) {
        Some(near) if near != name => format!("write `{near}`"),
        _ => format!("use lower-case letters, digits and `-`, at most {LONGEST}, beginning with a letter"),
    };
    if let Err(error) = check_dns_1035(name) {
        issues.error(
            "platform-name",
            path,
            format!("`{name}` is not a name of {of}: {error}"),
            fix(),
        );
    } else if name.len() > LONGEST {
        issues.error(
            "platform-name",
            path,
            format!("the name has {} characters; {of} has {LONGEST} at most", name.len()),
            fix(),
        );
    }
}

pub(super) fn label_key(path: &str, key: &str, issues: &mut Issues) {
    let (prefix, plain) = key
        .rsplit_once('/')
        .map_or((None, key), |(prefix, plain)| (Some(prefix), plain));
    let is_plain = !plain.is_empty()
        && plain.len() <= 63
        && plain.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
        && plain.starts_with(|c: char| c.is_ascii_alphanumeric())
        && plain.ends_with(|c: char| c.is_ascii_alphanumeric());
    if !is_plain || prefix.is_some_and(|prefix| check_subdomain(prefix).is_err()) {
        issues.error(
            "platform-nodes",
            path,
            format!("`{key}` is not the key of a label"),
            "write it like `node.example.com/pool`",
        );
    }
}

pub(super) fn secret_name(path: &str, secret: &str, issues: &mut Issues) {
    if let Err(error) = check_subdomain(secret) {
        issues.error(
            "platform-secret",
            path,
            format!("this is not the name of a Secret: {error}"),
            "write the name of a Secret of the namespace, not what is in it",
        );
    }
}

/// The name of a key in a Secret, which people take for the secret itself.
pub(super) fn secret_key(path: &str, key: &str, issues: &mut Issues) {
    let plain = key.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
    let is_long =
        key.len() >= 20 && key.chars().any(|c| c.is_ascii_digit()) && key.chars().any(|c| c.is_ascii_uppercase());
    if key.is_empty() || !plain || is_long {
        issues.error(
            "platform-secret",
            path,
            "this is not the name of a key in a Secret; it looks like the secret itself",
            "write the name of the key in the Secret, for example `password`; change the secret if it stood here",
        );
    }
}

pub(super) fn credentials(path: &str, keys: &Credentials, issues: &mut Issues) {
    secret_name(&join(path, "secret"), &keys.secret, issues);
    secret_key(&join(path, "accessKey"), &keys.access_key, issues);
    secret_key(&join(path, "secretKey"), &keys.secret_key, issues);
}

pub(super) fn login(path: &str, login: &Login, issues: &mut Issues) {
    secret_name(&join(path, "secret"), &login.secret, issues);
    secret_key(&join(path, "user"), &login.user, issues);
    secret_key(&join(path, "password"), &login.password, issues);
}

pub(super) fn key(path: &str, of: &SecretKey, issues: &mut Issues) {
    secret_name(&join(path, "secret"), &of.secret, issues);
    secret_key(&join(path, "key"), &of.key, issues);
}

/// An image with a tag that stays.
pub(super) fn image(path: &str, image: &str, issues: &mut Issues) {
    let (repository, tag) = match image.rsplit_once(':').filter(|(_, tag)| !tag.contains('/')) {
        Some((repository, tag)) => (repository, Some(tag)),
        None => (image, None),
    };
    let bad = repository.is_empty()
        || image.contains(char::is_whitespace)
        || repository.chars().any(|c| c.is_ascii_uppercase());
    if image.contains('@') {
        issues.error(
            "platform-image",
            path,
            format!("`{image}` has its digest in it"),
            "write the digest as `digest: sha256:…`, and the tag here",
        );
    } else if bad {
        issues.error(
            "platform-image",
            path,
            format!("`{image}` is not an image"),
            "write it as REGISTRY/REPOSITORY:TAG, in lower case",
        );
    } else if tag.is_none_or(str::is_empty) {
        issues.error(
            "platform-image",
            path,
            format!("`{image}` has no tag: what runs would change by itself"),
            "add a tag, for example `:1.0`",
        );
    } else if tag == Some("latest") {
        issues.error(
            "platform-image",
            path,
            "the tag `latest` is another image tomorrow",
            "write the tag of a version",
        );
    }
}

/// `usual` is the CPU that is asked for where none is said.
pub(super) fn run(path: &str, run: &Run, usual: &str, issues: &mut Issues) {
    if let Some(text) = &run.image {
        image(&join(path, "image"), text, issues);
    }
    if let Some(digest) = &run.digest {
        let hex = digest.strip_prefix("sha256:").unwrap_or_default();
        let is_digest = hex.len() == 64
            && hex
                .bytes()
                .all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
        if !is_digest {
            issues.error(
                "platform-image",
                join(path, "digest"),
                format!("`{digest}` is not a digest"),
                "write `sha256:` and 64 hexadecimal digits; `stoke image inspect` shows it",
            );
        }
    }
    if let Some(given) = &run.resources {
        resources(&join(path, "resources"), given, usual, issues);
    }
}

pub(super) fn resources(path: &str, given: &Resources, usual: &str, issues: &mut Issues) {
    let mut positive = |key: &str, amount: Option<Amount>| {
        if amount.is_some_and(|amount| amount.0.nanos() <= 0) {
            issues.error(
                "platform-size",
                join(path, key),
                format!("`{key}` must be more than nothing"),
                "write an amount, for example `500m` of CPU or `1Gi` of memory",
            );
        }
    };
    positive("cpu", given.cpu);
    positive("cpuLimit", given.cpu_limit);
    positive("memory", given.memory);
    let asked = given.cpu.or_else(|| usual.parse().ok().map(Amount));
    if let (Some(cpu), Some(limit)) = (asked, given.cpu_limit)
        && cpu.0 > limit.0
    {
        issues.error(
            "platform-size",
            join(path, "cpuLimit"),
            format!(
                "`cpuLimit` {} is less than `cpu` {}: Kubernetes refuses such pods",
                limit.0, cpu.0
            ),
            format!("write {} or more, or remove it", cpu.0),
        );
    }
    if let Some(memory) = given.memory
        && memory.0.nanos() > 0
        && memory.0.bytes() < 64 << 20
    {
        issues.error(
            "platform-size",
            join(path, "memory"),
            format!("`memory` is {}, in which none of these programs starts", memory.0),
            "write a unit: `512Mi` or `2Gi`; `512m` is half a byte",
        );
    }
}

pub(super) fn storage(path: &str, given: Option<&Storage>, issues: &mut Issues) {
    let Some(given) = given else { return };
    if given.size.is_some_and(|size| size.0.bytes() < 16 << 20) {
        issues.error(
            "platform-size",
            join(path, "size"),
            "a volume of less than 16Mi holds nothing",
            "write a size such as `20Gi`",
        );
    }
    if let Some(class) = &given.class
        && let Err(error) = check_subdomain(class)
    {
        issues.error(
            "platform-name",
            join(path, "class"),
            format!("`{class}` is not the name of a StorageClass: {error}"),
            "write the name that `kubectl get storageclass` shows",
        );
    }
}

pub(super) fn database(path: &str, of: &Database, issues: &mut Issues) {
    if let Some(name) = &of.name {
        let plain = name.starts_with(|c: char| c.is_ascii_lowercase())
            && name.len() <= 63
            && name
                .chars()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
        if !plain {
            let path = join(&join(path, "database"), "name");
            issues.error(
                "platform-name",
                path,
                format!("`{name}` is not a name of a database that needs no quotes"),
                "use lower-case letters, digits and `_`, beginning with a letter",
            );
        }
    }
}

/// A folder in a bucket.
pub(super) fn folder(path: &str, folder: &str, issues: &mut Issues) {
    let is_plain =
        !folder.is_empty() && !folder.contains("://") && folder.split('/').all(|part| !part.is_empty() && part != "..");
    if !is_plain || folder.contains(|c: char| c.is_whitespace() || "?#\\\"'<>&".contains(c)) {
        issues.error(
            "platform-address",
            join(path, "path"),
            format!("`{folder}` is not a folder in a bucket"),
            "write a path without a scheme and without `/` at its ends, for example `team/warehouse`",
        );
    }
}

pub(super) fn host(path: &str, host: &str, issues: &mut Issues) {
    let is_name = check_subdomain(host).is_ok() && host.contains('.');
    if is_name {
        return;
    }
    let message = format!("`{host}` is not a host name");
    name_alone(
        join(path, "host"),
        host,
        message,
        "write a name such as `notebooks.example.com`",
        issues,
    );
}

/// A whole address where the name in it is wanted.
pub(super) fn name_alone(path: String, written: &str, message: String, otherwise: &str, issues: &mut Issues) {
    match written.split_once("://") {
        Some((_, rest)) => {
            let name = rest.split('/').next().unwrap_or_default();
            let fix = format!("write the name alone: `{name}`");
            issues.instead("platform-address", path, message, fix, json!(name));
        }
        None => issues.error("platform-address", path, message, otherwise),
    }
}

pub(super) fn odd(path: &str, key: &str, count: i32, issues: &mut Issues) {
    if count % 2 == 0 {
        issues.error(
            "platform-replicas",
            join(path, key),
            format!("`{key}` is {count}: of an even number no side of a split has more than half"),
            format!("write {} or {}", count - 1, count + 1),
        );
    }
}

/// Configuration of a component: its keys may hold no secret.
pub(super) fn config(path: &str, config: &BTreeMap<String, String>, issues: &mut Issues) {
    for (key, value) in config {
        let path = join(&join(path, "config"), key);
        if is_secret(key) && !value.starts_with("${") {
            issues.error(
                "platform-secret",
                path,
                format!("`{key}` would hold a secret in the file"),
                "name a Secret with the component's own keys, and change it: whoever could read this file knows it",
            );
        } else if key.contains(char::is_whitespace) || key.is_empty() {
            issues.error(
                "platform-conf",
                path,
                format!("`{key}` is not a key"),
                "write the key without blanks",
            );
        }
    }
}

pub(super) fn memory(path: &str, text: &str, issues: &mut Issues) {
    match Memory::parse(text, ByteUnit::Mib) {
        Err(error) => {
            let fix = error.instead().map_or_else(
                || "write a size as Spark does, for example `4g`".to_owned(),
                |near| format!("write `{near}`"),
            );
            let instead = error.instead().map(|near| json!(near));
            match instead {
                Some(value) => issues.instead("platform-size", path, error.cause(), fix, value),
                None => issues.error("platform-size", path, error.cause(), fix),
            }
        }
        // Spark's own least: 471 MiB for a heap.
        Ok(size) if size.bytes() < 471 << 20 => issues.error(
            "platform-size",
            path,
            format!("`{text}` is less than Spark starts with"),
            "write `512m` or more",
        ),
        Ok(_) => {}
    }
}

/// The nearest of some names, as a fix.
pub(super) fn or_nearest<'a>(name: &str, names: impl Iterator<Item = &'a str> + Clone, none: &str) -> String {
    match nearest(name, names.clone()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => {
            let all: Vec<&str> = names.collect();
            match all.is_empty() {
                true => none.to_owned(),
                false => format!("there are {}", all.join(", ")),
            }
        }
    }
}
