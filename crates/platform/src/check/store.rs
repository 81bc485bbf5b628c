//! Object stores: names, addresses and logins, each of one cloud.

use stoke_model::manifest::join;
use stoke_model::names::check_subdomain;

use super::Issues;
use super::parts::{credentials, key, name_alone};
use crate::spec::components::{Azure, Google, ObjectStore};
use crate::store::Cloud;

pub(super) fn look(path: &str, store: &ObjectStore, issues: &mut Issues) {
    bucket(path, store, issues);
    match store.cloud() {
        Cloud::S3 => s3(path, store, issues),
        Cloud::Google(google) => {
            others(path, "google", store, issues);
            self::google(&join(path, "google"), google, issues);
        }
        Cloud::Azure(azure) => {
            others(path, "azure", store, issues);
            self::azure(&join(path, "azure"), azure, issues);
        }
    }
}

fn bucket(path: &str, store: &ObjectStore, issues: &mut Issues) {
    let bucket = &store.bucket;
    let is_bucket = (3..=63).contains(&bucket.len())
        && bucket
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '.')
        && bucket.starts_with(|c: char| c.is_ascii_alphanumeric())
        && bucket.ends_with(|c: char| c.is_ascii_alphanumeric());
    if !is_bucket {
        let message = format!("`{bucket}` is not the name of a bucket");
        name_alone(
            join(path, "bucket"),
            bucket,
            message,
            "use 3 to 63 lower-case letters, digits and `-`",
            issues,
        );
    }
}

fn s3(path: &str, store: &ObjectStore, issues: &mut Issues) {
    if let Some(endpoint) = &store.endpoint {
        let rest = endpoint
            .strip_prefix("https://")
            .or_else(|| endpoint.strip_prefix("http://"));
        let host = rest.map(|rest| rest.split([':', '/']).next().unwrap_or_default());
        if host.is_none_or(|host| host.is_empty() || check_subdomain(host).is_err()) || endpoint.contains('@') {
            issues.error(
                "platform-address",
                join(path, "endpoint"),
                "this is not the address of a server",
                "write it as `https://minio.example.com` or `http://minio.store.svc:9000`, without a user",
            );
        } else if rest.is_some_and(|rest| rest.trim_end_matches('/').contains('/')) {
            issues.error(
                "platform-address",
                join(path, "endpoint"),
                format!("`{endpoint}` has a path"),
                "write scheme, host and port; the bucket is `bucket`",
            );
        }
    } else if store.path_style {
        issues.error(
            "platform-contradiction",
            join(path, "pathStyle"),
            "Amazon's own store is addressed by host names",
            "add the `endpoint` of your server, or remove `pathStyle`",
        );
    }
    match (&store.credentials, &store.role) {
        (Some(_), Some(_)) => issues.error(
            "platform-contradiction",
            join(path, "role"),
            "both keys and a role: clients would take the keys",
            "keep one of `credentials` and `role`",
        ),
        (None, None) => issues.warning(
            "platform-no-credentials",
            path,
            "there are neither keys nor a role: whether the bucket opens depends on the nodes",
            "add `credentials: {secret: NAME}` or `role`",
        ),
        (Some(keys), None) => credentials(&join(path, "credentials"), keys, issues),
        (None, Some(role)) => {
            if !role.starts_with("arn:") || !role.contains(":role/") {
                issues.error(
                    "platform-address",
                    join(path, "role"),
                    format!("`{role}` is not a role of Amazon's IAM"),
                    "write it as `arn:aws:iam::123456789012:role/NAME`",
                );
            }
        }
    }
}

/// What is of another cloud has no effect.
fn others(path: &str, cloud: &str, store: &ObjectStore, issues: &mut Issues) {
    let there = [
        ("endpoint", store.endpoint.is_some()),
        ("region", store.region.is_some()),
        ("pathStyle", store.path_style),
        ("credentials", store.credentials.is_some()),
        ("role", store.role.is_some()),
        ("azure", store.azure.is_some() && cloud != "azure"),
    ];
    for (key, _) in there.iter().filter(|(_, is)| *is) {
        issues.error(
            "platform-contradiction",
            join(path, key),
            format!("`{key}` is of another store than `{cloud}`, and would have no effect"),
            format!("remove `{key}`, or `{cloud}`"),
        );
    }
}

fn no_login(path: &str, fix: &str, issues: &mut Issues) {
    issues.warning(
        "platform-no-credentials",
        path,
        "there is neither a key nor an identity: whether the bucket opens depends on the nodes",
        fix,
    );
}

fn both(path: &str, identity: &str, issues: &mut Issues) {
    issues.error(
        "platform-contradiction",
        join(path, "key"),
        format!("both a key and `{identity}`: clients would take the key"),
        format!("keep one of `key` and `{identity}`"),
    );
}

fn google(path: &str, it: &Google, issues: &mut Issues) {
    if let Some(account) = &it.service_account {
        let (name, domain) = account.split_once('@').unwrap_or((account, ""));
        if name.is_empty() || !domain.ends_with(".iam.gserviceaccount.com") {
            issues.error(
                "platform-address",
                join(path, "serviceAccount"),
                format!("`{account}` is not a service account of Google's"),
                "write it as `NAME@PROJECT.iam.gserviceaccount.com`",
            );
        }
    }
    if let Some(given) = &it.key {
        key(&join(path, "key"), given, issues);
    }
    match (&it.service_account, &it.key) {
        (None, None) => no_login(
            path,
            "add `serviceAccount`, or `key: {secret: NAME, key: key.json}`",
            issues,
        ),
        (Some(_), Some(_)) => both(path, "serviceAccount", issues),
        _ => {}
    }
}

fn azure(path: &str, it: &Azure, issues: &mut Issues) {
    let is_account = (3..=24).contains(&it.account.len())
        && it.account.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    if !is_account {
        let name = it.account.split('.').next().unwrap_or_default();
        issues.error(
            "platform-address",
            join(path, "account"),
            format!("`{}` is not the name of a storage account", it.account),
            match name == it.account {
                true => "use 3 to 24 lower-case letters and digits".to_owned(),
                false => format!("write the name alone: `{name}`"),
            },
        );
    }
    if let Some(given) = &it.key {
        key(&join(path, "key"), given, issues);
    }
    if let Some(identity) = &it.identity {
        for (key, id) in [("clientId", &identity.client_id), ("tenantId", &identity.tenant_id)] {
            let is_id = id.len() == 36
                && id.split('-').map(str::len).eq([8, 4, 4, 4, 12])
                && id.chars().all(|c| c.is_ascii_hexdigit() || c == '-');
            if !is_id {
                issues.error(
                    "platform-address",
                    join(&join(path, "identity"), key),
                    format!("`{id}` is not an id of Azure's"),
                    "write it as `11111111-2222-3333-4444-555555555555`",
                );
            }
        }
    }
    match (&it.identity, &it.key) {
        (None, None) => no_login(
            path,
            "add `identity: {clientId: …, tenantId: …}`, or `key: {secret: NAME, key: key}`",
            issues,
        ),
        (Some(_), Some(_)) => both(path, "identity", issues),
        _ => {}
    }
}
