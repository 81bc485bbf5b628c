//! Kinds of Kubernetes that belong to the whole cluster.

use crate::manifest::Document;
use stoke_diagnostics::{Diagnostic, Severity};

/// All of them, in any API version. Kubernetes has no kind of one of these names that lies in a namespace.
const KINDS: [&str; 34] = [
    "APIService",
    "CSIDriver",
    "CSINode",
    "CertificateSigningRequest",
    "ClusterRole",
    "ClusterRoleBinding",
    "ClusterTrustBundle",
    "ComponentStatus",
    "CustomResourceDefinition",
    "DeviceClass",
    "FlowSchema",
    "IPAddress",
    "IngressClass",
    "MutatingAdmissionPolicy",
    "MutatingAdmissionPolicyBinding",
    "MutatingWebhookConfiguration",
    "Namespace",
    "Node",
    "PersistentVolume",
    "PodSecurityPolicy",
    "PriorityClass",
    "PriorityLevelConfiguration",
    "ResourceSlice",
    "RuntimeClass",
    "SelfSubjectReview",
    "ServiceCIDR",
    "StorageClass",
    "StorageVersion",
    "StorageVersionMigration",
    "ValidatingAdmissionPolicy",
    "ValidatingAdmissionPolicyBinding",
    "ValidatingWebhookConfiguration",
    "VolumeAttachment",
    "VolumeAttributesClass",
];

/// A namespace of an object that belongs to the whole cluster: the API server drops it.
pub(super) fn in_namespace(document: &Document) -> Option<Diagnostic> {
    let namespace = document
        .namespace
        .as_deref()
        .filter(|namespace| !namespace.is_empty())?;
    let kind = document.kind.as_str();
    KINDS.binary_search(&kind).ok()?;
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
    use crate::kubernetes::{Release, check};

    #[test]
    fn every_kind_of_the_cluster_is_told_with_a_namespace() {
        assert!(KINDS.is_sorted());
        for (kind, api_version, expected) in [
            ("ClusterRoleBinding", "rbac.authorization.k8s.io/v1", true),
            ("Namespace", "v1", true),
            ("StorageClass", "storage.k8s.io/v1", true),
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
