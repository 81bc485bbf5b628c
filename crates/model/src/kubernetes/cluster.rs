//! Kinds of Kubernetes that belong to the whole cluster.

use stoke_diagnostics::{Diagnostic, Severity};

use super::table::is_of_cluster;
use crate::manifest::Document;

/// A namespace of an object that belongs to the whole cluster: the API server drops it.
pub(super) fn in_namespace(document: &Document) -> Option<Diagnostic> {
    let namespace = document
        .namespace
        .as_deref()
        .filter(|namespace| !namespace.is_empty())?;
    let kind = document.kind.as_str();
    if !is_of_cluster(kind) {
        return None;
    }
    let message = format!(
        "a {kind} belongs to the whole cluster: `namespace: {namespace}` has no effect, and it holds in every namespace"
    );
    let help = match kind {
        "ClusterRoleBinding" => "remove it, or write a RoleBinding, which gives rights in one namespace only",
        "ClusterRole" => "remove it, or write a Role",
        _ => "remove it",
    };
    let complaint = document.complain(Severity::Warning, "no-effect", "metadata.namespace", message);
    Some(complaint.with_fix(help))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kubernetes::{Release, check, resource};

    #[test]
    fn the_table_says_where_objects_are() {
        let pods = resource("v1", "Pod").unwrap();
        assert!(pods.plural == "pods" && pods.namespaced && pods.subresources.contains(&"log"));
        let nodes = resource("v1", "Node").unwrap();
        assert!(nodes.plural == "nodes" && !nodes.namespaced && nodes.subresources.contains(&"status"));
        assert_eq!(resource("policy/v1", "Eviction"), None);
        assert_eq!(
            resource("networking.k8s.io/v1", "NetworkPolicy").unwrap().subresources,
            [""; 0]
        );
        for kind in [
            "APIService",
            "CSIDriver",
            "CSINode",
            "CertificateSigningRequest",
            "ClusterRole",
            "ClusterTrustBundle",
            "CustomResourceDefinition",
            "DeviceClass",
            "FlowSchema",
            "IPAddress",
            "IngressClass",
            "Namespace",
            "PersistentVolume",
            "PodSecurityPolicy",
            "PriorityClass",
            "ResourceSlice",
            "RuntimeClass",
            "ServiceCIDR",
            "StorageVersion",
            "StorageVersionMigration",
            "ValidatingAdmissionPolicyBinding",
            "VolumeAttachment",
            "VolumeAttributesClass",
        ] {
            assert!(is_of_cluster(kind), "{kind}");
        }
        assert!(!is_of_cluster("Pod") && !is_of_cluster("SparkApplication"));
    }

    #[test]
    fn every_kind_of_the_cluster_is_told_with_a_namespace() {
        for (kind, api_version, expected) in [
            ("ClusterRoleBinding", "rbac.authorization.k8s.io/v1", true),
            ("Namespace", "v1", true),
            ("StorageClass", "storage.k8s.io/v1", true),
            ("SelfSubjectReview", "authentication.k8s.io/v1", true),
            ("RoleBinding", "rbac.authorization.k8s.io/v1", false),
            ("ConfigMap", "v1", false),
        ] {
            let text = format!("apiVersion: {api_version}\nkind: {kind}\nmetadata: {{name: a, namespace: b}}\n");
            let (documents, _) = crate::manifest::check("a.yaml", &text);
            let found = check(&documents[0], Release::DEFAULT).unwrap();
            assert_eq!(found.iter().any(|one| one.code == "no-effect"), expected, "{kind}");
        }
    }
}
