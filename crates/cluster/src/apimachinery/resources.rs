//! Which resources the server has: the built-in table, and the custom ones that CustomResourceDefinitions add.

use std::collections::BTreeMap;
use std::sync::Arc;

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
        for row in BUILT_IN {
            resources.add(row.resource());
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
    plural: &'static str,
    short: &'static [&'static str],
    namespaced: bool,
    status: bool,
    treatment: Treatment,
    all: bool,
}

impl Row {
    fn resource(&self) -> Resource {
        let (group, version) = self.api_version.split_once('/').unwrap_or(("", self.api_version));
        let package = match group {
            "" => "io.k8s.api.core".to_owned(),
            "apiextensions.k8s.io" => "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions".to_owned(),
            "rbac.authorization.k8s.io" => "io.k8s.api.rbac".to_owned(),
            group => format!("io.k8s.api.{}", group.split('.').next().unwrap_or(group)),
        };
        // Both event APIs are views of the same objects.
        let key = if self.plural == "events" {
            "events".into()
        } else {
            qualified(self.plural, group)
        };
        Resource {
            group: group.to_owned(),
            version: version.to_owned(),
            kind: self.kind.to_owned(),
            plural: self.plural.to_owned(),
            singular: self.kind.to_lowercase(),
            short_names: self.short.iter().map(|name| (*name).to_owned()).collect(),
            categories: if self.all { vec!["all".to_owned()] } else { Vec::new() },
            namespaced: self.namespaced,
            status: self.status,
            treatment: self.treatment,
            key: key.into(),
            type_name: format!("{package}.{version}.{}", self.kind),
            custom: None,
        }
    }
}

