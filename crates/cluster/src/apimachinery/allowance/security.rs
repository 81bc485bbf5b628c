//! Pod Security admission: what a namespace's labels ask for. What the levels forbid is [`stoke_model::pod_security`].

use serde_json::Value;
use stoke_model::pod_security::{Level, Version, check};

use crate::apimachinery::status::FieldError;

/// Prefix of the labels of a namespace that name levels.
const LABEL: &str = "pod-security.kubernetes.io/";
/// The version of Kubernetes this server is; newer versions of the standard are taken for it.
const OWN_VERSION: Version = Version::minor(34);

/// What a mode (`enforce`, `warn`, `audit`) of a namespace says of a pod; `None` if it has nothing against it.
pub fn violation(namespace: &Value, mode: &str, metadata: &Value, spec: &Value) -> Option<String> {
    let labels = &namespace["metadata"]["labels"];
    let level = labels[format!("{LABEL}{mode}")].as_str()?;
    let version = labels[format!("{LABEL}{mode}-version")].as_str().unwrap_or("latest");
    // Labels are checked when they are set; one that got past enforces the most.
    let unreadable = if mode == "enforce" {
        Level::Restricted
    } else {
        Level::Privileged
    };
    let parsed: Version = version.parse().unwrap_or(Version::LATEST);
    let found = check(
        level.parse().unwrap_or(unreadable),
        parsed.at_most(OWN_VERSION),
        metadata,
        spec,
    );
    if found.is_empty() {
        return None;
    }
    let found: Vec<String> = found.iter().map(ToString::to_string).collect();
    Some(format!(
        "violate PodSecurity \"{level}:{version}\": {}",
        found.join(", ")
    ))
}

/// Complaints about the labels of a namespace.
pub fn check_labels(namespace: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let mut complain = |key: String, parse: fn(&str) -> Option<String>| {
        let value = &namespace["metadata"]["labels"][&key];
        if let Some(detail) = value.as_str().and_then(parse) {
            errors.push(FieldError::invalid(&format!("metadata.labels[{key}]"), value, &detail));
        }
    };
    for mode in ["enforce", "audit", "warn"] {
        complain(format!("{LABEL}{mode}"), |text| {
            text.parse::<Level>().err().map(|error| error.to_string())
        });
        complain(format!("{LABEL}{mode}-version"), |text| {
            text.parse::<Version>().err().map(|error| error.to_string())
        });
    }
    errors
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn labels_choose_the_level_and_are_checked() {
        let namespace = json!({"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "baseline",
            "pod-security.kubernetes.io/enforce-version": "v1.30", "pod-security.kubernetes.io/warn": "nonsense"}}});
        let spec = json!({"containers": [], "hostIPC": true});
        assert_eq!(
            violation(&namespace, "enforce", &json!({}), &spec).unwrap(),
            "violate PodSecurity \"baseline:v1.30\": host namespaces (hostIPC=true)"
        );
        assert_eq!(violation(&namespace, "audit", &json!({}), &spec), None);
        let errors = check_labels(&namespace);
        assert_eq!(
            errors[0].to_string(),
            "metadata.labels[pod-security.kubernetes.io/warn]: Invalid value: \"nonsense\": must be one of privileged, baseline, restricted"
        );
        assert_eq!(errors.len(), 1);
    }

    #[test]
    fn the_version_of_a_label_counts_up_to_the_servers_own() {
        let namespace = |version: &str| {
            json!({"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "baseline",
                "pod-security.kubernetes.io/enforce-version": version}}})
        };
        let refused = |version: &str, name: &str| {
            let spec = json!({"containers": [], "securityContext": {"sysctls": [{"name": name}]}});
            violation(&namespace(version), "enforce", &json!({}), &spec).is_some()
        };
        assert!(refused("v1.31", "net.ipv4.tcp_rmem"));
        assert!(!refused("v1.32", "net.ipv4.tcp_rmem"));
        // Allowed from 1.37 on, which this server is not.
        assert!(refused("latest", "net.ipv4.tcp_notsent_lowat"));
        assert!(refused("v1.37", "net.ipv4.tcp_notsent_lowat"));
    }
}
