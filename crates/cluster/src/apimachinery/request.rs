//! What a request asks for: resource, object, subresource, query, and the form of the answer.

use std::sync::Arc;

use super::meta::percent_decoded;
use super::resources::{Resource, Resources};
use super::status::Status;

/// The thing a path names.
#[derive(Clone, Debug)]
pub struct Target {
    /// Its resource, in the version of the path.
    pub resource: Arc<Resource>,
    /// Namespace of the path.
    pub namespace: Option<String>,
    /// Object of the path.
    pub name: Option<String>,
    /// Subresource of the path.
    pub subresource: Option<String>,
}

impl Target {
    /// Reads `/api/v1/...` or `/apis/<group>/<version>/...`.
    pub fn parse(path: &str, resources: &Resources) -> Result<Target, Status> {
        let segments: Vec<String> = path
            .split('/')
            .filter(|part| !part.is_empty())
            .map(percent_decoded)
            .collect();
        let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
        let (group, version, rest) = match segments.as_slice() {
            ["api", version, rest @ ..] => ("", *version, rest),
            ["apis", group, version, rest @ ..] => (*group, *version, rest),
            _ => return Err(Status::no_such_path()),
        };
        let (namespace, rest) = match rest {
            ["namespaces", namespace, plural, rest @ ..]
                if !(group.is_empty() && matches!(*plural, "status" | "finalize")) =>
            {
                (Some((*namespace).to_owned()), [&[*plural], rest].concat())
            }
            rest => (None, rest.to_vec()),
        };
        let (plural, name, subresource) = match rest.as_slice() {
            [plural] => (*plural, None, None),
            [plural, name] => (*plural, Some(*name), None),
            [plural, name, subresource] => (*plural, Some(*name), Some(*subresource)),
            _ => return Err(Status::no_such_path()),
        };
        let resource = resources.find(group, version, plural).ok_or_else(|| {
            if group.is_empty() || resources.has_group(group) {
                Status::no_such_path()
            } else {
                Status::no_such_group()
            }
        })?;
        if namespace.is_some() && !resource.namespaced {
            return Err(Status::no_such_path());
        }
        Ok(Target {
            resource,
            namespace,
            name: name.map(str::to_owned),
            subresource: subresource.map(str::to_owned),
        })
    }
}

/// The query of a request.
#[derive(Clone, Debug, Default)]
pub struct Query(pub Vec<(String, String)>);

impl Query {
    /// Value of a parameter, if it is there and not empty.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(key, value)| key == name && !value.is_empty())
            .map(|(_, value)| value.as_str())
    }

    /// Every value of a parameter, in order.
    pub fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0
            .iter()
            .filter(move |(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    /// Whether a parameter is true.
    pub fn flag(&self, name: &str) -> bool {
        // As Go reads it from a query: what is not plainly untrue is true.
        self.get(name)
            .is_some_and(|value| !matches!(value.to_lowercase().as_str(), "false" | "0"))
    }

    /// Whether nothing shall be stored.
    pub fn dry_run(&self) -> bool {
        self.get("dryRun").is_some()
    }
}

/// Form of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// The objects themselves.
    Object,
    /// A table for people.
    Table,
    /// Only metadata.
    Metadata,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_name_resources_objects_and_subresources() {
        let resources = Resources::built_in();
        let read = |path: &str| {
            Target::parse(path, &resources).map(|target| {
                let parts = [target.namespace, target.name, target.subresource];
                (
                    target.resource.qualified(),
                    parts.map(Option::unwrap_or_default).join("|"),
                )
            })
        };
        for (path, resource, parts) in [
            ("/api/v1/pods", "pods", "||"),
            ("/api/v1/namespaces", "namespaces", "||"),
            ("/api/v1/namespaces/a", "namespaces", "|a|"),
            ("/api/v1/namespaces/a/status", "namespaces", "|a|status"),
            ("/api/v1/namespaces/a/pods", "pods", "a||"),
            ("/api/v1/namespaces/a/pods/b/log", "pods", "a|b|log"),
            (
                "/apis/rbac.authorization.k8s.io/v1/clusterroles/system%3Anode",
                "clusterroles.rbac.authorization.k8s.io",
                "|system:node|",
            ),
        ] {
            assert_eq!(read(path).unwrap(), (resource.to_owned(), parts.to_owned()), "{path}");
        }
        for path in [
            "/api/v1/nothing",
            "/apis/apps/v2/deployments",
            "/api/v1/namespaces/a/nodes",
            "/x",
        ] {
            assert_eq!(read(path).unwrap_err().code, 404, "{path}");
        }
    }
}