const fn row(
    api_version: &'static str,
    kind: &'static str,
    plural: &'static str,
    short: &'static [&'static str],
    scope: Scope,
) -> Row {
    let (namespaced, status) = match scope {
        Scope::Namespace => (true, false),
        Scope::NamespaceWithStatus => (true, true),
        Scope::Cluster => (false, false),
        Scope::ClusterWithStatus => (false, true),
    };
    Row {
        api_version,
        kind,
        plural,
        short,
        namespaced,
        status,
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

enum Scope {
    Namespace,
    NamespaceWithStatus,
    Cluster,
    ClusterWithStatus,
}

use Scope::{Cluster, ClusterWithStatus, Namespace, NamespaceWithStatus};
use Treatment::{Refused, Review, StoredOnly};

const RBAC: &str = "rbac.authorization.k8s.io/v1";

#[rustfmt::skip]
const BUILT_IN: &[Row] = &[
    row("v1", "Namespace", "namespaces", &["ns"], ClusterWithStatus),
    in_all(row("v1", "Pod", "pods", &["po"], NamespaceWithStatus)),
    in_all(row("v1", "Service", "services", &["svc"], NamespaceWithStatus)),
    row("v1", "ConfigMap", "configmaps", &["cm"], Namespace),
    row("v1", "Secret", "secrets", &[], Namespace),
    row("v1", "PersistentVolumeClaim", "persistentvolumeclaims", &["pvc"], NamespaceWithStatus),
    row("v1", "PersistentVolume", "persistentvolumes", &["pv"], ClusterWithStatus),
    row("v1", "ServiceAccount", "serviceaccounts", &["sa"], Namespace),
    row("v1", "Event", "events", &["ev"], Namespace),
    row("v1", "Node", "nodes", &["no"], ClusterWithStatus),
    row("v1", "Endpoints", "endpoints", &["ep"], Namespace),
    row("v1", "ResourceQuota", "resourcequotas", &["quota"], NamespaceWithStatus),
    row("v1", "LimitRange", "limitranges", &["limits"], Namespace),
    in_all(row("v1", "ReplicationController", "replicationcontrollers", &["rc"], NamespaceWithStatus)),
    row("v1", "PodTemplate", "podtemplates", &[], Namespace),
    row("apps/v1", "ControllerRevision", "controllerrevisions", &[], Namespace),
    in_all(row("apps/v1", "Deployment", "deployments", &["deploy"], NamespaceWithStatus)),
    in_all(row("apps/v1", "StatefulSet", "statefulsets", &["sts"], NamespaceWithStatus)),
    in_all(row("apps/v1", "ReplicaSet", "replicasets", &["rs"], NamespaceWithStatus)),
    in_all(row("apps/v1", "DaemonSet", "daemonsets", &["ds"], NamespaceWithStatus)),
    in_all(row("batch/v1", "Job", "jobs", &[], NamespaceWithStatus)),
    in_all(row("batch/v1", "CronJob", "cronjobs", &["cj"], NamespaceWithStatus)),
    row("policy/v1", "PodDisruptionBudget", "poddisruptionbudgets", &["pdb"], NamespaceWithStatus),
    treated(row("networking.k8s.io/v1", "NetworkPolicy", "networkpolicies", &["netpol"], Namespace), StoredOnly),
    treated(row("networking.k8s.io/v1", "Ingress", "ingresses", &["ing"], NamespaceWithStatus), StoredOnly),
    treated(row("networking.k8s.io/v1", "IngressClass", "ingressclasses", &[], Cluster), StoredOnly),
    row(RBAC, "Role", "roles", &[], Namespace),
    row(RBAC, "RoleBinding", "rolebindings", &[], Namespace),
    row(RBAC, "ClusterRole", "clusterroles", &[], Cluster),
    row(RBAC, "ClusterRoleBinding", "clusterrolebindings", &[], Cluster),
    row("scheduling.k8s.io/v1", "PriorityClass", "priorityclasses", &["pc"], Cluster),
    treated(row("autoscaling/v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers", &["hpa"], NamespaceWithStatus), StoredOnly),
    treated(row("autoscaling/v1", "HorizontalPodAutoscaler", "horizontalpodautoscalers", &["hpa"], NamespaceWithStatus), StoredOnly),
    treated(row("node.k8s.io/v1", "RuntimeClass", "runtimeclasses", &[], Cluster), Refused),
    row("storage.k8s.io/v1", "StorageClass", "storageclasses", &["sc"], Cluster),
    row("coordination.k8s.io/v1", "Lease", "leases", &[], Namespace),
    row("discovery.k8s.io/v1", "EndpointSlice", "endpointslices", &[], Namespace),
    row("events.k8s.io/v1", "Event", "events", &["ev"], Namespace),
    row("admissionregistration.k8s.io/v1", "MutatingWebhookConfiguration", "mutatingwebhookconfigurations", &[], Cluster),
    row("admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration", "validatingwebhookconfigurations", &[], Cluster),
    row("admissionregistration.k8s.io/v1", "ValidatingAdmissionPolicy", "validatingadmissionpolicies", &[], ClusterWithStatus),
    row("admissionregistration.k8s.io/v1", "ValidatingAdmissionPolicyBinding", "validatingadmissionpolicybindings", &[], Cluster),
    treated(row("admissionregistration.k8s.io/v1beta1", "MutatingAdmissionPolicy", "mutatingadmissionpolicies", &[], Cluster), Refused),
    treated(row("admissionregistration.k8s.io/v1beta1", "MutatingAdmissionPolicyBinding", "mutatingadmissionpolicybindings", &[], Cluster), Refused),
    row("apiextensions.k8s.io/v1", "CustomResourceDefinition", "customresourcedefinitions", &["crd", "crds"], ClusterWithStatus),
    treated(row("authentication.k8s.io/v1", "TokenReview", "tokenreviews", &[], Cluster), Review),
    treated(row("authentication.k8s.io/v1", "SelfSubjectReview", "selfsubjectreviews", &[], Cluster), Review),
    treated(row("authorization.k8s.io/v1", "SubjectAccessReview", "subjectaccessreviews", &[], Cluster), Review),
    treated(row("authorization.k8s.io/v1", "SelfSubjectAccessReview", "selfsubjectaccessreviews", &[], Cluster), Review),
    treated(row("authorization.k8s.io/v1", "SelfSubjectRulesReview", "selfsubjectrulesreviews", &[], Cluster), Review),
    treated(row("authorization.k8s.io/v1", "LocalSubjectAccessReview", "localsubjectaccessreviews", &[], Namespace), Review),
];
