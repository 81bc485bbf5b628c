//! Which resources the server has: the built-in table, and the custom ones that CustomResourceDefinitions add.

use std::collections::BTreeMap;
use std::sync::Arc;

use stoke_model::kubernetes;

use super::custom::{CustomVersion, version_rank};
use crate::store::ResourceKey;

/// What the cluster does with objects of a built-in resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Treatment {
    /// The cluster acts on them, or they are plain data.
    Honoured,
    /// They are kept, and every write is answered with a warning that nothing enforces them.
    StoredOnly,
    /// They would have no effect: lists are empty and a create is refused.
    Refused,
    /// A question answered at once, never stored.
    Review,
}

/// One resource in one version.
#[derive(Clone, Debug)]
pub struct Resource {
    /// API group, empty for core.
    pub group: String,
    /// Version within the group.
    pub version: String,
    /// Kind of its objects.
    pub kind: String,
    /// Plural, lower case, as in paths.
    pub plural: String,
    /// Singular, lower case.
    pub singular: String,
    /// Short names for kubectl.
    pub short_names: Vec<String>,
    /// Categories for kubectl, such as `all`.
    pub categories: Vec<String>,
    /// Whether its objects live in namespaces.
    pub namespaced: bool,
    /// Whether `status` is a subresource of its own.
    pub status: bool,
    /// What happens to its objects.
    pub treatment: Treatment,
    /// Where its objects are stored. Shared by all versions.
    pub key: ResourceKey,
    /// Published name of the built-in type.
    pub type_name: String,
    /// Schema and columns of a custom resource.
    pub custom: Option<Arc<CustomVersion>>,
}

impl Resource {
    /// `v1` or `apps/v1`.
    pub fn api_version(&self) -> String {
        api_version(&self.group, &self.version)
    }

    /// Plural with its group, as error messages and RBAC name it: `pods`, `deployments.apps`.
    pub fn qualified(&self) -> String {
        qualified(&self.plural, &self.group)
    }

    /// Kind of a list of these.
    pub fn list_kind(&self) -> String {
        match &self.custom {
            Some(custom) => custom.list_kind.clone(),
            None => format!("{}List", self.kind),
        }
    }

    /// Subresources with their kind (group, version, kind) and verbs, for discovery.
    pub fn subresources(&self) -> Vec<(&'static str, &'static str, &'static str, &'static [&'static str])> {
        let mut found = Vec::new();
        if self.status {
            found.push(("status", "", "", &["get", "patch", "update"] as &[_]));
        }
        if self.custom.as_ref().is_some_and(|custom| custom.scale.is_some()) {
            found.push(("scale", "autoscaling/v1", "Scale", &["get", "patch", "update"]));
        }
        match (self.group.as_str(), self.plural.as_str()) {
            ("", "pods") => {
                found.push(("log", "", "Pod", &["get"]));
                found.push(("exec", "", "PodExecOptions", &["create", "get"]));
                found.push(("attach", "", "PodAttachOptions", &["create", "get"]));
                found.push(("portforward", "", "PodPortForwardOptions", &["create", "get"]));
                found.push(("binding", "", "Binding", &["create"]));
                found.push(("eviction", "policy/v1", "Eviction", &["create"]));
            }
            ("", "serviceaccounts") => {
                found.push(("token", "authentication.k8s.io/v1", "TokenRequest", &["create"]));
            }
            ("apps", "deployments" | "replicasets" | "statefulsets") | ("", "replicationcontrollers") => {
                found.push(("scale", "autoscaling/v1", "Scale", &["get", "patch", "update"]));
            }
            ("", "namespaces") => found.push(("finalize", "", "Namespace", &["update"])),
            _ => {}
        }
        found
    }

    /// Verbs for discovery.
    pub fn verbs(&self) -> &'static [&'static str] {
        match self.treatment {
            Treatment::Review => &["create"],
            _ => &[
                "create",
                "delete",
                "deletecollection",
                "get",
                "list",
                "patch",
                "update",
                "watch",
            ],
        }
    }

    /// Whether `metadata.generation` counts changes of its spec.
    pub fn has_generation(&self) -> bool {
        self.custom.is_some()
            || matches!(
                self.plural.as_str(),
                "pods"
                    | "deployments"
                    | "statefulsets"
                    | "replicasets"
                    | "replicationcontrollers"
                    | "daemonsets"
                    | "ingresses"
                    | "networkpolicies"
                    | "poddisruptionbudgets"
                    | "customresourcedefinitions"
                    | "jobs"
                    | "cronjobs"
                    | "endpointslices"
                    | "mutatingwebhookconfigurations"
                    | "validatingwebhookconfigurations"
                    | "validatingadmissionpolicies"
                    | "validatingadmissionpolicybindings"
            )
    }
}

