//! API versions of widely used custom resources that their own projects have stopped serving.
//!
//! Only what a project's release notes say is here. Which release of it a cluster has is not known to a manifest; a newer one refuses the object.

/// An API version that is no longer served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retired {
    pub group: &'static str,
    pub version: &'static str,
    /// The kind; empty for every kind of it.
    pub kind: &'static str,
    /// What to write: an `apiVersion`, with the kind where it has another name.
    pub instead: &'static str,
    /// Since when.
    pub since: &'static str,
}

const fn retired_in(
    group: &'static str,
    version: &'static str,
    kind: &'static str,
    instead: &'static str,
    since: &'static str,
) -> Retired {
    Retired {
        group,
        version,
        kind,
        instead,
        since,
    }
}

const SECRETS: &str = "External Secrets Operator serves it until 0.16";
const CERTIFICATES: &str = "cert-manager serves it until 1.5";

/// All that are known.
const ALL: [Retired; 12] = [
    retired_in("external-secrets.io", "v1beta1", "", "external-secrets.io/v1", SECRETS),
    retired_in(
        "external-secrets.io",
        "v1alpha1",
        "ExternalSecret",
        "external-secrets.io/v1",
        SECRETS,
    ),
    retired_in(
        "external-secrets.io",
        "v1alpha1",
        "SecretStore",
        "external-secrets.io/v1",
        SECRETS,
    ),
    retired_in(
        "external-secrets.io",
        "v1alpha1",
        "ClusterSecretStore",
        "external-secrets.io/v1",
        SECRETS,
    ),
    retired_in("cert-manager.io", "v1alpha2", "", "cert-manager.io/v1", CERTIFICATES),
    retired_in("cert-manager.io", "v1alpha3", "", "cert-manager.io/v1", CERTIFICATES),
    retired_in("cert-manager.io", "v1beta1", "", "cert-manager.io/v1", CERTIFICATES),
    retired_in(
        "acme.cert-manager.io",
        "v1alpha2",
        "",
        "acme.cert-manager.io/v1",
        CERTIFICATES,
    ),
    retired_in(
        "acme.cert-manager.io",
        "v1alpha3",
        "",
        "acme.cert-manager.io/v1",
        CERTIFICATES,
    ),
    retired_in(
        "acme.cert-manager.io",
        "v1beta1",
        "",
        "acme.cert-manager.io/v1",
        CERTIFICATES,
    ),
    retired_in(
        "karpenter.sh",
        "v1alpha5",
        "Provisioner",
        "karpenter.sh/v1, kind NodePool",
        "Karpenter serves it until 0.32",
    ),
    retired_in(
        "keda.k8s.io",
        "v1alpha1",
        "",
        "keda.sh/v1alpha1",
        "KEDA serves it until 1.5",
    ),
];

/// What is known of an API version of others and a kind.
#[must_use]
pub fn retired(api_version: &str, kind: &str) -> Option<&'static Retired> {
    let (group, version) = api_version.split_once('/')?;
    let of = |known: &&Retired| known.group == group && known.version == version;
    ALL.iter()
        .filter(of)
        .find(|known| known.kind.is_empty() || known.kind == kind)
}
