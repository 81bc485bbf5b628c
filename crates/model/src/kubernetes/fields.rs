//! Fields of a pod that its own containers can be shown (`fieldRef`), as kube-apiserver takes them.

/// Those of a variable; single labels and annotations (`metadata.labels['x']`) besides.
pub const OF_VARIABLES: &[&str] = &[
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.serviceAccountName",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
];

/// Those of a file of a `downwardAPI` volume.
pub const OF_FILES: &[&str] = &[
    "metadata.annotations",
    "metadata.labels",
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
];
