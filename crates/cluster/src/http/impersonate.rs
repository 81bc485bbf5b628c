//! Acting as someone else: `Impersonate-User`, `-Group`, `-Uid` and `-Extra-…`, for those who may.

use http::HeaderMap;

use super::call::Server;
use crate::apimachinery::status::Status;
use crate::registry::identity::{Attributes, Identity, denial};

const AUTHENTICATED: &str = "system:authenticated";
const UNAUTHENTICATED: &str = "system:unauthenticated";
const AUTHENTICATION: &str = "authentication.k8s.io";

/// What the headers ask for.
#[derive(Debug, Default, PartialEq, Eq)]
struct Wanted {
    user: String,
    uid: String,
    groups: Vec<String>,
    extra: Vec<(String, String)>,
}

impl Wanted {
    fn of(headers: &HeaderMap) -> Wanted {
        let mut wanted = Wanted::default();
        for (name, value) in headers {
            let Some(name) = name.as_str().strip_prefix("impersonate-") else {
                continue;
            };
            let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
            match name {
                "user" => wanted.user = value,
                "uid" => wanted.uid = value,
                "group" => wanted.groups.push(value),
                _ => {
                    if let Some(key) = name.strip_prefix("extra-") {
                        wanted
                            .extra
                            .push((crate::apimachinery::meta::percent_decoded(key), value));
                    }
                }
            }
        }
        wanted
    }
}

/// Namespace and name of a service account's user.
fn account(user: &str) -> Option<(&str, &str)> {
    user.strip_prefix("system:serviceaccount:")?.split_once(':')
}

impl Server {
    /// The identity a request is handled with: its own, or that of whom it acts as.
    pub fn impersonate(&self, identity: Identity, headers: &HeaderMap) -> Result<Identity, Status> {
        let wanted = Wanted::of(headers);
        if wanted == Wanted::default() {
            return Ok(identity);
        }
        if wanted.user.is_empty() {
            let message =
                "Internal Server Error: requested impersonation of groups, uid or extra without impersonating a user";
            return Err(Status::internal(message));
        }
        let check = |group: &str, resource: &str, subresource: &str, namespace: &str, name: &str| {
            let asked = Attributes {
                verb: "impersonate",
                group,
                resource,
                subresource,
                namespace,
                name,
            };
            if self.registry.allows(&identity, &asked) {
                return Ok(());
            }
            let qualified = crate::apimachinery::resources::qualified(resource, group);
            Err(Status::forbidden(&qualified, name, denial(&identity, &asked)))
        };
        match account(&wanted.user) {
            Some((namespace, name)) => check("", "serviceaccounts", "", namespace, name)?,
            None => check("", "users", "", "", &wanted.user)?,
        }
        if !wanted.uid.is_empty() {
            check(AUTHENTICATION, "uids", "", "", &wanted.uid)?;
        }
        for group in &wanted.groups {
            check("", "groups", "", "", group)?;
        }
        for (key, value) in &wanted.extra {
            check(AUTHENTICATION, "userextras", key, "", value)?;
        }
        Ok(become_one(wanted))
    }
}

fn become_one(wanted: Wanted) -> Identity {
    let mut groups = wanted.groups;
    if let (Some((namespace, _)), true) = (account(&wanted.user), groups.is_empty()) {
        groups.push("system:serviceaccounts".into());
        groups.push(format!("system:serviceaccounts:{namespace}"));
    }
    if !groups
        .iter()
        .any(|group| group == AUTHENTICATED || group == UNAUTHENTICATED)
    {
        let anonymous = wanted.user == "system:anonymous";
        groups.push(if anonymous { UNAUTHENTICATED } else { AUTHENTICATED }.into());
    }
    let mut identity = Identity {
        user: wanted.user,
        uid: wanted.uid,
        groups,
        extra: Default::default(),
    };
    for (key, value) in wanted.extra {
        identity.extra.entry(key).or_default().push(value);
    }
    identity
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn headers_name_who_one_becomes() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("impersonate-user", "jane"),
            ("impersonate-group", "devs"),
            ("impersonate-group", "ops"),
            ("impersonate-extra-example.com%2fscopes", "read"),
        ] {
            headers.append(name, HeaderValue::from_static(value));
        }
        let identity = become_one(Wanted::of(&headers));
        assert_eq!(
            (identity.user.as_str(), identity.groups.as_slice()),
            ("jane", &["devs", "ops", AUTHENTICATED].map(str::to_owned)[..])
        );
        assert_eq!(identity.extra["example.com/scopes"], ["read"]);
        let account = Wanted {
            user: "system:serviceaccount:a:b".into(),
            ..Wanted::default()
        };
        assert_eq!(
            become_one(account).groups,
            ["system:serviceaccounts", "system:serviceaccounts:a", AUTHENTICATED]
        );
    }
}
