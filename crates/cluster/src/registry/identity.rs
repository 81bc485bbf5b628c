//! Who asks, and what a permission is asked for.

use std::collections::BTreeMap;

use serde_json::{Value, json};

/// An authenticated user.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// User name.
    pub user: String,
    /// UID, for service accounts.
    pub uid: String,
    pub groups: Vec<String>,
    /// Further facts, such as the pod a token belongs to.
    pub extra: BTreeMap<String, Vec<String>>,
}

impl Identity {
    /// The cluster's administrator, who may do everything.
    pub fn admin() -> Identity {
        Identity {
            user: "kubernetes-admin".into(),
            uid: String::new(),
            groups: vec!["system:masters".into(), "system:authenticated".into()],
            extra: BTreeMap::new(),
        }
    }

    /// The API server itself, which may do everything.
    pub fn api_server() -> Identity {
        Identity {
            user: "system:apiserver".into(),
            groups: vec!["system:masters".into(), "system:authenticated".into()],
            ..Identity::default()
        }
    }

    /// One of the cluster's own controllers: a service account of kube-system.
    pub fn controller(name: &str) -> Identity {
        Identity::service_account("kube-system", name, "")
    }

    pub fn scheduler() -> Identity {
        Identity::certificate("system:kube-scheduler", Vec::new())
    }

    pub fn node(name: &str) -> Identity {
        Identity::certificate(&format!("system:node:{name}"), vec!["system:nodes".into()])
    }

    /// A user named by a client certificate: common name and organisations.
    pub fn certificate(common_name: &str, organizations: Vec<String>) -> Identity {
        let groups = organizations
            .into_iter()
            .chain(["system:authenticated".to_owned()])
            .collect();
        Identity {
            user: common_name.to_owned(),
            uid: String::new(),
            groups,
            extra: BTreeMap::new(),
        }
    }

    /// A service account, as its token says.
    pub fn service_account(namespace: &str, name: &str, uid: &str) -> Identity {
        Identity {
            user: format!("system:serviceaccount:{namespace}:{name}"),
            uid: uid.to_owned(),
            groups: vec![
                "system:serviceaccounts".into(),
                format!("system:serviceaccounts:{namespace}"),
                "system:authenticated".into(),
            ],
            extra: BTreeMap::new(),
        }
    }

    /// As reviews show it.
    pub fn json(&self) -> Value {
        let mut user = json!({"username": self.user, "groups": self.groups});
        if !self.uid.is_empty() {
            user["uid"] = self.uid.clone().into();
        }
        if !self.extra.is_empty() {
            user["extra"] = json!(self.extra);
        }
        user
    }
}

/// Why someone may not do something, as Kubernetes says it.
pub fn denial(identity: &Identity, asked: &Attributes<'_>) -> String {
    let resource = match asked.subresource {
        "" => asked.resource.to_owned(),
        subresource => format!("{}/{subresource}", asked.resource),
    };
    let place = if asked.namespace.is_empty() {
        "at the cluster scope".to_owned()
    } else {
        format!("in the namespace {:?}", asked.namespace)
    };
    format!(
        "User {:?} cannot {} resource {resource:?} in API group {:?} {place}",
        identity.user, asked.verb, asked.group
    )
}

/// What a permission is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Attributes<'a> {
    /// Lower-case verb.
    pub verb: &'a str,
    /// API group.
    pub group: &'a str,
    /// Plural.
    pub resource: &'a str,
    /// Subresource or empty.
    pub subresource: &'a str,
    /// Namespace or empty.
    pub namespace: &'a str,
    /// Object or empty.
    pub name: &'a str,
}