/// `v1` or `group/v1`.
pub fn api_version(group: &str, version: &str) -> String {
    if group.is_empty() {
        version.to_owned()
    } else {
        format!("{group}/{version}")
    }
}

/// `pods` or `deployments.apps`.
pub fn qualified(plural: &str, group: &str) -> String {
    if group.is_empty() {
        plural.to_owned()
    } else {
        format!("{plural}.{group}")
    }
}

/// All resources of the server at one time.
#[derive(Clone, Debug, Default)]
pub struct Resources {
    resources: BTreeMap<(String, String, String), Arc<Resource>>,
    /// Versions of each group, the preferred one first.
    groups: BTreeMap<String, Vec<String>>,
}

impl Resources {
    /// The built-in resources.
    pub fn built_in() -> Resources {
        let mut resources = Resources::default();
        for resource in BUILT_IN.iter().filter_map(Row::resource) {
            resources.add(resource);
        }
        resources
    }

    /// Adds a resource; its version comes after those already there.
    pub fn add(&mut self, resource: Resource) {
        self.add_shared(Arc::new(resource));
    }

    /// Adds a resource; versions of custom groups stand in Kubernetes' order, those of built-in groups as they come.
    pub fn add_shared(&mut self, resource: Arc<Resource>) {
        let versions = self.groups.entry(resource.group.clone()).or_default();
        if !versions.contains(&resource.version) {
            versions.push(resource.version.clone());
            if resource.custom.is_some() {
                versions.sort_by_key(|version| std::cmp::Reverse(version_rank(version)));
            }
        }
        let key = (
            resource.group.clone(),
            resource.version.clone(),
            resource.plural.clone(),
        );
        self.resources.insert(key, resource);
    }

    /// The resource of a path.
    pub fn find(&self, group: &str, version: &str, plural: &str) -> Option<Arc<Resource>> {
        self.resources
            .get(&(group.to_owned(), version.to_owned(), plural.to_owned()))
            .cloned()
    }

    /// Whether anything of a group is served.
    pub fn has_group(&self, group: &str) -> bool {
        self.resources.keys().any(|(known, ..)| known == group)
    }

    /// The preferred version of a resource, by its store key.
    pub fn by_key(&self, key: &str) -> Option<Arc<Resource>> {
        let found = self.resources.values().filter(|resource| &*resource.key == key);
        found.min_by_key(|resource| self.rank(resource)).cloned()
    }

    /// Every resource in every version.
    #[cfg(test)]
    pub fn all(&self) -> impl Iterator<Item = &Arc<Resource>> {
        self.resources.values()
    }

    fn rank(&self, resource: &Resource) -> (bool, usize) {
        let versions = self.groups.get(&resource.group);
        let rank = versions.and_then(|versions| versions.iter().position(|version| *version == resource.version));
        (*resource.key != *resource.qualified(), rank.unwrap_or(usize::MAX))
    }

    /// Groups and their versions, core first.
    pub fn groups(&self) -> impl Iterator<Item = (&str, &[String])> {
        self.groups
            .iter()
            .map(|(group, versions)| (group.as_str(), versions.as_slice()))
    }

    /// Resources of one group and version.
    pub fn of(&self, group: &str, version: &str) -> Vec<Arc<Resource>> {
        let matching = self
            .resources
            .values()
            .filter(|resource| resource.group == group && resource.version == version);
        matching.cloned().collect()
    }
}

struct Row {
    api_version: &'static str,
    kind: &'static str,
    short: &'static [&'static str],
    treatment: Treatment,
    all: bool,
}

impl Row {
    /// None for a kind that Kubernetes' recorded API does not have.
    fn resource(&self) -> Option<Resource> {
        let recorded = kubernetes::resource(self.api_version, self.kind)?;
        let (group, version) = self.api_version.split_once('/').unwrap_or(("", self.api_version));
        let package = match group {
            "" => "io.k8s.api.core".to_owned(),
            "apiextensions.k8s.io" => "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions".to_owned(),
            "rbac.authorization.k8s.io" => "io.k8s.api.rbac".to_owned(),
            group => format!("io.k8s.api.{}", group.split('.').next().unwrap_or(group)),
        };
        // Both event APIs are views of the same objects.
        let key = match recorded.plural {
            "events" => "events".to_owned(),
            plural => qualified(plural, group),
        };
        Some(Resource {
            group: group.to_owned(),
            version: version.to_owned(),
            kind: self.kind.to_owned(),
            plural: recorded.plural.to_owned(),
            singular: self.kind.to_lowercase(),
            short_names: self.short.iter().map(|name| (*name).to_owned()).collect(),
            categories: if self.all { vec!["all".to_owned()] } else { Vec::new() },
            namespaced: recorded.namespaced,
            status: recorded.subresources.contains(&"status"),
            treatment: self.treatment,
            key: key.into(),
            type_name: format!("{package}.{version}.{}", self.kind),
            custom: None,
        })
    }
}

const fn row(api_version: &'static str, kind: &'static str, short: &'static [&'static str]) -> Row {
    Row {
        api_version,
        kind,
        short,
        treatment: Treatment::Honoured,
        all: false,
    }
}

const fn in_all(mut row: Row) -> Row {
    row.all = true;
    row
}

const fn treated(mut row: Row, treatment: Treatment) -> Row {
    row.treatment = treatment;
    row
}

use Treatment::{Refused, Review, StoredOnly};

const RBAC: &str = "rbac.authorization.k8s.io/v1";

#[rustfmt::skip]
const BUILT_IN: &[Row] = &[
    row("v1", "Namespace", &["ns"]),
    in_all(row("v1", "Pod", &["po"])),
    in_all(row("v1", "Service", &["svc"])),
    row("v1", "ConfigMap", &["cm"]),
    row("v1", "Secret", &[]),
    row("v1", "PersistentVolumeClaim", &["pvc"]),
    row("v1", "PersistentVolume", &["pv"]),
    row("v1", "ServiceAccount", &["sa"]),
    row("v1", "Event", &["ev"]),
    row("v1", "Node", &["no"]),
    row("v1", "Endpoints", &["ep"]),
    row("v1", "ResourceQuota", &["quota"]),
    row("v1", "LimitRange", &["limits"]),
    in_all(row("v1", "ReplicationController", &["rc"])),
    row("v1", "PodTemplate", &[]),
    row("apps/v1", "ControllerRevision", &[]),
    in_all(row("apps/v1", "Deployment", &["deploy"])),
    in_all(row("apps/v1", "StatefulSet", &["sts"])),
    in_all(row("apps/v1", "ReplicaSet", &["rs"])),
    in_all(row("apps/v1", "DaemonSet", &["ds"])),
    in_all(row("batch/v1", "Job", &[])),
    in_all(row("batch/v1", "CronJob", &["cj"])),
    row("policy/v1", "PodDisruptionBudget", &["pdb"]),
    treated(row("networking.k8s.io/v1", "NetworkPolicy", &["netpol"]), StoredOnly),
    treated(row("networking.k8s.io/v1", "Ingress", &["ing"]), StoredOnly),
    treated(row("networking.k8s.io/v1", "IngressClass", &[]), StoredOnly),
    row(RBAC, "Role", &[]),
    row(RBAC, "RoleBinding", &[]),
    row(RBAC, "ClusterRole", &[]),
    row(RBAC, "ClusterRoleBinding", &[]),
    row("scheduling.k8s.io/v1", "PriorityClass", &["pc"]),
    treated(row("autoscaling/v2", "HorizontalPodAutoscaler", &["hpa"]), StoredOnly),
    treated(row("autoscaling/v1", "HorizontalPodAutoscaler", &["hpa"]), StoredOnly),
    treated(row("node.k8s.io/v1", "RuntimeClass", &[]), Refused),
    row("storage.k8s.io/v1", "StorageClass", &["sc"]),
    row("coordination.k8s.io/v1", "Lease", &[]),
    row("discovery.k8s.io/v1", "EndpointSlice", &[]),
    row("events.k8s.io/v1", "Event", &["ev"]),
    row("admissionregistration.k8s.io/v1", "MutatingWebhookConfiguration", &[]),
    row("admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration", &[]),
    row("admissionregistration.k8s.io/v1", "ValidatingAdmissionPolicy", &[]),
    row("admissionregistration.k8s.io/v1", "ValidatingAdmissionPolicyBinding", &[]),
    treated(row("admissionregistration.k8s.io/v1beta1", "MutatingAdmissionPolicy", &[]), Refused),
    treated(row("admissionregistration.k8s.io/v1beta1", "MutatingAdmissionPolicyBinding", &[]), Refused),
    row("apiextensions.k8s.io/v1", "CustomResourceDefinition", &["crd", "crds"]),
    treated(row("authentication.k8s.io/v1", "TokenReview", &[]), Review),
    treated(row("authentication.k8s.io/v1", "SelfSubjectReview", &[]), Review),
    treated(row("authorization.k8s.io/v1", "SubjectAccessReview", &[]), Review),
    treated(row("authorization.k8s.io/v1", "SelfSubjectAccessReview", &[]), Review),
    treated(row("authorization.k8s.io/v1", "SelfSubjectRulesReview", &[]), Review),
    treated(row("authorization.k8s.io/v1", "LocalSubjectAccessReview", &[]), Review),
];
